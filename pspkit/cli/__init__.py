"""The command `pspkit`: inspect weights, align pictures, train, translate, edit, evaluate, export, run the course."""

import argparse
import os
import re
import sys
from collections.abc import Sequence

from pspkit import PspkitError, __version__
from pspkit.cli import (
    align,
    animate,
    assets,
    course,
    decode,
    directions,
    doctor,
    edit,
    evaluate,
    export,
    inspect,
    labels,
    mix,
    pairs,
    plugins,
    project,
    render,
    train,
    train_decoder,
    train_identity,
    translate,
)
from pspkit.cli.parsing import check_numbers
from pspkit.errors import UnregisteredError, check_name, shown

COMMANDS = (
    *(inspect, assets, render, pairs, labels, align, train, train_decoder, train_identity, directions),
    *(translate, mix, edit, animate, project, decode, evaluate, export, course, doctor),
)
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
    os.environ.update(HUGE_PAGES | os.environ)
    arguments = argparse.Namespace()
    try:
        argv = sys.argv[1:] if argv is None else argv
        for argument in argv:
            check_name(argument)
        arguments = _parser().parse_args(plugins.load_all(argv))
        check_numbers(arguments)
        return arguments.handler(arguments) or 0
    except PspkitError as error:
        print(f"pspkit: {_as_option(error, arguments)}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # of what it prints, as in `pspkit assets list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        where = error.filename or "a file"
        print(f"pspkit: {shown(where)}: cannot be used ({error.strerror}). Check the path.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _as_option(error: PspkitError, arguments: argparse.Namespace) -> str:
    """An error's text in the words of the command line: an argument that is an option is named as one.

    "batch: got 0" becomes "--batch: got 0", and "with on_bad_image='skip'" becomes "with --on-bad-image skip".
    """
    options = {*vars(arguments), "plugin"}

    def option(name: str) -> str:
        return f"--{name.replace('_', '-')}"

    def assigned(found: re.Match) -> str:
        return f"{option(found['name'])} {found['value']}" if found["name"] in options else found[0]

    name, colon, text = str(error).partition(":")
    message = f"{option(name)}{colon}{text}" if name in options else str(error)
    message = re.sub(r"\b(?P<name>[a-z]\w*)='(?P<value>[^']*)'", assigned, message)
    return f"{message} On the command line: --plugin MODULE." if isinstance(error, UnregisteredError) else message


class _PrintCompletion(argparse.Action):
    """As `shtab.add_argument_to`, but imports shtab only where it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: object, values: str, option: str | None = None):
        import shtab

        print(shtab.complete(parser, values))
        parser.exit()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="pspkit", description=__doc__)
    parser.add_argument("--version", action="version", version=f"pspkit {__version__}")
    parser.add_argument(
        "--print-completion",
        action=_PrintCompletion,
        choices=("bash", "zsh", "tcsh", "fish", "powershell"),
        help="print what lets this shell complete pspkit's commands and options",
    )
    plugins.add(parser)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add(commands)
    return parser
