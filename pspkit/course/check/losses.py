"""Exercises of notebook 07."""

import math
import random
from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from pspkit.course.check.verdict import Unanswered, Verdict, checker

DIAGNOSES = ("healthy", "rate too high", "too few pictures", "stopped too early")
CASES = {"A": "too few pictures", "B": "healthy", "C": "stopped too early", "D": "rate too high"}
MIX_UPS = {
    ("healthy", "too few pictures"): (
        "validation below training",
        "validation lies *below* training: it measures the running average of the weights, which is calmer and better."
        " Too few pictures show as the opposite.",
    ),
    ("healthy", "rate too high"): (
        "noise",
        "the training curve trembles, since every batch is another one, but both curves settle. Look at the trend.",
    ),
    ("healthy", "stopped too early"): ("flat", "both curves are flat at their end; more steps would bring little."),
    ("too few pictures", "healthy"): (
        "training alone",
        "you looked at the training curve. Validation turned round long ago, and only validation counts.",
    ),
    ("too few pictures", "stopped too early"): (
        "training alone",
        "training still falls, but validation rises: more steps make it worse, not better.",
    ),
    ("too few pictures", "rate too high"): (
        "rising means rate",
        "validation rises, but smoothly, and training falls all the while. A rate too high shakes both.",
    ),
    ("stopped too early", "healthy"): ("still falling", "both curves were falling when it stopped: it needed longer."),
    ("stopped too early", "too few pictures"): (
        "no gap",
        "training and validation are close together; too few pictures would drive them apart.",
    ),
    ("rate too high", "too few pictures"): (
        "training too",
        "training jumps and rises just as validation does. Too few pictures leave training smooth and low.",
    ),
}


