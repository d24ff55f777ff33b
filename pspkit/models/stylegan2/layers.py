"""The layers of StyleGAN2's two networks.

Activations are modulated instead of weights. The function is the same, but one ordinary convolution then serves the
whole batch.

Source: Karras et al. 2020 (StyleGAN2), section 2 and appendix B.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.autograd.function import FunctionCtx
from torch.nn.grad import conv2d_weight

ROOT, SLOPE = math.sqrt(2), 0.2  # of the scaled leaky ReLU
BLUR = (1.0, 3.0, 3.0, 1.0)


def blur_kernel(gain: float = 1.0) -> Tensor:
    """The 4x4 binomial filter [1, 3, 3, 1] x [1, 3, 3, 1], scaled so that its sum is `gain`."""
    line = torch.tensor(BLUR)
    return torch.outer(line, line) * (gain / line.sum() ** 2)


def leaky_relu(x: Tensor) -> Tensor:
    """Leaky ReLU of slope 0.2, scaled by sqrt(2) to keep the variance."""
    return F.leaky_relu(x, SLOPE) * ROOT


def is_transformed(*tensors: Tensor) -> bool:
    """Whether `torch.func` (vmap, jvp, grad) or forward-mode differentiation sees one of the tensors.

    `ScaledConvolution` and `Finish` save memory in an ordinary backward pass, but these transforms need plain autograd.
    """
    return any(
        torch._C._functorch.is_functorch_wrapped_tensor(tensor) or forward_ad.unpack_dual(tensor).tangent is not None
        for tensor in tensors
    )


def to_channels_last(x: Tensor) -> Tensor:
    """Lays a map out with its channels side by side in memory, except under vmap, which cannot do that."""
    if not torch.compiler.is_compiling() and is_transformed(x):
        return x
    return x.contiguous(memory_format=torch.channels_last)


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
        bias_init: initial bias, before it is multiplied by lr_mul.
        lr_mul: learning rate of the layer relative to that of the others.
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
    """Pads a map by `pad` zeros on every side, smooths it, and keeps every `stride`-th pixel."""

    def __init__(self, pad: int, gain: float = 1.0, stride: int = 1):
        super().__init__()
        self.register_buffer("kernel", blur_kernel(gain))
        self.pad, self.stride = pad, stride

    def forward(self, x: Tensor) -> Tensor:
        return self._filter(x, self.pad, self.stride)

    def adjoint(self, x: Tensor) -> Tensor:
        """Computes the gradient at the input from that at the output, for stride 1; the filter is symmetric."""
        return self._filter(x, 3 - self.pad, 1)

    def _filter(self, x: Tensor, pad: int, stride: int) -> Tensor:
        channels = x.shape[1]
        weight = self.kernel.to(x.dtype).expand(channels, 1, 4, 4)
        return F.conv2d(x, weight, stride=stride, padding=pad, groups=channels)


class Upsample(nn.Module):
    """Doubles the side: puts zeros between the pixels, then applies the binomial filter."""

    def __init__(self):
        super().__init__()
        self.register_buffer("kernel", blur_kernel(gain=4.0))

    def forward(self, x: Tensor) -> Tensor:
        channels = x.shape[1]
        weight = self.kernel.to(x.dtype).expand(channels, 1, 4, 4)
        x = to_channels_last(x)  # six times faster for three channels
        return F.conv_transpose2d(x, weight, stride=2, padding=1, groups=channels)


def scale_channels(x: Tensor, factors: Tensor, inplace: bool) -> Tensor:
    """Multiplies every channel of every picture (N, C, H, W) by its factor (N, C)."""
    factors = factors.to(x.dtype)[:, :, None, None]
    return x.mul_(factors) if inplace else x * factors


class ScaledConvolution(torch.autograd.Function):
    """A convolution of x * style that saves only x for the backward pass.

    Autograd would save the product and, before a blur, the unblurred map, too. If the weights are frozen, nothing needs
    these; if they are not, the backward pass computes the product again. The backward pass consists of differentiable
    steps, so that a second derivative can be taken.
    """

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, style: Tensor, weight: Tensor, blur: Blur | None) -> Tensor:
        """Takes features (N, C, H, W), style (N, C), weight (out, C, k, k), and a blur if the side is doubled."""
        ctx.save_for_backward(x, style, weight)
        ctx.blur = blur
        return convolution(scale_channels(x, style, False), weight, blur)

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, style, weight = ctx.saved_tensors
        matching = weight.to(gradient.dtype)
        product, weight_gradient = None, None
        if ctx.needs_input_grad[2]:
            product = scale_channels(x, style, False).to(gradient.dtype)
        if ctx.blur is None:
            padding = weight.shape[-1] // 2
            product_gradient = F.conv_transpose2d(gradient, matching, padding=padding)
            if product is not None:
                weight_gradient = conv2d_weight(product, weight.shape, gradient, padding=padding)
        else:
            gradient = ctx.blur.adjoint(gradient)
            product_gradient = F.conv2d(gradient, matching.transpose(0, 1), stride=2)
            if product is not None:
                shape = weight.transpose(0, 1).shape
                weight_gradient = conv2d_weight(gradient, shape, product, stride=2).transpose(0, 1)
        style_gradient = (product_gradient * x).sum((2, 3)).to(style.dtype)
        inplace = not torch.is_grad_enabled()  # A second derivative needs the old value.
        return scale_channels(product_gradient, style, inplace), style_gradient, weight_gradient, None


def convolution(x: Tensor, weight: Tensor, blur: Blur | None) -> Tensor:
    """Convolves. With a blur, the convolution is transposed with stride 2, and its result is blurred."""
    if blur is None:
        return F.conv2d(x, weight, padding=weight.shape[-1] // 2)
    return blur(F.conv_transpose2d(x, weight.transpose(0, 1), stride=2))


class ModulatedConv2d(nn.Module):
    """Convolution whose input channels are scaled by a style.

        s = modulation(w)
        y = conv(x * s, W) * d,   d_o = 1 / sqrt(sum_ik (W_oik s_i)^2 + 1e-8)

    The paper scales the weights; here the activations are scaled instead, which gives the same. On average, d undoes
    the scaling (demodulation). With `upsample`, the convolution is transposed with stride 2, and its result is
    smoothed.

    Args:
        in_channel: channels of the input.
        out_channel: channels of the output.
        kernel_size: side of the kernel.
        style_dim: length of a code.
        demodulate: whether d is applied; the ToRGB layers do without.
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
        self.blur = Blur(pad=1, gain=4.0) if upsample else None
        self.weight = nn.Parameter(torch.randn(1, out_channel, in_channel, kernel_size, kernel_size))
        self.modulation = EqualLinear(style_dim, in_channel, bias_init=1.0)

    def forward(self, x: Tensor, w: Tensor, inplace: bool = False) -> Tensor:
        """Convolves.

        Args:
            x: features (N, in_channel, H, W).
            w: codes (N, style_dim).
            inplace: whether x may be overwritten, if no gradients are needed. At high resolutions, new memory costs
                more than the arithmetic.

        Returns:
            Features (N, out_channel, H, W), or of twice the side with `upsample`; always in new memory.
        """
        x, demodulation = self.convolve(x, w, inplace)
        return scale_channels(x, demodulation, inplace) if self.demodulate else x

    def convolve(self, x: Tensor, w: Tensor, inplace: bool = False) -> tuple[Tensor, Tensor]:
        """As `forward`, but returns the features before demodulation, and d (N, out_channel), which is 1 without it."""
        style, weight = self.modulation(w) * self.scale, self.weight[0]
        if weight.shape[-1] == 1:  # one matrix product for each picture; scaling its few weights saves a pass over x
            x = torch.einsum("nchw,noc->nohw", x, (weight[:, :, 0, 0] * style[:, None]).to(x.dtype))
        elif torch.is_grad_enabled() and not torch.compiler.is_compiling() and not is_transformed(x, style, weight):
            x = ScaledConvolution.apply(x, style, weight, self.blur)
        else:
            x = convolution(scale_channels(x, style, inplace), weight, self.blur)
        if not self.demodulate:
            return x, style.new_ones(len(style), len(weight))
        power = F.linear(style.square(), torch.linalg.vector_norm(weight, dim=(2, 3)).square())
        return x, (power + 1e-8).rsqrt()


