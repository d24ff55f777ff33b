"""Label maps: the classes of CelebAMask-HQ, their numbers and colours, and how a map is resized and mirrored."""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional

from pspkit.errors import PspkitError


class LabelMap(tv_tensors.Mask):
    """A label map, uint8 (H, W). Transforms v2 resize it by the nearest pixel and mirror it with swapped sides."""


class Label(NamedTuple):
    """One class of a label map."""

    number: int
    title: str
    colour: str  # RGB in hexadecimal


# Any two colours stay apart for every common kind of colour blindness: tests/data/test_labels.py measures how far.
LABELS = {
    "background": Label(0, "background", "000000"),
    "skin": Label(1, "skin", "eeccaa"),
    "nose": Label(2, "nose", "cc8855"),
    "eye_g": Label(3, "glasses", "220066"),
    "l_eye": Label(4, "left eye", "11aaee"),
    "r_eye": Label(5, "right eye", "cceeff"),
    "l_brow": Label(6, "left brow", "443333"),
    "r_brow": Label(7, "right brow", "997766"),
    "l_ear": Label(8, "left ear", "ff7711"),
    "r_ear": Label(9, "right ear", "aa5500"),
    "mouth": Label(10, "inside of the mouth", "7722aa"),
    "u_lip": Label(11, "upper lip", "7711ff"),
    "l_lip": Label(12, "lower lip", "aa55ff"),
    "hair": Label(13, "hair", "774422"),
    "hat": Label(14, "hat", "55ff66"),
    "ear_r": Label(15, "earring", "eeff22"),
    "neck_l": Label(16, "necklace", "888899"),
    "neck": Label(17, "neck", "4477aa"),
    "cloth": Label(18, "clothing", "004466"),
}

# What most face parsers that learned from CelebAMask-HQ put out: the same classes, numbered otherwise.
FACE_PARSER_ORDER = (
    *("background", "skin", "l_brow", "r_brow", "l_eye", "r_eye", "eye_g", "l_ear", "r_ear", "ear_r"),
    *("nose", "mouth", "u_lip", "l_lip", "neck", "neck_l", "cloth", "hair", "hat"),
)

SIDES = (("l_eye", "r_eye"), ("l_brow", "r_brow"), ("l_ear", "r_ear"))


def check_labels(where: str, labels: Tensor, n_classes: int = len(LABELS)) -> None:
    """Refuses a label map with a class number that does not exist.

    Args:
        where: the file or argument, for the message.
        labels: whole numbers, any shape.
        n_classes: how many classes there are.

    Raises:
        PspkitError: names the file or argument, the numbers found and the range they need.
    """
    if labels.is_floating_point():
        raise PspkitError(f"{where}: class numbers are whole, got {labels.dtype}. Give a uint8 or int64 label map.")
    outside = labels[(labels < 0) | (labels >= n_classes)].unique().tolist()
    if not outside:
        return
    first = ", ".join(map(str, outside[:5])) + (", …" if len(outside) > 5 else "")
    raise PspkitError(
        f"{where}: has {'values' if len(outside) > 1 else 'the value'} {first}; {n_classes} classes are numbered 0 to"
        f" {n_classes - 1}. Store one class number per pixel, unscaled, in a format without loss such as PNG."
    )


def from_face_parser(labels: Tensor) -> Tensor:
    """Renumbers the label map of a face parser as CelebAMask-HQ does.

    Args:
        labels: uint8 or int64, any shape, numbers in the order of `FACE_PARSER_ORDER`.

    Returns:
        uint8, the same shape, numbers of `LABELS`.

    Raises:
        PspkitError: a number outside the range.
    """
    check_labels("labels", labels)
    order = [LABELS[name].number for name in FACE_PARSER_ORDER]
    numbers = torch.tensor(order, dtype=torch.uint8, device=labels.device)
    return numbers[labels.long()]


def swap_sides(labels: Tensor) -> Tensor:
    """Exchanges left and right eye, brow and ear: what a mirrored face needs besides mirrored pixels.

    Args:
        labels: uint8, any shape, numbers of `LABELS`.

    Returns:
        uint8, the same shape.
    """
    swapped = torch.arange(256, dtype=torch.uint8, device=labels.device)
    for left, right in SIDES:
        a, b = LABELS[left].number, LABELS[right].number
        swapped[a], swapped[b] = b, a
    return swapped[labels.long()]


def palette() -> Tensor:
    """The classes' colours, uint8 (19, 3), one row per number."""
    colours = [list(bytes.fromhex(label.colour)) for label in LABELS.values()]
    return torch.tensor(colours, dtype=torch.uint8, device="cpu")


# Mask's own nearest rounds down and lies half a pixel beside the picture; a mean of two class numbers is a third class.
@functional.register_kernel(functional.resize, LabelMap)
def _resize(labels: LabelMap, size: list[int], **_: Any) -> LabelMap:
    resized = functional.resize(labels.as_subclass(Tensor)[None], size, InterpolationMode.NEAREST_EXACT)
    return LabelMap(resized[0])


@functional.register_kernel(functional.horizontal_flip, LabelMap)
def _mirror(labels: LabelMap) -> LabelMap:
    return LabelMap(swap_sides(labels.as_subclass(Tensor).flip(-1)))
