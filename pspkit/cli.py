"""The command `pspkit`: look into weights, fetch assets, render heads, check folders of pictures, run the course."""

import argparse
import sys
import warnings
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

    render = commands.add_parser("render", help="render heads with their labels, sketches and factors into a folder")
    render.add_argument("--seed", type=int, default=0, metavar="S", help="what the factors are drawn from (default: 0)")
    render.add_argument("--count", type=int, default=16, metavar="N", help="how many heads (default: 16)")
    render.add_argument("--size", type=int, default=128, metavar="PX", help="side: 64, 128 or 256 (default: 128)")
    render.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the files go")
    render.add_argument("--look", default="plain", help="plain or toon (default: plain)")
    render.add_argument(
        "--yaw", type=float, metavar="DEG", help="turn all heads alike: -60 to 60, positive to the right"
    )
    render.add_argument("--same-identity", action="store_true", help="one person in N scenes")
    render.set_defaults(handler=_render)

    pairs = commands.add_parser("pairs", help="check folders of your own for a task, and draw what it would be shown")
    pairs.add_argument("--task", required=True, help="such as encode, sketch or segmentation; notebook 06 has them all")
    pairs.add_argument("--source", type=Path, required=True, metavar="DIR", help="pictures, sketches or label maps")
    pairs.add_argument("--target", type=Path, metavar="DIR", help="the pictures that belong to sketches or label maps")
    pairs.add_argument("--size", type=int, default=256, metavar="PX", help="side of the pairs (default: 256)")
    pairs.add_argument("--on-bad-image", default="stop", help="stop (default), or skip what cannot be used")
    pairs.add_argument(
        "--out", type=Path, metavar="FILE", help="where to draw the first eight pairs, such as pairs.png"
    )
    pairs.set_defaults(handler=_pairs)

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


def _render(arguments: argparse.Namespace) -> None:
    from pspkit.heads import export, sample_factors

    if arguments.count < 1:
        raise PspkitError(f"--count: got {arguments.count}, needs at least 1.")
    factors = sample_factors(arguments.count, arguments.seed, views=arguments.count if arguments.same_identity else 1)
    if arguments.yaw is not None:
        if not -60 <= arguments.yaw <= 60:
            raise PspkitError(f"--yaw: got {arguments.yaw:g}, needs -60 to 60 degrees.")
        factors = factors.replace(yaw=arguments.yaw)
    export(factors, arguments.size, arguments.out, look=arguments.look)
    print(arguments.out)


def _pairs(arguments: argparse.Namespace) -> None:
    from pspkit.folders import FolderPairs

    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_: print(message, file=sys.stderr)  # what is skipped, without its line
        pairs = FolderPairs(
            arguments.source,
            arguments.target,
            task=arguments.task,
            size=arguments.size,
            training=False,
            on_bad_image=arguments.on_bad_image,
        )
    print(f"{len(pairs)} pairs for {arguments.task}")
    if arguments.out:
        from pspkit.show import photos

        sources, targets = zip(*(pairs[index] for index in range(min(8, len(pairs)))), strict=True)
        shown = [pairs.task.show_source(source[None])[0] for source in sources]
        photos([*shown, *targets], columns=len(shown), rows=("source", "target")).savefig(arguments.out, dpi=110)
        print(arguments.out)


def _course_run(arguments: argparse.Namespace) -> None:
    from pspkit.course import run

    run(only=arguments.only, in_place=arguments.in_place)


def _course_site(arguments: argparse.Namespace) -> None:
    from pspkit.course import site

    site()
