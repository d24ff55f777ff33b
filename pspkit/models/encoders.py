"""The encoders: image to codes.

    x ─ stem ─ stages ─ c1, c2, c3 ─ pyramid ─ c3, p2, p1 ─ map2style blocks ─ codes

Source: Richardson et al. 2021 (pSp), section 3 and figure 2; the single-layer encoders are section 4.1's baselines.
Two relatives differ in one place each: e4e's codes are offsets from the first one, and ReStyle's encoder has no
pyramid.
"""

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pspkit.config import EncoderConfig
from pspkit.errors import check_choice, check_power_of_two, check_tensor
from pspkit.models.backbone import STAGE_WIDTHS, ResidualBody, StagedBody
from pspkit.models.mobile_facenet import WIDTHS as FACENET_WIDTHS
from pspkit.models.mobile_facenet import MobileFaceNetBody
from pspkit.models.stylegan2 import EqualLinear
from pspkit.storage.checkpoints import Pretrained

BACKBONES = ("resnet_ir", "mobile_facenet")
COARSE, MIDDLE = 3, 7  # styles 0 to 2 read c3, styles 3 to 6 read p2, the rest p1


def style_level(style: int) -> int:
    """The level of the pyramid that a style reads: 0 coarse (c3), 1 middle (p2), 2 fine (p1).

    Source: Richardson et al. 2021, section 3.1.
    """
    return 0 if style < COARSE else 1 if style < MIDDLE else 2


class GradualStyleBlock(nn.Module):
    """map2style: halves a square feature map until one cell is left, and maps that cell to a code.

        w = EqualLinear((LeakyReLU o conv3x3, stride 2) ^ log2(spatial) (map))

    Args:
        in_c: channels of the feature map.
        out_c: length of the code.
        spatial: side of the feature map, a power of two; it sets the number of convolutions.
        width: channels between the convolutions; as many as the code is long, unless given.

    Raises:
        PspkitError: spatial is not a power of two of at least 2.

    Source: Richardson et al. 2021, section 3.1 and figure 2 (map2style).
    """

    def __init__(self, in_c: int, out_c: int, spatial: int, width: int | None = None):
        super().__init__()
        check_power_of_two("spatial", spatial, 2)
        self.in_c, self.spatial = in_c, spatial
        width = width or out_c
        layers: list[nn.Module] = []
        while spatial > 1:
            layers += [nn.Conv2d(in_c, width, 3, 2, 1), nn.LeakyReLU()]
            in_c, spatial = width, spatial // 2
        self.convs = nn.Sequential(*layers)
        self.linear = EqualLinear(width, out_c)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_c, spatial, spatial) to codes (N, out_c).

        Raises:
            PspkitError: the map has another side; left unchecked, its extra cells would end up in the batch.
        """
        remedy = "Build the block with the map's side as spatial."
        check_tensor("feature map", x, ("N", self.in_c, self.spatial, self.spatial), remedy)
        return self.linear(self.convs(x).flatten(1))


class Encoder(Pretrained, StagedBody):
    """What all encoders share: the body, the configuration and the check of the input."""

    config_type = EncoderConfig
    kind: str

    def __init__(
        self,
        num_layers: int = 50,
        mode: str = "ir_se",
        n_styles: int = 18,
        input_nc: int = 3,
        input_size: int = 256,
        style_dim: int = 512,
        widths: tuple[int, ...] = STAGE_WIDTHS,
        map2style_width: int = 512,
        backbone: str = "resnet_ir",
        progressive: bool = False,
    ):
        """Builds an encoder; `EncoderConfig` explains every argument.

        Raises:
            PspkitError: there is no such depth, mode or backbone, or the side is not a power of two of at least 32.
        """
        check_power_of_two("input_size", input_size, 32)
        check_choice("backbone", backbone, BACKBONES)
        super().__init__()
        if backbone == "mobile_facenet":
            body, widths = MobileFaceNetBody(input_nc), FACENET_WIDTHS
        else:
            body = ResidualBody(num_layers, mode, input_nc, tuple(widths))
        self.input_layer, self.body, self.stage_ends = body.input_layer, body.body, body.stage_ends
        self.config = EncoderConfig(
            self.kind,
            num_layers,
            mode,
            n_styles,
            input_nc,
            input_size,
            style_dim,
            tuple(widths),
            map2style_width,
            backbone,
            progressive,
        )
        self.build_code_layers(self.config)

    @property
    def has_norms(self) -> bool:
        """Whether the body has norms, which keep its signals at one scale."""
        return any(isinstance(module, nn.BatchNorm2d) for module in self.body.modules())

    @property
    def n_styles(self) -> int:
        return self.config.n_styles

    @property
    def style_dim(self) -> int:
        return self.config.style_dim

    @property
    def input_nc(self) -> int:
        return self.config.input_nc

    @property
    def input_size(self) -> int:
        return self.config.input_size

    @classmethod
    def from_config(cls, config: EncoderConfig) -> "Encoder":
        check_choice("kind", config.kind, tuple(ENCODERS))
        arguments = vars(config).copy()
        return ENCODERS[arguments.pop("kind")](**arguments)

    def build_code_layers(self, config: EncoderConfig) -> None:
        """Adds the layers that turn feature maps into codes."""
        raise NotImplementedError

    def codes(self, maps: list[Tensor]) -> Tensor:
        """Maps the feature maps at the end of each stage to codes."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """Encodes images.

        Args:
            x: (N, input_nc, input_size, input_size), photographs in [-1, 1].

        Returns:
            Codes (N, n_styles, style_dim), or (N, style_dim) from the encoder into W. If the model starts from the
            average latent, they are offsets from it.

        Raises:
            PspkitError: x has another shape or is not floating-point.
        """
        self.check_input(x)
        if x.is_cuda or not self.training:  # On a CPU, norms that look at the batch are slower channels-last.
            x = x.contiguous(memory_format=torch.channels_last)
        return self.codes(self.stages(x))

    def check_input(self, x: Tensor) -> None:
        side = self.config.input_size
        remedy = "Resize or convert the picture, or build the encoder with another input_size or input_nc."
        check_tensor("x", x, ("N", self.config.input_nc, side, side), remedy)


class GradualStyleEncoder(Encoder):
    """The pSp encoder: a feature pyramid over the last three stages, one map2style block per code.

        p2 = up(c3) + lateral1(c2),  p1 = up(p2) + lateral2(c1)
        code i = map2style_i(c3 | p2 | p1)   for coarse | middle | fine i

    Source: Richardson et al. 2021, section 3.1 and figure 2.
    """

    kind = "gradual"
    level = staticmethod(style_level)  # of the pyramid, by the number of a style

    def build_code_layers(self, config: EncoderConfig) -> None:
        channels = config.widths[-1]
        sides = [config.input_size // 16, config.input_size // 8, config.input_size // 4]
        self.styles = nn.ModuleList(
            GradualStyleBlock(channels, config.style_dim, sides[self.level(style)], config.map2style_width)
            for style in range(config.n_styles)
        )
        self.latlayer1 = nn.Conv2d(config.widths[-2], channels, 1)
        self.latlayer2 = nn.Conv2d(config.widths[-3], channels, 1)

    def pyramid(self, c1: Tensor, c2: Tensor, c3: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Turns the maps of the last three stages, fine to coarse, into those that map2style reads: c3, p2, p1."""
        p2 = upsample_add(c3, self.latlayer1(c2))
        p1 = upsample_add(p2, self.latlayer2(c1))
        return c3, p2, p1

    def codes(self, maps: list[Tensor]) -> Tensor:
        levels = self.pyramid(*maps[-3:])
        return self.from_first(torch.stack([block(levels[self.level(i)]) for i, block in enumerate(self.styles)], 1))

    def from_first(self, codes: Tensor) -> Tensor:
        """Adds the first code to the others if they are offsets from it, as e4e's are.

        Source: Tov et al. 2021, section 4.2.
        """
        return torch.cat([codes[:, :1], codes[:, :1] + codes[:, 1:]], 1) if self.config.progressive else codes


