"""Stores the directions of photographed faces with their card and a picture of each.

    pspkit directions --domain faces --sheets sheets --out found.safetensors | tee printed.txt
    python -m tools.store.directions found.safetensors sheets printed.txt

The card's table is the one that the command printed.
"""

import argparse
import datetime
import json
import shutil
from pathlib import Path

from pspkit.domains import WEIGHTS
from pspkit.errors import PspkitError
from pspkit.inference.directions import FACE_DIRECTIONS, load_directions
from pspkit.storage.checkpoints.files import write_text
from tools.cards import describe_machine, write_overview
from tools.origins import FACES_DIRECTIONS

LICENCE = (
    "The directions descend from StyleGAN2-FFHQ through MobileStyleGAN, and from the networks that measured its faces:"
    " non-commercial."
)
DATA = (
    "1,000 faces drawn by MobileStyleGAN, their five groups of codes from five people each, measured by MediaPipe's"
    " face mesh, a face parser, a network that guesses ages, and ArcFace. The lengths of the steps were chosen on 6"
    " other faces; the table is of 8 more."
)
REMARKS = (
    "Of each pair of figures the second is that of random directions in the same codes. *Change*: of the attribute, in"
    " standard deviations of drawn faces, by one step; random ones have its length. In the other columns random ones"
    " change as many pixels. *Others*: mean change of all other attributes. *Background*: mean difference of pixels"
    " that show no person, of 2. *FaceNet*: cosine to the face before. Where a random step that changes as many pixels"
    " keeps more of it, the direction costs more likeness than chance: a smile, a pose and an age do, for FaceNet."
)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tools.store.directions", description=__doc__.partition("\n")[0])
    parser.add_argument("found", type=Path, metavar="FILE", help="what `pspkit directions --domain faces` wrote")
    parser.add_argument("sheets", type=Path, metavar="DIR", help="its pictures")
    parser.add_argument("printed", type=Path, metavar="PRINTED", help="what it printed")
    arguments = parser.parse_args()
    lines = [line for line in arguments.printed.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    if not lines:
        raise PspkitError(f"{arguments.printed}: holds no table. Keep what the command prints.")
    folder = WEIGHTS / FACES_DIRECTIONS
    sheets = [f"{name.replace(' ', '_')}.jpg" for name in load_directions(arguments.found)]
    folder.mkdir(exist_ok=True)
    shutil.copyfile(arguments.found, FACE_DIRECTIONS)
    for sheet in sheets:
        shutil.copyfile(arguments.sheets / sheet, folder / sheet)
    card = {
        "command": "pspkit directions --domain faces --out data/weights/faces-directions.safetensors",
        "seed": 0,
        "hardware": describe_machine(),
        "data": DATA,
        "licence": LICENCE,
        "date": datetime.date.today().isoformat(),
        "remarks": REMARKS,
        "table": lines,
        "sheets": sheets,
    }
    write_text(folder / "card.json", json.dumps(card, indent=1) + "\n")
    write_overview()


if __name__ == "__main__":
    main()
