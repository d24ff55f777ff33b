"""What is to be translated: files and folders listed, named after, read, and looked at."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2.functional import resize

from pspkit.data.alignment.crop import SIZE
from pspkit.data.folders import list_pictures, name_in, pictures_by_name
from pspkit.data.labels import LABELS, looks_like_a_parsers
from pspkit.data.pictures import Picture, count_frames, open_picture, to_picture
from pspkit.data.tasks import MASKS, Task, draw_mask
from pspkit.data.tasks.transforms import grey, hide
from pspkit.errors import PspkitError, check_name
from pspkit.inference.paste import Placement
from pspkit.inference.results import Job

SQUARE = 1.05  # sides of a larger ratio are remarked on
COLOURED = 5  # mean difference between the largest and the smallest of R, G and B, of 255
BLANK = 0.02  # difference of brightness, of 1, below which nothing is on a sheet
HEAD_LOOK, EVEN = 64, 0.07  # side at which a photograph is told from a rendering, and its share of even surface
LOOK = 256  # points a side that are enough to tell a picture's kind

NOT_SQUARE = "not square, so squeezed; crop to a square before"
SMALL = "less than half the model's {side} px, so enlarged; the result will invent what is not there"
FEW_COLOURS = f"at most {len(LABELS)} colours, as in a label map or drawing, where a photograph is expected"
COLOUR_SKETCH = "in colour, where a sketch of dark lines on white is expected"
PARSER_ORDER = (
    "a face only if its numbers are in the order of face parsers; convert it with `pspkit labels --label-order parser`"
)
EMPTY = "nothing on it: all of it is alike"
EXCHANGED = "light lines on dark, where a sketch of dark lines on white is expected; invert its colours before"
GREY_SKETCH = "grey all over, as a photograph is, where a sketch of dark lines on white is expected"
MASK_OF_NOTHING = "its mask has no white, so nothing is missing and nothing will be painted"
MASK_OF_ALL = "its mask is white all over, so that nothing of the picture is seen"
FIRST_FRAME = "animated; only the first of {count} frames is used, and --frames takes all"
PHOTOGRAPH = "looks like a photograph, and this model knows rendered heads only; --domain faces is for photographs"
COLOUR_IGNORED = "in colour, of which only the brightness is used"

Mask = str | Path | Image.Image | Tensor
RemarkOn = Callable[[Picture], list[str]]
Place = Callable[[Picture], tuple[Placement, list[str]]]


def list_inputs(paths: Sequence[Path | str], out: Path) -> tuple[list[tuple[Path, str]], dict[Path, str]]:
    """Lists pictures.

    Args:
        paths: files and folders; folders are searched with all below them.
        out: the folder for the results.

    Returns:
        Every picture once with its name: its path below the folder it was found in, without extension. And the
        folders in which there is none, and files whose names cannot be shown, with the reason.

    Raises:
        PspkitError: `out` lies in one of the folders.
    """
    found, failed = {}, {}
    for path in map(Path, paths):
        if not os.path.isdir(path):
            found.setdefault(path, name_in(path.parent, path))
            continue
        if Path(os.path.realpath(out)).is_relative_to(os.path.realpath(path)):
            raise PspkitError(
                f"{out}: lies in {path}, so that a second run would take results for inputs. Name a folder outside."
            )
        try:
            for file in list_pictures(path):
                found.setdefault(file, name_in(path, file))
        except PspkitError as error:
            failed[path] = str(error)
    for path in list(found):
        try:
            check_name(path)
        except PspkitError as error:
            failed[path] = str(error)
            del found[path]
    return list(found.items()), failed


@dataclass(frozen=True)
class Source:
    """One picture, ready for an encoder of any side.

    Attributes:
        task: what the model was trained for.
        picture: of the task's kind; the aligned one where it was aligned.
        option: the factor or mask, where the task has one.
        placement: where the picture lies in its photograph; None where nothing aligns.
        remarks: what is unusual about it.
        fit: as `to_square`, of a picture that is none.
    """

    task: Task
    picture: Picture
    option: Any = None
    placement: Placement | None = None
    remarks: Sequence[str] = ()
    fit: str | None = None

    def input(self, side: int) -> Tensor:
        """What an encoder takes: float32 (input_nc, side, side).

        Raises:
            PspkitError: the option is none of the task's.
        """
        return self.task.inference_source(self.picture, side, self.option, self.fit)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the picture."""
        return tuple(self.picture.shape[-2:])

    @property
    def missing(self) -> Tensor | None:
        """What is missing in the picture, (H, W), 1 or 0; None where the task hides nothing."""
        if self.task.option != "mask":
            return None
        return hide(self.picture, self.option)[3]


