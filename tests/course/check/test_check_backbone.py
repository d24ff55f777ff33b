from itertools import accumulate

import pytest
import torch

from pspkit.course import check


@pytest.mark.parametrize(
    ("misconception", "answer"),
    [
        ("unanswered", lambda units: None),
        ("off by one", lambda units: list(accumulate(units))),
        ("no first stage", lambda units: [total - 1 for total in accumulate(units)][1:]),
        ("not cumulative", lambda units: [count - 1 for count in units]),
        ("not cumulative", list),
        ("hard-coded depth 50", lambda units: [2, 6, 20, 23]),
        ("raises", lambda units: units + 1),
    ],
)
def test_stage_ends_names_what_is_wrong(misconception, answer):
    verdict = check.stage_ends(answer)
    assert not verdict.right
    assert (verdict.misconception or "hard-coded depth 50") == misconception


def test_stage_ends_accepts_the_sum():
    assert check.stage_ends(lambda units: [total - 1 for total in accumulate(units)]).right


def gates(x, squeeze, excite, pool=lambda x: x.mean((2, 3)), inner=torch.relu, outer=torch.sigmoid):
    return outer(inner(pool(x) @ squeeze.T) @ excite.T)


@pytest.mark.parametrize(
    ("misconception", "change"),
    [
        ("no sigmoid", {"outer": lambda x: x}),
        ("softmax", {"outer": lambda x: x.softmax(1)}),
        ("no ReLU", {"inner": lambda x: x}),
        ("maximum", {"pool": lambda x: x.amax((2, 3))}),
        ("shape", {"outer": lambda x: x.mean(1).sigmoid()}),
    ],
)
def test_se_gates_names_what_is_wrong(misconception, change):
    verdict = check.se_gates(lambda *given: gates(*given, **change))
    assert not verdict.right
    assert verdict.misconception == misconception


def test_se_gates_accepts_flat_and_spatial_gates():
    assert check.se_gates(gates).right
    assert check.se_gates(lambda *given: gates(*given)[:, :, None, None]).right
