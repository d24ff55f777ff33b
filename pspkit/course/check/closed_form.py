"""Exercises of appendix A1."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from pspkit.course.check.verdict import Verdict, checker


@checker
def ridge_map(answer: Callable[[Tensor, Tensor, float], Tensor]) -> Verdict:
    """Exercise 1: features (N, D), codes (N, K) and the ridge to the map (D, K) of ridge regression."""
    generator = torch.Generator().manual_seed(0)
    x, y = (torch.randn(20, sides, generator=generator, dtype=torch.double) for sides in (6, 4))
    ridge, one = 0.5, torch.eye(6, dtype=torch.double)
    xx, xy = x.T @ x, x.T @ y
    came = answer(x.clone(), y.clone(), ridge)
    if came.shape == (4, 6):
        return Verdict(False, "Yours maps codes to features: it has to be (D, K), here (6, 4).", "transposed")
    if came.shape != (6, 4):
        return Verdict(False, f"6 features and 4 numbers need a map of (6, 4); yours is {tuple(came.shape)}.", "shape")
    right = torch.linalg.solve(xx / 20 + ridge * one, xy / 20)
    if torch.allclose(came.double(), right, atol=1e-5):
        return Verdict(True, "One linear system, and no step of training.")
    wrong = {
        "no ridge": (torch.linalg.solve(xx, xy), "The ridge has no influence on yours. Add it along the diagonal."),
        "sums for means": (
            torch.linalg.solve(xx + ridge * one, xy),
            "Sums grow with the faces and means do not: with sums the same ridge weakens as faces are added. Divide"
            " both products by N.",
        ),
        "half a mean": (
            torch.linalg.solve(xx / 20 + ridge * one, xy),
            "Only one of the two products is divided by N. Divide both.",
        ),
        "added everywhere": (
            torch.linalg.solve(xx / 20 + ridge, xy / 20),
            "`+ ridge` adds to every entry of the matrix. Add it along the diagonal alone: `ridge * torch.eye(D)`.",
        ),
        "subtracted": (
            torch.linalg.solve(xx / 20 - ridge * one, xy / 20),
            "A ridge is added: the term ridge |B|² makes large maps dearer.",
        ),
        "squared": (
            torch.linalg.solve(xx / 20 + ridge**2 * one, xy / 20),
            "The ridge itself stands on the diagonal, not its square.",
        ),
    }
    for name, (value, hint) in wrong.items():
        if torch.allclose(came.double(), value, atol=1e-5):
            return Verdict(False, hint, name)
    return Verdict(False, "Set the gradient to 0: (XᵀX/N + ridge I) B = XᵀY/N, and solve for B.")


@checker
def extrapolate(answer: Callable[[Sequence[int], Sequence[float], int], float]) -> Verdict:
    """Exercise 2: numbers of faces, their R², and a larger number of faces to the R² expected there."""
    faces, r2, more = [1000, 2000, 8000], [0.2, 0.31, 0.4], 128_000
    a_doubling = (r2[2] - r2[1]) / math.log2(faces[2] / faces[1])
    came = float(answer(list(faces), list(r2), more))
    if math.isclose(came, r2[2] + a_doubling * math.log2(more / faces[2]), abs_tol=1e-6):
        return Verdict(True, "As much for every doubling as between the last two. Now ask the log.")
    wrong = {
        "per face": (
            r2[2] + (r2[2] - r2[1]) / (faces[2] - faces[1]) * (more - faces[2]),
            "That is a straight line over the number of faces: it soon promises more than 1. Each *doubling* adds about"
            " as much as the one before.",
        ),
        "first and last": (
            r2[2] + (r2[2] - r2[0]) / math.log2(faces[2] / faces[0]) * math.log2(more / faces[2]),
            "That is the slope from the first point to the last. The curve bends: take the last two.",
        ),
        "all points": (
            _fitted(faces, r2, more),
            "That is a line through all points. The curve bends: take the last two.",
        ),
        "one doubling": (r2[2] + a_doubling, "From 8,000 to 128,000 are four doublings, not one."),
        "per step": (
            r2[2] + (r2[2] - r2[1]),
            "Between the last two numbers of faces there may be more than one doubling: divide by how many there are.",
        ),
        "no growth": (r2[2], "That is the last value as it was: nothing is gained from more faces."),
    }
    for name, (value, hint) in wrong.items():
        if math.isclose(came, value, abs_tol=1e-6):
            return Verdict(False, hint, name)
    return Verdict(False, f"{faces} faces with R² {r2} gave {came:.3f} at {more}. Count doublings with `math.log2`.")


def _fitted(faces: Sequence[int], r2: Sequence[float], more: int) -> float:
    """Least squares over the logarithm of the number of faces."""
    x, y = torch.tensor(faces, dtype=torch.double).log2(), torch.tensor(r2, dtype=torch.double)
    slope = ((x - x.mean()) * (y - y.mean())).sum() / (x - x.mean()).square().sum()
    return (y.mean() + slope * (math.log2(more) - x.mean())).item()
