"""The textbook form of the two networks: what a reader writes straight from the papers, to measure pspkit against.

Same weights, same numbers, other arithmetic: styles scale the weights, so every picture has its own and convolutions
are grouped by picture; filters are explicit up-filter-down steps; heads run one after another; norms stay layers.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pspkit.models.backbone import BottleneckIR
from pspkit.models.encoders import GradualStyleEncoder, style_level
from pspkit.models.stylegan2 import Generator, ModulatedConv2d, StyledConv, ToRGB


def up_filter_down(x: Tensor, kernel: Tensor, up: int = 1, pad: tuple[int, int] = (0, 0)) -> Tensor:
    """Inserts up - 1 zeros after every pixel, pads (left and top, right and bottom), filters each channel alone."""
    n, channels, height, width = x.shape
    if up > 1:
        spread = x.new_zeros(n, channels, height * up, width * up)
        spread[:, :, ::up, ::up] = x
        x = spread
    x = F.pad(x, (*pad, *pad))
    return F.conv2d(x, kernel.flip(0, 1).expand(channels, 1, *kernel.shape), groups=channels)


def modulated_conv(layer: ModulatedConv2d, x: Tensor, w: Tensor) -> Tensor:
    """Modulates and demodulates the weights of every picture, then convolves all pictures as groups of one.

    Source: Karras et al. 2020, equations 1 to 3.
    """
    n, in_channel, height, width = x.shape
    out_channel, kernel_size = layer.weight.shape[1], layer.weight.shape[-1]
    style = layer.modulation(w).view(n, 1, in_channel, 1, 1)
    weight = layer.scale * layer.weight * style
    if layer.demodulate:
        weight = weight * torch.rsqrt(weight.pow(2).sum((2, 3, 4), keepdim=True) + 1e-8)
    x = x.reshape(1, n * in_channel, height, width)
    if layer.upsample:
        weight = weight.transpose(1, 2).reshape(n * in_channel, out_channel, kernel_size, kernel_size)
        y = F.conv_transpose2d(x, weight, stride=2, groups=n)
        y = y.view(n, out_channel, *y.shape[-2:])
        return up_filter_down(y, layer.blur.kernel, pad=(1, 1))
    weight = weight.view(n * out_channel, in_channel, kernel_size, kernel_size)
    y = F.conv2d(x, weight, padding=kernel_size // 2, groups=n)
    return y.view(n, out_channel, height, width)


def styled_conv(layer: StyledConv, x: Tensor, w: Tensor, noise: Tensor) -> Tensor:
    y = modulated_conv(layer.conv, x, w)
    y = y + layer.noise.weight * noise
    return F.leaky_relu(y + layer.activate.bias.view(1, -1, 1, 1), 0.2) * 2**0.5


def to_rgb(layer: ToRGB, x: Tensor, w: Tensor, skip: Tensor | None = None) -> Tensor:
    rgb = modulated_conv(layer.conv, x, w) + layer.bias
    return rgb if skip is None else rgb + up_filter_down(skip, layer.upsample.kernel, up=2, pad=(2, 1))


def synthesis(generator: Generator, w_plus: Tensor) -> Tensor:
    """Codes (N, n_styles, style_dim) to pictures (N, 3, size, size), with the stored noise."""
    noises = list(generator.noises.buffers())
    x = generator.input.input.repeat(len(w_plus), 1, 1, 1)
    x = styled_conv(generator.conv1, x, w_plus[:, 0], noises[0])
    picture = to_rgb(generator.to_rgb1, x, w_plus[:, 1])
    for level, head in enumerate(generator.to_rgbs):
        i = 2 * level + 1
        x = styled_conv(generator.convs[i - 1], x, w_plus[:, i], noises[i])
        x = styled_conv(generator.convs[i], x, w_plus[:, i + 1], noises[i + 1])
        picture = to_rgb(head, x, w_plus[:, i + 2], picture)
    return picture


def unit(layers: BottleneckIR, x: Tensor) -> Tensor:
    """One residual unit, layer by layer; the shortcut of equal width is a max pooling of one pixel."""
    y = x
    for layer in layers.res_layer:
        y = layer(y)
    if isinstance(layers.shortcut_layer, nn.Sequential):
        return layers.shortcut_layer(x) + y
    return F.max_pool2d(x, 1, layers.res_layer[3].stride) + y


def encode(encoder: GradualStyleEncoder, x: Tensor) -> Tensor:
    """Pictures (N, input_nc, input_size, input_size) to codes (N, n_styles, style_dim)."""
    x = encoder.input_layer(x)
    maps = []
    for index, layers in enumerate(encoder.body):
        x = unit(layers, x)
        if index in encoder.stage_ends:
            maps.append(x)
    levels = encoder.pyramid(*maps[1:])
    codes = []
    for style, head in enumerate(encoder.styles):
        code = head.convs(levels[style_level(style)])
        codes.append(head.linear(code.view(len(code), -1)))
    return torch.stack(codes, dim=1)
