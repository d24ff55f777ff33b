"""Pictures: `render` makes some, `pairs` checks one's own."""

import argparse
import sys
import warnings
from pathlib import Path

from pspkit.cli.parsing import add_command
from pspkit.errors import PspkitError


def add(commands: argparse._SubParsersAction) -> None:
    """Adds the commands."""
    render = add_command(
        commands,
        "render",
        _render,
        "render heads with their labels, sketches and factors into a folder",
        """Renders heads into DIR: images/, labels/ (class numbers of CelebAMask-HQ), sketches/, and factors.json with
        what each head was drawn from. The same seed gives the same heads.""",
        ["pspkit render --count 8 --out heads", "pspkit render --same-identity --yaw -40 --out one_person"],
    )
    render.add_argument("--seed", type=int, default=0, metavar="S", help="what the factors are drawn from (default: 0)")
    render.add_argument("--count", type=int, default=16, metavar="N", help="how many heads (default: 16)")
    render.add_argument("--size", type=int, default=128, metavar="PX", help="side: 64, 128 or 256 (default: 128)")
    render.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the files go")
    render.add_argument("--look", default="plain", help="plain or toon (default: plain)")
    render.add_argument(
        "--yaw", type=float, metavar="DEG", help="turn all heads alike: -60 to 60, positive to the right"
    )
    render.add_argument("--same-identity", action="store_true", help="one person in N scenes")

    pairs = add_command(
        commands,
        "pairs",
        _pairs,
        "check folders of your own for a task, and draw what it would be shown",
        """Reads every picture of your folders as a training would, and names those that cannot be used. With --out it
        draws the first pairs: what the model sees, and what it is to answer.""",
        [
            "pspkit pairs --task encode --source photos",
            "pspkit pairs --task sketch --source drawings --target photos --out pairs.png",
        ],
    )
    pairs.add_argument("--task", required=True, help="such as encode, sketch or segmentation; notebook 06 has them all")
    pairs.add_argument("--source", type=Path, required=True, metavar="DIR", help="pictures, sketches or label maps")
    pairs.add_argument("--target", type=Path, metavar="DIR", help="the pictures that belong to sketches or label maps")
    pairs.add_argument("--size", type=int, default=256, metavar="PX", help="side of the pairs (default: 256)")
    pairs.add_argument("--on-bad-image", default="stop", help="stop (default), or skip what cannot be used")
    pairs.add_argument(
        "--out", type=Path, metavar="FILE", help="where to draw the first eight pairs, such as pairs.png"
    )


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
