"""Exercises of notebook 08."""

from collections.abc import Callable, Mapping
from functools import cache

import torch
from torch import Tensor

from pspkit.course.check.verdict import Verdict, check_choices, checker
from pspkit.domains import get_domain
from pspkit.inference.metrics import unseen_pairs
from pspkit.models.encoders import MIDDLE

ANSWERS = ("predicted", "one draw", "mean of draws")
DRAWS, SKETCHES = 8, 16
NEARNESS = {
    "nearest": (
        "pretty is near",
        "No draw knows the true colours. Which picture is wrong by a little everywhere, and by much nowhere?",
    ),
    "farthest": ("fog is far", "A picture in the wrong colours lies far away, however sharp it is."),
}


@checker
def keep_known(answer: Callable[[Tensor, Tensor], Tensor]) -> Verdict:
    """Exercise 1: inpainting's sources (N, 4, H, W) and results (N, 3, H, W) to results that keep what was known."""
    generator = torch.Generator().manual_seed(0)
    picture, result = torch.rand(2, 2, 3, 6, 6, generator=generator) * 2 - 1
    mask = (torch.rand(2, 1, 6, 6, generator=generator) < 0.4).float()
    known = picture * (1 - mask)
    source = torch.cat([known, mask], dim=1)
    given = source.clone(), result.clone()
    came = answer(*given)
    if came.shape == source.shape:
        return Verdict(False, "The mask came along as a fourth channel; a picture has three.", "mask in the picture")
    if came.shape != result.shape:
        return Verdict(False, f"Needs {tuple(result.shape)}; yours is {tuple(came.shape)}.", "shape")
    if torch.allclose(came, known + mask * result, atol=1e-6):
        if not torch.equal(given[0], source) or not torch.equal(given[1], result):
            return Verdict(False, "Right pixels, but an argument was overwritten: `clone` it first.", "in place")
        return Verdict(True, "Every known pixel is exact now, and only the hole is made up.")
    wrong = {
        "nothing kept": (result, "That is the network's picture as it was: known pixels are still only imitated."),
        "nothing filled": (known, "The hole is still empty. Take the network's pixels where the mask is 1."),
        "inverted": (
            result * (1 - mask) + known * mask,
            "The other way round: the mask is 1 where the picture is *missing*.",
        ),
        "added": (
            known + result,
            "Known pixels became the sum of both pictures. Multiply the network's by the mask first.",
        ),
        "mean": ((known + result) / 2, "Known pixels are known: no mean with a guess."),
    }
    for name, (value, hint) in wrong.items():
        if torch.allclose(came, value, atol=1e-6):
            return Verdict(False, hint, name)
    return Verdict(False, "Where the fourth channel is 1 take the network's pixel, elsewhere the source's.")


@checker
def go_on(answer: Callable[[int, int], tuple[int, int]]) -> Verdict:
    """Exercise 2: steps finished when power failed, and `save_every`, to the step kept and how many are repeated."""
    cases = ((1999, 500), (250, 100), (400, 100), (70, 100))
    for stopped, every in cases:
        came = tuple(answer(stopped, every))
        if len(came) != 2 or not all(isinstance(number, int) for number in came):
            return Verdict(
                False, f"Give two whole numbers, the step kept and the steps repeated; yours: {came}.", "form"
            )
        kept = stopped // every * every
        if came == (kept, stopped - kept):
            continue
        here = f"Stopped after {stopped}, saved every {every}: "
        wrong = {
            "nothing is lost": ((stopped, 0), "the machine does not know where it was; only what was saved is left."),
            "from the start": ((0, stopped), "not from the start: there is a state on the disk."),
            "saved ahead": (
                (kept + every, 0),
                "that state was not reached yet. Round down, not up.",
            ),
            "one too many": ((kept, stopped - kept + 1), "the step after the last finished one is new, not repeated."),
            "swapped": ((stopped - kept, kept), "first the step that was kept, then how many are repeated."),
            "what is left": ((kept, every - (stopped - kept)), "that many steps are left until the next save."),
        }
        for name, (value, hint) in wrong.items():
            if came == value:
                return Verdict(False, here + hint, name)
        return Verdict(False, f"{here}the last state is that of the largest multiple of {every} that was reached.")
    return Verdict(True, "Choose `save_every` so that you can bear to repeat it.")


@cache
def distances() -> dict[str, float]:
    """The mean squared error of three ways to answer sixteen sketches of heads."""
    psp = get_domain("heads").psp("sketch")
    pairs = unseen_pairs("sketch", SKETCHES)
    sketches, truth = (torch.stack(side) for side in zip(*(pairs[place] for place in range(SKETCHES)), strict=True))
    z = torch.randn(DRAWS, psp.decoder.style_dim, generator=torch.Generator().manual_seed(0))
    fine = range(MIDDLE, psp.decoder.n_styles)
    with torch.no_grad():
        codes = psp.encode(sketches)
        fresh = psp.decoder.mapping(z)[:, None].expand(-1, psp.decoder.n_styles, -1)
        draws = torch.stack([psp.decode(psp.mix(codes, one[None], fine)) for one in fresh])
        predicted = psp.decode(codes)
    return {
        "predicted": (predicted - truth).square().mean().item(),
        "one draw": (draws - truth).square().mean().item(),
        "mean of draws": (draws.mean(0) - truth).square().mean().item(),
    }


@checker
def nearest_answer(answer: Mapping[str, str]) -> Verdict:
    """On the way: which of three answers to a sketch has the lowest L2 to the true head, and which the highest."""
    if problem := check_choices(answer, NEARNESS, ANSWERS):
        return problem
    found = distances()
    for which, right in (
        ("nearest", min(found, key=found.__getitem__)),
        ("farthest", max(found, key=found.__getitem__)),
    ):
        if answer[which] != right:
            name, hint = NEARNESS[which]
            return Verdict(False, f"{which}: {hint}", name)
    measured = ", ".join(f"{name} {value:.3f}" for name, value in found.items())
    return Verdict(True, f"Measured on {SKETCHES} sketches, L2 to the true head: {measured}.")
