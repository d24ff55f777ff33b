"""The command `pspkit`: look into a weights file, fetch assets, run and render the course."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from pspkit import PspkitError, __version__

# The handlers import what they need themselves, so that `pspkit --help` does not wait for torch.


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
        argv: the arguments; those of the process when None.

    Returns:
        The exit code: 0, or 1 where something given cannot be used, or 130 after an interrupt.
    """
    arguments = _parser().parse_args(argv)
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

    inspect = commands.add_parser("inspect", help="say what a weights file is, what it holds and whether it will load")
    inspect.add_argument("file", type=Path, metavar="FILE")
    inspect.set_defaults(handler=_inspect)

    assets = commands.add_parser("assets", help="the pretrained weights the project can fetch")
    actions = assets.add_subparsers(required=True, metavar="ACTION")
    actions.add_parser("list", help="what there is, under which licence").set_defaults(handler=_assets_list)
    get = actions.add_parser("get", help="fetch one into the cache")
    get.add_argument("name", metavar="NAME")
    get.set_defaults(handler=_assets_get)

    course = commands.add_parser("course", help="the notebooks")
    actions = course.add_subparsers(required=True, metavar="ACTION")
    run = actions.add_parser("run", help="run the notebooks in order and render them")
    run.add_argument("--only", action="append", default=[], metavar="NN", help="only this notebook; repeatable")
    run.add_argument("--in-place", action="store_true", help="write the outputs into the notebooks; render nothing")
    run.set_defaults(handler=_course_run)
    actions.add_parser("site", help="render the notebooks as they are").set_defaults(handler=_course_site)
    return parser


def _inspect(arguments: argparse.Namespace) -> int:
    from pspkit.psp import inspect_checkpoint

    report = inspect_checkpoint(arguments.file)
    print(report)
    return 0 if report.loads else 1


def _assets_list(arguments: argparse.Namespace) -> None:
    from pspkit.assets import ASSETS, is_cached

    rows = [("name", "cached", "MB", "purpose", "licence")]
    for name, asset in ASSETS.items():
        cached = "yes" if is_cached(name) else "no"
        rows.append((name, cached, f"{asset.size_mb:.1f}", asset.purpose, asset.licence + " †" * asset.restricted))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    print("† not for commercial use; data/README.md says more")


def _assets_get(arguments: argparse.Namespace) -> None:
    from pspkit.assets import fetch

    print(fetch(arguments.name))


def _course_run(arguments: argparse.Namespace) -> None:
    from pspkit.course import run

    run(only=arguments.only, in_place=arguments.in_place)


def _course_site(arguments: argparse.Namespace) -> None:
    from pspkit.course import site

    site()
