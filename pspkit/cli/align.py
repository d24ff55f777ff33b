"""`align`: faces out of photographs, as every network of faces needs them."""

import argparse
from pathlib import Path

from pspkit.cli.output import report
from pspkit.cli.parsing import add_command, add_overwrite


def add(commands: argparse._SubParsersAction) -> None:
    """Adds the command."""
    align = add_command(
        commands,
        "align",
        _align,
        "cut the faces out of photographs, upright and centred",
        """Finds the faces in photographs and writes each to DIR as a square picture, turned upright, cut and scaled as
        FFHQ's faces are: photos/a.jpg becomes DIR/a.png; if it shows more than one face, the smaller ones become
        DIR/a-2.png, DIR/a-3.png and so on. --show writes DIR/a-faces.png as well, the photograph with a numbered frame
        around each face. A picture without a face is left out, with the likely reason.

        Models of faces work on aligned pictures only. A picture whose DIR/a.png is there already is left alone.

        Exit code: 0 all done, 1 nothing could be done, 3 some pictures were left out.""",
        ["pspkit align holiday.jpg --out faces", "pspkit align group.jpg --show --size 1024 --out faces"],
    )
    align.add_argument("files", nargs="+", type=Path, metavar="PICTURE", help="photographs, and folders of them")
    align.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the aligned pictures go")
    align.add_argument("--size", type=int, default=512, metavar="PX", help="side of each (default: 512)")
    align.add_argument("--show", action="store_true", help="also the photograph with its faces framed and numbered")
    add_overwrite(align)


def _align(arguments: argparse.Namespace) -> int:
    from pspkit.inference.align import align_files

    summary = align_files(
        arguments.files, arguments.out, size=arguments.size, show=arguments.show, overwrite=arguments.overwrite
    )
    return report(summary, arguments.out)
