"""Exercises of notebook 00."""

from collections.abc import Callable, Iterable, Mapping
from functools import cache

import torch
from torch import Tensor

from pspkit.course.check.verdict import Verdict, check_choices, checker
from pspkit.course.show.figure import LEVELS
from pspkit.losses.identity import IdentityLoss
from pspkit.models.encoders import COARSE, MIDDLE, style_level
from pspkit.models.mobile_facenet import load_mobile_facenet
from pspkit.models.mobile_stylegan import load_mobile_stylegan

N_STYLES = 16  # of the photographic decoder
PEOPLE, SIDE = 8, 128  # who is drawn for an experiment, and at how many pixels
COSTS = {
    "most": ("hair and pose", "Look at the mixes again: where do the eyes, the nose and the mouth become another's?"),
    "least": ("colours", "Would you call somebody another person because the light or the wall has changed?"),
}


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


@cache
def kept_identity() -> dict[str, float]:
    """How alike eight drawn people remain to themselves when one level of their codes is another person's: cosines."""
    decoder, identity = load_mobile_stylegan(), IdentityLoss(load_mobile_facenet())

    def embed(codes: Tensor) -> Tensor:
        return identity.embed(torch.cat([decoder.preview(one[None], SIDE).float() for one in codes]))

    with torch.no_grad():
        z = torch.randn(PEOPLE, decoder.style_dim, generator=torch.Generator().manual_seed(0))
        codes = decoder.mapping(z)[:, None].repeat(1, N_STYLES, 1)
        before, alike = embed(codes), {}
        for number, level in enumerate(LEVELS):
            layers = [style for style in range(N_STYLES) if style_level(style) == number]
            mixed = codes.clone()
            mixed[:, layers] = codes.roll(1, 0)[:, layers]
            alike[level] = (embed(mixed) * before).sum(1).mean().item()
    return alike


@checker
def costly_level(answer: Mapping[str, str]) -> Verdict:
    """On the way: the level of codes whose exchange costs the most likeness, and the one that costs the least."""
    if problem := check_choices(answer, COSTS, LEVELS):
        return problem
    alike = kept_identity()
    for which, right in (("most", min(alike, key=alike.__getitem__)), ("least", max(alike, key=alike.__getitem__))):
        if answer[which] != right:
            name, hint = COSTS[which]
            return Verdict(False, f"{which}: {hint}", name)
    found = ", ".join(f"{level} {value:.2f}" for level, value in alike.items())
    return Verdict(True, f"Measured on {PEOPLE} people, likeness to oneself after the exchange: {found}.")
