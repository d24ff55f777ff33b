"""The ResNet-IR backbone: its stages, the IR and IR-SE units, the residual body, and the face-recognition network.

Source: Deng et al. 2019 (ArcFace), section 3.1, for the IR unit; Hu et al. 2018, section 3, for squeeze-and-excitation.
"""

from collections import namedtuple
from itertools import accumulate

import torch.nn.functional as F
from torch import Tensor, nn

from pspkit.config import STAGE_UNITS, BackboneConfig
from pspkit.errors import check_choice, check_tensor
from pspkit.storage.checkpoints import Pretrained

STAGE_WIDTHS = (64, 128, 256, 512)
MODES = ("ir", "ir_se")

Bottleneck = namedtuple("Bottleneck", ["in_channel", "depth", "stride"])
Bottleneck.__doc__ = "The shape of one unit: channels in, channels out, stride of its second convolution."


def get_block(in_channel: int, depth: int, num_units: int, stride: int = 2) -> list[Bottleneck]:
    """The units of one stage: the first changes the width and halves the side, the others keep both."""
    return [Bottleneck(in_channel, depth, stride)] + [Bottleneck(depth, depth, 1)] * (num_units - 1)


def get_blocks(num_layers: int, widths: tuple[int, ...] = STAGE_WIDTHS) -> list[list[Bottleneck]]:
    """The four stages of a backbone.

    Args:
        num_layers: a key of `STAGE_UNITS`. It counts the stem, the embedding and two convolutions for each unit. Only
            "152" is named after the network whose units have three convolutions; here it has 102 layers.
        widths: channels of each stage; the stem has as many as the first.

    Raises:
        PspkitError: the table has no such depth.
    """
    check_choice("num_layers", num_layers, tuple(STAGE_UNITS))
    in_channels = (widths[0], *widths[:-1])
    return [get_block(*stage) for stage in zip(in_channels, widths, STAGE_UNITS[num_layers], strict=True)]


def stage_ends(num_layers: int) -> list[int]:
    """The indices of the last unit of each stage within the body: [2, 6, 20, 23] at depth 50.

    The pyramid reads the last three. The reference has those of depth 50 written into its code.
    """
    return [count - 1 for count in accumulate(len(stage) for stage in get_blocks(num_layers))]


