"""Exercises of appendix A3."""

from collections.abc import Callable, Mapping
from functools import cache

import torch
from torch import Tensor

from pspkit.course.check.verdict import Verdict, check_choices, checker
from pspkit.data.heads import HeadsDataset
from pspkit.domains import get_domain
from pspkit.inference.directions import load_directions
from pspkit.inference.projection import project
from pspkit.losses.identity import IdentityLoss
from pspkit.losses.perceptual import load_lpips

SHARE, ROUNDS = 0.5, 3
HEADS, STEPS = 4, 30  # of the experiment
WAYS = ("encoder", "projected")
HINTS = {
    "nearest": ("near at once", "One of the two was optimised for nothing else than to be near."),
    "edited": (
        "near is editable",
        "Codes that were pulled far for one picture are no longer those that edits are made for.",
    ),
}


@checker
def feedback(answer: Callable[[Callable, Callable, Tensor, int, float], Tensor]) -> Verdict:
    """Exercise 1: encoder, decoder, picture, rounds and a share to codes corrected by what is still missing."""
    generator = torch.Generator().manual_seed(0)
    to_codes, to_picture = torch.randn(2, 5, 5, generator=generator) / 3
    picture = torch.randn(2, 5, generator=generator)

    def encode(x: Tensor) -> Tensor:
        return x @ to_codes + 1.0

    def decode(w: Tensor) -> Tensor:
        return w @ to_picture

    def corrected(rounds: int, change: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        first = codes = encode(picture)
        for _ in range(rounds):
            codes = codes + SHARE * change(first, codes)
        return codes

    came = answer(encode, decode, picture.clone(), ROUNDS, SHARE)
    right = corrected(ROUNDS, lambda first, codes: first - encode(decode(codes)))
    if came.shape != right.shape:
        return Verdict(False, f"Needs codes of shape {tuple(right.shape)}; yours are {tuple(came.shape)}.", "shape")
    if torch.allclose(came, right, atol=1e-5):
        return Verdict(True, "That is how an encoder looks again at what it has drawn.")
    wrong = {
        "no feedback": (encode(picture), "These are the encoder's first codes. Decode them, encode that, and compare."),
        "one round": (corrected(1, lambda first, codes: first - encode(decode(codes))), "Repeat it `rounds` times."),
        "wrong sign": (
            corrected(ROUNDS, lambda first, codes: encode(decode(codes)) - first),
            "The sign: add what the picture has and the drawing lacks.",
        ),
        "pictures subtracted": (
            corrected(ROUNDS, lambda first, codes: encode(picture - decode(codes))),
            "An encoder never saw differences of pictures. Encode both pictures, and subtract their codes.",
        ),
    }
    for name, (value, hint) in wrong.items():
        if torch.allclose(came, value, atol=1e-5):
            return Verdict(False, hint, name)
    return Verdict(False, "Each round: codes + share * (codes of the picture - codes of what is drawn).")


@cache
def near_and_edited() -> dict[str, dict[str, float]]:
    """L2 of inverted heads, and how like themselves they remain when they are turned, by the way to their codes."""
    domain = get_domain("heads")
    psp, identity = domain.psp("encode"), IdentityLoss(domain.identity("cpu"), domain.face_box)
    heads = torch.stack([item["image"] for item in HeadsDataset("test", HEADS, 64)])
    turn = load_directions()["yaw"]
    with torch.no_grad():
        codes = psp.encode(heads)
    found = {"encoder": codes, "projected": project(psp.decoder, heads, STEPS, lpips=load_lpips(), start=codes)[0]}
    measured = {"nearest": {}, "edited": {}}
    with torch.no_grad():
        for name, each in found.items():
            measured["nearest"][name] = (psp.decode(each) - heads).square().mean().item()
            turned = [1 - identity(psp.decode(each + step * turn), heads).item() for step in (-1, 1)]
            measured["edited"][name] = sum(turned) / len(turned)
    return measured


@checker
def near_or_edited(answer: Mapping[str, str]) -> Verdict:
    """Exercise 2: whose picture is nearest to the input, and whose codes keep the person best when they are turned."""
    if problem := check_choices(answer, HINTS, WAYS):
        return problem
    measured = near_and_edited()
    right = {which: pick(values, key=values.__getitem__)
             for (which, values), pick in zip(measured.items(), (min, max), strict=True)}  # fmt: skip
    for which, name in right.items():
        if answer[which] != name:
            misconception, hint = HINTS[which]
            return Verdict(False, f"{which}: {hint}", misconception)
    words = "; ".join(
        f"{what} " + ", ".join(f"{name} {value:.3f}" for name, value in measured[which].items())
        for which, what in (("nearest", "L2"), ("edited", "likeness once turned"))
    )
    return Verdict(True, f"Measured on {HEADS} heads: {words}.")
