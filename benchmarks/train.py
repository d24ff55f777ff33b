"""One training step: pspkit's trainer against the textbook step, in images a second and peak memory.

The textbook step is what a reader writes straight from the papers: weights modulated picture by picture, heads one
after another, and gradients for the decoder too, which nobody uses. Both have the same networks, losses and optimiser;
pspkit's also keeps the running average of the weights. Each measurement has a process of its own, so that its peak of
memory is its own.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor
from torch.utils.data import Dataset

from benchmarks import textbook
from benchmarks.measure import machine
from pspkit.cli import HUGE_PAGES
from pspkit.config import CONFIGS, TRAININGS, BackboneConfig, TrainingConfig
from pspkit.data.tasks import TASKS
from pspkit.device import choose_device
from pspkit.domains import IDENTITY_SIDE
from pspkit.losses.terms import PSPLoss
from pspkit.models.backbone import Backbone
from pspkit.models.encoders import Encoder
from pspkit.models.stylegan2 import Generator
from pspkit.psp import PSP
from pspkit.training import Trainer
from pspkit.training.encoder import EncoderTraining, make_optimizer, to_side
from pspkit.training.machine import native_precision

SIZES = {"reference": ("paper", 2), "laptop": ("cpu", 8)}  # profile, and pictures at once
TEXTBOOK, FLOAT32, BFLOAT16 = "textbook, float32", "pspkit, float32", "pspkit, bfloat16"


class Noise(Dataset):
    """Pairs of random pictures; what they show costs nothing."""

    task = TASKS["encode"]

    def __init__(self, count: int, size: int) -> None:
        self.pictures = torch.rand(count, 3, size, size) * 2 - 1

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.pictures[index], self.pictures[index]


def pspkit_step(psp: PSP, loss: PSPLoss, pictures: Noise, config: TrainingConfig) -> Callable[[], object]:
    trainer = Trainer(EncoderTraining(psp, loss, pictures, pictures, config))
    batch = pictures.pictures.to(trainer.machine.device)
    return lambda: trainer.learn([(batch, batch)])


def textbook_step(psp: PSP, loss: PSPLoss, pictures: Noise, config: TrainingConfig) -> Callable[[], object]:
    optimizer = make_optimizer(psp.encoder, config)
    psp.requires_grad_(True)
    device = choose_device()
    psp.to(device), loss.to(device)
    picture = pictures.pictures.to(device)

    def step() -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bfloat16"):
            codes = textbook.encode(psp.encoder, picture) + psp.latent_avg
            output = to_side(textbook.synthesis(psp.decoder, codes), picture.shape[-1])
            total, _ = loss(output, picture, codes, psp.latent_avg)
        total.backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def prepare(
    profile: str, batch: int, precision: str, make: Callable[..., Callable]
) -> tuple[Callable[[], object], PSP]:
    """Builds a model of a profile's size with fresh weights, its losses and pictures.

    Args:
        profile: a key of `CONFIGS`.
        batch: pictures at once.
        precision: "float32" or "bfloat16".
        make: `pspkit_step` or `textbook_step`.

    Returns:
        What takes one step, and the model that learns.
    """
    torch.manual_seed(0)
    config = CONFIGS[profile]
    with choose_device():
        decoder = Generator.from_config(config.decoder)
        average = torch.zeros(decoder.style_dim)
        psp = PSP(Encoder.from_config(replace(config.encoder, n_styles=decoder.n_styles)), decoder, average)
        side = BackboneConfig.input_size if profile == "paper" else IDENTITY_SIDE
        body = BackboneConfig(config.encoder.num_layers, input_size=side, widths=config.encoder.widths)
        identity = Backbone.from_config(body)
    weights = TASKS["encode"].folders.losses
    loss = PSPLoss(weights, identity, lpips_trunk="random")  # costs what the trained one does
    training = replace(TRAININGS[profile], batch=batch, precision=precision)
    return make(psp, loss, Noise(batch, config.encoder.input_size), training), psp


def measure(size: str, way: str, steps: int) -> dict[str, float]:
    """Seconds of a step, the median of some after a first one, and the peak of memory in GiB."""
    profile, batch = SIZES[size]
    make = textbook_step if way == TEXTBOOK else pspkit_step
    step, psp = prepare(profile, batch, way.split()[-1], make)
    seconds = []
    for _ in range(steps + 1):
        start = time.perf_counter()
        step()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    if torch.cuda.is_available():
        peak = torch.cuda.max_memory_allocated()
    learned, kept = (sum(p.numel() for p in part.parameters()) for part in (psp.encoder, psp))
    static = 4 * (kept + learned + 4 * learned)  # model, average; gradients, Ranger's two moments, its slow weights
    return {"seconds": statistics.median(seconds[1:]), "peak": peak / 2**30, "static": static / 2**30}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="rounds; every round measures each way in a new process")
    parser.add_argument("--steps", type=int, default=3, help="timed steps of a measurement")
    parser.add_argument("--size", choices=SIZES, help="only this one")
    parser.add_argument("--one", nargs=2, metavar=("SIZE", "WAY"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(*options.one, options.steps)))
        return
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else machine()
    ways = [TEXTBOOK, FLOAT32, *([BFLOAT16] if native_precision(choose_device()) == "bfloat16" else [])]
    for size, (profile, batch) in SIZES.items():
        if options.size not in (None, size):
            continue
        encoder, decoder = CONFIGS[profile].encoder, CONFIGS[profile].decoder
        print(f"\nA training step at {size} size: {encoder.input_size} px in, {decoder.size} px out, batch {batch}")
        print(f"{device}, medians of {options.runs} rounds of {options.steps} steps")
        print(f"{'':24}{'images/s':>10}{'faster':>9}{'peak GiB':>10}{'of it':>8}", flush=True)
        rounds = [{way: _in_own_process(size, way, options.steps) for way in ways} for _ in range(options.runs)]
        static = rounds[0][FLOAT32]["static"]
        for way in ways:
            speed = statistics.median(batch / found[way]["seconds"] for found in rounds)
            faster = statistics.median(found[TEXTBOOK]["seconds"] / found[way]["seconds"] for found in rounds)
            peak = statistics.median(found[way]["peak"] for found in rounds)
            share = statistics.median(found[way]["peak"] / found[TEXTBOOK]["peak"] for found in rounds)
            print(f"{way:24}{speed:10.2f}{faster:8.2f}x{peak:10.2f}{share:8.2f}", flush=True)
        print(f"of pspkit's float32: {static:.2f} GiB whatever the batch (weights, gradients, optimiser, average)")
        if batch < 8:
            least = statistics.median(found[FLOAT32]["peak"] for found in rounds) - static
            print(f"computed from both, batch 8: {static + 8 / batch * least:.1f} GiB")
    if BFLOAT16 not in ways:
        print("bfloat16: left out, this processor only imitates it")


def _in_own_process(size: str, way: str, steps: int) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.train", "--steps", str(steps), "--one", size, way]
    settings = {} if way == TEXTBOOK else HUGE_PAGES  # as the command `pspkit` sets it
    done = subprocess.run(command, env=os.environ | settings, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


if __name__ == "__main__":
    main()
