"""StyleGAN2's discriminator."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pspkit.config import GeneratorConfig
from pspkit.errors import check_power_of_two, check_tensor
from pspkit.models.stylegan2.layers import Blur, EqualLinear, FusedLeakyReLU, to_channels_last


class EqualConv2d(nn.Module):
    """Convolution with an equalised learning rate: it uses its weights, drawn from N(0, 1), times 1 / sqrt(fan in)."""

    def __init__(self, in_channel: int, out_channel: int, kernel_size: int, stride: int = 1, bias: bool = True):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_channel, in_channel, kernel_size, kernel_size))
        self.bias = nn.Parameter(torch.zeros(out_channel)) if bias else None
        self.scale, self.stride = 1 / math.sqrt(in_channel * kernel_size**2), stride
        self.padding = kernel_size // 2 if stride == 1 else 0  # With a stride, the blur before it has padded the map.

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight * self.scale, self.bias, self.stride, self.padding)


class ConvLayer(nn.Sequential):
    """A convolution, with a blur before it if the side is halved, and bias and activation after it if asked for."""

    def __init__(self, in_channel: int, out_channel: int, kernel_size: int, down: bool = False, activate: bool = True):
        layers: list[nn.Module] = []
        stride = 2 if down else 1
        if down:  # With this padding, blur and stride 2 together halve the side.
            early = stride if kernel_size == 1 else 1  # A 1x1 convolution sees single pixels: fewer are enough.
            layers.append(Blur(pad=(kernel_size + 1) // 2, stride=early))
            stride //= early
        layers.append(EqualConv2d(in_channel, out_channel, kernel_size, stride, bias=False))
        if activate:
            layers.append(FusedLeakyReLU(out_channel))
        super().__init__(*layers)


class ResBlock(nn.Module):
    """Two convolutions beside a linear shortcut, both to half the side; the sum is scaled to keep the variance."""

    def __init__(self, in_channel: int, out_channel: int):
        super().__init__()
        self.conv1 = ConvLayer(in_channel, in_channel, 3)
        self.conv2 = ConvLayer(in_channel, out_channel, 3, down=True)
        self.skip = ConvLayer(in_channel, out_channel, 1, down=True, activate=False)

    def forward(self, x: Tensor) -> Tensor:
        return (self.conv2(self.conv1(x)) + self.skip(x)) / math.sqrt(2)


class Discriminator(nn.Module):
    """StyleGAN2's residual discriminator. Its last map shows how much the pictures of a batch differ.

    Args:
        size: side of the pictures.
        channel_multiplier: as the generator's.
        max_channels: as the generator's.
        group: number of pictures that share one deviation; the whole batch shares one if it cannot be divided evenly.

    Source: Karras et al. 2020, figure 7; Karras et al. 2018, section 3, for the deviation map.
    """

    def __init__(self, size: int = 1024, channel_multiplier: float = 2, max_channels: int = 512, group: int = 4):
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
        """Scores pictures (N, 3, size, size) in [-1, 1]: (N, 1), higher is more real.

        Raises:
            PspkitError: x has another shape or is not floating-point.
        """
        check_tensor("x", x, ("N", 3, self.size, self.size))
        x = self.convs(to_channels_last(x))  # Otherwise every blur takes several times as long.
        group = self.group if len(x) % self.group == 0 else len(x)
        grouped = x.unflatten(0, (group, -1))
        deviation = (grouped.var(0, correction=0) + 1e-8).sqrt().mean((1, 2, 3), keepdim=True)
        x = torch.cat([x, deviation.repeat(group, 1, *x.shape[2:])], 1)
        return self.final_linear(self.final_conv(x).flatten(1))