@checker
def layer_distance(answer: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Verdict:
    """Exercise 1: two feature maps (N, C, H, W) and weights (C,) to what the layer adds to LPIPS, (N,)."""
    generator = torch.Generator().manual_seed(0)
    first, second = torch.rand(2, 2, 5, 3, 4, generator=generator) + 0.1
    weights = torch.rand(5, generator=generator)
    came = answer(first, second, weights)

    def weighted(first: Tensor, second: Tensor) -> Tensor:
        return (first - second).square() * weights[:, None, None]

    units = F.normalize(first), F.normalize(second)
    terms = weighted(*units)
    right = terms.sum(1).mean((1, 2))
    if came.shape == () and torch.allclose(came, right.mean(), atol=1e-6):
        return Verdict(False, "One value a picture: the mean over the batch comes later.", "mean of the batch")
    if came.shape != right.shape:
        return Verdict(False, f"Needs one value a picture, shape (2,); yours has {tuple(came.shape)}.", "shape")
    if torch.allclose(came, right, atol=1e-6):
        return Verdict(True, "That is one layer of LPIPS; the loss is the sum over five.")
    wrong = {
        "not normalised": (
            weighted(first, second).sum(1).mean((1, 2)),
            "Divide every position's features by their length first, or bright pictures count more than dark ones.",
        ),
        "normalised over space": (
            weighted(F.normalize(first, dim=2), F.normalize(second, dim=2)).sum(1).mean((1, 2)),
            "You normalised over the rows. The length is that of one position's C features: dim 1.",
        ),
        "not squared": (
            ((units[0] - units[1]).abs() * weights[:, None, None]).sum(1).mean((1, 2)),
            "The differences are squared before they are weighted.",
        ),
        "no weights": (
            (units[0] - units[1]).square().sum(1).mean((1, 2)),
            "The weights of the channels are missing: they are what LPIPS has learned from people.",
        ),
        "sum over space": (
            terms.sum((1, 2, 3)),
            "Take the mean over positions, not their sum, or a large picture is further from everything.",
        ),
        "mean over channels": (
            terms.mean((1, 2, 3)),
            "Over channels it is a weighted sum, not a mean: the weights know already how much each counts.",
        ),
    }
    for name, (value, hint) in wrong.items():
        if torch.allclose(came, value, atol=1e-6):
            return Verdict(False, hint, name)
    return Verdict(False, "Normalise over channels, subtract, square, weight, sum over channels, mean over positions.")


@checker
def dissimilarity(answer: Callable[[Tensor, Tensor], Tensor]) -> Verdict:
    """Exercise 2: embeddings (N, D) of outputs and of targets, of any length, to the identity loss."""
    generator = torch.Generator().manual_seed(0)
    output, target = torch.randn(2, 4, 6, generator=generator)
    output = output + target  # alike, as an output and its target are
    came = torch.as_tensor(answer(output, target))
    cosines = F.cosine_similarity(output, target)
    right = 1 - cosines.mean()
    if came.shape == cosines.shape and torch.allclose(came, 1 - cosines, atol=1e-6):
        return Verdict(False, "One value a picture; a loss is one number: take the mean.", "no mean")
    if came.shape != ():
        return Verdict(False, f"A loss is one number; yours has the shape {tuple(came.shape)}.", "shape")
    if torch.allclose(came, right, atol=1e-6):
        return Verdict(True, "0 for one person, about 1 for strangers.")
    wrong = {
        "similarity": (cosines.mean(), "That is the similarity. Minimised, it makes strangers: subtract it from 1."),
        "not normalised": (
            1 - (output * target).sum(1).mean(),
            "A dot product is a cosine only for vectors of length 1. Normalise both first.",
        ),
        "over the batch": (
            1 - F.cosine_similarity(output, target, dim=0).mean(),
            "You compared along the batch. One person's embedding is a row: dim 1.",
        ),
        "everybody with everybody": (
            1 - (F.normalize(output) @ F.normalize(target).T).mean(),
            "Each output belongs to one target; you compared it with all of them.",
        ),
        "distance": (
            (F.normalize(output) - F.normalize(target)).square().sum(1).mean(),
            "The squared distance of normalised embeddings is 2 (1 - cos): twice the loss.",
        ),
        "sum": ((1 - cosines).sum(), "Take the mean over the batch, or the weight means something else at each size."),
    }
    for name, (value, hint) in wrong.items():
        if torch.allclose(came, value, atol=1e-6):
            return Verdict(False, hint, name)
    return Verdict(False, "1 minus the mean over the batch of the cosine between row n and row n.")


def drawn_logs() -> dict[str, list[dict]]:
    """The curves of exercise 3, by letter: not of any training, but drawn after a formula, the same every time."""
    shake = random.Random(3)
    logs = {}
    for letter, case in CASES.items():
        logs[letter] = []
        for step in range(100, 2100, 100):
            fallen = math.exp(-step / 350)
            training = validation = 0.18 + 0.5 * fallen
            if case == "healthy":
                training *= 1.12 * math.exp(0.05 * shake.gauss(0, 1))
            elif case == "too few pictures":
                training, validation = 0.015 + 0.6 * math.exp(-step / 420), 0.33 + 0.3 * fallen + 5e-5 * step
            elif case == "stopped too early":
                training = 0.75 * math.exp(-step / 1500 + 0.02 * shake.gauss(0, 1))
                validation = 0.78 * math.exp(-step / 1500)
            else:
                training, validation = (0.3 + step / 9000 + 0.35 * shake.random() ** 2 for _ in range(2))
            logs[letter].append({"step": step, "training": {"total": training}, "validation": {"total": validation}})
    return logs


@checker
def diagnose(answer: Mapping[str, str]) -> Verdict:
    """Exercise 3: one of `DIAGNOSES` for each of the letters of `drawn_logs`."""
    if any(given is Ellipsis for given in answer.values()):
        raise Unanswered
    if answer.keys() != CASES.keys():
        return Verdict(False, f"Give a diagnosis for each of {', '.join(CASES)}.", "letters")
    for letter, given in answer.items():
        if given not in DIAGNOSES:
            return Verdict(False, f"{letter}: {given!r} is none of {', '.join(DIAGNOSES)}.", "names")
    for letter, case in CASES.items():
        if answer[letter] != case:
            name, hint = MIX_UPS.get((case, answer[letter]), ("trend", "look again at which curve falls, and how far."))
            return Verdict(False, f"{letter}: {hint}", name)
    return Verdict(True, "You read curves. The sheet says the rest: a floor of the decoder looks healthy here.")
