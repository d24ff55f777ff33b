import pytest
import torch

from pspkit.course import check


@pytest.mark.parametrize(
    ("misconception", "weights", "multiplications"),
    [
        ("unanswered", ..., 2),
        ("unequal units", 1.7, 4),
        ("units alike", 2.04, 2),
        ("weights", 3.5, 2),
        ("weights", 1.1, 2),
    ],
)
def test_depth_costs_names_what_is_wrong(misconception, weights, multiplications):
    verdict = check.depth_costs({"weights": weights, "multiplications": multiplications})
    assert not verdict.right
    assert verdict.misconception == misconception


def test_depth_costs_wants_both():
    assert check.depth_costs({"weights": 1.7}).misconception == "names"


def test_depth_costs_accepts_what_is_near():
    assert check.depth_costs({"weights": 1.65, "multiplications": 2}).right


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
