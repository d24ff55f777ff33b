"""Exercises of notebook 04."""

from collections.abc import Callable, Sequence
from functools import cache

import torch

from pspkit.course.check.verdict import Verdict, checker
from pspkit.domains import get_domain
from pspkit.psp import estimate_latent_avg

PSI, NEAR = 0.5, 0.2  # of the experiment; how far a prediction may be off


@cache
def variety(psi: float) -> float:
    """The variance of the heads' pictures at this psi: mean over pixels, 64 draws."""
    decoder, _ = get_domain("heads").decoder("cpu", "encode")
    z, average = (
        torch.randn(64, decoder.style_dim, generator=torch.Generator().manual_seed(0)),
        estimate_latent_avg(decoder),
    )
    with torch.no_grad():
        w = average + psi * (decoder.mapping(z) - average)
        return decoder.synthesis(w[:, None].expand(-1, decoder.n_styles, -1)).var(0).mean().item()


@checker
def truncated_variety(answer: float) -> Verdict:
    """Exercise 1: the share of the variance of pictures that is left at psi 0.5."""
    if not 0 <= answer <= 1:
        return Verdict(False, "Give a share, from 0 (all pictures alike) to 1 (as different as before).", "no share")
    left = variety(PSI) / variety(1)
    if abs(answer / left - 1) <= NEAR:
        return Verdict(True, f"Measured: {left:.2f}, where the codes keep {PSI**2:.2f}. Pictures change fastest near "
                       "the average; further out the same step of a code changes less.")  # fmt: skip
    if abs(answer - PSI**2) <= 0.05:
        return Verdict(False, "That is the codes' share: half the distance is a quarter of the variance. The decoder "
                       "is not linear, so measure its pictures.", "as the codes")  # fmt: skip
    if abs(answer - PSI) <= 0.02:
        return Verdict(False, "Half is left of every distance between codes; a variance is a squared distance, and "
                       "pictures are not codes.", "distance")  # fmt: skip
    if answer > 0.9:
        return Verdict(False, "Then truncation would cost nothing. Look at the strip of psi again.", "no price")
    return Verdict(False, f"Measured: {'more' if left > answer else 'less'} is left than that.")


@checker
def codes_of_layers(answer: Callable[[int], Sequence[int]]) -> Verdict:
    """Exercise 2: output side to the code of every modulation, in the order of the forward pass."""
    for size in (8, 64, 1024):
        levels = range(1, size.bit_length() - 2)  # one a resolution above 4 px
        right = [0, 1] + [code for k in levels for code in (2 * k - 1, 2 * k, 2 * k + 1)]
        came = list(answer(size))
        if came == right:
            continue
        wrong = {
            "a code for every ToRGB layer": (
                list(range(len(right))),
                "ToRGB layers have no codes of their own: each shares with the up-convolution that follows.",
            ),
            "ToRGB shares with the convolution before": (
                [0, 0] + [code for k in levels for code in (2 * k - 1, 2 * k, 2 * k)],
                "A ToRGB layer shares its code with the next up-convolution, not with the layer before it.",
            ),
            "off by one": ([code + 1 for code in right], "The first convolution takes code 0."),
            "one code a resolution": (
                [0, 0] + [k for k in levels for _ in range(3)],
                "Each resolution above 4 px has two codes of its own.",
            ),
            "no 4 px layers": (right[2:], "The first two layers work at 4 px: a convolution and a ToRGB layer."),
            "last ToRGB without a code": (
                right[:-1],
                "The last ToRGB layer has no up-convolution after it, yet it has a code. That is the extra one.",
            ),
        }
        for name, (value, hint) in wrong.items():
            if came == value:
                return Verdict(False, hint, name)
        return Verdict(False, f"At {size} px your list is {came}. Go through the wiring picture layer by layer.")
    return Verdict(True, "The largest code is 2 log2(size) - 3, so there are 2 log2(size) - 2 codes.")
