"""Projection: codes whose picture is nearest to a given one, found by optimisation, from an encoder's codes or without.

`optimise` is the one optimiser; `project` finds codes by it, and `refine.Refiner` brings an encoder's nearer.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm.auto import tqdm

from pspkit.device import native_precision
from pspkit.errors import PspkitError, check_tensor
from pspkit.losses.identity import IdentityLoss
from pspkit.models.registry import AnyDecoder, example_tensor, has_preview
from pspkit.psp import estimate_latent_avg

PREVIEW_SIDE = 256  # pixels


@dataclass(frozen=True)
class Nearness:
    """How much each distance counts. Those that take a network are left out where it is not given.

    Attributes:
        l2: of the mean squared error.
        lpips: of LPIPS.
        identity: of 1 - cosine of the face embeddings.
        start: of the mean squared distance of the codes from those at the start.
    """

    l2: float = 1.0
    lpips: float = 1.0
    identity: float = 1.0
    start: float = 0.0


def project(
    decoder: AnyDecoder,
    images: Tensor,
    steps: int = 500,
    lr: float = 0.1,
    lpips: nn.Module | None = None,
    start: Tensor | None = None,
    side: int | None = None,
) -> tuple[Tensor, Tensor]:
    """Optimises W+ codes, from the average latent unless told where from; every picture by itself, all at once.

        min_w mean (G(w) - x)^2 [+ LPIPS(G(w), x)]

    Args:
        decoder: as `optimise`.
        images: as `optimise`.
        steps: as `optimise`; 0 gives the error of the start.
        lr: as `optimise`.
        lpips: as `optimise`.
        start: codes to begin with, (N or 1, n_styles, style_dim), such as an encoder's.
        side: as `optimise`.

    Returns:
        Codes (N, n_styles, style_dim), and the mean squared error of each picture (N,), decoded in full.

    Raises:
        PspkitError: as `optimise`.

    Source: Abdal et al. 2019 (Image2StyleGAN), section 4.
    """
    if start is None:
        start = estimate_latent_avg(decoder).expand(1, decoder.n_styles, -1)
    codes = optimise(decoder, images, start, steps, lr, lpips=lpips, side=side)
    with torch.no_grad():
        output = decoder.synthesis(codes.to(example_tensor(decoder)))
        return codes, _errors(F.adaptive_avg_pool2d(output, images.shape[-1]).to(codes), images.to(codes))


def optimise(
    decoder: AnyDecoder,
    images: Tensor,
    start: Tensor,
    steps: int,
    lr: float,
    weights: Nearness | None = None,
    lpips: nn.Module | None = None,
    identity: IdentityLoss | None = None,
    side: int | None = None,
) -> Tensor:
    """Optimises W+ codes so that their pictures come near to given ones.

        min_w  l2 * mean (G(w) - x)^2 + lpips * LPIPS(G(w), x) + identity * (1 - cos(R(G(w)), R(x)))
               + start * mean (w - w_start)^2

    No picture depends on the others. Adam's rate rises over the first twentieth of the steps and falls along a cosine.

    Args:
        decoder: left as it is, in eval mode or not.
        images: (N, 3, side, side) in [-1, 1]; brought to the decoder's device.
        start: codes to begin with, (N or 1, n_styles, style_dim).
        steps: of Adam.
        lr: the highest rate.
        weights: of the distances; `Nearness()` unless given.
        lpips: as `perceptual.load_lpips` gives it; sharper, where the mean square alone blurs.
        identity: compares faces.
        side: pixels at which pictures are compared; the decoder's own unless given. Where the decoder has a preview of
            that side, the preview takes the place of the whole picture, and the device computes in bfloat16 if it can.

    Returns:
        Codes (N, n_styles, style_dim), on the decoder's device.

    Raises:
        PspkitError: images or codes of another shape, or not floating-point; fewer than 0 steps.

    Source: Karras et al. 2020, appendix D, for the rate.
    """
    weights, side = weights or Nearness(), side or decoder.size
    check_tensor("images", images, ("N", 3, side, side))
    if steps < 0:
        raise PspkitError(f"steps: got {steps}, needs at least 0.")
    check_tensor("start", start, ("N or 1", decoder.n_styles, decoder.style_dim))
    if len(start) not in (1, len(images)):
        raise PspkitError(f"start: got {len(start)} pictures' codes, needs 1 or {len(images)}.")
    parameter = example_tensor(decoder)
    precision = torch.promote_types(parameter.dtype, torch.float32)  # small steps would be lost in bfloat16
    images, start = images.to(parameter.device, precision), start.to(parameter.device, precision).detach()
    codes = start.repeat(len(images) // len(start), 1, 1).requires_grad_()
    previewed = has_preview(decoder, side)
    fast = previewed and native_precision(parameter.device) == "bfloat16"
    with torch.no_grad():
        person = identity.embed(images) if identity else None
    optimizer = torch.optim.Adam([codes], lr)
    for step in tqdm(range(steps), "optimising", unit="step", delay=2, leave=False, disable=None):
        done = (step + 1) / steps
        optimizer.param_groups[0]["lr"] = lr * min(1, 20 * done) * (1 + math.cos(math.pi * step / steps)) / 2
        with torch.enable_grad():
            with torch.autocast(parameter.device.type, torch.bfloat16, enabled=fast):
                if previewed:
                    output = decoder.preview(codes, side)
                else:
                    output = F.adaptive_avg_pool2d(decoder.synthesis(codes.to(parameter.dtype)), side)
                output = output.to(precision)
                loss = weights.lpips * lpips(output, images).sum() if lpips is not None else 0
            loss = loss + weights.l2 * _errors(output, images).sum()
            if identity is not None:
                loss = loss + weights.identity * (1 - F.cosine_similarity(identity.embed(output), person)).sum()
            if weights.start:
                loss = loss + weights.start * (codes - start).square().flatten(1).mean(1).sum()
            (codes.grad,) = torch.autograd.grad(loss, codes)
        optimizer.step()
    return codes.detach()


def _errors(output: Tensor, images: Tensor) -> Tensor:
    """Mean squared error of each picture."""
    return F.mse_loss(output, images, reduction="none").flatten(1).mean(1)
