"""StyleGAN2: mapping network, modulated convolutions, synthesis, and the discriminator beside them.

Keys and numbers are those of the PyTorch port that pSp uses. Activations are modulated instead of weights: the same
function, but one ordinary convolution serves the whole batch.

Source: Karras et al. 2020 (StyleGAN2), section 2 and appendix B.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pspkit.checkpoints import Pretrained
from pspkit.config import GeneratorConfig
from pspkit.errors import PspkitError, check_choice, check_power_of_two, check_tensor

BLUR = (1.0, 3.0, 3.0, 1.0)


def blur_kernel(gain: float = 1.0) -> Tensor:
    """The 4x4 binomial filter [1, 3, 3, 1] x [1, 3, 3, 1], its sum `gain`."""
    line = torch.tensor(BLUR)
    return torch.outer(line, line) * (gain / line.sum() ** 2)


def leaky_relu(x: Tensor) -> Tensor:
    """Leaky ReLU of slope 0.2, scaled by sqrt(2) to keep the variance."""
    return F.leaky_relu(x, 0.2) * math.sqrt(2)


class PixelNorm(nn.Module):
    """Scales every z to unit mean square: z / sqrt(mean(z^2) + 1e-8)."""

    def forward(self, z: Tensor) -> Tensor:
        return z * (z.square().mean(1, keepdim=True) + 1e-8).rsqrt()


class EqualLinear(nn.Module):
    """Linear layer with an equalised learning rate.

        y = x (weight * lr_mul / sqrt(in))^T + bias * lr_mul,   weight ~ N(0, 1) / lr_mul

    Args:
        in_dim: length of the input.
        out_dim: length of the output.
        bias_init: the bias at the start, before lr_mul.
        lr_mul: how much slower than the rest the layer learns.
        activate: whether a scaled leaky ReLU follows.

    Source: Karras et al. 2018 (progressive growing), section 4.1.
    """

    def __init__(self, in_dim: int, out_dim: int, bias_init: float = 0.0, lr_mul: float = 1.0, activate: bool = False):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_dim, in_dim) / lr_mul)
        self.bias = nn.Parameter(torch.full((out_dim,), bias_init))
        self.scale, self.lr_mul, self.activate = lr_mul / math.sqrt(in_dim), lr_mul, activate

    def forward(self, x: Tensor) -> Tensor:
        y = F.linear(x * self.scale, self.weight, self.bias * self.lr_mul)
        return leaky_relu(y) if self.activate else y


class Blur(nn.Module):
    """Smooths with the binomial filter, the map padded by `pad` zeros on every side."""

    def __init__(self, pad: int, gain: float = 1.0):
        super().__init__()
        self.register_buffer("kernel", blur_kernel(gain))
        self.pad = pad

    def forward(self, x: Tensor) -> Tensor:
        channels = x.shape[1]
        weight = self.kernel.to(x.dtype).expand(channels, 1, 4, 4)
        return F.conv2d(x, weight, padding=self.pad, groups=channels)


class Upsample(nn.Module):
    """Doubles the side: zeros between the pixels, then the binomial filter."""

    def __init__(self):
        super().__init__()
        self.register_buffer("kernel", blur_kernel(gain=4.0))

    def forward(self, x: Tensor) -> Tensor:
        channels = x.shape[1]
        weight = self.kernel.to(x.dtype).expand(channels, 1, 4, 4)
        x = x.contiguous(memory_format=torch.channels_last)  # six times faster for three channels
        return F.conv_transpose2d(x, weight, stride=2, padding=1, groups=channels)


def scale_channels(x: Tensor, factors: Tensor, inplace: bool) -> Tensor:
    """Every channel of every picture times its factor: (N, C, H, W) by (N, C)."""
    factors = factors.to(x.dtype)[:, :, None, None]
    return x.mul_(factors) if inplace else x * factors


class ModulatedConv2d(nn.Module):
    """Convolution whose input channels are scaled by a style.

        s = modulation(w)
        y = conv(x * s, W) * d,   d_o = 1 / sqrt(sum_ik (W_oik s_i)^2 + 1e-8)

    That is the weight form of the paper with the scaling moved from the weights to the activations; d undoes it on
    average (demodulation). With `upsample` the convolution is transposed with stride 2, then smoothed.

    Args:
        in_channel: channels of the input.
        out_channel: channels of the output.
        kernel_size: side of the kernel.
        style_dim: length of a code.
        demodulate: whether d is applied; not for the layers that make RGB.
        upsample: whether the side is doubled.

    Source: Karras et al. 2020, equations 1 and 3.
    """

    def __init__(
        self,
        in_channel: int,
        out_channel: int,
        kernel_size: int,
        style_dim: int,
        demodulate: bool = True,
        upsample: bool = False,
    ):
        super().__init__()
        self.demodulate, self.upsample = demodulate, upsample
        self.scale = 1 / math.sqrt(in_channel * kernel_size**2)
        if upsample:
            self.blur = Blur(pad=1, gain=4.0)
        self.weight = nn.Parameter(torch.randn(1, out_channel, in_channel, kernel_size, kernel_size))
        self.modulation = EqualLinear(style_dim, in_channel, bias_init=1.0)

    def forward(self, x: Tensor, w: Tensor, inplace: bool = False) -> Tensor:
        """Convolves.

        Args:
            x: features (N, in_channel, H, W).
            w: codes (N, style_dim).
            inplace: whether x may be overwritten; at high resolutions new memory costs more than the arithmetic.
                Not where gradients are needed.

        Returns:
            Features (N, out_channel, H, W), or twice the side with `upsample`; always new memory.
        """
        style, weight = self.modulation(w) * self.scale, self.weight[0]
        if weight.shape[-1] == 1:  # one matrix product a picture: scaling its few weights spares a pass over x
            x = torch.einsum("nchw,noc->nohw", x, (weight[:, :, 0, 0] * style[:, None]).to(x.dtype))
        elif self.upsample:
            x = scale_channels(x, style, inplace)
            x = self.blur(F.conv_transpose2d(x, weight.transpose(0, 1), stride=2))
        else:
            x = F.conv2d(scale_channels(x, style, inplace), weight, padding=weight.shape[-1] // 2)
        if self.demodulate:
            power = F.linear(style.square(), torch.linalg.vector_norm(weight, dim=(2, 3)).square())
            x = scale_channels(x, (power + 1e-8).rsqrt(), inplace)
        return x


class NoiseInjection(nn.Module):
    """Adds one noise map to every channel, scaled by one learned number; in place."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor, noise: Tensor) -> Tensor:
        return x.add_((self.weight * noise).to(x.dtype))


