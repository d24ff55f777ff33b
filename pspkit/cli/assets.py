"""`assets`: the pretrained weights that can be fetched."""

import argparse

from pspkit.cli.parsing import add_command, add_group


def add(commands: argparse._SubParsersAction) -> None:
    """Adds the command."""
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


def _assets_list(arguments: argparse.Namespace) -> None:
    from pspkit.storage.asset_table import ASSETS
    from pspkit.storage.assets import is_cached

    rows = [("name", "cached", "MB", "purpose", "licence")]
    for name, asset in ASSETS.items():
        cached = "yes" if is_cached(name) else "no"
        rows.append((name, cached, f"{asset.size_mb:.1f}", asset.purpose, asset.licence + " †" * asset.restricted))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    print("† not for commercial use; data/README.md says more")


def _assets_get(arguments: argparse.Namespace) -> None:
    from pspkit.storage.assets import fetch

    print(fetch(arguments.name))
