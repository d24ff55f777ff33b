"""Exercises of notebook 03."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from pspkit.course.check.verdict import Verdict, checker
from pspkit.course.show.figure import LEVELS
from pspkit.models.encoders import style_level

WRONG_COUNTS = {
    "off by one, too many": (
        lambda spatial: int(math.log2(spatial)) + 1,
        "One too many: with a single cell left there is nothing more to halve.",
    ),
    "off by one, too few": (
        lambda spatial: int(math.log2(spatial)) - 1,
        "One too few: a map of 2×2 is left, four cells instead of one.",
    ),
    "divided once": (lambda spatial: spatial // 2, "A convolution halves the side every time; count the halvings."),
    "square root": (
        lambda spatial: round(spatial**0.5),
        "Right for 16 by chance: the square root is not the logarithm.",
    ),
    "natural logarithm": (lambda spatial: int(math.log(spatial)), "Each step halves: take the logarithm to base 2."),
}


@checker
def map2style_convolutions(answer: Callable[[int], int]) -> Verdict:
    """Exercise 1: side of a map2style block's map to its number of stride-2 convolutions."""
    sides = (2, 4, 8, 16, 32, 64, 128)
    came = [answer(side) for side in sides]
    if came == [side.bit_length() - 1 for side in sides]:
        return Verdict(True, "One convolution for each halving, so the logarithm to base 2 of the side.")
    for name, (count, hint) in WRONG_COUNTS.items():
        if came == [count(side) for side in sides]:
            return Verdict(False, hint, name)
    if came[3:6] == [4, 5, 6]:
        return Verdict(False, "Right for 16, 32 and 64 only; other input sizes need other counts.", "hard-coded sides")
    return Verdict(False, f"Sides {sides} gave {came}. Halve 16 until 1 is left, and count.")


WRONG_LEVELS = {
    "style 3 is middle": (lambda i: 0 if i <= 3 else 1 if i < 7 else 2, "Coarse are the first three, 0, 1 and 2."),
    "style 7 is fine": (lambda i: 0 if i < 3 else 1 if i <= 7 else 2, "Middle are four styles, 3 to 6; 7 is fine."),
    "both ends included": (lambda i: 0 if i <= 3 else 1 if i <= 7 else 2, "Styles 3 and 7 each begin the next level."),
    "coarse and fine swapped": (
        lambda i: 2 - style_level(i),
        "Upside down: the first codes steer the lowest resolutions of the decoder, so they are coarse.",
    ),
    "counted from the end": (
        lambda i: 2 - style_level(17 - i),
        "Three coarse styles stand at the beginning, not three fine ones at the end.",
    ),
    "equal thirds": (lambda i: i // 6, "The levels are not equal: 3 coarse, 4 middle, all others fine."),
}


@checker
def level_of_style(answer: Callable[[int], str]) -> Verdict:
    """Exercise 2: number of a style to "coarse", "middle" or "fine"."""
    came = [answer(style) for style in range(18)]
    if came == [LEVELS[style_level(style)] for style in range(18)]:
        return Verdict(True, "Styles 0-2 read c3, 3-6 read p2, 7 and on read p1, for every output size.")
    for name, (level, hint) in WRONG_LEVELS.items():
        if came == [LEVELS[level(style)] for style in range(18)]:
            return Verdict(False, hint, name)
    unknown = next((level for level in came if level not in LEVELS), None)
    if unknown is not None:
        return Verdict(False, f'{unknown!r} is no level: answer "coarse", "middle" or "fine".', "another name")
    first = next(style for style in range(18) if came[style] != LEVELS[style_level(style)])
    return Verdict(False, f"Style {first} is not {came[first]}. Three are coarse, the next four middle, the rest fine.")


def _raises_value_error(answer: Callable[[Tensor], Tensor], x: Tensor) -> bool:
    try:
        answer(x)
    except ValueError:
        return True
    return False


@checker
def one_row_a_picture(answer: Callable[[Tensor], Tensor]) -> Verdict:
    """Exercise 3: what the convolutions leave, (N, C, 1, 1), to rows (N, C); a ValueError where more is left."""
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
