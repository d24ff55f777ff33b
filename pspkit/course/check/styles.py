"""Exercises of notebook 05."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from pspkit.course.check.verdict import Verdict, checker
from pspkit.models.encoders import COARSE, MIDDLE

N_STYLES = 16  # of the photographic decoder


def put(codes: Tensor, layers: Sequence[int], values: Tensor) -> Tensor:
    """New codes with some layers replaced."""
    new = codes.clone()
    new[:, list(layers)] = values.expand_as(codes)[:, list(layers)]
    return new


def judge(came: Tensor, right: Tensor, wrong: dict[str, tuple[Tensor, str]], success: str, failure: str) -> Verdict:
    """The verdict on a tensor: right, one of the wrong ones that are known, or simply different."""
    if came.shape != right.shape:
        return Verdict(False, f"Needs codes of shape {tuple(right.shape)}; yours are {tuple(came.shape)}.", "shape")
    if torch.allclose(came, right, atol=1e-5):
        return Verdict(True, success)
    for name, (value, hint) in wrong.items():
        if torch.allclose(came, value.expand_as(right), atol=1e-5):
            return Verdict(False, hint, name)
    return Verdict(False, failure)


def unless_overwritten(verdict: Verdict, given: Tensor, codes: Tensor) -> Verdict:
    """The verdict, unless a right answer changed the codes it was given."""
    if verdict.right and not torch.equal(given, codes):
        return Verdict(False, "Right numbers, but the argument was overwritten: `clone` it first.", "in place")
    return verdict


@checker
def inject_styles(answer: Callable[[Tensor, Tensor, Sequence[int], float], Tensor]) -> Verdict:
    """Exercise 1: codes, codes to inject, layers and alpha to mixed codes."""
    generator = torch.Generator().manual_seed(0)
    codes, inject = torch.randn(2, 2, N_STYLES, 8, generator=generator)
    layers, alpha = (0, 5, 9), 0.3
    given = codes.clone()
    came = answer(given, inject, layers, alpha)
    blend, back = codes.lerp(inject, alpha), inject.lerp(codes, alpha)
    verdict = judge(
        came,
        put(codes, layers, blend),
        {
            "alpha reversed": (put(codes, layers, back), "alpha is the share of what is injected, not of what stays."),
            "no alpha": (put(codes, layers, inject), "alpha is not used: you replace where you should blend."),
            "added": (put(codes, layers, codes + alpha * inject), "Scale the old code by 1 - alpha, or codes grow."),
            "every layer": (blend, "You blend all layers; only those in `layers` may change."),
            "other layers": (
                put(blend, layers, codes),
                "The mask is inverted: you blend the layers that should stay.",
            ),
            "range instead of list": (
                put(codes, range(layers[0], layers[-1] + 1), blend),
                "`layers` is a list of numbers, with gaps; you blend everything between its ends too.",
            ),
        },
        "That is pSp's style mixing.",
        f"For layers {layers} and alpha {alpha}: alpha times the injected code, plus 1 - alpha times the old one.",
    )
    return unless_overwritten(verdict, given, codes)


@checker
def fill_masked(answer: Callable[[Tensor, Sequence[int], Tensor], Tensor]) -> Verdict:
    """Exercise 2: codes, masked layers and the average latent to codes without anything of the picture there."""
    generator = torch.Generator().manual_seed(0)
    codes, latent_avg = torch.randn(2, N_STYLES, 8, generator=generator), torch.randn(8, generator=generator)
    layers = (3, 4, 8)
    given = codes.clone()
    came = answer(given, layers, latent_avg)
    verdict = judge(
        came,
        put(codes, layers, latent_avg),
        {
            "zeros": (put(codes, layers, torch.zeros(8)), "Zero is a code too, and a bad one: use the average."),
            "added": (
                put(codes, layers, codes + latent_avg),
                "The codes hold the average already: replace, do not add.",
            ),
            "own mean": (
                put(codes, layers, codes.mean(1, keepdim=True)),
                "That is the mean of this picture's codes; the average latent is the decoder's, over many draws.",
            ),
            "mean of the batch": (
                put(codes, layers, codes.mean(0, keepdim=True)),
                "The mean of this batch depends on who is in it; the average latent is the decoder's.",
            ),
            "everything": (latent_avg, "Only the masked layers lose their code; the others stay."),
            "other layers": (
                put(latent_avg.expand_as(codes), layers, codes),
                "The mask is inverted: you empty the layers that should stay.",
            ),
            "nothing": (codes, "Nothing has changed."),
        },
        "Masked layers now say nothing about the picture, and still make a face.",
        f"For layers {layers}: the average there, the old codes elsewhere.",
    )
    return unless_overwritten(verdict, given, codes)


@checker
def draw_variants(answer: Callable[[Tensor, Tensor], Tensor]) -> Verdict:
    """Exercise 3: one picture's codes (1, 16, d) and fresh w (N, d) to N answers that differ in the fine codes."""
    generator = torch.Generator().manual_seed(0)
    codes, w = torch.randn(1, N_STYLES, 8, generator=generator), torch.randn(3, 8, generator=generator)
    kept, fresh = codes.expand(len(w), -1, -1), w[:, None].expand(-1, N_STYLES, -1)
    came = answer(codes.clone(), w)
    if came.shape == codes.shape and torch.allclose(came[:, :MIDDLE], codes[:, :MIDDLE]):
        return Verdict(False, "One answer only. Repeat the picture's codes once for every w.", "one answer")
    wrong = {
        "other way round": (
            put(fresh, range(MIDDLE, N_STYLES), kept),
            "You keep the colours and draw the person anew; it is the other way round.",
        ),
        "coarse only": (
            put(kept, range(COARSE, N_STYLES), fresh),
            f"Codes {COARSE} to {MIDDLE - 1}, the features, belong to the picture as well.",
        ),
        "off by one": (
            put(kept, range(MIDDLE + 1, N_STYLES), fresh),
            f"The fine codes begin at {MIDDLE}; yours begin at {MIDDLE + 1}.",
        ),
        "end left out": (put(kept, range(MIDDLE, N_STYLES - 1), fresh), f"Code {N_STYLES - 1} is a fine one too."),
        "same for all": (
            put(kept, range(MIDDLE, N_STYLES), fresh[:1]),
            "Every answer got the same w: that is one answer, several times.",
        ),
        "nothing kept": (fresh, "Nothing of the picture is left: these are new people."),
    }
    return judge(
        came,
        put(kept, range(MIDDLE, N_STYLES), fresh),
        wrong,
        "One picture, as many answers as you like.",
        f"Codes 0 to {MIDDLE - 1} are the picture's, from {MIDDLE} on every code is the fresh w, one an answer.",
    )
