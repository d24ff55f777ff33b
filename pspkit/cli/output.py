"""What the commands print and write at their end."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from pspkit.errors import PspkitError

if TYPE_CHECKING:
    from torch import Tensor

    from pspkit.inference import Summary
    from pspkit.models.registry import AnyDecoder

SOME_LEFT_OUT = 3  # the exit code where some inputs are done and others could not be


def report(summary: "Summary", out: Path) -> int:
    """Prints what became of every input, and gives the exit code."""
    print(f"{summary} to {out}")
    if not summary.failed:
        return 0
    return SOME_LEFT_OUT if summary.written or summary.existing else 1


def check_free(arguments: argparse.Namespace) -> None:
    """Refuses, before anything is computed, an --out that no picture can be written to."""
    if arguments.out.suffix.lower() != ".png":
        raise PspkitError(f"--out: got {arguments.out}, needs a name that ends in .png.")
    for path in (arguments.out, arguments.out.with_suffix(".safetensors"))[: 1 + arguments.save_codes]:
        if path.exists() and not arguments.overwrite:
            raise PspkitError(f"{path}: is there already. Name another file, or replace it with --overwrite.")


def write_result(arguments: argparse.Namespace, decoder: "AnyDecoder", shown: "Tensor", codes: "Tensor") -> None:
    """Writes the pictures of some codes side by side to --out; with --save-codes, codes beside it."""
    from pspkit.data.pictures import save_picture
    from pspkit.inference import draw
    from pspkit.storage.checkpoints import save_codes

    save_picture(arguments.out, draw(decoder, shown))
    print(arguments.out)
    if arguments.save_codes:
        path = arguments.out.with_suffix(".safetensors")
        save_codes(path, codes, "w_plus")
        print(path)
