"""StyleGAN2's generator: mapping network and synthesis."""

import math

import torch
from torch import Tensor, nn

from pspkit.config import GeneratorConfig
from pspkit.errors import PspkitError, check_choice, check_power_of_two, check_tensor
from pspkit.models.stylegan2.layers import EqualLinear, PixelNorm, StyledConv, ToRGB, to_channels_last
from pspkit.storage.checkpoints import Pretrained


class ConstantInput(nn.Module):
    """The learned 4x4 map from which every picture starts."""

    def __init__(self, channels: int):
        super().__init__()
        self.input = nn.Parameter(torch.randn(1, channels, 4, 4))


class Generator(Pretrained, nn.Module):
    """StyleGAN2's generator.

        w = style(z);   picture = synthesis(w_0 ... w_{n_styles-1})

    Code 0 drives the 4 px convolution. At each further resolution two codes drive three layers: the up-convolution
    and the ToRGB layer of the resolution below share one.

    Source: Karras et al. 2020, figure 7 (skip generator); the arguments are `GeneratorConfig`'s.
    """

    config_type = GeneratorConfig

    def __init__(
        self,
        size: int = 1024,
        style_dim: int = 512,
        n_mlp: int = 8,
        channel_multiplier: float = 2,
        max_channels: int = 512,
    ):
        check_power_of_two("size", size, 8)
        super().__init__()
        self.config = config = GeneratorConfig(size, style_dim, n_mlp, channel_multiplier, max_channels)
        self.size, self.style_dim, self.n_styles = size, style_dim, config.n_styles
        layers = [EqualLinear(style_dim, style_dim, lr_mul=0.01, activate=True) for _ in range(n_mlp)]
        self.style = nn.Sequential(PixelNorm(), *layers)

        width = config.channels(4)
        self.input = ConstantInput(width)
        self.conv1 = StyledConv(width, width, style_dim)
        self.to_rgb1 = ToRGB(width, style_dim, upsample=False)
        self.convs, self.to_rgbs, self.noises = nn.ModuleList(), nn.ModuleList(), nn.Module()
        self.noises.register_buffer("noise_0", torch.randn(1, 1, 4, 4))
        for level in range(3, int(math.log2(size)) + 1):
            side, below = 2**level, width
            width = config.channels(side)
            self.convs.append(StyledConv(below, width, style_dim, upsample=True))
            self.convs.append(StyledConv(width, width, style_dim))
            self.to_rgbs.append(ToRGB(width, style_dim))
            for layer in (2 * level - 5, 2 * level - 4):
                self.noises.register_buffer(f"noise_{layer}", torch.randn(1, 1, side, side))

    def mapping(self, z: Tensor) -> Tensor:
        """Maps standard normal z (N, style_dim) to codes w (N, style_dim).

        Raises:
            PspkitError: z has another shape or is not floating-point.
        """
        check_tensor("z", z, ("N", self.style_dim))
        return self.style(z)

    def synthesis(self, w_plus: Tensor, noise: str = "fixed") -> Tensor:
        """Draws pictures from codes.

        Args:
            w_plus: codes (N, n_styles, style_dim).
            noise: "fixed" adds the stored noise maps, so that equal codes give equal pictures; "random" draws new ones.

        Returns:
            Pictures (N, 3, size, size), about [-1, 1], not clamped.

        Raises:
            PspkitError: the codes have another shape, or the kind of noise is unknown.
        """
        check_tensor("w_plus", w_plus, ("N", self.n_styles, self.style_dim))
        check_choice("noise", noise, ("fixed", "random"))
        noises = [
            stored if noise == "fixed" else stored.new_empty(len(w_plus), *stored.shape[1:]).normal_()
            for stored in self.noises.buffers()
        ]
        codes = w_plus.unbind(1)
        inplace = not torch.is_grad_enabled()
        x = to_channels_last(self.input.input.expand(len(w_plus), -1, -1, -1))
        x = self.conv1(x, codes[0], noises[0])
        rgb = self.to_rgb1(x, codes[1])
        for level, to_rgb in enumerate(self.to_rgbs):
            first = 2 * level + 1
            x = self.convs[first - 1](x, codes[first], noises[first], inplace)
            x = self.convs[first](x, codes[first + 1], noises[first + 1], inplace)
            rgb = to_rgb(x, codes[first + 2], rgb)
        return rgb

    def forward(self, z: Tensor, truncation: float = 1.0, latent_avg: Tensor | None = None) -> Tensor:
        """Draws pictures: maps z to w, truncates w, gives it to every layer, and adds the stored noise.

        Args:
            z: standard normal (N, style_dim).
            truncation: 1 keeps w; smaller values pull it towards the average.
            latent_avg: the average w, broadcastable to (N, style_dim); needed unless truncation is 1.

        Raises:
            PspkitError: truncation has no average to pull to, or z has another shape.
        """
        w = self.mapping(z)
        if truncation != 1:
            if latent_avg is None:
                raise PspkitError(
                    "truncation: it pulls codes towards an average, which is not given. Give latent_avg, too, or leave"
                    " truncation at 1."
                )
            w = latent_avg + truncation * (w - latent_avg)
        return self.synthesis(w[:, None].expand(-1, self.n_styles, -1))
