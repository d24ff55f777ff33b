"""What the repository holds of photographs: two in the public domain, and a list of those to measure on.

    python -m tools.photographs samples ASTRONAUT
    python -m tools.photographs list FOLDER

`samples` writes Grace Hopper, from matplotlib's sample data, and Eileen Collins, from the file ASTRONAUT, which is
skimage/data/astronaut.png of scikit-image's wheel; each as the picture comes and aligned. `list` writes
data/photographs.json; FOLDER holds `london` and `portraits`, which `data/README.md` says where to get.
"""

import hashlib
import json
import sys
from pathlib import Path

from matplotlib.cbook import get_sample_data
from PIL import Image
from torchvision.transforms.v2.functional import to_pil_image

from pspkit.course.run import ROOT
from pspkit.data.alignment.crop import align_face
from pspkit.data.alignment.finder import FaceFinder
from pspkit.data.faces.known import RECORD
from pspkit.data.faces.photographs import is_kept
from pspkit.data.pictures import open_picture
from pspkit.storage.checkpoints.files import write_text

SAMPLES, MOST_BYTES = ROOT / "data" / "samples", 60_000
LONDON = {
    "folder": "london",
    "title": "Face Research Lab London Set",
    "authors": "Lisa DeBruine and Benedict Jones, 2017",
    "where": "doi:10.6084/m9.figshare.5047666",
    "licence": "CC BY 4.0",
    "changes": "scaled to 640 px; named by expression and by the original's name",
}
PORTRAITS = {
    "folder": "portraits",
    "title": "faker-js/assets-person-portrait",
    "authors": "the Faker contributors; generated with Stable Diffusion 3, so of nobody",
    "where": "the GitHub repository faker-js/assets-person-portrait",
    "licence": "CC0 1.0",
    "changes": "named by sex and number",
}
SETS = {  # name: origin, and how the names of its files begin
    "london": (LONDON, "neutral_"),
    "london_smiling": (LONDON, "smiling_"),
    "portraits": (PORTRAITS, ""),
}


def write_samples(astronaut: str) -> None:
    """Writes the two photographs, as they come and aligned."""
    finder = FaceFinder()
    hopper = get_sample_data("grace_hopper.jpg", asfileobj=False)
    for name, path in (("hopper", hopper), ("collins", astronaut)):
        picture = open_picture(Path(path))
        aligned = align_face(picture, finder(picture)[0])
        for file, image in ((f"{name}.jpg", picture), (f"{name}_aligned.jpg", aligned)):
            _save(to_pil_image(image), SAMPLES / file)


def _save(image: Image.Image, path: Path) -> None:
    """Writes a JPEG at the best quality that keeps it small."""
    for quality in range(95, 50, -1):
        image.save(path, quality=quality, optimize=True)
        if path.stat().st_size <= MOST_BYTES:
            return


def write_list(folder: str) -> None:
    """Writes the names and checksums of the photographs to learn from and to measure on."""
    record = {}
    for name, (origin, prefix) in SETS.items():
        files = sorted(Path(folder, origin["folder"]).glob(f"{prefix}*.jpg"))
        sums = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
        kept = is_kept([file.stem for file in files])
        parts = {
            part: {file: sums[file] for file, is_it in zip(sums, kept, strict=True) if is_it == wanted}
            for part, wanted in (("kept", True), ("learned", False))
        }
        record[name] = origin | parts
    write_text(RECORD, json.dumps(record, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    {"samples": write_samples, "list": write_list}[sys.argv[1]](sys.argv[2])
