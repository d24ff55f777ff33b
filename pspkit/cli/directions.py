"""`directions`: what moves one thing about a face, found for rendered heads or for photographs."""

import argparse
from pathlib import Path

from pspkit.cli.parsing import add_command
from pspkit.errors import PspkitError
from pspkit.storage.atomic import check_kept

COUNTS = {"heads": 128, "faces": 1000}


def add(commands: argparse._SubParsersAction) -> None:
    """Adds the command."""
    directions = add_command(
        commands,
        "directions",
        _directions,
        "find the directions in W+ that change one thing about a face",
        """Finds one direction for each thing that can be told about a face, and writes them into FILE.

        Rendered heads come in pairs that differ in one thing, such as the smile; the direction is the mean way between
        their codes. For photographs (--domain faces) faces are drawn and measured, and a linear map is fitted from
        their codes to what was measured. Every direction is then held against random ones; those that are not better
        are not written. On two cores that takes about half an hour; --measured keeps what was measured, for the
        next time.""",
        [
            "pspkit directions --out directions.safetensors",
            "pspkit directions --model runs/mine --out mine.safetensors",
            "pspkit directions --domain faces --measured measured.safetensors --sheets sheets --out faces.safetensors",
        ],
    )
    directions.add_argument("--out", type=Path, required=True, metavar="FILE", help="where they go")
    directions.add_argument("--domain", default="heads", help="heads (rendered ones, default) or faces (photographs)")
    directions.add_argument(
        "--model", type=Path, metavar="DIR", help="heads: a trained pSp of heads (default: the shipped one)"
    )
    directions.add_argument(
        "--count", type=int, metavar="N", help="pairs of heads (default: 128), or faces to draw (default: 1000)"
    )
    directions.add_argument("--seed", type=int, default=0, metavar="S", help="of what is drawn (default: 0)")
    directions.add_argument(
        "--measured", type=Path, metavar="FILE", help="faces: keep what is measured here, or take it from here"
    )
    directions.add_argument("--sheets", type=Path, metavar="DIR", help="faces: a picture of every direction, as JPEG")
    directions.add_argument(
        "--device", metavar="NAME", help="such as cpu, cuda or mps (default: PSPKIT_DEVICE, else the best)"
    )


def _directions(arguments: argparse.Namespace) -> None:
    if arguments.domain not in COUNTS:
        raise PspkitError(f"--domain: got {arguments.domain!r}, and directions are found for heads and faces alone.")
    if arguments.domain == "faces" and arguments.measured and arguments.measured.exists():
        for name in ("count", "seed"):
            if getattr(arguments, name):
                raise PspkitError(f"{name}: {arguments.measured} holds faces already. Leave it out, or name another.")
    if arguments.count is None:
        arguments.count = COUNTS[arguments.domain]
    if arguments.count < 1:
        raise PspkitError(f"count: got {arguments.count}, needs at least 1.")
    if arguments.domain == "faces":
        if arguments.model:
            raise PspkitError("model: those of faces hang on their decoder alone. Leave it out.")
        return _find_those_of_faces(arguments)
    for name in ("measured", "sheets"):
        if getattr(arguments, name):
            raise PspkitError(f"{name}: is for photographs. Add --domain faces, or leave it out.")
    return _find_those_of_heads(arguments)


def _find_those_of_heads(arguments: argparse.Namespace) -> None:
    from pspkit.data.heads import sample_factors
    from pspkit.data.heads.dataset import FIRST_PERSON
    from pspkit.device import choose_device
    from pspkit.inference import find_psp
    from pspkit.inference.directions import CONTRASTS, find_direction, save_directions

    check_kept(arguments.out, arguments.model)
    device = choose_device(arguments.device)
    psp = find_psp("heads", "encode", model=arguments.model).to(device)
    factors = sample_factors(arguments.count, arguments.seed, start=FIRST_PERSON["train"])

    directions = {}
    for name, contrast in CONTRASTS.items():
        size = psp.encoder.config.input_size
        directions[name] = find_direction(lambda x: psp.encode(x.to(device)), contrast, factors, size)
        print(f"{name:<12} {contrast.low} to {contrast.high}: length {directions[name].norm():.2f}", flush=True)
    save_directions(arguments.out, directions)
    print(arguments.out)


def _find_those_of_faces(arguments: argparse.Namespace) -> None:
    from pspkit.data.pictures import save_picture
    from pspkit.inference import find_decoder
    from pspkit.inference.directions import save_directions
    from pspkit.inference.directions.attributes import FaceMeter
    from pspkit.inference.directions.comparison import Comparer, draw_sheet, table
    from pspkit.inference.directions.faces import (
        Pencil,
        find_face_directions,
        load_faces,
        measure_faces,
        save_faces,
    )

    least = 100
    if arguments.count < least:
        raise PspkitError(f"count: got {arguments.count}, needs at least {least} faces for a fit.")
    check_kept(arguments.out, arguments.measured)
    decoder = find_decoder("faces", "encode", device=arguments.device)
    meter, pencil = FaceMeter(), Pencil(decoder)
    if arguments.measured and arguments.measured.exists():
        faces = load_faces(arguments.measured)
    else:
        faces = measure_faces(decoder, arguments.count, arguments.seed, meter, pencil)
        if arguments.measured:
            save_faces(arguments.measured, faces)
    found = find_face_directions(decoder, faces, meter, pencil)
    comparer = Comparer(decoder, faces, meter, pencil)
    compared = [comparer(name, way) for name, way in found.items()]
    print(table(compared))
    kept = {one.name: found[one.name] for one in compared if one.is_better}
    for name in found.keys() - kept.keys():
        print(f"{name}: not better than random directions, and left out")
    save_directions(arguments.out, kept)
    print(arguments.out)
    if arguments.sheets:
        for name, way in kept.items():
            path = arguments.sheets / f"{name.replace(' ', '_')}.jpg"
            save_picture(path, draw_sheet(decoder, way))
            print(path)