class FusedLeakyReLU(nn.Module):
    """Bias per channel, then the scaled leaky ReLU; in place."""

    def __init__(self, channels: int):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        x.add_(self.bias.to(x.dtype)[:, None, None]).mul_(math.sqrt(2))
        return F.leaky_relu_(x, 0.2)


class StyledConv(nn.Module):
    """Modulated 3x3 convolution, noise, bias, activation."""

    def __init__(self, in_channel: int, out_channel: int, style_dim: int, upsample: bool = False):
        super().__init__()
        self.conv = ModulatedConv2d(in_channel, out_channel, 3, style_dim, upsample=upsample)
        self.noise = NoiseInjection()
        self.activate = FusedLeakyReLU(out_channel)

    def forward(self, x: Tensor, w: Tensor, noise: Tensor, inplace: bool = False) -> Tensor:
        """As `ModulatedConv2d.forward`; the noise map is (1 or N, 1, H, W), at the side of the output."""
        return self.activate(self.noise(self.conv(x, w, inplace), noise))


class ToRGB(nn.Module):
    """Features to a picture, added to the upsampled picture of the resolution below."""

    def __init__(self, in_channel: int, style_dim: int, upsample: bool = True):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1, 3, 1, 1))
        if upsample:
            self.upsample = Upsample()
        self.conv = ModulatedConv2d(in_channel, 3, 1, style_dim, demodulate=False)

    def forward(self, x: Tensor, w: Tensor, skip: Tensor | None = None) -> Tensor:
        rgb = self.conv(x, w) + self.bias
        return rgb if skip is None else rgb + self.upsample(skip)


class ConstantInput(nn.Module):
    """The learned 4x4 map that every picture starts from."""

    def __init__(self, channels: int):
        super().__init__()
        self.input = nn.Parameter(torch.randn(1, channels, 4, 4))


