import math

import numpy as np
import pytest
import torch

from pspkit.course import check


def solve(x, y, ridge):
    return torch.linalg.solve(x.T @ x / len(x) + ridge * torch.eye(x.shape[1]).to(x), x.T @ y / len(x))


def diagonal(x, ridge):
    return ridge * torch.eye(x.shape[1]).to(x)


@pytest.mark.parametrize(
    ("misconception", "answer"),
    [
        ("unanswered", lambda x, y, ridge: None),
        ("transposed", lambda x, y, ridge: solve(x, y, ridge).T),
        ("shape", lambda x, y, ridge: x.T @ x),
        ("no ridge", lambda x, y, ridge: torch.linalg.lstsq(x, y).solution),
        ("sums for means", lambda x, y, ridge: torch.linalg.solve(x.T @ x + diagonal(x, ridge), x.T @ y)),
        ("half a mean", lambda x, y, ridge: torch.linalg.solve(x.T @ x / len(x) + diagonal(x, ridge), x.T @ y)),
        ("added everywhere", lambda x, y, ridge: torch.linalg.solve(x.T @ x / len(x) + ridge, x.T @ y / len(x))),
        ("subtracted", lambda x, y, ridge: solve(x, y, -ridge)),
        ("squared", lambda x, y, ridge: solve(x, y, ridge**2)),
        ("raises", lambda x, y, ridge: torch.linalg.solve(x, y)),
        ("", lambda x, y, ridge: x.T @ y),
    ],
)
def test_ridge_map_names_what_is_wrong(misconception, answer):
    verdict = check.ridge_map(answer)
    assert not verdict.right
    assert verdict.misconception == misconception


def test_ridge_map_accepts_either_system():
    def dual(x, y, ridge):
        return x.T @ torch.linalg.solve(x @ x.T + ridge * len(x) * torch.eye(len(x)).to(x), y)

    assert check.ridge_map(solve).right
    assert check.ridge_map(dual).right


def line(faces, r2, more, first=-2, axis=math.log2):
    slope = (r2[-1] - r2[first]) / (axis(faces[-1]) - axis(faces[first]))
    return r2[-1] + slope * (axis(more) - axis(faces[-1]))


@pytest.mark.parametrize(
    ("misconception", "answer"),
    [
        ("unanswered", lambda faces, r2, more: None),
        ("per face", lambda faces, r2, more: line(faces, r2, more, axis=float)),
        ("first and last", lambda faces, r2, more: line(faces, r2, more, first=0)),
        ("one doubling", lambda faces, r2, more: line(faces, r2, 2 * faces[-1])),
        ("per step", lambda faces, r2, more: 2 * r2[-1] - r2[-2]),
        ("no growth", lambda faces, r2, more: r2[-1]),
        ("raises", lambda faces, r2, more: faces[3]),
        ("", lambda faces, r2, more: 1.0),
    ],
)
def test_extrapolate_names_what_is_wrong(misconception, answer):
    verdict = check.extrapolate(answer)
    assert not verdict.right
    assert verdict.misconception == misconception


def test_extrapolate_names_a_line_through_all_points():
    def fitted(faces, r2, more):
        return np.polyval(np.polyfit(np.log(faces), r2, 1), math.log(more))

    assert check.extrapolate(fitted).misconception == "all points"


@pytest.mark.parametrize("axis", [math.log, math.log2, math.log10])
def test_extrapolate_accepts_any_base(axis):
    assert check.extrapolate(lambda faces, r2, more: line(faces, r2, more, axis=axis)).right
