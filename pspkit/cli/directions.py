"""`directions`: what moves one thing about a head, found for an encoder."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from pspkit.cli.parsing import add_command
from pspkit.errors import PspkitError

if TYPE_CHECKING:
    from torch import Tensor


def add(commands: argparse._SubParsersAction) -> None:
    """Adds the command."""
    directions = add_command(
        commands,
        "directions",
        _directions,
        "find the directions in W+ that change one thing about a head",
        """Renders heads in pairs that differ in one thing, such as the smile, and writes the mean way between their
        codes into FILE: one direction for each thing that a rendered head can change.""",
        [
            "pspkit directions --out directions.safetensors",
            "pspkit directions --model runs/mine --out mine.safetensors",
        ],
    )
    directions.add_argument("--out", type=Path, required=True, metavar="FILE", help="where they go")
    directions.add_argument(
        "--model", type=Path, metavar="DIR", help="a trained pSp of heads (default: the shipped one)"
    )
    directions.add_argument("--count", type=int, default=128, metavar="N", help="pairs of heads (default: 128)")
    directions.add_argument("--seed", type=int, default=0, metavar="S", help="of the heads (default: 0)")
    directions.add_argument(
        "--device", metavar="NAME", help="such as cpu, cuda or mps (default: PSPKIT_DEVICE, else the best)"
    )


def _directions(arguments: argparse.Namespace) -> None:
    from pspkit.data.heads import sample_factors
    from pspkit.data.heads.dataset import FIRST_PERSON
    from pspkit.device import choose_device
    from pspkit.inference import find_psp
    from pspkit.inference.directions import CONTRASTS, find_direction, save_directions

    if arguments.count < 1:
        raise PspkitError(f"count: got {arguments.count}, needs at least 1.")
    device = choose_device(arguments.device)
    psp = find_psp("heads", "encode", model=arguments.model).to(device)
    factors = sample_factors(arguments.count, arguments.seed, start=FIRST_PERSON["train"])

    def encode(pictures: "Tensor") -> "Tensor":
        return psp.encode(pictures.to(device))

    directions = {}
    for name, contrast in CONTRASTS.items():
        directions[name] = find_direction(encode, contrast, factors, psp.encoder.config.input_size)
        print(f"{name:<12} {contrast.low} to {contrast.high}: length {directions[name].norm():.2f}", flush=True)
    save_directions(arguments.out, directions)
    print(arguments.out)
