"""Directions in W+: how an encoder's codes move when one thing about a head changes, and nothing else.

    direction = mean of encoder(heads with the factor high) - encoder(the same heads with the factor low)

A step of 1 along a direction goes all the way from its low end to its high end. Rendered heads know their factors, so
no labels and no attribute classifier are needed.

    python -m pspkit.directions --out data/weights/heads-directions.safetensors
"""

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pspkit.checkpoints.files import read_file, write_tensors
from pspkit.domains import WEIGHTS, get_domain
from pspkit.errors import CheckpointError, PspkitError
from pspkit.heads import Factors, render, sample_factors
from pspkit.heads.dataset import FIRST_PERSON

FORMAT = "pspkit directions"
HEAD_DIRECTIONS = WEIGHTS / "heads-directions.safetensors"
COUNT, SEED = 128, 0
BATCH = 32


@dataclass(frozen=True)
class Contrast:
    """Two ends of one thing.

    Attributes:
        low: the end that steps backwards lead to, in words.
        high: the end that steps forwards lead to.
        at_low: the factors that make it, as `Factors.replace` takes them.
        at_high: the same factors, at the other end.
    """

    low: str
    high: str
    at_low: dict[str, Any] = field(default_factory=dict)
    at_high: dict[str, Any] = field(default_factory=dict)


CONTRASTS = {
    "yaw": Contrast("turned left", "turned right", {"yaw": -30.0}, {"yaw": 30.0}),
    "pitch": Contrast("looking down", "looking up", {"pitch": -14.0}, {"pitch": 14.0}),
    "smile": Contrast("frowning", "smiling", {"smile": -0.3}, {"smile": 1.0}),
    "mouth": Contrast("mouth closed", "mouth open", {"mouth_open": 0.0}, {"mouth_open": 0.9}),
    "hair length": Contrast("buzz cut", "long hair", {"hair_style": "buzz"}, {"hair_style": "long"}),
    "hair colour": Contrast("black hair", "blond hair", {"hair_colour": "black"}, {"hair_colour": "blond"}),
    "beard": Contrast("no beard", "full beard", {"beard": "none"}, {"beard": "full"}),
    "glasses": Contrast("no glasses", "round glasses", {"glasses": "none"}, {"glasses": "round"}),
    "skin": Contrast("light skin", "dark skin", {"skin_tone": 0.1}, {"skin_tone": 0.9}),
    "jaw": Contrast("narrow jaw", "wide jaw", {"jaw_width": 0.78}, {"jaw_width": 1.2}),
    "light": Contrast("lit from the left", "lit from the right", {"light_azimuth": -60.0}, {"light_azimuth": 60.0}),
}


def find_direction(encode: Callable[[Tensor], Tensor], contrast: Contrast, factors: Factors, size: int) -> Tensor:
    """The mean way of the codes from a contrast's low end to its high end.

    Args:
        encode: from pictures (N, 3, size, size) in [-1, 1] to codes (N, n_styles, style_dim).
        contrast: what changes; everything else about each head stays.
        factors: the heads.
        size: of the pictures, one of `pspkit.heads.SIZES`.

    Returns:
        (n_styles, style_dim).
    """
    ways = []
    for start in range(0, len(factors), BATCH):
        heads = factors[start : start + BATCH]
        low, high = (render(heads.replace(**ends), size).image for ends in (contrast.at_low, contrast.at_high))
        with torch.no_grad():
            ways.append(encode(high) - encode(low))
    return torch.cat(ways).mean(0)


def save_directions(path: str | Path, directions: dict[str, Tensor]) -> None:
    """Writes directions (n_styles, style_dim) by the names of their contrasts, in float32.

    Raises:
        CheckpointError: the file could not be written; the one that stood there is untouched.
    """
    write_tensors(Path(path), {name: way.float() for name, way in directions.items()}, {"format": FORMAT})


def load_directions(path: str | Path = HEAD_DIRECTIONS) -> dict[str, Tensor]:
    """What `save_directions` wrote, in the order of `CONTRASTS`.

    Raises:
        CheckpointError: not there, damaged, or no such file.
    """
    content, metadata = read_file(Path(path))
    if metadata.get("format") != FORMAT or not content.keys() <= CONTRASTS.keys():
        raise CheckpointError(f"{path}: not a file of directions. Make one with python -m pspkit.directions.")
    return {name: content[name] for name in CONTRASTS if name in content}


def main() -> None:
    """Finds the directions of the rendered heads."""
    parser = argparse.ArgumentParser(prog="python -m pspkit.directions", description=main.__doc__)
    parser.add_argument("--out", type=Path, default=HEAD_DIRECTIONS, metavar="FILE", help="where they go")
    parser.add_argument("--count", type=int, default=COUNT, metavar="N", help=f"heads (default: {COUNT})")
    options = parser.parse_args()
    if options.count < 1:
        raise PspkitError(f"--count: got {options.count}, needs at least 1.")
    psp = get_domain("heads").psp("encode")
    factors = sample_factors(options.count, SEED, start=FIRST_PERSON["train"])
    directions = {}
    for name, contrast in CONTRASTS.items():
        directions[name] = find_direction(psp.encode, contrast, factors, psp.encoder.config.input_size)
        print(f"{name:<12} {contrast.low} to {contrast.high}: length {directions[name].norm():.2f}", flush=True)
    save_directions(options.out, directions)
    print(options.out)


if __name__ == "__main__":
    try:
        main()
    except PspkitError as error:
        sys.exit(f"pspkit: {error}")
