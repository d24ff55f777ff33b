import pytest
import torch
import torch.nn.functional as F

from pspkit.course import check
from pspkit.course.check.pyramid import WRONG_FLOWS

RIGHT = {"c1": ["coarse", "middle"], "c2": ["coarse"], "c3": []}


@pytest.mark.parametrize(
    ("misconception", "answer"),
    [
        ("unanswered", dict.fromkeys(RIGHT, ...)),
        ("names", {"c1": ["coarse"]}),
        ("choices", RIGHT | {"c2": "coarse"}),
        ("choices", RIGHT | {"c2": ["low"]}),
        *((name, answer) for name, (answer, _) in WRONG_FLOWS.items()),
        ("", RIGHT | {"c2": ["coarse", "middle"]}),
    ],
)
def test_silenced_map_names_what_is_wrong(misconception, answer):
    verdict = check.silenced_map(answer)
    assert not verdict.right
    assert verdict.misconception == misconception


def test_silenced_map_tells_what_it_measured():
    verdict = check.silenced_map(RIGHT)
    assert verdict.right
    assert "without c1 fine codes move by" in verdict.message


def merge(coarse, fine, **options):
    return F.interpolate(coarse, size=fine.shape[-2:], **({"mode": "bilinear", "align_corners": True} | options)) + fine


def grow(c1, c2, c3, lateral1, lateral2, merge=merge):
    p2 = merge(c3, lateral1(c2))
    return c3, p2, merge(p2, lateral2(c1))


def added_before(coarse, fine):
    small = F.interpolate(fine, size=coarse.shape[-2:], mode="bilinear", align_corners=True)
    return merge(coarse + small, torch.zeros_like(fine))


@pytest.mark.parametrize(
    ("misconception", "wrong"),
    [
        ("corners not aligned", lambda coarse, fine: merge(coarse, fine, align_corners=False)),
        ("nearest", lambda coarse, fine: merge(coarse, fine, mode="nearest", align_corners=None)),
        ("added before upsampling", added_before),
        ("nothing added", lambda coarse, fine: merge(coarse, torch.zeros_like(fine))),
        ("only laterals", lambda coarse, fine: fine),
        ("", lambda coarse, fine: merge(coarse, 2 * fine)),
        ("raises", lambda coarse, fine: coarse + fine),
    ],
)
def test_feature_pyramid_names_a_wrong_merge(misconception, wrong):
    verdict = check.feature_pyramid(lambda *maps: grow(*maps, merge=wrong))
    assert not verdict.right
    assert verdict.misconception == misconception


@pytest.mark.parametrize(
    ("misconception", "answer"),
    [
        ("unanswered", lambda *maps: None),
        ("order", lambda *maps: grow(*maps)[::-1]),
        ("shape", lambda *maps: grow(*maps)[1:]),
        ("c3 changed", lambda c1, c2, c3, *laterals: (c3 + 1, *grow(c1, c2, c3, *laterals)[1:])),
        ("skips p2", lambda c1, c2, c3, a, b: (c3, merge(c3, a(c2)), merge(c3, b(c1)))),
        ("lateral instead of p2", lambda c1, c2, c3, a, b: (c3, merge(c3, a(c2)), merge(a(c2), b(c1)))),
    ],
)
def test_feature_pyramid_names_wrong_levels(misconception, answer):
    verdict = check.feature_pyramid(answer)
    assert not verdict.right
    assert verdict.misconception == misconception


def test_feature_pyramid_accepts_tuples_and_lists():
    assert check.feature_pyramid(grow).right
    assert check.feature_pyramid(lambda *maps: list(grow(*maps))).right
