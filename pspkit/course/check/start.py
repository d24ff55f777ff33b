"""Exercises of notebook 00."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from pspkit.course.check.verdict import Verdict, checker
from pspkit.models.encoders import COARSE, MIDDLE

N_STYLES = 16  # of the photographic decoder


@checker
def take_codes(answer: Callable[[Tensor, Tensor, int], Tensor]) -> Verdict:
    """Exercise 1: codes, other codes and a number to new codes: the other's from that number on."""
    generator = torch.Generator().manual_seed(0)
    codes, other = torch.randn(2, 2, N_STYLES, 8, generator=generator)
    for first in (MIDDLE, COARSE):
        given = codes.clone()
        came = answer(given, other, first)
        if came.shape != codes.shape:
            return Verdict(False, f"Needs codes of shape {tuple(codes.shape)}; yours are {tuple(came.shape)}.", "shape")
        right = torch.cat([codes[:, :first], other[:, first:]], 1)
        wrong = {
            "other way round": (torch.cat([other[:, :first], codes[:, first:]], 1), "You keep what should be taken."),
            "off by one": (
                torch.cat([codes[:, : first + 1], other[:, first + 1 :]], 1),
                f"From {first} on means that code {first} is taken too.",
            ),
            "wrong dimension": (
                torch.cat([codes[:, :, :first], other[:, :, first:]], 2),
                "That cuts every code in two. The codes are the second dimension, their numbers the third.",
            ),
            "hard-coded": (
                torch.cat([codes[:, :MIDDLE], other[:, MIDDLE:]], 1),
                f"Right for {MIDDLE} alone; use the argument `first`.",
            ),
            "everything": (other, "That is the other person, all sixteen codes of them."),
        }
        if not torch.equal(came, right):
            for name, (value, hint) in wrong.items():
                if torch.equal(came, value):
                    return Verdict(False, hint, name)
            return Verdict(False, f"Codes 0 to {first - 1} stay, codes {first} to {N_STYLES - 1} are the other's.")
        if not torch.equal(given, codes):
            return Verdict(False, "Right codes, but the argument was overwritten: `clone` it first.", "in place")
    return Verdict(True, "A new person, and both old ones are unharmed.")


@checker
def colour_codes(answer: Iterable[int]) -> Verdict:
    """Exercise 2: the codes to take so that colours change while pose, shape and features stay."""
    came, right = sorted(answer), list(range(MIDDLE, N_STYLES))
    if came == right:
        return Verdict(True, f"The fine codes, {MIDDLE} to {N_STYLES - 1}: the same person in other colours.")
    if not came:
        return Verdict(False, "With no code taken, nothing changes.", "empty")
    if came[-1] >= N_STYLES:
        return Verdict(
            False,
            f"Code {came[-1]} is not there: this decoder has {N_STYLES} codes, 0 to {N_STYLES - 1}."
            " Eighteen belong to the StyleGAN2 of the paper.",
            "too many codes",
        )
    if came == right[:-1]:
        return Verdict(False, f"range({MIDDLE}, {N_STYLES - 1}) stops before code {N_STYLES - 1}.", "end left out")
    if came == right[1:]:
        return Verdict(False, f"Nearly. The fine codes begin at {MIDDLE}: indices start at 0.", "off by one")
    if min(came) < COARSE:
        return Verdict(False, f"Codes 0 to {COARSE - 1} are coarse: they turn the head and change its shape.", "coarse")
    if min(came) < MIDDLE:
        return Verdict(False, f"Codes {COARSE} to {MIDDLE - 1} are in the middle: they change the features.", "middle")
    return Verdict(False, f"All of these are fine codes; take every one from {MIDDLE} on.")
