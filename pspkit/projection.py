"""Projection: codes whose picture is nearest to a given one, found by optimisation instead of an encoder."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm.auto import tqdm

from pspkit.errors import PspkitError, check_tensor
from pspkit.mobile_stylegan import MobileStyleGAN
from pspkit.psp import estimate_latent_avg
from pspkit.stylegan2 import Generator


def project(
    decoder: Generator | MobileStyleGAN,
    images: Tensor,
    steps: int = 500,
    lr: float = 0.1,
    lpips: nn.Module | None = None,
    start: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Optimises W+ codes, from the average latent unless told where from; every picture by itself, all at once.

        min_w mean (G(w) - x)^2 [+ LPIPS(G(w), x)]

    The rate rises over the first twentieth of the steps and falls along a cosine.

    Args:
        decoder: left as it is, in eval mode or not.
        images: (N, 3, size, size) in [-1, 1], of the decoder's size.
        steps: of Adam; 0 gives the error of the start.
        lr: the highest rate.
        lpips: as `perceptual.load_lpips` gives it; sharper, where the mean square alone blurs.
        start: codes to begin with, (N or 1, n_styles, style_dim), such as an encoder's.

    Returns:
        Codes (N, n_styles, style_dim), and the mean squared error of each picture (N,).

    Raises:
        PspkitError: images or codes of another shape, or not floating-point; fewer than 0 steps.

    Source: Abdal et al. 2019 (Image2StyleGAN), section 4; Karras et al. 2020, appendix D, for the rate.
    """
    check_tensor("images", images, ("N", 3, decoder.config.size, decoder.config.size))
    if steps < 0:
        raise PspkitError(f"steps: got {steps}, needs at least 0.")
    if start is None:
        start = estimate_latent_avg(decoder).expand(1, decoder.n_styles, -1)
    check_tensor("start", start, ("N or 1", decoder.n_styles, decoder.config.style_dim))
    if len(start) not in (1, len(images)):
        raise PspkitError(f"start: got {len(start)} pictures' codes, needs 1 or {len(images)}.")
    parameter = next(decoder.parameters())
    images = images.to(parameter)
    codes = start.to(parameter).repeat(len(images) // len(start), 1, 1).requires_grad_()
    optimizer = torch.optim.Adam([codes], lr)
    for step in tqdm(range(steps), "projecting", delay=2, leave=False, disable=None):
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
