"""The face parser says which of CelebAMask-HQ's 19 classes every pixel of a face shows: BiSeNetV2 in PyTorch.

The detail branch keeps fine borders at an eighth of the side. The semantic branch sees the whole face at a
thirty-second of it. Each weighs the features of the other.

Source: Yu et al. 2021 (BiSeNet V2), figure 3 and table 1, for the network; the sizes are those of the asset's graph.
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pspkit.errors import AssetError, PspkitError, check_tensor
from pspkit.models.frozen import load_frozen, outline
from pspkit.storage.tfjs import read_tfjs

ASSET = "face-parsing"
MEMBER = "package/resources/bisenetv2-celebamask"
STRIDE = 32  # of the coarsest map; the side of a picture must be a multiple of it
INPUT_SIZE = 448  # side of the pictures from which the weights were learned, pixels
# The semantic branch's blocks: channels out, and whether the side is halved.
BLOCKS = (
    *((32, True), (32, False), (64, True), (64, False)),
    *((128, True), (128, False), (128, False), (128, False)),
)
EXPANSION = 6  # how many times more channels a block has inside
WIDTH = 128  # channels of both branches' maps
# The graph's number of each class of CelebAMask-HQ: like most face parsers, it numbers them differently.
ORDER = (0, 1, 10, 6, 4, 5, 2, 3, 7, 8, 11, 12, 13, 17, 18, 9, 15, 14, 16)
# The beginnings of the names of the graph's constants, in the order of the module's parts.
PARTS = ("detail_branch", "semantic_branch", "aggregation_branch", "logits")


def _conv(
    in_channels: int, out_channels: int, kernel: int, stride: int = 1, *, relu: bool = True, groups: int = 1
) -> nn.Sequential:
    """A convolution and its ReLU. The trained file folds every norm into the convolution before it."""
    # TensorFlow's "SAME" padding adds zeros only below and on the right if the side is to be halved.
    pads = [nn.ZeroPad2d((0, 1, 0, 1))] if stride == 2 else []
    conv = nn.Conv2d(in_channels, out_channels, kernel, stride, 0 if pads else kernel // 2, groups=groups)
    return nn.Sequential(*pads, conv, *([nn.ReLU()] if relu else []))


def _depthwise(channels: int, out_channels: int, stride: int = 1) -> nn.Sequential:
    return _conv(channels, out_channels, 3, stride, relu=False, groups=channels)


def _upsample(x: Tensor, factor: int) -> Tensor:
    """Upsamples bilinearly, as the graph does it: pixel i of the result lies at i / factor of the input."""
    x = F.pad(x, (0, 1, 0, 1), mode="replicate")
    size = [(side - 1) * factor + 1 for side in x.shape[2:]]
    return F.interpolate(x, size, mode="bilinear", align_corners=True)[..., :-1, :-1]


class Stem(nn.Module):
    """The beginning of the semantic branch: reduces the side to a quarter, both by convolutions and by maxima.

    Source: Yu et al. 2021, figure 4 (a).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = _conv(3, channels, 3, 2)
        self.left = nn.Sequential(_conv(channels, channels // 2, 1), _conv(channels // 2, channels, 3, 2))
        self.last = _conv(2 * channels, channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        return self.last(torch.cat([self.left(x), F.max_pool2d(x, 3, 2, ceil_mode=True)], 1))


class GatherExpansion(nn.Module):
    """One block: 3x3, depthwise 3x3 to six times the channels, and 1x1 back; the result is added to the input.

    Source: Yu et al. 2021, figure 5 (b) and (c).
    """

    def __init__(self, in_channels: int, out_channels: int, halved: bool) -> None:
        super().__init__()
        wide = EXPANSION * in_channels
        # The layers are declared in the order of the graph's operators.
        self.shortcut = _depthwise(in_channels, in_channels, 2) if halved else None
        self.gather = nn.Sequential(
            _conv(in_channels, in_channels, 3), _depthwise(in_channels, wide, 2 if halved else 1)
        )
        self.shortcut_project = _conv(in_channels, out_channels, 1, relu=False) if halved else None
        self.expand = _depthwise(wide, wide) if halved else None
        self.project = _conv(wide, out_channels, 1, relu=False)

    def forward(self, x: Tensor) -> Tensor:
        y = self.gather(x)
        if self.shortcut is not None:
            x, y = self.shortcut_project(self.shortcut(x)), self.expand(y)
        return F.relu(x + self.project(y))


class ContextEmbedding(nn.Module):
    """Adds the mean of the whole picture's features to every place.

    Source: Yu et al. 2021, figure 4 (b).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.Conv2d(channels, channels, 1, groups=channels)  # one factor and one summand for each channel
        self.context = _conv(channels, channels, 1)
        self.last = nn.Conv2d(channels, channels, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(x + self.context(self.norm(x.mean((2, 3), keepdim=True))))


class GuidedAggregation(nn.Module):
    """Weighs the detail branch's features by those of the semantic branch, and the reverse, and adds both.

    Source: Yu et al. 2021, figure 6.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.detail = _depthwise(channels, channels)
        self.detail_down = _conv(channels, channels, 3, 2, relu=False)
        self.detail_project = nn.Conv2d(channels, channels, 1, bias=False)
        self.semantic_up = _conv(channels, channels, 3, relu=False)
        self.semantic = _depthwise(channels, channels)
        self.semantic_project = nn.Conv2d(channels, channels, 1, bias=False)
        self.last = _conv(channels, channels, 3)

    def forward(self, detail: Tensor, semantic: Tensor) -> Tensor:
        fine = self.detail_project(self.detail(detail)) * _upsample(self.semantic_up(semantic), 4).sigmoid()
        coarse = F.avg_pool2d(self.detail_down(detail), 3, 2, ceil_mode=True, count_include_pad=False)
        coarse = coarse * self.semantic_project(self.semantic(semantic)).sigmoid()
        return self.last(fine + _upsample(coarse, 4))


class FaceParser(nn.Module):
    """Scores the classes of every pixel of a face.

    Source: Yu et al. 2021 (BiSeNet V2), figure 3.
    """

    input_size = INPUT_SIZE

    def __init__(self) -> None:
        super().__init__()
        self.detail = nn.Sequential(
            *(_conv(3, 64, 3, 2), _conv(64, 64, 3)),
            *(_conv(64, 64, 3, 2), _conv(64, 64, 3), _conv(64, 64, 3)),
            *(_conv(64, WIDTH, 3, 2), _conv(WIDTH, WIDTH, 3), _conv(WIDTH, WIDTH, 3, relu=False)),
        )
        stem = 16
        widths = [stem, *(channels for channels, _ in BLOCKS)]
        blocks = [GatherExpansion(width, *block) for width, block in zip(widths, BLOCKS, strict=False)]
        self.semantic = nn.Sequential(Stem(stem), *blocks, ContextEmbedding(WIDTH))
        self.aggregation = GuidedAggregation(WIDTH)
        self.head = nn.Sequential(_conv(WIDTH, 2 * WIDTH, 3), nn.Conv2d(2 * WIDTH, len(ORDER), 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        """Parses faces.

        Args:
            x: aligned faces (N, 3, S, S) in [-1, 1]; S is a multiple of 32, and 448 is best.

        Returns:
            Scores before the softmax (N, 19, S, S); the classes have CelebAMask-HQ's numbers, as in `data.labels`.
            `data.labels.label_maps` turns them into label maps, and tells left from right, which the network does not.

        Raises:
            PspkitError: x has another shape or is not floating-point.
        """
        check_tensor("x", x, ("N", 3, "H", "W"))
        height, width = x.shape[2:]
        if height % STRIDE or width % STRIDE or not height or not width:
            raise PspkitError(
                f"x: got {height}x{width} pixels, and both sides must be multiples of {STRIDE}. Resize it."
            )
        return _upsample(self.head(self.aggregation(self.detail(x), self.semantic(x))), 8)


def load_face_parser() -> FaceParser:
    """The network trained on CelebAMask-HQ, in evaluation mode and with frozen weights.

    Its training data is for non-commercial research.

    Raises:
        AssetError: the weights could not be fetched or read.
    """
    return load_frozen(FaceParser, ASSET, MEMBER, state_from_tfjs)


def state_from_tfjs(folder: Path) -> dict[str, Tensor]:
    """Reads the state dict of `FaceParser` out of its TensorFlow.js graph.

    Within each part, the module declares its layers in the order of the graph's operators. Parameters and constants are
    therefore paired one by one. The classes are brought into CelebAMask-HQ's order.

    Args:
        folder: holds `model.json` and its shards.

    Returns:
        The state dict, float32.

    Raises:
        AssetError: the graph cannot be read, or belongs to another network.
    """
    constants = read_tfjs(folder)
    values = [value for part in PARTS for name, value in constants if name.startswith(f"BiseNetV2/{part}/")]
    parameters = outline(FaceParser).state_dict()
    if len(values) != len(parameters):
        raise AssetError(f"it has {len(values)} weights and FaceParser {len(parameters)}, so it is another network.")
    state = {}
    for (key, parameter), value in zip(parameters.items(), map(torch.from_numpy, values), strict=True):
        if value.ndim == 4:  # The graph has (height, width, in, out), or depthwise (height, width, channels, 1).
            depthwise = parameter.shape[1] == 1
            value = value.permute(2, 3, 0, 1) if depthwise else value.permute(3, 2, 0, 1)
        if value.numel() != parameter.numel():
            raise AssetError(f"{key} has {value.numel()} numbers in it, so it is another network.")
        state[key] = value.reshape(parameter.shape).contiguous()
    state["head.1.weight"] = state["head.1.weight"][list(ORDER)]
    return state
