"""Photographs as files to aligned faces as files."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from tqdm.auto import tqdm

from pspkit.data.alignment.crop import SIZE, align_face, check_size, face_square, no_face_reason
from pspkit.data.alignment.finder import Face, FaceFinder
from pspkit.data.pictures import Picture, open_picture, save_picture
from pspkit.errors import PspkitError
from pspkit.inference.inputs import list_inputs
from pspkit.inference.results import Job, Summary, check_jobs

BESIDES = "more than one face, of which each has a file of its own, the largest first"
UNALIGNED = "its face is not where the model expects it; align the picture before, by `pspkit align`"
NO_FACE = "no face found in it, where the model expects an aligned one"
TOLERANCE = 0.1  # of the picture's longer side, from each corner to where alignment would put it


class FaceLook:
    """Says of a picture whether its face stands where alignment would put it; loads its networks once.

    Raises:
        AssetError: the networks that find faces could not be fetched.
    """

    def __init__(self) -> None:
        self.finder = FaceFinder()

    def __call__(self, picture: Picture) -> list[str]:
        """What is to be remarked on a picture uint8 (3, H, W): nothing where it is aligned."""
        faces = self.finder(picture)
        if not faces:
            return [NO_FACE]
        height, width = picture.shape[-2:]
        corners = torch.tensor([[0, 0], [0, height], [width, height], [width, 0]]) - 0.5
        away = (face_square(faces[0].points) - corners).norm(dim=1).max()
        return [UNALIGNED] if away > TOLERANCE * max(height, width) else []


def align_files(paths: Sequence[Path | str], out: Path | str, *, size: int = SIZE, overwrite: bool = False) -> Summary:
    """Cuts the faces out of photographs.

    Of `photos/a.jpg` the largest face becomes `out/a.png`, further ones `out/a-2.png`, `out/a-3.png` and so on.

    Args:
        paths: pictures, and folders of them, as `list_inputs`.
        out: the folder for the aligned pictures.
        size: side of each, pixels.
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
    taken = {job.pictures[0]: job.path for job in jobs}
    finder = FaceFinder() if todo else None
    for job in tqdm(todo, "aligning", unit="picture", disable=None):
        try:
            _align(job, finder, size, taken, summary)
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
        raise PspkitError(f"{file}: no face found. {no_face_reason(picture)}")
    return faces


def _align(job: Job, finder: FaceFinder, size: int, taken: dict[Path, Path], summary: Summary) -> None:
    picture = open_picture(job.path)
    faces = faces_of(job.path, picture, finder)
    first = job.pictures[0]
    files = [first, *(first.with_stem(f"{first.stem}-{number}") for number in range(2, len(faces) + 1))]
    for file in files[1:]:
        if file in taken:
            raise PspkitError(f"{job.path} and {taken[file]} would both become {file}. Rename one of them.")
    for face, file in zip(faces, files, strict=True):
        save_picture(file, align_face(picture, face, size) / 127.5 - 1)
        summary.written.append(file)
    if len(faces) > 1:
        summary.remark(job.path, [BESIDES])
