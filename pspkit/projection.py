"""Projection: codes whose picture is nearest to a given one, found by optimisation instead of an encoder."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pspkit.errors import check_tensor
from pspkit.mobile_stylegan import MobileStyleGAN
from pspkit.psp import estimate_latent_avg
from pspkit.stylegan2 import Generator


def project(
    decoder: Generator | MobileStyleGAN,
    images: Tensor,
    steps: int = 500,
    lr: float = 0.1,
    lpips: nn.Module | None = None,
) -> tuple[Tensor, Tensor]:
    """Optimises W+ codes from the average latent; every picture by itself, all at once.

        min_w mean (G(w) - x)^2 [+ LPIPS(G(w), x)]

    The rate rises over the first twentieth of the steps and falls along a cosine.

    Args:
        decoder: left as it is, in eval mode or not.
        images: (N, 3, size, size) in [-1, 1], of the decoder's size.
        steps: of Adam.
        lr: the highest rate.
        lpips: as `perceptual.load_lpips` gives it; sharper, where the mean square alone blurs.

    Returns:
        Codes (N, n_styles, style_dim), and the mean squared error of each picture (N,).

    Raises:
        PspkitError: images of another shape, or not floating-point.

    Source: Abdal et al. 2019 (Image2StyleGAN), section 4; Karras et al. 2020, appendix D, for the rate.
    """
    check_tensor("images", images, ("N", 3, decoder.config.size, decoder.config.size))
    average = estimate_latent_avg(decoder)
    images = images.to(average)
    codes = average.expand(len(images), decoder.n_styles, -1).clone().requires_grad_()
    optimizer = torch.optim.Adam([codes], lr)
    for step in range(steps):
        done = (step + 1) / steps
        optimizer.param_groups[0]["lr"] = lr * min(1, 20 * done) * (1 + math.cos(math.pi * step / steps)) / 2
        with torch.enable_grad():
            output = decoder.synthesis(codes)
            loss = _errors(output, images).sum()
            if lpips is not None:
                loss = loss + lpips(output, images).sum()
            (codes.grad,) = torch.autograd.grad(loss, codes)
        optimizer.step()
    codes = codes.detach()
    with torch.no_grad():
        return codes, _errors(decoder.synthesis(codes), images)


def _errors(output: Tensor, images: Tensor) -> Tensor:
    """Mean squared error of each picture."""
    return F.mse_loss(output, images, reduction="none").flatten(1).mean(1)
