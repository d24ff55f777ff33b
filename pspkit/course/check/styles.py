"""Exercises of notebook 05."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache

import torch
from torch import Tensor

from pspkit.course.check.verdict import Verdict, check_choices, checker
from pspkit.course.show.figure import LEVELS
from pspkit.data.heads import HeadsDataset
from pspkit.domains import get_domain
from pspkit.losses.identity import IdentityLoss
from pspkit.models.encoders import COARSE, MIDDLE, style_level

N_STYLES = 16  # of the photographic decoder
FAVOURED = {
    "pixels": (
        "small things",
        "Walls, clothes and hair fill most of a picture, and one level paints all their colours.",
    ),
    "identity": ("as on photographs", "People of the renderer differ most in the colours of hair and skin."),
}


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


@cache
def exchange() -> dict[str, dict[str, float]]:
    """How far pictures and identities of sixteen heads move, by the level of codes that they exchange with a head."""
    domain = get_domain("heads")
    psp, identity = domain.psp("encode"), IdentityLoss(domain.identity("cpu"), domain.face_box)
    moved = {"pixels": {}, "identity": {}}
    with torch.no_grad():
        codes = psp.encode(torch.stack([item["image"] for item in HeadsDataset("test", 16, 64)]))
        before = psp.decode(codes)
        for number, level in enumerate(LEVELS):
            layers = [style for style in range(codes.shape[1]) if style_level(style) == number]
            after = psp.decode(psp.mix(codes, codes.roll(3, 0), layers))
            moved["pixels"][level] = (after - before).abs().mean().item()
            moved["identity"][level] = identity(after, before).item()
    return moved


@checker
def exchanged_level(answer: Mapping[str, str]) -> Verdict:
    """Exercise 2: the level of codes whose exchange changes most pixels, and the level that changes identity most."""
    if problem := check_choices(answer, FAVOURED, LEVELS):
        return problem
    moved = exchange()
    for measure, shares in moved.items():
        if answer[measure] != max(shares, key=shares.__getitem__):
            name, hint = FAVOURED[measure]
            return Verdict(False, f"{measure}: {hint}", name)
    found = "; ".join(
        f"{measure} " + ", ".join(f"{level} {share:.2f}" for level, share in shares.items())
        for measure, shares in moved.items()
    )
    return Verdict(True, f"Measured: {found}.")


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
