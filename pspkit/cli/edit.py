"""`edit`: one thing about a face changed."""

import argparse

from pspkit.cli.output import check_free, write_picture
from pspkit.cli.parsing import LAYERS, add_command, add_device, add_model, add_people, add_picture
from pspkit.errors import PspkitError


def add(commands: argparse._SubParsersAction) -> None:
    """Adds the command."""
    edit = add_command(
        commands,
        "edit",
        _edit,
        "change one thing about a face: its smile, its age, where it looks",
        """Brings the face in PHOTO to codes, moves them along a direction, and draws the result. Where the photograph
        is not aligned, its largest face is cut out first. PHOTO may also be a file of codes, for which no encoder is
        needed; where it holds several, add the row, as in codes.safetensors:3.

        Directions of photographs: yaw, pitch, smile, mouth, eyes, glasses, age, hair-length, hair-colour and light, as
        far as they passed their test; `pspkit directions` finds them anew. A file of anybody's directions will do as
        well: tensors of one code, or of as many codes as the decoder takes.""",
        [
            "pspkit edit holiday.jpg --direction smile --out smiling.png",
            "pspkit edit holiday.jpg --direction glasses --paste --out holiday_with_glasses.png",
            "pspkit edit holiday.jpg --direction age --step -1 --side-by-side --out younger.png",
            "pspkit edit data/samples/codes.safetensors:2 --direction yaw --step 0.5 --out turned.png",
            "pspkit edit holiday.jpg --direction theirs.pt:beard --step 3 --layers 4-7 --out bearded.png",
        ],
    )
    edit.add_argument("photo", metavar="PHOTO", help="the face")
    edit.add_argument("--direction", required=True, metavar="NAME", help="what changes: a name, FILE, or FILE:NAME")
    edit.add_argument(
        "--step",
        type=float,
        default=1.0,
        metavar="X",
        help="how far: 1 (default) is a whole step, 0 none, negative ones lead the other way",
    )
    edit.add_argument(
        "--layers", metavar="LIST", help=f"which codes move: {LAYERS} (default: those that the direction moves)"
    )
    edit.add_argument(
        "--paste", action="store_true", help="put what has changed back into the photograph, and leave the rest of it"
    )
    edit.add_argument("--side-by-side", action="store_true", help="the face before and after in one picture")
    add_model(edit, default="faces")
    add_people(edit)
    add_picture(edit)
    add_device(edit)


def _edit(arguments: argparse.Namespace) -> None:
    import torch

    from pspkit.device import choose_device
    from pspkit.inference import draw
    from pspkit.inference.codes import split_row
    from pspkit.inference.directions import load_direction, split_direction
    from pspkit.inference.edit import move, read_people
    from pspkit.inference.paste import Paster

    way_file, _ = split_direction(arguments.direction)
    check_free(arguments, split_row(arguments.photo)[0], arguments.model, way_file)
    if arguments.paste and arguments.side_by_side:
        raise PspkitError("--paste: --side-by-side has no place for a whole photograph. Leave one of them out.")
    people = read_people(
        [arguments.photo],
        arguments.domain,
        arguments.model,
        arguments.refine,
        arguments.aligned,
        choose_device(arguments.device),
    )
    (placement,) = people.placements
    if arguments.paste and placement is None:
        raise PspkitError(f"--paste: {arguments.photo} is no photograph of a face. Leave it out.")
    way = load_direction(arguments.direction, people.decoder, arguments.domain, people.remarks)
    moved = move(people.codes, way, arguments.step, arguments.layers)
    for remark in people.remarks:
        print(remark)
    both = arguments.paste or arguments.side_by_side
    shown = draw(people.decoder, torch.cat([people.codes, moved]) if both else moved)
    if arguments.paste:
        before, after = shown
        shown = Paster()(placement, after, before=before) / 127.5 - 1
    write_picture(arguments, shown, moved)
