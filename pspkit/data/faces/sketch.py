"""Makes line drawings of photographs, for the task `sketch`, by an extended difference of Gaussians.

Source: Winnemöller, Kyprianidis & Olsen 2012 (XDoG: an eXtended difference-of-Gaussians compendium), sections 2 and 3.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from pspkit.data.faces.augment import LUMA
from pspkit.errors import check_tensor

# Ratio of the widths of the two Gaussians, with which their difference is close to the Laplacian.
# Source: Marr & Hildreth 1980.
RATIO = 1.6


def draw_sketch(pictures: Tensor, width: float = 1.5, threshold: float = 0.015, sharpness: float = 80.0) -> Tensor:
    """Draws the lines of pictures: dark where a pixel is darker than its surroundings.

        D = G_s * x - G_1.6s * x,   line = 1 + tanh(sharpness * (D + threshold)) where D < -threshold, else 1 (paper)

    Args:
        pictures: (N, 3, side, side) in [-1, 1].
        width: s, the standard deviation of the narrower Gaussian, in pixels of a picture of 256; it grows with the
            side.
        threshold: how much darker a line must be, as a fraction of the whole range of brightness. A smaller one gives
            more lines.
        sharpness: how quickly a line turns black.

    Returns:
        Sketches (N, 1, side, side) in [0, 1]: dark lines on white, as `to_unit` reads a drawn sketch.

    Raises:
        PspkitError: the pictures have another shape or are not floating-point.
    """
    check_tensor("pictures", pictures, ("N", 3, "side", "side"))
    luma = (pictures * pictures.new_tensor(LUMA).view(3, 1, 1)).sum(1, keepdim=True) / 2 + 0.5
    deviation = width * pictures.shape[-1] / 256
    difference = _blur(luma, deviation) - _blur(luma, RATIO * deviation)
    return 1 + torch.tanh(sharpness * (difference + threshold).clamp(max=0))


def _blur(x: Tensor, deviation: float) -> Tensor:
    radius = math.ceil(3 * deviation)
    places = torch.arange(-radius, radius + 1, device=x.device, dtype=x.dtype)
    taps = torch.exp(-0.5 * (places / deviation).square())
    taps = (taps / taps.sum()).view(1, 1, 1, -1)
    x = F.conv2d(F.pad(x, (radius, radius, 0, 0), mode="replicate"), taps)
    return F.conv2d(F.pad(x, (0, 0, radius, radius), mode="replicate"), taps.mT)
