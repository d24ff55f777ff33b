"""What the repository holds of photographs: two in the public domain, and a list of those to measure on.

    python -m tools.photographs samples ASTRONAUT
    python -m tools.photographs list FOLDER
    python -m tools.photographs check FOLDER

`samples` writes Grace Hopper, from matplotlib's sample data, and Eileen Collins, from the file ASTRONAUT, which is
skimage/data/astronaut.png of scikit-image's wheel; each as the picture comes and aligned. `list` writes
data/photographs.json; FOLDER holds `london` and `portraits`, which `data/README.md` says where to get. `check` aligns
all of them, pastes the decoder's mean face into each, and prints how many were found, stand upright, and kept every
pixel outside the mask. Where the eyes of a turned head are not level, its mouth leans the other way: FFHQ's rule takes
the mean of both.
"""

import hashlib
import json
import math
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from matplotlib.cbook import get_sample_data
from PIL import Image
from torchvision.transforms.v2.functional import to_pil_image
from tqdm.auto import tqdm

from pspkit.course.run import ROOT
from pspkit.data.alignment.crop import LEFT_EYE, RIGHT_EYE, align_face
from pspkit.data.alignment.finder import Face, FaceFinder
from pspkit.data.faces.known import RECORD
from pspkit.data.faces.photographs import is_kept
from pspkit.data.pictures import open_picture
from pspkit.inference.paste import Placement, face_mask, paste_back
from pspkit.models.faces.parser import FaceParser, load_face_parser
from pspkit.models.mobile_stylegan import load_mobile_stylegan
from pspkit.psp import estimate_latent_avg
from pspkit.storage.atomic import replacing
from pspkit.storage.checkpoints.files import write_text

SAMPLES, MOST_BYTES = ROOT / "data" / "samples", 60_000
PARSED = 10
LEVEL = 3.0  # degrees between the eyes of an upright face and the horizon, at most
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
    with replacing(path) as part:
        for quality in range(95, 50, -1):
            image.save(part, quality=quality, optimize=True)
            if part.stat().st_size <= MOST_BYTES:
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


def check(folder: str) -> None:
    """Prints what alignment and pasting make of all photographs, and names those that fail."""
    finder, parser, decoder = FaceFinder(), load_face_parser(), load_mobile_stylegan()
    with torch.no_grad():
        face = decoder.synthesis(estimate_latent_avg(decoder).expand(1, decoder.n_styles, -1))
    face = F.adaptive_avg_pool2d(face, 256)[0].clamp(-1, 1)
    for name in ("london", "portraits"):
        files = sorted(Path(folder, name).glob("*.jpg"))
        if not files:
            continue
        tilts, outside = {}, {}
        for number, file in enumerate(tqdm(files, name, unit="picture", disable=None)):
            photo = open_picture(file).as_subclass(torch.Tensor)
            faces = finder(photo)
            if not faces:
                print(f"{file.name}: no face found. {finder.why_none(photo)}")
                continue
            placement = Placement(photo, faces[0])
            tilts[file.name] = tilt(finder(placement.cut(512)))
            # By the landmarks' outline; every tenth by the parser, which takes most of the time.
            outside[file.name] = changed_outside(placement, face, None if number % PARSED else parser)
            if tilts[file.name] > LEVEL or outside[file.name]:
                print(
                    f"{file.name}: {tilts[file.name]:.1f} degrees, {outside[file.name]} pixels changed outside the mask"
                )
        level = [name for name, angle in tilts.items() if angle <= LEVEL]
        clean = [name for name, count in outside.items() if not count]
        print(f"{name}: {len(files)} photographs, a face found in {len(tilts)}")
        print(f"  level within {LEVEL} degrees: {len(level)}")
        print(f"  largest tilt {max(tilts.values()):.2f} degrees, {sum(tilts.values()) / len(tilts):.2f} on average")
        print(f"  pasted without a difference outside the mask: {len(clean)}", flush=True)


def tilt(faces: list[Face]) -> float:
    """How far the eyes of the largest face are from level, degrees; 180 where there is no face."""
    if not faces:
        return 180.0
    left, right = (faces[0].points[list(eye)].mean(0) for eye in (LEFT_EYE, RIGHT_EYE))
    return abs(math.degrees(math.atan2(right[1] - left[1], right[0] - left[0])))


def changed_outside(placement: Placement, picture: torch.Tensor, parser: FaceParser | None) -> int:
    """Pixels of the photograph that pasting changed although the mask, spread by resampling, is 0 there."""
    pasted = paste_back(placement, picture, parser=parser)
    source = placement.cut(picture.shape[-1]) / 127.5 - 1
    mask = face_mask(placement, source, picture, None, parser)
    reach = math.ceil(2 * mask.shape[-1] / picture.shape[-1])  # resampling spreads it by two pixels of the picture
    mask = F.max_pool2d(mask, 2 * reach + 1, 1, reach)[0] > 0
    y, x = (pasted != placement.photo).any(0).nonzero(as_tuple=True)
    places = (placement.parts(torch.stack([x, y], -1).float()) * len(mask)).floor().long()
    inside = ((places >= 0) & (places < len(mask))).all(1)
    places = places.clamp(0, len(mask) - 1)
    return int((~(inside & mask[places[:, 1], places[:, 0]])).sum())


if __name__ == "__main__":
    {"samples": write_samples, "list": write_list, "check": check}[sys.argv[1]](sys.argv[2])
