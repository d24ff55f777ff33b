"""The command `pspkit`: look into weights, render heads, check pictures, train, translate, run the course."""

import argparse
import os
import sys
from collections.abc import Sequence

from pspkit import PspkitError, __version__
from pspkit.cli import course, inference, pictures, training, weights

# Memory for a map of 1024 px costs as much as the arithmetic on it; less in huge pages. Torch reads this once.
HUGE_PAGES = {"THP_MEM_ALLOC_ENABLE": "1"}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
        argv: the arguments; those of the process when None.

    Returns:
        The exit code: 0, or 1 where something given cannot be used, or 3 where that is so for some inputs of several
        and the others are done, or 130 after an interrupt.
    """
    arguments = _parser().parse_args(argv)
    os.environ.update(HUGE_PAGES | os.environ)
    try:
        return arguments.handler(arguments) or 0
    except PspkitError as error:
        print(f"pspkit: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="pspkit", description=__doc__)
    parser.add_argument("--version", action="version", version=f"pspkit {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for group in (weights, pictures, training, inference, course):
        group.add(commands)
    return parser
