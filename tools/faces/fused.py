"""MobileStyleGAN for training on a GPU: the same function, with fewer passes through memory.

On a GPU the decoder's time goes into moving feature maps through memory. Three kernels (in Triton) and two identities
halve that:

- A depthwise convolution treats each channel alone, so it commutes with the modulation's scale. The scale can
  therefore be multiplied into the small weight of the pointwise convolution that follows.
- The mean of a 2x2 patch is half its low Haar band. An averaged picture therefore needs only three of the image head's
  twelve channels, and those at a lower side.

Maps are channels-last throughout.
"""

from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx, once_differentiable

from pspkit.models.mobile_stylegan import MobileStyleGAN, StyledSeparableConv

PIXELS, CHANNELS = 64, 32  # of the tile that one program computes; every map's channels are a multiple of 32


class Depthwise(torch.autograd.Function):
    """A depthwise 3x3 convolution with frozen weights, as (9, C): y[p, c] = sum_d k[d, c] x[p + d, c]."""

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(weight)
        return _depthwise(x, weight)

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor, None]:
        (weight,) = ctx.saved_tensors
        return _depthwise(gradient, weight.flip(0)), None


class Finish(torch.autograd.Function):
    """Bias, noise and LeakyReLU of a map (N, H W, C), in place: y = lrelu(x + b + n)."""

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, bias: Tensor, noise: Tensor) -> Tensor:
        n, area, channels = x.shape
        kernels().finish[_grid(n * area, channels)](x, bias, noise, n * area, area, channels, PIXELS, CHANNELS)
        ctx.mark_dirty(x)
        ctx.save_for_backward(x)
        return x

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor, None, None]:
        (y,) = ctx.saved_tensors
        return torch.ops.aten.leaky_relu_backward(gradient, y, 0.2, True), None, None


class InverseHaar(torch.autograd.Function):
    """As `mobile_stylegan.inverse_haar`: (N, 4 C, H, W) to (N, C, 2 H, 2 W). Its matrix is its own transpose."""

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor) -> Tensor:
        n, channels, height, width = x.shape
        y = _maps(x, n, channels // 4, 2 * height, 2 * width)
        _haar(x, y, to_bands=False)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, gradient: Tensor) -> Tensor:
        n, channels, height, width = gradient.shape
        bands = _maps(gradient, n, 4 * channels, height // 2, width // 2)
        _haar(_last(gradient), bands, to_bands=True)
        return bands


class FusedDecoder(nn.Module):
    """Codes to pictures, averaged down to a side; gradients reach the codes alone. Needs a GPU and Triton.

    Args:
        decoder: its weights are frozen and on the GPU; they are shared, not copied.
        side: of the pictures, at most half the decoder's, pixels.
    """

    def __init__(self, decoder: MobileStyleGAN, side: int) -> None:
        super().__init__()
        self.decoder, self.side = decoder, side
        self.size, self.n_styles, self.style_dim = decoder.size, decoder.n_styles, decoder.style_dim
        for name, layer in decoder.named_modules():
            if isinstance(layer, StyledSeparableConv) and name != "first":
                taps = layer.conv[0].weight.flatten(1).T.contiguous()  # (9, C)
                self.register_buffer(name.replace(".", "_"), taps, persistent=False)

    @property
    def preview_sides(self) -> tuple[int, ...]:
        """As the decoder's."""
        return self.decoder.preview_sides

    def forward(self, w_plus: Tensor) -> Tensor:
        """Codes (N, n_styles, style_dim) to pictures (N, 3, side, side), float32, not clamped."""
        decoder = self.decoder
        x = self._features(w_plus, len(decoder.blocks))
        x = F.avg_pool2d(x, x.shape[-1] // self.side) * decoder.head.modulation(w_plus[:, -1].to(x.dtype))
        return F.conv2d(x, decoder.head.conv.weight[:3], decoder.head.conv.bias[:3]).float().contiguous() / 2

    def preview(self, w_plus: Tensor, side: int = 256) -> Tensor:
        """As `MobileStyleGAN.preview`."""
        return self.decoder.readouts[str(side)](self._features(w_plus, side.bit_length() - 3))

    def _features(self, w_plus: Tensor, count: int) -> Tensor:
        """The maps that the last of the first `count` blocks gives."""
        w = w_plus.to(self.decoder.constant.dtype).unbind(1)
        x = self.decoder.features(w_plus, 4)
        for i, block in enumerate(self.decoder.blocks[:count]):
            x = InverseHaar.apply(_last(x * block.up(w[2 * i + 1])))
            x = self._styled(f"blocks_{i}_conv1", block.conv1, x, w[2 * i + 1])
            x = self._styled(f"blocks_{i}_conv2", block.conv2, x, w[2 * i + 2])
        return x

    def _styled(self, name: str, layer: StyledSeparableConv, x: Tensor, w: Tensor) -> Tensor:
        side, pointwise = x.shape[-1], layer.conv[1]
        x = Depthwise.apply(x, getattr(self, name)).permute(0, 2, 3, 1).flatten(1, 2)  # (N, side^2, C)
        weight = layer.modulation(w).flatten(2) * pointwise.weight[:, :, 0, 0].T  # (N, C, C')
        x = Finish.apply(torch.bmm(x, weight), pointwise.bias, layer.noise)
        return x.unflatten(1, (side, side)).permute(0, 3, 1, 2)


def dense_groups(network: nn.Module) -> None:
    """Makes grouped convolutions dense, in place, where a group has several channels: the same function.

    The zeros cost arithmetic that a GPU has in plenty, and few channels a group keep its matrix units idle. Only for
    frozen layers: a gradient would fill the zeros.
    """
    for parent in list(network.modules()):
        for name, layer in list(parent.named_children()):
            if isinstance(layer, nn.Conv2d) and 1 < layer.groups < layer.in_channels:
                dense = nn.Conv2d(
                    layer.in_channels, layer.out_channels, layer.kernel_size, layer.stride, layer.padding
                ).to(layer.weight)
                blocks = zip(layer.weight.chunk(layer.groups), range(layer.groups), strict=True)
                weight = torch.zeros_like(dense.weight)
                rows, columns = layer.out_channels // layer.groups, layer.in_channels // layer.groups
                for block, i in blocks:
                    weight[i * rows : (i + 1) * rows, i * columns : (i + 1) * columns] = block.detach()
                dense.weight, dense.bias = nn.Parameter(weight), layer.bias
                setattr(parent, name, dense.requires_grad_(False))


def _last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)


def _maps(like: Tensor, *shape: int) -> Tensor:
    return torch.empty(shape, dtype=like.dtype, device=like.device, memory_format=torch.channels_last)


def _grid(pixels: int, channels: int) -> tuple[int, int]:
    return -(-pixels // PIXELS), channels // CHANNELS


def _depthwise(x: Tensor, weight: Tensor) -> Tensor:
    x = _last(x)
    y = torch.empty_like(x)
    n, channels, height, width = x.shape
    pixels = n * height * width
    kernels().depthwise[_grid(pixels, channels)](x, weight, y, pixels, height, width, channels, PIXELS, CHANNELS)
    return y


def _haar(source: Tensor, target: Tensor, to_bands: bool) -> None:
    bands = target if to_bands else source
    n, channels, height, width = bands.shape
    pixels, channels = n * height * width, channels // 4
    grid = _grid(pixels, channels)
    kernels().haar[grid](source, target, pixels, height, width, channels, to_bands, PIXELS, CHANNELS)


@cache
def kernels() -> Any:
    """The three kernels, compiled when they are first used. Triton comes with PyTorch for GPUs alone."""
    from tools.faces import kernels

    return kernels
