"""`labels`: label maps of others, converted, merged and looked at."""

import argparse
from pathlib import Path

from pspkit.cli.output import report
from pspkit.cli.parsing import add_command, add_overwrite
from pspkit.storage.atomic import check_kept

SHOWN = 8  # maps in the preview


def add(commands: argparse._SubParsersAction) -> None:
    """Adds the command."""
    labels = add_command(
        commands,
        "labels",
        _labels,
        "convert label maps of others, and show them with their legend",
        """Writes label maps to DIR as every task reads them: one class number of CelebAMask-HQ per pixel, in a PNG
        that other programs show in colour. It takes maps of numbers, maps in the colours of CelebAMask-HQ or of face
        parsers, and one mask for each part of a face (00000_skin.png, 00000_hair.png and so on, white where the part
        is), which become one map, 00000.png.

        Numbers alone do not say whose order they are in: give --label-order parser for the maps of a face parser, and
        look at the preview.

        Exit code: 0 all done, 1 nothing could be done, 3 some files were left out.""",
        [
            "pspkit labels CelebAMask-HQ-mask-anno --out maps --preview maps.png",
            "pspkit labels parsed --label-order parser --out maps",
        ],
    )
    labels.add_argument("files", nargs="+", type=Path, metavar="FILE", help="label maps or masks, and folders of them")
    labels.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the converted maps go")
    labels.add_argument(
        "--label-order",
        default="celebamask",
        metavar="NAME",
        help="whose numbers they are: celebamask (default), or parser, those of most face parsers",
    )
    labels.add_argument(
        "--preview", type=Path, metavar="FILE", help="where to draw the first eight with their legend, such as maps.png"
    )
    add_overwrite(labels)


def _labels(arguments: argparse.Namespace) -> int:
    from pspkit.data.pictures import open_picture, save_picture
    from pspkit.data.tasks import get_task
    from pspkit.inference.label_files import convert_labels

    if arguments.preview:
        check_kept(arguments.preview, *arguments.files)
    summary = convert_labels(arguments.files, arguments.out, order=arguments.label_order, overwrite=arguments.overwrite)
    if arguments.preview and summary.written:
        import torch

        task = get_task("segmentation")
        sources = torch.stack(
            [task.inference_source(open_picture(file, "labels"), 256) for file in summary.written[:SHOWN]]
        )
        save_picture(arguments.preview, torch.cat([task.show_source(sources), task.legend(sources, 256)[None]]))
        print(arguments.preview)
    return report(summary, arguments.out)
