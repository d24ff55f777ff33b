"""`animate`: faces that move."""

import argparse
from pathlib import Path

from pspkit.cli.output import check_new
from pspkit.cli.parsing import LAYERS, add_command, add_device, add_model, add_overwrite, add_people
from pspkit.errors import PspkitError
from pspkit.storage.atomic import check_kept


def add(commands: argparse._SubParsersAction) -> None:
    """Adds the command."""
    animate = add_command(
        commands,
        "animate",
        _animate,
        "make a face move, or change into others, as a GIF, WebP or MP4",
        """Draws a moving picture that ends where it begins. One PHOTO moves along a direction, there and back; several
        change one into the next and the last into the first; with a direction they do both. Photographs and codes are
        taken as `pspkit edit` takes them. MP4 needs the program ffmpeg.""",
        [
            "pspkit animate holiday.jpg --direction yaw --out turning.gif",
            "pspkit animate holiday.jpg --direction smile --step 0 1 --seconds 2 --out smile.webp",
            "pspkit animate anna.jpg berta.jpg carla.jpg --seconds 6 --out friends.gif",
            "pspkit animate data/samples/codes.safetensors:0 data/samples/codes.safetensors:3 --preview --out two.gif",
        ],
    )
    animate.add_argument("photos", nargs="+", metavar="PHOTO", help="the faces, in the order in which they appear")
    animate.add_argument("--direction", metavar="NAME", help="what changes: a name, FILE, or FILE:NAME")
    animate.add_argument(
        "--step",
        type=float,
        nargs=2,
        metavar=("A", "B"),
        help="along the direction, from A to B and back (default: -1 1)",
    )
    animate.add_argument(
        "--layers", metavar="LIST", help=f"which codes move: {LAYERS} (default: those that the direction moves)"
    )
    animate.add_argument("--seconds", type=float, default=3.0, metavar="S", help="how long it takes (default: 3)")
    animate.add_argument("--fps", type=int, default=20, metavar="N", help="frames a second, at most 50 (default: 20)")
    animate.add_argument(
        "--size", type=int, metavar="N", help="side of the frames (default: 512, or less where the decoder draws less)"
    )
    animate.add_argument(
        "--preview", action="store_true", help="draw each frame roughly, 256 px, in a fraction of the time"
    )
    animate.add_argument("--out", type=Path, required=True, metavar="FILE", help="a .gif, .webp or .mp4")
    add_overwrite(animate)
    add_model(animate, default="faces")
    add_people(animate)
    add_device(animate)


def _animate(arguments: argparse.Namespace) -> None:
    from pspkit.device import choose_device
    from pspkit.inference.animate import animate, check_animation, journey
    from pspkit.inference.codes import split_row
    from pspkit.inference.directions import load_direction
    from pspkit.inference.edit import read_people

    check_animation(arguments.out, arguments.fps, arguments.size)
    check_new(arguments.out, arguments.overwrite)
    check_kept(arguments.out, *(split_row(photo)[0] for photo in arguments.photos), arguments.model)
    if arguments.direction is None and len(arguments.photos) < 2:
        raise PspkitError("--direction: none is given, and one face alone does not move. Give one, or further faces.")
    for name in ("step", "layers"):
        if getattr(arguments, name) is not None and arguments.direction is None:
            raise PspkitError(f"--{name}: is about a direction, and there is none. Add --direction NAME.")
    people = read_people(
        arguments.photos,
        arguments.domain,
        arguments.model,
        arguments.refine,
        arguments.aligned,
        choose_device(arguments.device),
    )
    way = None
    if arguments.direction is not None:
        way = load_direction(arguments.direction, people.decoder, arguments.domain, people.remarks)
    for remark in people.remarks:
        print(remark)
    count = round(arguments.seconds * arguments.fps)
    codes = journey(people.codes, count, way, tuple(arguments.step or (-1.0, 1.0)), arguments.layers)
    animate(people.decoder, codes, arguments.out, fps=arguments.fps, side=arguments.size, preview=arguments.preview)
    print(arguments.out)
