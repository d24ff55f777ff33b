"""Trains the weights that ship with the project, and stores them with their cards.

    python -m tools.weights [NAME ...] [--runs DIR] [--snapshot]

Every training goes on where it stopped. When it is done, or at once with --snapshot, the model is stored in half
precision under data/weights with

    card.json    command, steps, time, hardware, data, and what was measured on the stored model
    log.jsonl    the training's own
    sheet.jpg    what it makes of unseen heads

and data/weights/README.md is written anew from all cards. `tools.origins` is the list of the models; the directions
of the rendered heads, which are not trained, are found at the end.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from pspkit.domains import WEIGHTS
from pspkit.errors import PspkitError, check_choice
from tools.cards import store, write_overview
from tools.origins import ORIGINS

DIRECTIONS = "heads-directions"  # in W+ of the shipped encoder


def train(name: str, runs: Path) -> None:
    """Trains what a name stands for, or goes on; what it prints goes to the terminal.

    Raises:
        PspkitError: the training failed.
    """
    out = runs / name
    command = [part.format(runs=runs, weights=WEIGHTS) for part in ORIGINS[name].command]
    resume = ["--resume"] if (out / "state.pt").exists() else []
    if _pspkit(*command, "--out", str(out), *resume):
        raise PspkitError(f"{name}: its training stopped (see above). Start again to go on where it was.")


def find_directions() -> None:
    """Finds the directions of the shipped encoder.

    Raises:
        PspkitError: that failed.
    """
    if _pspkit("directions", "--out", str(WEIGHTS / f"{DIRECTIONS}.safetensors")):
        raise PspkitError(f"{DIRECTIONS}: could not be found (see above).")


def _pspkit(*arguments: str) -> int:
    """The exit code of a command of pspkit; what it prints goes to the terminal."""
    return subprocess.run([sys.executable, "-m", "pspkit", *arguments]).returncode


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tools.weights", description=__doc__.partition("\n")[0])
    choices = (*ORIGINS, DIRECTIONS)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which: {', '.join(choices)} (default: all)")
    parser.add_argument("--runs", type=Path, default=Path("runs"), metavar="DIR", help="the trainings (default: runs)")
    parser.add_argument("--snapshot", action="store_true", help="train nothing; store what the trainings have so far")
    arguments = parser.parse_args()
    for name in arguments.names:
        check_choice("NAME", name, choices)
    for name in arguments.names or choices:
        if name == DIRECTIONS:
            find_directions()
            continue
        if not arguments.snapshot:
            train(name, arguments.runs)
        store(name, arguments.runs)
        write_overview()


if __name__ == "__main__":
    try:
        main()
    except PspkitError as error:
        sys.exit(f"pspkit: {error}")
