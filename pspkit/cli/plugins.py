"""`--plugin`: modules of one's own, imported before anything else, so that what they register can be named."""

import argparse
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path

from pspkit.errors import PspkitError


def add(parser: argparse.ArgumentParser) -> None:
    """Adds the option, which stands before the command or anywhere behind it."""
    parser.add_argument(
        "--plugin",
        action="append",
        default=[],
        metavar="MODULE",
        help="a module of your own, as a file or by its name, that registers encoders, decoders, losses, tasks or"
        " domains; anywhere in the line, repeatable",
    )


def load_all(argv: Sequence[str]) -> list[str]:
    """Imports every module that an argument list names by `--plugin`.

    Args:
        argv: the arguments of the process.

    Returns:
        The other arguments.

    Raises:
        PspkitError: there is no such module, or it fails.
    """
    parser = argparse.ArgumentParser(prog="pspkit", add_help=False, allow_abbrev=False)
    add(parser)
    known, others = parser.parse_known_args(argv)
    for module in known.plugin:
        load(module)
    return others


def load(module: str) -> None:
    """Imports a module by the path of its file, whose folder joins `sys.path`, or by its name.

    Raises:
        PspkitError: there is no such module, it fails, or its name is that of another module.
    """
    path = Path(module)
    if path.suffix == ".py":
        if not path.is_file():
            raise PspkitError(f"plugin: {path}: no such file.")
        module = path.stem
        there = importlib.util.find_spec(module)
        if there and Path(there.origin or "").resolve() != path.resolve():
            raise PspkitError(f"plugin: {path}: there is a module {module} already, {there.origin}. Rename the file.")
        sys.path.insert(0, str(path.resolve().parent))  # processes that read pictures import it there too
    try:
        importlib.import_module(module)
    except PspkitError:
        raise
    except Exception as error:  # whatever a module does while it is imported
        raise PspkitError(f"plugin: {module}: cannot be imported ({type(error).__name__}: {error}).") from error