class Generator(Pretrained, nn.Module):
    """StyleGAN2 generator.

        w = style(z);   picture = synthesis(w_0 ... w_{n_styles-1})

    Code 0 drives the 4 px convolution. At each further resolution two codes drive three layers: the up-convolution
    and the picture head of the resolution below share one.

    Source: Karras et al. 2020, figure 7 (skip generator); the arguments are `GeneratorConfig`'s.
    """

    config_type = GeneratorConfig

    def __init__(
        self,
        size: int = 1024,
        style_dim: int = 512,
        n_mlp: int = 8,
        channel_multiplier: int = 2,
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
        """Standard normal z (N, style_dim) to codes w (N, style_dim).

        Raises:
            PspkitError: another shape, or not floating-point.
        """
        check_tensor("z", z, ("N", self.style_dim))
        return self.style(z)

    def synthesis(self, w_plus: Tensor, noise: str = "fixed") -> Tensor:
        """Codes to pictures.

        Args:
            w_plus: codes (N, n_styles, style_dim).
            noise: "fixed" adds the stored noise maps, so equal codes give equal pictures; "random" draws new ones.

        Returns:
            Pictures (N, 3, size, size), about [-1, 1], not clamped.

        Raises:
            PspkitError: codes of another shape, or an unknown kind of noise.
        """
        check_tensor("w_plus", w_plus, ("N", self.n_styles, self.style_dim))
        check_choice("noise", noise, ("fixed", "random"))
        noises = [
            stored if noise == "fixed" else stored.new_empty(len(w_plus), *stored.shape[1:]).normal_()
            for stored in self.noises.buffers()
        ]
        codes = w_plus.unbind(1)
        inplace = not torch.is_grad_enabled()
        x = self.input.input.expand(len(w_plus), -1, -1, -1).contiguous(memory_format=torch.channels_last)
        x = self.conv1(x, codes[0], noises[0])
        rgb = self.to_rgb1(x, codes[1])
        for level, to_rgb in enumerate(self.to_rgbs):
            first = 2 * level + 1
            x = self.convs[first - 1](x, codes[first], noises[first], inplace)
            x = self.convs[first](x, codes[first + 1], noises[first + 1], inplace)
            rgb = to_rgb(x, codes[first + 2], rgb)
        return rgb

    def forward(self, z: Tensor, truncation: float = 1.0, latent_avg: Tensor | None = None) -> Tensor:
        """Draws pictures: mapping, truncation, the same w for every layer, synthesis with the stored noise.

        Args:
            z: standard normal (N, style_dim).
            truncation: 1 keeps w; smaller values pull it towards the average.
            latent_avg: the average w, broadcastable to (N, style_dim); needed where truncation is not 1.

        Raises:
            PspkitError: a truncation without an average, or z of another shape.
        """
        w = self.mapping(z)
        if truncation != 1:
            if latent_avg is None:
                raise PspkitError(
                    "truncation: pulls codes towards an average. Give latent_avg, or leave truncation at 1."
                )
            w = latent_avg + truncation * (w - latent_avg)
        return self.synthesis(w[:, None].expand(-1, self.n_styles, -1))


class EqualConv2d(nn.Module):
    """Convolution with an equalised learning rate: its N(0, 1) weights are used times 1 / sqrt(fan in)."""

    def __init__(self, in_channel: int, out_channel: int, kernel_size: int, stride: int = 1, bias: bool = True):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_channel, in_channel, kernel_size, kernel_size))
        self.bias = nn.Parameter(torch.zeros(out_channel)) if bias else None
        self.scale, self.stride = 1 / math.sqrt(in_channel * kernel_size**2), stride
        self.padding = kernel_size // 2 if stride == 1 else 0  # with a stride, the blur before it has padded

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight * self.scale, self.bias, self.stride, self.padding)


class ConvLayer(nn.Sequential):
    """Convolution of the discriminator: [blur,] convolution [, bias and activation]."""

    def __init__(self, in_channel: int, out_channel: int, kernel_size: int, down: bool = False, activate: bool = True):
        layers: list[nn.Module] = []
        if down:
            layers.append(Blur(pad=(kernel_size + 1) // 2))  # so that blur and stride 2 together halve the side
        layers.append(EqualConv2d(in_channel, out_channel, kernel_size, 2 if down else 1, bias=False))
        if activate:
            layers.append(FusedLeakyReLU(out_channel))
        super().__init__(*layers)


class ResBlock(nn.Module):
    """Two convolutions and a linear shortcut, at half the side; divided by sqrt(2) to keep the variance."""

    def __init__(self, in_channel: int, out_channel: int):
        super().__init__()
        self.conv1 = ConvLayer(in_channel, in_channel, 3)
        self.conv2 = ConvLayer(in_channel, out_channel, 3, down=True)
        self.skip = ConvLayer(in_channel, out_channel, 1, down=True, activate=False)

    def forward(self, x: Tensor) -> Tensor:
        return (self.conv2(self.conv1(x)) + self.skip(x)) / math.sqrt(2)


class Discriminator(nn.Module):
    """StyleGAN2's residual discriminator; a last map of batch deviations tells collapsed batches apart.

    Args:
        size: side of the pictures.
        channel_multiplier: as the generator's.
        max_channels: as the generator's.
        group: pictures that share one deviation value; the batch is split where it divides evenly, else taken whole.

    Source: Karras et al. 2020, figure 7; Karras et al. 2018, section 3, for the deviation map.
    """

    def __init__(self, size: int = 1024, channel_multiplier: int = 2, max_channels: int = 512, group: int = 4):
        check_power_of_two("size", size, 8)
        super().__init__()
        channels = GeneratorConfig(size, channel_multiplier=channel_multiplier, max_channels=max_channels).channels
        self.size, self.group = size, group
        sides = [2**level for level in range(int(math.log2(size)), 1, -1)]
        self.convs = nn.Sequential(
            ConvLayer(3, channels(size), 1),
            *(ResBlock(channels(side), channels(side // 2)) for side in sides[:-1]),
        )
        self.final_conv = ConvLayer(channels(4) + 1, channels(4), 3)
        self.final_linear = nn.Sequential(
            EqualLinear(channels(4) * 16, channels(4), activate=True), EqualLinear(channels(4), 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Pictures (N, 3, size, size) in [-1, 1] to scores (N, 1); higher is more real.

        Raises:
            PspkitError: another shape, or not floating-point.
        """
        check_tensor("x", x, ("N", 3, self.size, self.size))
        x = self.convs(x)
        group = self.group if len(x) % self.group == 0 else len(x)
        grouped = x.unflatten(0, (group, -1))
        deviation = (grouped.var(0, correction=0) + 1e-8).sqrt().mean((1, 2, 3), keepdim=True)
        x = torch.cat([x, deviation.repeat(group, 1, *x.shape[2:])], 1)
        return self.final_linear(self.final_conv(x).flatten(1))
