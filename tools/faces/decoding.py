"""From codes to the pictures that losses and figures see."""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor

from pspkit.models.mobile_stylegan import MobileStyleGAN
from tools.faces.pictures import SIDE

Decode = Callable[[Tensor], Tensor]  # codes (N, n_styles, style_dim) to pictures (N, 3, 256, 256), not clamped


def decode_full(decoder: MobileStyleGAN, codes: Tensor) -> Tensor:
    """Codes (N, n_styles, style_dim) to pictures (N, 3, 256, 256), averaged down from the full decode; not clamped."""
    return F.adaptive_avg_pool2d(decoder.synthesis(codes).float(), SIDE)


def decode_preview(decoder: MobileStyleGAN, codes: Tensor) -> Tensor:
    """As `decode_full`, but through the preview: several times as fast, and without the finest codes."""
    return decoder.preview(codes, SIDE).float()
