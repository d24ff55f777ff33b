"""Photographs as files to aligned faces as files."""

import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from PIL import ImageDraw
from torch import Tensor
from torchvision.transforms.v2.functional import pil_to_tensor, to_pil_image
from tqdm.auto import tqdm

from pspkit.data.alignment.crop import SIZE, align_face, check_size, face_square
from pspkit.data.alignment.finder import Face, FaceFinder
from pspkit.data.folders import count_unread
from pspkit.data.pictures import Picture, open_picture, save_picture
from pspkit.errors import PspkitError
from pspkit.inference.inputs import SQUARE, list_inputs
from pspkit.inference.paste import Placement
from pspkit.inference.results import Job, Summary, check_jobs

BESIDES = "more than one face, of which each has a file of its own, the largest first"
LARGEST = "more than one face, of which the largest is used; `pspkit align` makes a picture of each"
ALIGNED = "its face was not where the model expects it, so it was aligned first; --aligned takes pictures as they are"
AS_IT_IS = "no face found in it, so it is taken as aligned"
TOLERANCE = 0.1  # of the picture's longer side, from each corner to where alignment would put it
FRAMES = ("ffffff", "000000")  # of the lines around faces that are shown, inside and outside


class Aligner:
    """Says where the face of a picture is; loads its networks once.

    Args:
        which: of the faces, from the largest on: 1 is the largest.

    Raises:
        AssetError: the networks that find faces could not be fetched.
    """

    def __init__(self, which: int = 1) -> None:
        if which < 1:
            raise PspkitError(f"face: got {which}, needs at least 1, the largest.")
        self.finder, self.which = FaceFinder(), which

    def __call__(self, picture: Picture) -> tuple[Placement, list[str]]:
        """Finds the face.

        Args:
            picture: uint8 (3, H, W).

        Returns:
            Where it is, without a face where the picture is aligned already; and what is to be remarked on.

        Raises:
            PspkitError: there is no face in a picture that is not square, so no aligned one; or not so many faces.
        """
        picture = picture.as_subclass(Tensor)
        height, width = picture.shape[-2:]
        faces = self.finder(picture)
        if not faces and max(height, width) > SQUARE * min(height, width):
            raise PspkitError(f"no face found. {self.finder.why_none(picture)}")
        if not faces:
            return Placement(picture), [AS_IT_IS]
        if self.which > len(faces):
            raise PspkitError(f"face: got {self.which}, but {len(faces)} found. Name a smaller number.")
        placement = Placement(picture, faces[self.which - 1])
        remarks = [LARGEST] if len(faces) > 1 and self.which == 1 else []
        away = (placement.square - Placement(picture).square).norm(dim=1).max()
        if self.which == 1 and away <= TOLERANCE * max(height, width):
            return Placement(picture), remarks
        return placement, [ALIGNED, *remarks]


def align_files(
    paths: Sequence[Path | str], out: Path | str, *, size: int = SIZE, show: bool = False, overwrite: bool = False
) -> Summary:
    """Cuts the faces out of photographs.

    Of `photos/a.jpg` the largest face becomes `out/a.png`, further ones `out/a-2.png`, `out/a-3.png` and so on.

    Args:
        paths: pictures, and folders of them, as `list_inputs`.
        out: the folder for the aligned pictures.
        size: side of each, pixels.
        show: whether `out/a-faces.png` is written, too: the photograph with a numbered frame around each face.
        overwrite: whether pictures that are there are replaced; else an input whose first one is there is left alone.

    Returns:
        What became of every file.

    Raises:
        PspkitError: as `list_inputs` and `check_jobs`; or a size out of range.
        AssetError: the networks that find faces could not be fetched.
    """
    check_size(size)
    out = Path(out)
    inputs, failed = list_inputs(paths, out)
    jobs = [Job(path, name, [out / f"{name}.png"], []) for path, name in inputs]
    todo, summary = check_jobs(jobs, failed, out, overwrite)
    summary.unread = count_unread(paths)
    taken = {job.pictures[0]: job.path for job in jobs}
    finder = FaceFinder() if todo else None
    for job in tqdm(todo, "aligning", unit="picture", disable=None):
        try:
            _align(job, finder, size, show, taken, overwrite, summary)
        except PspkitError as error:
            summary.failed[job.path] = str(error)
    return summary


def faces_of(file: Path, picture: Tensor, finder: FaceFinder) -> list[Face]:
    """The faces in a file's picture uint8 (3, H, W), the largest first; at least one.

    Raises:
        PspkitError: there is none; with the likely reason.
    """
    faces = finder(picture)
    if not faces:
        raise PspkitError(f"{file}: no face found. {finder.why_none(picture)}")
    return faces


def show_faces(picture: Tensor, faces: Sequence[Face]) -> Tensor:
    """Draws what is cut out of a picture: a frame for each face, its number in the upper left corner.

    Args:
        picture: (3, H, W), uint8.
        faces: in the order in which they are numbered.

    Returns:
        (3, H, W), uint8.
    """
    image = to_pil_image(picture)
    pen, line = ImageDraw.Draw(image), max(1, round(max(image.size) / 400))
    for number, face in enumerate(faces, 1):
        corners = [tuple(corner) for corner in face_square(face.points).tolist()]
        size = max(12, math.dist(corners[0], corners[3]) / 8)
        for colour, width in zip(FRAMES[::-1], (3 * line, line), strict=True):
            pen.line([*corners, corners[0], corners[1]], fill=f"#{colour}", width=width, joint="curve")
        place = [min(max(value, 0), most - size) + 2 * line for value, most in zip(corners[0], image.size, strict=True)]
        pen.text(place, str(number), f"#{FRAMES[0]}", font_size=size, stroke_width=line, stroke_fill=f"#{FRAMES[1]}")
    return pil_to_tensor(image)


def _align(
    job: Job, finder: FaceFinder, size: int, show: bool, taken: dict[Path, Path], overwrite: bool, summary: Summary
) -> None:
    picture = open_picture(job.path)
    faces = faces_of(job.path, picture, finder)
    first = job.pictures[0]
    files = [first, *(first.with_stem(f"{first.stem}-{number}") for number in range(2, len(faces) + 1))]
    shown = [first.with_stem(f"{first.stem}-faces")] if show else []
    for file in (*files[1:], *shown):
        if file in taken:
            raise PspkitError(f"{job.path} and {taken[file]} would both become {file}. Rename one of them.")
    made = {file: partial(align_face, picture, face, size) for face, file in zip(faces, files, strict=True)}
    made |= {file: partial(show_faces, picture, faces) for file in shown}
    for file in sorted(made, key=lambda file: file == first):  # where the first one is, the others are
        if overwrite or not file.exists():
            save_picture(file, made[file]() / 127.5 - 1)
            summary.written.append(file)
    if len(faces) > 1:
        summary.remark(job.path, [BESIDES])
