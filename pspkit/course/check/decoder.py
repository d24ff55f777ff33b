"""Exercises of notebook 04."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from pspkit.course.check.verdict import Verdict, checker


@checker
def demodulation(answer: Callable[[Tensor, Tensor], Tensor]) -> Verdict:
    """Exercise 1: weight (O, I, k, k) and style (N, I) to the factors (N, O)."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(6, 4, 3, 3, generator=generator)
    style = 1 + 0.5 * torch.randn(2, 4, generator=generator)
    came = answer(weight, style)
    if came.ndim > 2:
        came = came.flatten(1)
    if came.shape == (2, 4):
        return Verdict(
            False,
            "You have one factor for each input channel. Demodulation repairs outputs: sum over the input channels.",
            "sum over the outputs",
        )
    power = F.linear(style.square(), weight.square().sum((2, 3)))
    unmodulated = weight.square().sum((1, 2, 3)).rsqrt()
    if came.shape in ((6,), (1, 6)) or (came.shape == (2, 6) and torch.allclose(came, unmodulated.expand(2, 6))):
        return Verdict(
            False, "The same factors for every picture: the style scales the weights first.", "style forgotten"
        )
    if came.shape != (2, 6):
        return Verdict(False, f"Needs a factor for each picture and output, (2, 6); got {tuple(came.shape)}.", "shape")
    if torch.allclose(came, power.rsqrt(), rtol=1e-4):
        return Verdict(True, "One factor for each picture and output channel, without building that picture's weights.")
    wrong = {
        "style not squared": (
            F.linear(style, weight.square().sum((2, 3))).rsqrt(),
            "The style sits inside the square: (W s)^2 = W^2 s^2.",
        ),
        "square after the sum": (
            F.linear(style, weight.sum((2, 3))).square().rsqrt(),
            "Square each weight first and add up then; the other way round, weights of opposite sign cancel.",
        ),
        "no square": (F.linear(style, weight.sum((2, 3))).rsqrt(), "Variances add up, so the weights are squared."),
        "no root": (power.reciprocal(), "That divides by the variance; divide by its root, the standard deviation."),
        "no reciprocal": (power.sqrt(), "That is how much the layer amplifies. The factor has to undo it: 1 over it."),
        "mean": (power.div(36).rsqrt(), "Variances of the terms add up: a sum over inputs and kernel, not a mean."),
    }
    for name, (value, hint) in wrong.items():
        if torch.allclose(came, value, rtol=1e-4, equal_nan=True):
            return Verdict(False, hint, name)
    return Verdict(
        False, "The factors differ. Order: scale by the style, square, sum over I, k, k, then 1 over the root."
    )


@checker
def codes_of_layers(answer: Callable[[int], Sequence[int]]) -> Verdict:
    """Exercise 2: output side to the code of every modulation, in the order of the forward pass."""
    for size in (8, 64, 1024):
        levels = range(1, size.bit_length() - 2)  # one a resolution above 4 px
        right = [0, 1] + [code for k in levels for code in (2 * k - 1, 2 * k, 2 * k + 1)]
        came = list(answer(size))
        if came == right:
            continue
        wrong = {
            "a code for every ToRGB layer": (
                list(range(len(right))),
                "ToRGB layers have no codes of their own: each shares with the up-convolution that follows.",
            ),
            "ToRGB shares with the convolution before": (
                [0, 0] + [code for k in levels for code in (2 * k - 1, 2 * k, 2 * k)],
                "A ToRGB layer shares its code with the next up-convolution, not with the layer before it.",
            ),
            "off by one": ([code + 1 for code in right], "The first convolution takes code 0."),
            "one code a resolution": (
                [0, 0] + [k for k in levels for _ in range(3)],
                "Each resolution above 4 px has two codes of its own.",
            ),
            "no 4 px layers": (right[2:], "The first two layers work at 4 px: a convolution and a ToRGB layer."),
            "last ToRGB without a code": (
                right[:-1],
                "The last ToRGB layer has no up-convolution after it, yet it has a code. That is the extra one.",
            ),
        }
        for name, (value, hint) in wrong.items():
            if came == value:
                return Verdict(False, hint, name)
        return Verdict(False, f"At {size} px your list is {came}. Go through the wiring picture layer by layer.")
    return Verdict(True, "The largest code is 2 log2(size) - 3, so there are 2 log2(size) - 2 codes.")


@checker
def truncation(answer: Callable[[Tensor, Tensor, float], Tensor]) -> Verdict:
    """Exercise 3: codes w (N, D), the average (D,) and psi to truncated codes (N, D)."""
    generator = torch.Generator().manual_seed(0)
    w, average, psi = torch.randn(3, 5, generator=generator), torch.randn(5, generator=generator), 0.7
    came = answer(w, average, psi)
    if came.shape != (3, 5):
        return Verdict(False, f"Needs a code for each code, (3, 5); got {tuple(came.shape)}.", "shape")
    if torch.allclose(came, average + psi * (w - average), atol=1e-5):
        return Verdict(True, "Psi 1 keeps the code, 0 gives the average, negative values go beyond it.")
    wrong = {
        "around zero": (psi * w, "That pulls towards the code 0, which is no face in particular. Pull to the average."),
        "average added twice": (average + psi * w, "Psi scales the distance from the average: subtract it first."),
        "average not put back": (psi * (w - average), "That is the distance alone: start from the average again."),
        "reversed": (w + psi * (average - w), "Reversed: with psi 1 your code is the average; it should be w."),
    }
    for name, (value, hint) in wrong.items():
        if torch.allclose(came, value, atol=1e-5):
            return Verdict(False, hint, name)
    return Verdict(False, "The codes differ. Start from the average and go psi of the way to w.")
