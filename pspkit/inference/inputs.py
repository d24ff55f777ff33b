"""What is to be translated: files and folders listed, named after, read, and looked at."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from pspkit.data.folders import list_pictures, name_in, pictures_by_name
from pspkit.data.labels import LABELS
from pspkit.data.pictures import Picture, open_picture
from pspkit.data.tasks import MASKS, Task, draw_mask
from pspkit.data.tasks.transforms import grey
from pspkit.errors import PspkitError
from pspkit.inference.results import Job

SQUARE = 1.05  # sides of a larger ratio are remarked on
COLOURED = 5  # mean difference between the largest and the smallest of R, G and B, of 255
LOOK = 256  # points a side that are enough to tell a picture's kind

NOT_SQUARE = "not square, so squeezed; crop to a square before"
SMALL = "less than half the model's {side} px, so enlarged; the result will invent what is not there"
FEW_COLOURS = f"at most {len(LABELS)} colours, as in a label map or drawing, where a photograph is expected"
COLOUR_SKETCH = "in colour, where a sketch of dark lines on white is expected"
COLOUR_IGNORED = "in colour, of which only the brightness is used"

Mask = str | Path | Image.Image | Tensor
RemarkOn = Callable[[Picture], list[str]]


def list_inputs(paths: Sequence[Path | str], out: Path) -> tuple[list[tuple[Path, str]], dict[Path, str]]:
    """Lists pictures.

    Args:
        paths: files and folders; folders are searched with all below them.
        out: the folder for the results.

    Returns:
        Every picture once with its name: its path below the folder it was found in, without extension. And the
        folders in which there is none, with the reason.

    Raises:
        PspkitError: `out` lies in one of the folders.
    """
    found, failed = {}, {}
    for path in map(Path, paths):
        if not path.is_dir():
            found.setdefault(path, name_in(path.parent, path))
            continue
        if out.resolve().is_relative_to(path.resolve()):
            raise PspkitError(
                f"{out}: lies in {path}, so that a second run would take results for inputs. Name a folder outside."
            )
        try:
            for file in list_pictures(path):
                found.setdefault(file, name_in(path, file))
        except PspkitError as error:
            failed[path] = str(error)
    return list(found.items()), failed


def read_source(
    path: Path, task: Task, side: int, option: Any = None, remark_on: RemarkOn | None = None
) -> tuple[Tensor, list[str]]:
    """Reads one picture as the encoder takes it.

    Args:
        path: the file.
        task: what the model was trained for.
        side: of the encoder's input.
        option: the factor or mask, where the task has one.
        remark_on: says what else is unusual about a picture.

    Returns:
        float32 (input_nc, side, side), and what is unusual about the picture.

    Raises:
        PspkitError: the file cannot be read, or is not of the task's kind.
    """
    picture = open_picture(path, task.source)
    remarks = _unusual(picture, path, task, side)
    if remark_on and task.source == "picture":
        remarks += remark_on(picture)
    return task.inference_source(picture, side, option), remarks


def _unusual(picture: Picture, path: Path, task: Task, side: int) -> list[str]:
    height, width = picture.shape[-2:]
    remarks = []
    if max(height, width) > SQUARE * min(height, width):
        remarks.append(NOT_SQUARE)
    if min(height, width) < side / 2 and task.option != "factor":  # small pictures are what super-resolution is for
        remarks.append(SMALL.format(side=side))
    if task.source == "labels":  # photographs are refused
        return remarks
    seen = open_picture(path) if task.source == "sketch" else picture
    seen = seen[:, :: max(1, height // LOOK), :: max(1, width // LOOK)].as_subclass(Tensor)
    coloured = (seen.amax(0) - seen.amin(0)).float().mean() > COLOURED
    if task.source == "sketch":
        return [*remarks, COLOUR_SKETCH] if coloured else remarks
    if len(seen.flatten(1).unique(dim=1)[0]) <= len(LABELS):
        remarks.append(FEW_COLOURS)
    if coloured and task.make_source is grey:
        remarks.append(COLOUR_IGNORED)
    return remarks


def find_masks(mask: Mask, side: int, seed: int) -> Callable[[Job], Image.Image | Tensor]:
    """What is missing in each picture.

    Args:
        mask: a picture whose white is missing; a folder of them, named as the inputs are; a name of `MASKS`, to draw
            one for all; or what `Task.inference_source` takes.
        side: of a mask that is drawn.
        seed: of it.

    Returns:
        From a job to its mask; raises PspkitError where the folder holds none.

    Raises:
        PspkitError: no such file, or it is no picture.
    """
    if not isinstance(mask, (str, Path)):
        return lambda job: mask
    path = Path(mask)
    if mask in MASKS and not path.exists():
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            drawn = draw_mask(mask, (side, side))
        return lambda job: drawn
    if not path.is_dir():
        given = _read_mask(path)
        return lambda job: given
    masks = pictures_by_name(path)

    def of_job(job: Job) -> Tensor:
        if job.name not in masks:
            raise PspkitError(f"{job.path}: no mask of its name in {path}. Add {job.name}.png.")
        return _read_mask(masks[job.name])

    return of_job


def _read_mask(path: Path) -> Tensor:
    return (open_picture(path, "sketch") > 127).as_subclass(Tensor)
