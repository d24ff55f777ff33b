"""Exercises of notebook 02."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pspkit.course.check.verdict import Verdict, checker
from pspkit.models.encoders import upsample_add


@checker
def reading_position(answer: Callable[[int, int, int], float]) -> Verdict:
    """Exercise 1: cell i of `large` to the place in `small` cells that it is read from, corners aligned."""
    for small, large in ((4, 8), (16, 32), (5, 9)):
        came = torch.tensor([float(answer(i, small, large)) for i in range(large)])
        right = torch.linspace(0, small - 1, large)
        if torch.allclose(came, right, atol=1e-4):
            continue
        centres = (torch.arange(large) + 0.5) * small / large - 0.5
        ratio = torch.arange(large) * small / large
        if torch.allclose(came, centres, atol=1e-4) or torch.allclose(came, centres.clamp(0, small - 1), atol=1e-4):
            return Verdict(False, "That is align_corners=False: it keeps the cells' edges in place, not their centres.",
                           "corners not aligned")  # fmt: skip
        if torch.allclose(came, ratio, atol=1e-4):
            return Verdict(False, f"The last cell reads {came[-1]:.2f}, but the last corner is {small - 1}. Count the "
                           "steps between cells, not the cells.", "cells instead of steps")  # fmt: skip
        if torch.allclose(came, came.round(), atol=1e-4):
            return Verdict(False, "Whole numbers only: that is nearest neighbour. A place may lie between two cells.",
                           "rounded")  # fmt: skip
        if torch.allclose(came, torch.arange(large) * (large - 1) / (small - 1), atol=1e-4):
            return Verdict(False, "Upside down: the large map has the shorter steps.", "inverted")
        return Verdict(False, f"From {small} to {large} cells, the first reads {came[0]:.2f}, the last {came[-1]:.2f}; "
                       f"they must read 0 and {small - 1}.")  # fmt: skip
    return Verdict(True, "First to first, last to last, equal steps between.")


def _interpolated(coarse: Tensor, fine: Tensor, **options) -> Tensor:
    return F.interpolate(coarse, size=fine.shape[-2:], **options) + fine


def _added_before(coarse: Tensor, fine: Tensor) -> Tensor:
    small = F.interpolate(fine, size=coarse.shape[-2:], mode="bilinear", align_corners=True)
    return F.interpolate(coarse + small, size=fine.shape[-2:], mode="bilinear", align_corners=True)


MERGES = {
    "corners not aligned": (
        lambda coarse, fine: _interpolated(coarse, fine, mode="bilinear", align_corners=False),
        "Upsample with align_corners=True; its default is False, and no shape tells them apart.",
    ),
    "nearest": (
        lambda coarse, fine: _interpolated(coarse, fine, mode="nearest"),
        'Those are blocks of equal cells: mode="bilinear" is not the default.',
    ),
    "added before upsampling": (_added_before, "You add on the coarse grid: the detail of the finer map is lost. "
                                "Upsample first, then add."),
    "nothing added": (
        lambda coarse, fine: upsample_add(coarse, torch.zeros_like(fine)),
        "The coarser map is upsampled, but the lateral is missing from the sum.",
    ),
    "only laterals": (lambda coarse, fine: fine, "That is the lateral alone: the coarser map is missing from the sum."),
}  # fmt: skip


@checker
def feature_pyramid(answer: Callable[..., tuple[Tensor, Tensor, Tensor]]) -> Verdict:
    """Exercise 2: c1, c2, c3 and the two laterals to c3, p2, p1."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        c1, c2, c3 = torch.randn(2, 4, 12, 12), torch.randn(2, 6, 6, 6), torch.randn(2, 8, 3, 3)
        laterals = nn.Conv2d(6, 8, 1), nn.Conv2d(4, 8, 1)
        came = tuple(answer(c1, c2, c3, *laterals))
        side2, side1 = laterals[0](c2), laterals[1](c1)
        p2 = upsample_add(c3, side2)
        p1 = upsample_add(p2, side1)
    if len(came) != 3 or [level.shape[-1] for level in came] != [3, 6, 12]:
        sides = [level.shape[-1] for level in came]
        name = "order" if sides == [12, 6, 3] else "shape"
        return Verdict(False, f"Return c3, p2, p1, from coarse to fine: sides 3, 6, 12. Yours are {sides}.", name)
    if not torch.equal(came[0], c3):
        return Verdict(False, "The coarse level is c3 itself: nothing is coarser, so nothing is added.", "c3 changed")
    if torch.allclose(came[1], p2, atol=1e-5):
        if torch.allclose(came[2], p1, atol=1e-5):
            return Verdict(True, "Each level adds its own detail to all that lies above it.")
        if torch.allclose(came[2], upsample_add(c3, side1), atol=1e-5):
            return Verdict(
                False, "p1 must grow from p2. Built from c3, it never hears of the middle level.", "skips p2"
            )
        if torch.allclose(came[2], upsample_add(side2, side1), atol=1e-5):
            return Verdict(False, "p1 adds to p2, the sum, not to the lateral of c2.", "lateral instead of p2")
    for name, (merge, hint) in MERGES.items():
        middle = merge(c3, side2)
        if torch.allclose(came[1], middle, atol=1e-5) and torch.allclose(came[2], merge(middle, side1), atol=1e-5):
            return Verdict(False, hint, name)
    wrong = "p2" if not torch.allclose(came[1], p2, atol=1e-5) else "p1"
    return Verdict(False, f"{wrong} differs. It is the upsampled coarser level plus the lateral of its own map.")
