"""What the commands print and write at their end."""

import argparse
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pspkit.errors import PspkitError
from pspkit.storage.atomic import check_kept

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


@contextmanager
def plain_warnings() -> Iterator[None]:
    """Within it a warning is printed as its text alone, without the line of code that gave it, and once."""
    said = set()

    def say(message: Warning | str, *_: object) -> None:
        if str(message) not in said:
            said.add(str(message))
            print(message, file=sys.stderr)

    with warnings.catch_warnings():
        warnings.showwarning = say
        yield


def one_face(decoder: "AnyDecoder", file: str) -> "Tensor":
    """The codes of the one face in a file, (1, n_styles, style_dim); prints what a user should know about them."""
    from pspkit.inference.codes import load_face

    remarks: list[str] = []
    codes = load_face(decoder, file, remarks)
    for remark in remarks:
        print(f"note: {remark}: {file}")
    return codes


def check_new(path: Path, overwrite: bool) -> None:
    """Refuses a file that is there already, unless it may be replaced.

    Raises:
        PspkitError: names the file.
    """
    if path.exists() and not overwrite:
        raise PspkitError(f"{path}: is there already. Name another file, or replace it with --overwrite.")


def check_free(arguments: argparse.Namespace, *inputs: Path | str | None) -> None:
    """Refuses, before anything is computed, an --out that no picture can be written to.

    Args:
        arguments: of the command.
        inputs: as `check_kept`.
    """
    if arguments.out.suffix.lower() != ".png":
        raise PspkitError(f"--out: got {arguments.out}, needs a name that ends in .png.")
    for path in (arguments.out, arguments.out.with_suffix(".safetensors"))[: 1 + arguments.save_codes]:
        check_new(path, arguments.overwrite)
        check_kept(path, *inputs)


def write_result(arguments: argparse.Namespace, decoder: "AnyDecoder", shown: "Tensor", codes: "Tensor") -> None:
    """Writes the pictures of some codes side by side to --out; with --save-codes, codes beside it."""
    from pspkit.inference import draw

    write_picture(arguments, draw(decoder, shown), codes)


def write_picture(arguments: argparse.Namespace, picture: "Tensor", codes: "Tensor") -> None:
    """Writes a picture to --out; with --save-codes, codes beside it."""
    from pspkit.data.pictures import save_picture
    from pspkit.storage.checkpoints import save_codes

    save_picture(arguments.out, picture)
    print(arguments.out)
    if arguments.save_codes:
        path = arguments.out.with_suffix(".safetensors")
        save_codes(path, codes, "w_plus")
        print(path)
