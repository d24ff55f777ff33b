"""`pairs`: a check of one's own folders, and a sheet of what a task makes of them."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from pspkit.cli.output import plain_warnings
from pspkit.cli.parsing import add_command
from pspkit.storage.atomic import check_kept

if TYPE_CHECKING:
    from torch import Tensor

    from pspkit.data.folders import FolderPairs

SHOWN = 8  # pairs in the sheet


def add(commands: argparse._SubParsersAction) -> None:
    """Adds the command."""
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
    pairs.add_argument(
        "--from-photograph",
        action="store_true",
        help="DIR holds aligned photographs of faces; make sketches or label maps of them",
    )
    pairs.add_argument("--size", type=int, default=256, metavar="PX", help="side of the pairs (default: 256)")
    pairs.add_argument(
        "--fit", metavar="HOW", help="how pictures become square: pad, crop or stretch (default: stretch)"
    )
    pairs.add_argument("--on-bad-image", default="stop", help="stop (default), or skip what cannot be used")
    pairs.add_argument(
        "--out", type=Path, metavar="FILE", help="where to draw the first eight pairs, such as pairs.png"
    )


def _pairs(arguments: argparse.Namespace) -> None:
    from pspkit.data.folders import FolderPairs
    from pspkit.data.pictures import save_picture

    if arguments.out:
        check_kept(arguments.out, arguments.source, arguments.target)
    with plain_warnings():
        pairs = FolderPairs(
            arguments.source,
            arguments.target,
            task=arguments.task,
            size=arguments.size,
            training=False,
            from_photograph=arguments.from_photograph,
            on_bad_image=arguments.on_bad_image,
            fit=arguments.fit,
        )
    print(f"{len(pairs)} pairs for {arguments.task}")
    if arguments.out:
        save_picture(arguments.out, _sheet(pairs))
        print(arguments.out)


def _sheet(pairs: "FolderPairs") -> "Tensor":
    """The first pairs, one beside the other: (3, H, W), above what the model sees, below what it is to answer."""
    import torch
    import torch.nn.functional as F
    from torchvision.utils import make_grid

    shown = min(SHOWN, len(pairs))
    sources, targets = map(torch.stack, zip(*(pairs[index] for index in range(shown)), strict=True))
    above = pairs.task.show_source(sources)
    if pairs.task.legend:
        larger = -(-256 // pairs.size)  # a legend can be read from 256 px on
        above, targets = (F.interpolate(images, scale_factor=larger) for images in (above, targets))
        above = torch.cat([above, pairs.task.legend(sources, above.shape[-1])[None]])
        targets, shown = torch.cat([targets, torch.ones_like(targets[:1])]), shown + 1
    return make_grid(torch.cat([above, targets]), nrow=shown, pad_value=1)
