"""`render`: heads with their truth, into a folder."""

import argparse
from pathlib import Path

from pspkit.cli.parsing import add_command


def add(commands: argparse._SubParsersAction) -> None:
    """Adds the command."""
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
    render.add_argument("--overwrite", action="store_true", help="write into DIR even if it holds something")


def _render(arguments: argparse.Namespace) -> None:
    from pspkit.data.heads import export, sample_factors
    from pspkit.errors import PspkitError

    if not arguments.overwrite and arguments.out.is_dir() and any(arguments.out.iterdir()):
        raise PspkitError(f"{arguments.out}: holds something already. Name another folder, or add --overwrite.")
    factors = sample_factors(arguments.count, arguments.seed, views=arguments.count if arguments.same_identity else 1)
    if arguments.yaw is not None:
        factors = factors.replace(yaw=arguments.yaw)
    export(factors, arguments.size, arguments.out, look=arguments.look)
    print(arguments.out)
