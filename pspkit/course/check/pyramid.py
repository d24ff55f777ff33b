"""Exercises of notebook 02."""

from collections.abc import Callable, Collection, Mapping
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pspkit.course.check.verdict import Verdict, checker
from pspkit.course.show.figure import LEVELS
from pspkit.data.heads import HeadsDataset
from pspkit.domains import get_domain
from pspkit.models.encoders import style_level, upsample_add

MAPS = ("c1", "c2", "c3")
WRONG_FLOWS = {
    "own level only": (
        {"c1": {"coarse", "middle"}, "c2": {"coarse", "fine"}, "c3": {"middle", "fine"}},
        "A map reaches more than the level of its own name: follow the sums. p1 contains p2, and p2 contains c3.",
    ),
    "upside down": (
        {"c1": set(), "c2": {"fine"}, "c3": {"middle", "fine"}},
        "The sums go the other way: a coarser map is upsampled into the finer one, never the reverse.",
    ),
    "everything moves": ({name: set() for name in MAPS}, "c3 is read as it is: nothing is added to it, so nothing "
                         "that happens to c1 or c2 can reach a coarse code."),
}  # fmt: skip


@cache
def moved_by_silence() -> dict[str, dict[str, float]]:
    """For each map set to zero, how far the codes of each level move, as a share of their length (eight heads)."""
    encoder = get_domain("heads").psp("encode").encoder
    heads = torch.stack([item["image"] for item in HeadsDataset("test", 8, 64)])
    moved = {}
    with torch.no_grad():
        maps = encoder.stages(heads)
        codes = encoder.codes(maps)
        for place, name in enumerate(MAPS, 1):
            silenced = encoder.codes([m * (number != place) for number, m in enumerate(maps)])
            moved[name] = {}
            for number, level in enumerate(LEVELS):
                own = [style for style in range(codes.shape[1]) if style_level(style) == number]
                moved[name][level] = ((silenced - codes)[:, own].norm() / codes[:, own].norm()).item()
    return moved


@checker
def silenced_map(answer: Mapping[str, Collection[str]]) -> Verdict:
    """Exercise 1: for each map that is set to zero, the levels of codes that stay exactly as they were."""
    if answer.keys() != set(MAPS):
        return Verdict(False, f"Predict the levels for each of {', '.join(MAPS)}.", "names")
    for name, levels in answer.items():
        if isinstance(levels, str) or not set(levels) <= set(LEVELS):
            return Verdict(False, f"{name}: give a list with some of {', '.join(LEVELS)}, or an empty one.", "choices")
    given, moved = {name: set(levels) for name, levels in answer.items()}, moved_by_silence()
    if given == {name: {level for level, share in shares.items() if share == 0} for name, shares in moved.items()}:
        found = "; ".join(
            f"without {name} "
            + ", ".join(f"{level} codes move by {share:.0%}" for level, share in shares.items() if share)
            for name, shares in moved.items()
        )
        return Verdict(True, f"Measured: {found}.")
    for name, (wrong, hint) in WRONG_FLOWS.items():
        if given == wrong:
            return Verdict(False, hint, name)
    name = next(name for name in MAPS if given[name] != {level for level, share in moved[name].items() if share == 0})
    shares = ", ".join(f"{level} by {share:.0%}" for level, share in moved[name].items())
    return Verdict(False, f"Without {name} the codes move: {shares}. Follow {name} through the sums.")


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
