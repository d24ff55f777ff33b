"""Weights: `inspect` and `assets`."""

import argparse
from pathlib import Path

from pspkit.cli.parsing import add_command, add_group


def add(commands: argparse._SubParsersAction) -> None:
    """Adds the commands."""
    inspect = add_command(
        commands,
        "inspect",
        _inspect,
        "say what a weights file is, what it holds and whether it will load",
        """Says what a weights file is, what it holds, and by which call it will load. Nothing that the file brings is
        run. The exit code is 1 where it will not load.""",
        ["pspkit inspect psp_ffhq_encode.pt", "pspkit inspect runs/sketch/best"],
    )
    inspect.add_argument(
        "file", type=Path, metavar="FILE", help="a file of pspkit or of the reference, or a folder of save_pretrained"
    )

    actions = add_group(commands, "assets", "the pretrained weights the project can fetch")
    add_command(actions, "list", _assets_list, "what there is, under which licence")
    get = add_command(
        actions,
        "get",
        _assets_get,
        "fetch one into the cache",
        """Fetches one of the files that `pspkit assets list` names into the cache, checks it against its SHA-256, and
        prints where it lies. What is there already is not fetched again.""",
        ["pspkit assets get mobile-stylegan"],
    )
    get.add_argument("name", metavar="NAME", help="as `pspkit assets list` gives it")


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