def open_source(
    path: Path,
    task: Task,
    side: int,
    option: Any = None,
    *,
    remark_on: RemarkOn | None = None,
    from_photograph: bool = False,
    place: Place | None = None,
    drawn: bool = False,
    fit: str | None = None,
) -> Source:
    """Reads one picture.

    Args:
        path: the file.
        task: what the model was trained for.
        side: of the encoder's input.
        option: the factor or mask, where the task has one.
        remark_on: says what else is unusual about a picture.
        from_photograph: whether the file is a photograph, from which the task's source is made.
        place: says where the face is, as `Aligner` does for a model of aligned faces.
        drawn: whether a mask was drawn for the aligned picture, and so is not one of the photograph.
        fit: as `to_square`, of pictures that are none.

    Raises:
        PspkitError: the file cannot be read, is not of the task's kind, or shows no face to align.
    """
    kind = "picture" if from_photograph else task.source
    picture = open_picture(path, kind)
    remarks = [FIRST_FRAME.format(count=count)] if (count := count_frames(path)) > 1 else []
    if task.option == "mask" and isinstance(option, Tensor):
        remarks += [MASK_OF_NOTHING] if not option.any() else [MASK_OF_ALL] if option.all() else []
    placement = None
    if place and kind == "picture":
        try:
            placement, noted = place(picture)
        except PspkitError as error:
            raise PspkitError(f"{path}: {error}") from error
        remarks += noted
    if placement is not None and placement.face is not None:
        size = max(1, min(SIZE, round(placement.side)))
        if task.option == "mask" and not drawn:
            option = _aligned_mask(placement, option, size)
        picture, fit = to_picture(placement.cut(size)), None
    unusual = [text for text in _unusual(picture, path, task, kind, side) if not (fit and text == NOT_SQUARE)]
    if remark_on and kind == "picture":
        remarks += remark_on(picture)
    if from_photograph:
        picture = task.source_of(picture)
    return Source(task, picture, option, placement, [*unusual, *remarks], fit)


def _aligned_mask(placement: Placement, mask: Image.Image | Tensor, size: int) -> Tensor:
    """A mask of the photograph, (size, size), True where the aligned picture is missing."""
    mask = to_picture(mask, "sketch") if isinstance(mask, Image.Image) else mask
    mask = mask.as_subclass(Tensor).float().reshape(1, 1, *mask.shape[-2:])
    mask = F.interpolate(mask, placement.photo.shape[1:], mode="nearest-exact")[0, 0]
    return placement.cut_mask(mask > mask.max() / 2, size) > 0


def _unusual(picture: Picture, path: Path, task: Task, kind: str, side: int) -> list[str]:
    height, width = picture.shape[-2:]
    remarks = []
    if max(height, width) > SQUARE * min(height, width):
        remarks.append(NOT_SQUARE)
    if min(height, width) < side / 2 and task.option != "factor":  # small pictures are what super-resolution is for
        remarks.append(SMALL.format(side=side))
    if kind == "labels":  # photographs are refused
        labels = picture.as_subclass(Tensor)
        remarks += [EMPTY] if (labels == labels[0, 0]).all() else []
        return [*remarks, PARSER_ORDER] if looks_like_a_parsers(labels) else remarks
    seen = open_picture(path) if kind == "sketch" else picture
    seen = seen[:, :: max(1, height // LOOK), :: max(1, width // LOOK)].as_subclass(Tensor)
    coloured = (seen.amax(0) - seen.amin(0)).float().mean() > COLOURED
    light = seen.float().mean(0) / 255
    if light.max() - light.min() < BLANK:
        return [*remarks, EMPTY]
    if kind == "sketch":
        between = ((light > 0.25) & (light < 0.75)).float().mean()
        strange = {COLOUR_SKETCH: coloured, GREY_SKETCH: between > 0.5, EXCHANGED: light.median() < 0.25}
        return [*remarks, *(text for text, found in strange.items() if found)]
    if len(seen.flatten(1).unique(dim=1)[0]) <= len(LABELS):
        remarks.append(FEW_COLOURS)
    if coloured and task.make_source is grey:
        remarks.append(COLOUR_IGNORED)
    return remarks


def remark_on_photographs(picture: Picture) -> list[str]:
    """What is to be remarked on a picture uint8 (3, H, W) given to a model of rendered heads: that it is a photograph.

    Renderings have surfaces that change evenly; photographs hardly do, once they are small. Of 128 renderings at 64,
    128 and 256 px none was remarked on, of 72 photographs three quarters.
    """
    small = resize(picture.as_subclass(Tensor), [HEAD_LOOK, HEAD_LOOK], antialias=True).float()
    inner = small[:, 1:-1, 1:-1]
    around = small[:, :-2, 1:-1] + small[:, 2:, 1:-1] + small[:, 1:-1, :-2] + small[:, 1:-1, 2:]
    even = ((4 * inner - around).abs().amax(0) < 2).float().mean()
    blank = small.amax() - small.amin() < 255 * BLANK
    return [PHOTOGRAPH] if even < EVEN and not blank else []


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
    if mask in MASKS and not os.path.exists(path):
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            drawn = draw_mask(mask, (side, side))
        return lambda job: drawn
    if not os.path.isdir(path):
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