class BackboneEncoder(GradualStyleEncoder):
    """ReStyle's encoder: there is no pyramid, and every map2style block reads the last map.

    Source: Alaluf et al. 2021 (ReStyle), section 3.3.
    """

    kind = "last_map"
    level = staticmethod(lambda style: 0)

    def build_code_layers(self, config: EncoderConfig) -> None:
        super().build_code_layers(config)
        del self.latlayer1, self.latlayer2

    def pyramid(self, c1: Tensor, c2: Tensor, c3: Tensor) -> tuple[Tensor, ...]:
        return (c3,)


class BackboneEncoderUsingLastLayerIntoW(Encoder):
    """Baseline: one code w from the pooled last map, which every layer of the decoder takes.

    Source: Richardson et al. 2021, section 4.1.
    """

    kind = "w"

    def build_code_layers(self, config: EncoderConfig) -> None:
        self.linear = EqualLinear(config.widths[-1], config.style_dim)

    def codes(self, maps: list[Tensor]) -> Tensor:
        return self.linear(maps[-1].mean((2, 3)))


class BackboneEncoderUsingLastLayerIntoWPlus(Encoder):
    """Baseline ("naive W+"): all codes at once by one linear layer from one 512-vector.

    Source: Richardson et al. 2021, section 4.1.
    """

    kind = "w_plus"

    def build_code_layers(self, config: EncoderConfig) -> None:
        self.output_layer_2 = nn.Sequential(
            nn.BatchNorm2d(config.widths[-1]),
            nn.AdaptiveAvgPool2d(7),
            nn.Flatten(),
            nn.Linear(config.widths[-1] * 49, config.map2style_width),
        )
        self.linear = EqualLinear(config.map2style_width, config.style_dim * config.n_styles)

    def codes(self, maps: list[Tensor]) -> Tensor:
        codes = self.linear(self.output_layer_2(maps[-1]))
        return codes.unflatten(1, (self.config.n_styles, self.config.style_dim))


ENCODERS = {
    encoder.kind: encoder
    for encoder in (
        GradualStyleEncoder,
        BackboneEncoderUsingLastLayerIntoW,
        BackboneEncoderUsingLastLayerIntoWPlus,
        BackboneEncoder,
    )
}


def narrow_input(encoder: Encoder, channels: int) -> Encoder:
    """Copies an encoder without the last channels of its input. Where these are 0, both give the same codes.

    Args:
        encoder: is not changed.
        channels: how many channels remain, at least 1 and at most the encoder's.
    """
    other = Encoder.from_config(replace(encoder.config, input_nc=channels))
    state = encoder.state_dict()
    name = next(name for name, part in encoder.input_layer.named_modules() if isinstance(part, nn.Conv2d))
    state[f"input_layer.{name}.weight"] = state[f"input_layer.{name}.weight"][:, :channels]
    other.load_state_dict(state)
    return other.train(encoder.training)


def upsample_add(coarse: Tensor, fine: Tensor) -> Tensor:
    """Upsamples the coarser map to the side of the finer one, bilinearly, and adds both.

    Corner pixels stay corner pixels (align_corners=True), as in the reference.
    """
    return F.interpolate(coarse, size=fine.shape[-2:], mode="bilinear", align_corners=True) + fine
