"""How a command is described, the same for all of them."""

import argparse
import textwrap
from collections.abc import Callable, Sequence

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