class SEModule(nn.Module):
    """Squeeze-and-excitation: multiplies each channel by a gate that is computed from the means of all channels.

        y = x * sigmoid(fc2(relu(fc1(mean(x)))))

    Source: Hu et al. 2018, equations 2 to 4; here without biases.
    """

    def __init__(self, channels: int, reduction: int = 16):
        super().__init__()
        squeezed = max(channels // reduction, 1)
        self.fc1 = nn.Conv2d(channels, squeezed, 1, bias=False)
        self.fc2 = nn.Conv2d(squeezed, channels, 1, bias=False)

    def gates(self, x: Tensor) -> Tensor:
        """Computes gates (N, C, 1, 1) in (0, 1) from maps (N, C, H, W)."""
        return self.fc2(self.fc1(x.mean((2, 3), keepdim=True)).relu()).sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gates(x)


class BottleneckIR(nn.Module):
    """Improved-residual unit.

        y = shortcut(x) + BN(conv3x3_s(PReLU(conv3x3(BN(x)))))

    The norm comes first, and nothing follows the sum. Where the width stays, the shortcut copies its input, with a
    stride if there is one.

    Source: Deng et al. 2019 (ArcFace), section 3.1.
    """

    def __init__(self, in_channel: int, depth: int, stride: int):
        super().__init__()
        if in_channel != depth:
            self.shortcut_layer = nn.Sequential(
                nn.Conv2d(in_channel, depth, 1, stride, bias=False), nn.BatchNorm2d(depth)
            )
        else:
            self.shortcut_layer = nn.MaxPool2d(1, stride) if stride > 1 else nn.Identity()
        self.res_layer = nn.Sequential(
            nn.BatchNorm2d(in_channel),
            nn.Conv2d(in_channel, depth, 3, 1, 1, bias=False),
            nn.PReLU(depth),
            nn.Conv2d(depth, depth, 3, stride, 1, bias=False),
            nn.BatchNorm2d(depth),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.shortcut_layer(x) + self.res_layer(x)


class BottleneckIRSE(BottleneckIR):
    """The IR unit with squeeze-and-excitation as the last step of its residual branch."""

    def __init__(self, in_channel: int, depth: int, stride: int):
        super().__init__(in_channel, depth, stride)
        self.res_layer.append(SEModule(depth))


class StagedBody(nn.Module):
    """A stem and a chain of units whose maps are read at the end of every stage.

    A subclass sets the three attributes. pSp's pyramid reads the last three stages, whose strides are 4, 8 and 16, or
    which lie as deep in another network.

    Attributes:
        input_layer: the stem.
        body: the units.
        stage_ends: the indices of the last unit of each stage within the body.
    """

    input_layer: nn.Sequential
    body: nn.Sequential
    stage_ends: list[int]

    @property
    def trunk(self) -> tuple[nn.Module, nn.Module]:
        """The parts that can be initialised from a face-recognition network: the stem and the units."""
        return self.input_layer, self.body

    def stages(self, x: Tensor) -> list[Tensor]:
        """The feature maps (N, C, H, W) at the end of each stage, fine to coarse."""
        x = self.input_layer(x)
        maps = []
        for index, unit in enumerate(self.body):
            x = unit(x)
            if index in self.stage_ends:
                maps.append(x)
        return maps


class ResidualBody(StagedBody):
    """The stem and the residual units that the encoders share with the face-recognition network.

    The stem keeps the side (stride 1, no pooling); each of the four stages halves it, so that `stages` gives maps
    with a half, a quarter, an eighth and a sixteenth of the side.
    """

    def __init__(self, num_layers: int, mode: str, input_nc: int, widths: tuple[int, ...]):
        super().__init__()
        check_choice("mode", mode, MODES)
        unit = BottleneckIRSE if mode == "ir_se" else BottleneckIR
        self.input_layer = nn.Sequential(
            nn.Conv2d(input_nc, widths[0], 3, 1, 1, bias=False), nn.BatchNorm2d(widths[0]), nn.PReLU(widths[0])
        )
        self.body = nn.Sequential(*(unit(*shape) for stage in get_blocks(num_layers, widths) for shape in stage))
        self.stage_ends = stage_ends(num_layers)


class Backbone(Pretrained, ResidualBody):
    """The face-recognition network (ArcFace): the body, then one embedding for each face.

    Its weights initialise the encoders, and the cosine of its embeddings is the identity loss.

    Source: Deng et al. 2019 (ArcFace), section 3.1 (BN, dropout, linear, BN).
    """

    config_type = BackboneConfig

    def __init__(
        self,
        num_layers: int = 50,
        mode: str = "ir_se",
        input_size: int = 112,
        widths: tuple[int, ...] = STAGE_WIDTHS,
        embedding_dim: int = 512,
    ):
        widths = tuple(widths)
        super().__init__(num_layers, mode, 3, widths)
        self.config = BackboneConfig(num_layers, mode, input_size, widths, embedding_dim)
        self.input_size = input_size
        self.output_layer = nn.Sequential(
            nn.BatchNorm2d(widths[-1]),
            nn.Dropout(0.4),
            nn.Flatten(),
            nn.Linear(widths[-1] * (input_size // 16) ** 2, embedding_dim),
            nn.BatchNorm1d(embedding_dim),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Embeds faces.

        Args:
            x: aligned faces (N, 3, input_size, input_size) in [-1, 1].

        Returns:
            Embeddings (N, embedding_dim) of length 1; their dot product is the cosine similarity.

        Raises:
            PspkitError: x has another shape or is not floating-point.
        """
        check_tensor("x", x, ("N", 3, self.config.input_size, self.config.input_size))
        return F.normalize(self.output_layer(self.stages(x)[-1]))
