"""How a command is described, how numbers and paths are read, and the options that several commands share."""

import argparse
import errno
import math
import os
import textwrap
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from pspkit.errors import PspkitError, check_number, in_short

TASK_NAMES = "encode, frontalize, sketch, segmentation, super_resolution, colorize, inpaint or toonify"
LAYERS = "coarse (0-2: pose and shape), middle (3-6: features), fine (7 on: colours and texture), or a list as 0-3,8"
WIDTH = 80  # columns of the narrowest terminal that the text is laid out for

# From the least to the most that an option's number may be, and its unit. Every other whole number is 0 or more; the
# fields of trainings have their limits in `pspkit.config`.
RANGES = {
    "alpha": (-2, 2, ""),
    "batch": (1, math.inf, ""),
    "count": (1, 100_000, ""),
    "minutes": (0, math.inf, ""),
    "step": (-20, 20, ""),
    "variants": (0, 1000, ""),
    "yaw": (-60, 60, "degrees"),
}

Handler = Callable[[argparse.Namespace], int | None]


def add_command(
    commands: argparse._SubParsersAction,
    name: str,
    handler: Handler,
    summary: str,
    description: str = "",
    examples: Sequence[str] = (),
) -> argparse.ArgumentParser:
    """Adds a command.

    Args:
        commands: where.
        name: what is typed.
        handler: what runs it; imports what it needs itself, so that `pspkit --help` does not wait for torch.
        summary: its line in the list of commands.
        description: what `--help` says first; the summary as a sentence unless given. Paragraphs are set apart by an
            empty line.
        examples: whole command lines.
    """
    paragraphs = (description or f"{summary[0].upper()}{summary[1:]}.").split("\n\n")
    parser = commands.add_parser(
        name,
        help=summary,
        description="\n\n".join(textwrap.fill(" ".join(text.split()), WIDTH) for text in paragraphs),
        epilog="\n  ".join(["for example:", *examples]) if examples else None,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(handler=handler, command=parser)
    for kind, read in ((int, whole_number), (float, real_number), (Path, path)):
        parser.register("type", kind, read)
    return parser


def whole_number(text: str) -> int:
    """A whole number, of at most 18 digits.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    try:
        if len(text) <= 18:
            return int(text)
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"got {in_short(text)}, needs a whole number of at most 18 digits")


def real_number(text: str) -> float:
    """A number that is finite.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    try:
        if math.isfinite(number := float(text)):
            return number
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"got {in_short(text)}, needs a finite number")


def path(text: str) -> Path:
    """A path that the file system can have.

    Raises:
        argparse.ArgumentTypeError: it is too long.
    """
    try:
        os.lstat(text)
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise argparse.ArgumentTypeError(f"{in_short(text)}: the name is too long") from error
    return Path(text)


def check_numbers(arguments: argparse.Namespace) -> None:
    """Refuses numbers out of the range of their option.

    Raises:
        PspkitError: names the option, what came and the range.
    """
    for name, value in vars(arguments).items():
        for number in value if isinstance(value, list | tuple) else [value]:
            if isinstance(number, int | float) and not isinstance(number, bool):
                low, high, unit = RANGES.get(name, (0, math.inf, ""))
                if number != high:  # infinity: the default of minutes
                    check_number(f"--{name.replace('_', '-')}", number, low, high, unit=unit)


def check_used(arguments: argparse.Namespace, used: Collection[str], why: str) -> None:
    """Refuses every option that was given and would be ignored.

    Args:
        arguments: of a command.
        used: the options that mean something, by their names in `arguments`.
        why: the others do not, such as "does not go together with --frames".

    Raises:
        PspkitError: names the option.
    """
    for name, value in vars(arguments).items():
        if name not in used and value and value != arguments.command.get_default(name):
            raise PspkitError(f"--{name.replace('_', '-')}: {why}. Leave one of them out.")


def add_group(commands: argparse._SubParsersAction, name: str, summary: str) -> argparse._SubParsersAction:
    """Adds a command that is only a heading for others, and gives where those go."""
    parser = commands.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
    return parser.add_subparsers(required=True, metavar="ACTION")


def add_model(parser: argparse.ArgumentParser, default: str = "heads") -> None:
    kinds = {"heads": "rendered ones", "faces": "photographs"}
    named = " or ".join(f"{name} ({kind}{', default' if name == default else ''})" for name, kind in kinds.items())
    parser.add_argument("--domain", default=default, help=f"{named}: whose model is used")
    parser.add_argument(
        "--model",
        type=Path,
        metavar="DIR",
        help="a model of your own, such as a training's folder (default: the domain's)",
    )


def add_task(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--task", default="encode", help="what the model was trained for (default: encode)")


def add_people(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--refine",
        type=int,
        metavar="N",
        help="N steps of optimisation after the encoder, nearer and slower (default: 20 for faces, else 0)",
    )
    parser.add_argument("--aligned", action="store_true", help="take pictures as they are: look for no faces in them")


def add_picture(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the picture to write, a .png")
    add_save_codes(parser, "FILE.safetensors beside FILE.png")
    add_overwrite(parser)


def add_save_codes(parser: argparse.ArgumentParser, where: str) -> None:
    parser.add_argument("--save-codes", action="store_true", help=f"keep the codes too, {where}")


def add_overwrite(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--overwrite", action="store_true", help="replace results that are there")


def add_batch(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--batch", type=int, default=8, metavar="N", help="pictures at once; fewer where memory is short (default: 8)"
    )


def add_device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--device", metavar="NAME", help="such as cpu, cuda or mps (default: PSPKIT_DEVICE, else the best there is)"
    )
