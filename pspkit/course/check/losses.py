"""Exercises of notebook 07."""

import math
import random
from collections.abc import Mapping
from functools import cache

import torch
import torch.nn.functional as F

from pspkit.config import CONFIGS
from pspkit.course.check.verdict import Verdict, check_choices, checker
from pspkit.domains import get_domain
from pspkit.models.encoders import GradualStyleEncoder
from pspkit.psp import estimate_latent_avg

STEPS, LEARNED = 25, 0.25  # of learning by heart; the share of the first loss below which it has been learned
OVERLOOKED = {
    "exchanged once": ("pairs", "A fixed exchange is a rule like any other, and four rules can be learned by heart."),
    "exchanged anew": ("no rule", "Each source has another target at every step: only their mean can be learned."),
    "range": ("range", "Batch norm removes scale and shift from whatever the first layer sees, so training goes well. "
              "The mistake shows at inference, when the range is another one."),
    "average": ("average", "The encoder learns whole codes instead of differences. Only the start is worse."),
}  # fmt: skip
MISTAKES = tuple(OVERLOOKED)

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


@cache
def by_heart_losses() -> dict[str, tuple[float, float]]:
    """For each mistake the first and the last loss of a small encoder that learns four pictures."""
    decoder, _ = get_domain("heads").decoder("smoke", "encode")
    average = estimate_latent_avg(decoder)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        z = torch.randn(4, decoder.style_dim, generator=generator)
        targets = decoder.synthesis(decoder.mapping(z)[:, None].expand(-1, decoder.n_styles, -1))
    pictures = F.interpolate(targets, size=CONFIGS["smoke"].encoder.input_size, mode="bilinear")
    found = {}
    for mistake in MISTAKES:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            encoder = GradualStyleEncoder.from_config(CONFIGS["smoke"].encoder)
        optimizer, losses = torch.optim.Adam(encoder.parameters(), lr=0.01), []
        for _ in range(STEPS):
            source = (pictures + 1) / 2 if mistake == "range" else pictures
            codes = encoder(source) + (0 if mistake == "average" else average)
            order = [1, 2, 3, 0] if mistake == "exchanged once" else range(4)
            order = torch.randperm(4, generator=generator) if mistake == "exchanged anew" else torch.tensor([*order])
            loss = F.mse_loss(decoder.synthesis(codes), targets[order])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        found[mistake] = losses[0], losses[-1]
    return found


@checker
def by_heart(answer: Mapping[str, bool]) -> Verdict:
    """Exercise 1: for each mistake whether learning four pictures by heart reveals it."""
    if problem := check_choices(answer, MISTAKES, (True, False)):
        return problem
    measured = by_heart_losses()
    for mistake, (first, last) in measured.items():
        if answer[mistake] != (last > first * LEARNED):
            name, hint = OVERLOOKED[mistake]
            return Verdict(False, f"{mistake}: {hint}", name)
    found = ", ".join(f"{mistake} {first:.2f} to {last:.2f}" for mistake, (first, last) in measured.items())
    return Verdict(True, f"Measured, L2 from the first step to the last: {found}.")


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
    """Exercise 2: one of `DIAGNOSES` for each of the letters of `drawn_logs`."""
    if problem := check_choices(answer, CASES, DIAGNOSES):
        return problem
    for letter, case in CASES.items():
        if answer[letter] != case:
            name, hint = MIX_UPS.get((case, answer[letter]), ("trend", "look again at which curve falls, and how far."))
            return Verdict(False, f"{letter}: {hint}", name)
    return Verdict(True, "You read curves. The sheet says the rest: a floor of the decoder looks healthy here.")
