"""The first weights of an encoder whose body has no norms: random layers that keep signals at one scale."""

import torch
from torch import Tensor, nn

from pspkit.models.encoders import GradualStyleEncoder, style_level
from pspkit.psp import PSP

SAMPLE = 64  # sources on which the scales of layers are measured
DRAWN = 1024  # codes on which the scale of codes is measured


@torch.no_grad()
def start_heads(encoder: GradualStyleEncoder, sources: Tensor, scale: float) -> None:
    """Scales every new layer so that signals neither vanish nor grow on their way through random layers.

    In one layer after another, each channel is given mean 0 and variance 1 over the sources. The output of the lateral
    layers is given the spread of the map to which it is added, and the codes start near the average.

    Args:
        encoder: changed in place; its body is trained already.
        sources: (N, input_nc, input_size, input_size), at least a few dozen.
        scale: standard deviation of the codes to learn, around their average.

    Source: Mishkin & Matas 2016 (all you need is a good init); here for means as well.
    """
    c1, c2, c3 = encoder.stages(sources)[-3:]
    _standardise(encoder.latlayer1, c2, c3.std())
    p2 = encoder.pyramid(c1, c2, c3)[1]
    _standardise(encoder.latlayer2, c1, p2.std())
    levels = encoder.pyramid(c1, c2, c3)
    for style, head in enumerate(encoder.styles):
        x = levels[style_level(style)]
        for layer in head.convs:
            if isinstance(layer, nn.Conv2d):
                _standardise(layer, x, x.new_ones(()))
            x = layer(x)
        head.linear.weight.mul_(0.1 * scale)


@torch.no_grad()
def code_scale(psp: PSP) -> float:
    """Measures the standard deviation of a decoder's codes around their average latent."""
    z = torch.randn(DRAWN, psp.decoder.style_dim, generator=torch.Generator().manual_seed(0), device="cpu")
    codes = psp.decoder.mapping(z.to(psp.latent_avg))
    return (codes - psp.latent_avg.mean(0)).square().mean().sqrt().item()


def _standardise(layer: nn.Conv2d, x: Tensor, spread: Tensor) -> None:
    y = layer(x)
    own = y.std((0, 2, 3))
    factor = spread / (own + 1e-3 * own.mean())
    layer.weight.mul_(factor[:, None, None, None])
    layer.bias.copy_((layer.bias - y.mean((0, 2, 3))) * factor)
