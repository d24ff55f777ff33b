"""Exercises of notebook 03."""

from collections.abc import Callable, Mapping
from functools import cache

import torch
from torch import Tensor

from pspkit.course.check.verdict import Verdict, check_choices, checker
from pspkit.course.show.figure import LEVELS
from pspkit.data.heads import HeadsDataset, render, sample_factors
from pspkit.domains import get_domain
from pspkit.models.encoders import style_level

CHANGES = ("tilted", "another wall", "smiling")
NOTICED = 0.1  # of the distance between two heads: below that no level answers
MIX_UPS = {
    "tilted": ("pose", "A tilt is a pose, and the decoder settles poses in its first, coarse layers."),
    "another wall": ("colour", "Only a colour changes. The decoder paints colours late, with its fine codes."),
    "smiling": ("nobody listens", "A mouth has a few pixels of 64 by 64, and no code moves by a tenth of what it "
                "differs between two people: this small encoder does not see a smile."),
}  # fmt: skip


@cache
def moved_levels() -> dict[str, dict[str, float]]:
    """How far each level's codes move when eight heads change; 1 is the distance to the next of the heads."""
    encoder, heads = get_domain("heads").psp("encode").encoder, HeadsDataset("test", 8, 64)
    factors, others = heads.factors, sample_factors(8, seed=1)
    changed = {
        "tilted": factors.replace(roll=factors.scene.roll + 25),
        "another wall": factors.replace(background=others.scene.background),
        "smiling": factors.replace(smile=torch.ones(8)),
    }
    with torch.no_grad():
        codes = encoder(torch.stack([item["image"] for item in heads]))
        between = (codes - codes.roll(1, 0)).norm(dim=2).mean(0)
        moved = {name: (encoder(render(now, 64).image) - codes).norm(dim=2).mean(0) for name, now in changed.items()}
    levels = torch.tensor([style_level(style) for style in range(codes.shape[1])])
    return {
        name: {level: (distance / between)[levels == number].mean().item() for number, level in enumerate(LEVELS)}
        for name, distance in moved.items()
    }


@checker
def listening_level(answer: Mapping[str, str]) -> Verdict:
    """Exercise 1: for each change of a head the level whose codes move most, or "none"."""
    if problem := check_choices(answer, CHANGES, (*LEVELS, "none")):
        return problem
    moved = moved_levels()
    for change, shares in moved.items():
        most = max(shares, key=shares.__getitem__)
        if answer[change] != (most if shares[most] >= NOTICED else "none"):
            name, hint = MIX_UPS[change]
            return Verdict(False, f"{change}: {hint}", name)
    found = "; ".join(
        f"{change} " + ", ".join(f"{level} {share:.2f}" for level, share in shares.items())
        for change, shares in moved.items()
    )
    return Verdict(True, f"Measured, where 1 is the distance to another head: {found}.")


def _raises_value_error(answer: Callable[[Tensor], Tensor], x: Tensor) -> bool:
    try:
        answer(x)
    except ValueError:
        return True
    return False


@checker
def one_row_a_picture(answer: Callable[[Tensor], Tensor]) -> Verdict:
    """Exercise 2: what the convolutions leave, (N, C, 1, 1), to rows (N, C); a ValueError where more is left."""
    x = torch.arange(10.0).view(2, 5, 1, 1)
    for batch in (x, x[:1]):
        came = answer(batch)
        if came.shape == (5,):
            return Verdict(False, "A batch of one picture lost its batch: squeeze() drops every side of 1.", "squeeze")
        if came.shape != batch.shape[:2] or not torch.equal(came, batch.flatten(1)):
            return Verdict(False, f"{tuple(batch.shape)} must become {tuple(batch.shape[:2])}; yours is "
                           f"{tuple(came.shape)}.", "shape")  # fmt: skip
    large = torch.arange(40.0).view(2, 5, 2, 2)
    if _raises_value_error(answer, large):
        return Verdict(True, "One cell, one row; anything else is refused before it can do harm.")
    came = answer(large)
    if len(came) == 8:
        return Verdict(False, "Two pictures with 2×2 cells gave 8 rows: the cells were folded into the batch.", "folds")
    if came.shape == (2, 20):
        return Verdict(
            False, "2×2 cells gave rows of 20 numbers: the batch is safe, the code is not. Refuse them.", "widens"
        )
    if came.shape == (2, 5):
        return Verdict(False, "2×2 cells gave one row a picture: some cells were dropped or averaged in silence. "
                       "Refuse them.", "hides")  # fmt: skip
    return Verdict(False, "A map of 2×2 cells must raise a ValueError.", "not refused")
