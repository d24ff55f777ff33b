"""`project`: the codes of a picture, by optimisation."""

import argparse
from pathlib import Path

from pspkit.cli.output import check_free, one_face, write_result
from pspkit.cli.parsing import add_command, add_device, add_model, add_picture


def add(commands: argparse._SubParsersAction) -> None:
    """Adds the command."""
    project = add_command(
        commands,
        "project",
        _project,
        "find the codes of a picture by optimisation",
        """Searches the codes that draw PICTURE best, step by step: slower than an encoder, and nearer. It
        starts from the encoder's codes where there is a trained encoder, else from the average face, and prints the
        mean squared error before and after. Every step draws the picture and goes back through it; a large decoder
        without a preview needs a GPU for that.""",
        ["pspkit project anna.png --save-codes --out projected.png"],
    )
    project.add_argument("file", type=Path, metavar="PICTURE", help="what is to be found")
    project.add_argument("--steps", type=int, default=500, metavar="N", help="how many steps (default: 500)")
    project.add_argument(
        "--start", metavar="CODES", help="a file of codes to start from in their place; FILE:3 is row 3 of several"
    )
    add_model(project)
    add_picture(project)
    add_device(project)


def _project(arguments: argparse.Namespace) -> None:
    from pspkit.device import choose_device
    from pspkit.inference import find_parts, project_file
    from pspkit.inference.codes import split_row

    start = arguments.start and split_row(arguments.start)[0]
    check_free(arguments, arguments.file, start, arguments.model)
    psp, decoder = find_parts(arguments.domain, "encode", arguments.model)
    (psp or decoder).to(choose_device(arguments.device))
    begin = one_face(decoder, arguments.start) if arguments.start else None
    found = project_file(decoder, arguments.file, arguments.steps, psp, begin)
    start = arguments.start or ("the encoder's codes" if psp else "the average face")
    print(f"mean squared error: {found.start_error:.4f} of {start}, {found.error:.4f} after {arguments.steps} steps")
    write_result(arguments, decoder, found.codes, found.codes)