class NoiseInjection(nn.Module):
    """The strength with which a noise map is added to every channel: one learned number."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))


class FusedLeakyReLU(nn.Module):
    """Adds a bias to each channel, then applies the scaled leaky ReLU, in place."""

    def __init__(self, channels: int):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        x.add_(self.bias.to(x.dtype)[:, None, None]).mul_(ROOT)
        return F.leaky_relu_(x, SLOPE)


def finish(x: Tensor, d: Tensor, noise: Tensor, bias: Tensor) -> Tensor:
    """Does all that follows a modulated convolution, and overwrites its result.

        y = leaky_relu(sqrt(2) (d x + noise + bias))

    Args:
        x: features (N, C, H, W).
        d: demodulation (N, C).
        noise: (1 or N, 1, H, W).
        bias: (C,).
    """
    x.mul_((d * ROOT).to(x.dtype)[:, :, None, None])
    x.add_((noise * ROOT).to(x.dtype)).add_((bias * ROOT).to(x.dtype)[:, None, None])
    return F.leaky_relu_(x, SLOPE)


def finish_plainly(x: Tensor, d: Tensor, noise: Tensor, bias: Tensor) -> Tensor:
    """As `finish`, but in new memory, as `torch.func` needs it."""
    factors, shift = (d * ROOT).to(x.dtype)[:, :, None, None], (bias * ROOT).to(x.dtype)[:, None, None]
    return F.leaky_relu(x * factors + (noise * ROOT).to(x.dtype) + shift, SLOPE)


class Finish(torch.autograd.Function):
    """`finish` with a backward pass that needs only its result y; autograd would save two more maps.

    Let g be the gradient before the activation. Then sum g y_before = sum dy y, because the slope cancels. The gradient
    of d is this sum minus the shares of noise and bias, divided by d. It is a function of y, d, noise and bias, so that
    autograd can differentiate it once more.
    """

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, d: Tensor, noise: Tensor, bias: Tensor) -> Tensor:
        finish(x, d, noise, bias)
        ctx.mark_dirty(x)
        ctx.save_for_backward(x, d, noise, bias)
        return x

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor | None, ...]:
        y, d, noise, bias = ctx.saved_tensors
        _, d_wanted, noise_wanted, _ = ctx.needs_input_grad
        g = y * gradient  # laid out as y
        along_y = g.sum((2, 3))
        if again := torch.is_grad_enabled():  # For a second derivative, nothing may be overwritten.
            g = torch.where(y > 0, gradient, gradient * SLOPE)
        else:
            torch.ops.aten.leaky_relu_backward.grad_input(gradient, y, SLOPE, True, grad_input=g)
        rows = torch.cat([noise, torch.ones_like(noise)], 1).flatten(2).to(g.dtype)
        along_noise, total = (rows @ g.flatten(2).transpose(1, 2)).unbind(1)
        d_gradient = (along_y - ROOT * (along_noise + bias * total)) / d if d_wanted else None
        noise_gradient = ROOT * g.sum(1, keepdim=True).sum_to_size(noise.shape) if noise_wanted else None
        factors = (d * ROOT).to(g.dtype)[:, :, None, None]
        x_gradient = g * factors if again else g.mul_(factors)
        return x_gradient, d_gradient, noise_gradient, ROOT * total.sum(0)


class StyledConv(nn.Module):
    """A modulated 3x3 convolution, then noise, bias and activation."""

    def __init__(self, in_channel: int, out_channel: int, style_dim: int, upsample: bool = False):
        super().__init__()
        self.conv = ModulatedConv2d(in_channel, out_channel, 3, style_dim, upsample=upsample)
        self.noise = NoiseInjection()
        self.activate = FusedLeakyReLU(out_channel)

    def forward(self, x: Tensor, w: Tensor, noise: Tensor, inplace: bool = False) -> Tensor:
        """As `ModulatedConv2d.forward`; the noise map (1 or N, 1, H, W) has the side of the output."""
        x, demodulation = self.conv.convolve(x, w, inplace)
        arguments = x, demodulation, self.noise.weight * noise, self.activate.bias
        if torch.compiler.is_compiling():  # The compiler fuses these steps itself.
            return finish(*arguments)
        return finish_plainly(*arguments) if is_transformed(*arguments) else Finish.apply(*arguments)


class ToRGB(nn.Module):
    """Turns features into a picture, and adds it to the upsampled picture of the resolution below."""

    def __init__(self, in_channel: int, style_dim: int, upsample: bool = True):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1, 3, 1, 1))
        if upsample:
            self.upsample = Upsample()
        self.conv = ModulatedConv2d(in_channel, 3, 1, style_dim, demodulate=False)

    def forward(self, x: Tensor, w: Tensor, skip: Tensor | None = None) -> Tensor:
        rgb = self.conv(x, w) + self.bias
        return rgb if skip is None else rgb + self.upsample(skip)
