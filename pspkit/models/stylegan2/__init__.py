"""StyleGAN2: mapping network, modulated convolutions, synthesis and discriminator.

The keys of the weights and the numbers that come out are those of the PyTorch port that pSp uses.

Source: Karras et al. 2020 (StyleGAN2), section 2 and appendix B.
"""

from pspkit.models.stylegan2.discriminator import Discriminator
from pspkit.models.stylegan2.generator import Generator
from pspkit.models.stylegan2.layers import Blur, EqualLinear, ModulatedConv2d, PixelNorm, StyledConv, ToRGB, Upsample

__all__ = [
    "Blur",
    "Discriminator",
    "EqualLinear",
    "Generator",
    "ModulatedConv2d",
    "PixelNorm",
    "StyledConv",
    "ToRGB",
    "Upsample",
]
