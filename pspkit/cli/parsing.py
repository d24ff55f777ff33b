"""How a command is described, and the options that several commands share."""

import argparse
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path

TASK_NAMES = "encode, frontalize, sketch, segmentation, super_resolution, colorize, inpaint or toonify"
LAYERS = "coarse (0-2: pose and shape), middle (3-6: features), fine (7 on: colours and texture), or a list as 0-3,8"
WIDTH = 80  # columns of the narrowest terminal that the text is laid out for

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
    parser.set_defaults(handler=handler)
    return parser


def add_group(commands: argparse._SubParsersAction, name: str, summary: str) -> argparse._SubParsersAction:
    """Adds a command that is only a heading for others, and gives where those go."""
    parser = commands.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
    return parser.add_subparsers(required=True, metavar="ACTION")


def add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--domain", default="heads", help="heads (rendered ones, default) or faces (photographs): whose model is used"
    )
    parser.add_argument(
        "--model",
        type=Path,
        metavar="DIR",
        help="a model of your own, such as a training's folder (default: the domain's)",
    )


def add_task(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--task", default="encode", help="what the model was trained for (default: encode)")


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
