"""Exercises of notebook 01."""

from collections.abc import Callable
from itertools import accumulate

import torch
from torch import Tensor

from pspkit.course.check.verdict import Verdict, checker
from pspkit.models import backbone


@checker
def stage_ends(answer: Callable[[tuple[int, ...]], list[int]]) -> Verdict:
    """Exercise 1: units per stage, for example (3, 4, 14, 3), to the body index of each stage's last unit."""
    for depth, units in backbone.STAGE_UNITS.items():
        came, right = list(answer(units)), backbone.stage_ends(depth)
        if came == right:
            continue
        if came == list(accumulate(units)):
            return Verdict(False, f"{came} counts the units; indices start at 0, so each is one less.", "off by one")
        if came == right[1:]:
            return Verdict(
                False, "Those are the three taps of the pyramid; name the end of the first stage too.", "no first stage"
            )
        if came in (list(units), [count - 1 for count in units]):
            return Verdict(
                False, "A unit's index counts all units before it, those of earlier stages too.", "not cumulative"
            )
        if came == backbone.stage_ends(50):
            return Verdict(False, f"Right at depth 50 alone: {units} ends at {right}.", "hard-coded depth 50")
        return Verdict(False, f"For {units} your function gives {came}. Add up the units, stage by stage.")
    return Verdict(True, "The same function serves every depth, 100 and 152 too.")


@checker
def se_gates(answer: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Verdict:
    """Exercise 2: maps (N, C, H, W), weights (C/r, C) and (C, C/r) to the gates (N, C)."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 8, 5, 5, generator=generator) + torch.randn(2, 8, 1, 1, generator=generator)
    squeeze, excite = torch.randn(4, 8, generator=generator), torch.randn(8, 4, generator=generator)
    came = answer(x, squeeze, excite)
    if came.ndim == 4:
        came = came.flatten(1)
    if came.shape != (2, 8):
        return Verdict(False, f"Needs one gate a channel, (2, 8); yours are {tuple(came.shape)}.", "shape")
    means = x.mean((2, 3))
    hidden = (means @ squeeze.T).relu()
    linear, largest = means @ squeeze.T, x.amax((2, 3)) @ squeeze.T
    wrong = {
        "no sigmoid": (hidden @ excite.T, "A gate lies between 0 and 1: something must squash it."),
        "softmax": ((hidden @ excite.T).softmax(1), "Softmax makes the channels compete; every gate is on its own."),
        "no ReLU": ((linear @ excite.T).sigmoid(), "Without a ReLU the two layers are one linear layer."),
        "maximum": ((largest.relu() @ excite.T).sigmoid(), "The squeeze is a mean, not a maximum."),
    }
    if torch.allclose(came, (hidden @ excite.T).sigmoid(), atol=1e-5):
        return Verdict(True, "Mean, linear, ReLU, linear, sigmoid: one number a channel.")
    for name, (value, hint) in wrong.items():
        if torch.allclose(came, value, atol=1e-5):
            return Verdict(False, hint, name)
    return Verdict(False, "The gates differ. Order: mean over height and width, squeeze, ReLU, excite, sigmoid.")
