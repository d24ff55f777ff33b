"""A faster encoder for inference: the same function, rearranged once its weights are frozen.

- A norm after a convolution becomes part of the convolution; so does a norm before one, borders included.
- map2style blocks that read the same map become one block: their first convolutions lie side by side, the later ones
  are groups of one convolution.
- Maps are channels-last, steps work in place, and the precision can be chosen.
"""

import copy
from itertools import groupby

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import skip_init
from torch.nn.utils.fusion import fuse_conv_bn_eval

from pspkit.errors import PspkitError
from pspkit.models.backbone import BottleneckIR
from pspkit.models.encoders import Encoder, GradualStyleBlock, GradualStyleEncoder


class FastUnit(nn.Module):
    """An IR or IR-SE unit without norms.

    A convolution that pads with zeros follows the first norm, a x + b. The factor a goes into its weights. What b adds
    to the result is less at the border than inside, and is therefore kept as a map.
    """

    def __init__(self, unit: BottleneckIR, side: int):
        super().__init__()
        norm, self.conv1, self.prelu, conv2, last_norm, *se = unit.res_layer
        shortcut = unit.shortcut_layer
        self.shortcut = fuse_conv_bn_eval(*shortcut) if isinstance(shortcut, nn.Sequential) else shortcut
        self.conv2 = fuse_conv_bn_eval(conv2, last_norm)
        self.se = nn.ModuleList(se)
        scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
        shift = norm.bias - norm.running_mean * scale
        self.register_buffer("shift", self.conv1(shift[None, :, None, None].expand(1, -1, side, side)))
        self.conv1.weight.mul_(scale[:, None, None])

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv2(self.prelu(self.conv1(x).add_(self.shift)))
        for se in self.se:
            y.mul_(se.gates(y))
        return y.add_(self.shortcut(x))


class FastMap2Style(nn.Module):
    """All map2style blocks that read the same map, as one block.

    The last convolution sees a map of 2x2 cells. Of its kernel only the lower right 2x2 weights fall on them, so that
    it is a matrix product.
    """

    def __init__(self, blocks: list[GradualStyleBlock]):
        super().__init__()
        self.convs = nn.ModuleList()
        *body, last = zip(*(block.convs[::2] for block in blocks), strict=True)
        for index, layers in enumerate(body):
            groups = len(blocks) if index else 1
            channels = groups * layers[0].in_channels, len(blocks) * layers[0].out_channels
            conv = skip_init(nn.Conv2d, *channels, 3, 2, 1, groups=groups)
            conv.weight = nn.Parameter(torch.cat([layer.weight for layer in layers]))
            conv.bias = nn.Parameter(torch.cat([layer.bias for layer in layers]))
            self.convs.append(conv)
        linears = [block.linear for block in blocks]
        self.last_weight = nn.Parameter(torch.stack([layer.weight[:, :, 1:, 1:].flatten(1) for layer in last]))
        self.last_bias = nn.Parameter(torch.stack([layer.bias for layer in last]))
        self.weight = nn.Parameter(torch.stack([layer.weight * layer.scale for layer in linears]))
        self.bias = nn.Parameter(torch.stack([layer.bias * layer.lr_mul for layer in linears]))

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_c, spatial, spatial) to codes (N, blocks, style_dim)."""
        for conv in self.convs:
            x = F.leaky_relu_(conv(x))
        cells = x.reshape(len(x), -1, self.last_weight.shape[-1]).expand(-1, len(self.weight), -1)
        x = F.leaky_relu_(torch.einsum("nhi,hoi->nho", cells, self.last_weight) + self.last_bias)
        return torch.einsum("nhi,hoi->nho", x, self.weight) + self.bias


class FastEncoder(nn.Module):
    """A frozen copy of an encoder, made by `fast_encoder`. It takes and returns what the encoder does."""

    def __init__(self, encoder: Encoder, dtype: torch.dtype):
        super().__init__()
        self.config, self.dtype = encoder.config, dtype
        self.n_styles, self.style_dim = self.config.n_styles, self.config.style_dim
        self.input_nc, self.input_size = self.config.input_nc, self.config.input_size
        self.encoder = encoder = copy.deepcopy(encoder).eval().requires_grad_(False)
        if self.config.backbone == "resnet_ir":  # MobileFaceNet's norms are part of its convolutions already.
            self._fold_norms(encoder)
        self.map2style = nn.ModuleList()
        if isinstance(encoder, GradualStyleEncoder):
            for _, styles in groupby(range(self.config.n_styles), encoder.level):
                self.map2style.append(FastMap2Style([encoder.styles[style] for style in styles]))
            del encoder.styles
        self.eval().requires_grad_(False).to(dtype, memory_format=torch.channels_last)

    def _fold_norms(self, encoder: Encoder) -> None:
        conv, norm, prelu = encoder.input_layer
        encoder.input_layer = nn.Sequential(fuse_conv_bn_eval(conv, norm), prelu)
        side = self.config.input_size
        for index, unit in enumerate(encoder.body):
            encoder.body[index] = FastUnit(unit, side)
            side //= unit.res_layer[3].stride[0]

    def train(self, mode: bool = True) -> "FastEncoder":
        if mode:
            raise PspkitError(
                "fast_encoder: the fast copy is frozen and cannot be trained. Train the encoder from which it was made."
            )
        return super().train(False)

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        """As the encoder's, but without gradients.

        Raises:
            PspkitError: x has another shape, is not floating-point, or needs a gradient.
        """
        self.encoder.check_input(x)
        if x.requires_grad:
            raise PspkitError(
                "x: it needs a gradient, and the fast copy computes none. Use the encoder from which it was made."
            )
        maps = self.encoder.stages(x.to(self.dtype, memory_format=torch.channels_last))
        if not self.map2style:
            return self.encoder.codes(maps).float()
        levels = self.encoder.pyramid(*maps[-3:])
        codes = torch.cat([blocks(level) for blocks, level in zip(self.map2style, levels, strict=False)], 1)
        return self.encoder.from_first(codes).float()


def fast_encoder(encoder: Encoder, dtype: torch.dtype = torch.bfloat16, compile: bool = False) -> FastEncoder:
    """Makes the frozen, faster copy of an encoder; the encoder stays as it is.

    Args:
        encoder: of any kind, its weights loaded.
        dtype: precision of the computation. With torch.float32 the codes are equal up to rounding, with torch.bfloat16
            to about a hundredth.
        compile: whether torch.compile fuses what is left. The first call then takes a minute or so, and on a CPU it
            needs a C++ compiler.

    Returns:
        A module that takes and returns what the encoder does.
    """
    fast = FastEncoder(encoder, dtype)
    if compile:
        fast.compile(fullgraph=True)
    return fast
