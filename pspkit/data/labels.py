"""Label maps: the classes of CelebAMask-HQ, with their numbers and colours, and how maps are resized and mirrored."""

from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional

from pspkit.errors import PspkitError, check_tensor


class LabelMap(tv_tensors.Mask):
    """A label map, uint8 (H, W). Transforms v2 resize it to the nearest pixel, and swap left and right to mirror it."""


class Label(NamedTuple):
    """One class of a label map."""

    number: int
    title: str
    colour: str  # RGB in hexadecimal


# People with any common kind of colour blindness can tell these colours apart: tests/data/test_labels.py measures it.
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

# The order of most face parsers that learned from CelebAMask-HQ: the same classes with other numbers.
FACE_PARSER_ORDER = (
    *("background", "skin", "l_brow", "r_brow", "l_eye", "r_eye", "eye_g", "l_ear", "r_ear", "ear_r"),
    *("nose", "mouth", "u_lip", "l_lip", "neck", "neck_l", "cloth", "hair", "hat"),
)

# Colours in which other projects draw the classes, each list in the order of that project's numbers.
# Sources: CelebAMask-HQ's g_color.py; face-parsing.PyTorch's test.py, which OpenCV writes with red and blue exchanged.
CELEBAMASK_COLOURS = (
    *("000000", "cc0000", "4c9900", "cccc00", "3333ff", "cc00cc", "00ffff", "ffcccc", "663300", "ff0000"),
    *("66cc00", "ffff00", "000099", "0000cc", "ff3399", "00cccc", "003300", "ff9933", "00cc00"),
)
FACE_PARSER_COLOURS = (
    *("ffffff", "ff5500", "ffaa00", "ff0055", "ff00aa", "00ff00", "55ff00", "aaff00", "00ff55", "00ffaa"),
    *("0000ff", "5500ff", "aa00ff", "0055ff", "00aaff", "ffff00", "ffff55", "ffffaa", "ff00ff"),
)

# Pairs of parts of an upright face, of which the first lies above the second.
ABOVE = tuple(
    (above, below)
    for uppers, lowers in (
        (
            ("hair", "hat", "l_brow", "r_brow", "l_eye", "r_eye", "nose"),
            ("mouth", "u_lip", "l_lip", "neck", "neck_l", "cloth"),
        ),
        (("u_lip", "l_lip"), ("neck", "neck_l", "cloth")),
        (("hair", "hat", "l_brow", "r_brow"), ("nose",)),
    )
    for above in uppers
    for below in lowers
)

SIDES = (("l_eye", "r_eye"), ("l_brow", "r_brow"), ("l_ear", "r_ear"))


def check_labels(where: str, labels: Tensor, n_classes: int = len(LABELS)) -> None:
    """Refuses a label map with a class number that does not exist.

    Args:
        where: name of the file or argument, for the message.
        labels: whole numbers, of any shape.
        n_classes: number of classes.

    Raises:
        PspkitError: a number is not a class; names the file or argument, the numbers and their range.
    """
    if labels.is_floating_point():
        raise PspkitError(
            f"{where}: class numbers are whole, and these are {labels.dtype}. Give a uint8 or int64 label map."
        )
    outside = labels[(labels < 0) | (labels >= n_classes)].unique().tolist()
    if not outside:
        return
    first = ", ".join(map(str, outside[:5])) + (", …" if len(outside) > 5 else "")
    raise PspkitError(
        f"{where}: has {'values' if len(outside) > 1 else 'the value'} {first}; {n_classes} classes are numbered 0"
        f" to {n_classes - 1}. Store one class number per pixel, unscaled, in a format without loss such as PNG."
    )


def from_face_parser(labels: Tensor) -> Tensor:
    """Renumbers the label map of a face parser as CelebAMask-HQ does.

    Args:
        labels: uint8 or int64, of any shape, with numbers in the order of `FACE_PARSER_ORDER`.

    Returns:
        uint8, of the same shape, with numbers of `LABELS`.

    Raises:
        PspkitError: a number is outside the range.
    """
    check_labels("labels", labels)
    order = [LABELS[name].number for name in FACE_PARSER_ORDER]
    numbers = torch.tensor(order, dtype=torch.uint8, device=labels.device)
    return numbers[labels.long()]


def label_maps(scores: Tensor) -> Tensor:
    """Finds the class of every pixel, and tells left and right apart by their place.

    A face parser recognises an eye, a brow and an ear, but often confuses left and right, even within one eye. Here the
    middle of the nose decides. Left is the person's own left, on the right of the picture.

    Args:
        scores: (N, 19, S, S), as `models.faces.parser.FaceParser` gives them.

    Returns:
        Label maps uint8 (N, S, S), with numbers of `LABELS`.

    Raises:
        PspkitError: the scores have another shape or are not floating-point.
    """
    check_tensor("scores", scores, ("N", len(LABELS), "H", "W"))
    scores = scores.float().clone()
    pairs = [(LABELS[left].number, LABELS[right].number) for left, right in SIDES]
    for left, right in pairs:
        scores[:, left] = torch.logaddexp(scores[:, left], scores[:, right])
        scores[:, right] = -torch.inf
    labels = scores.argmax(1)
    x = torch.arange(labels.shape[2], device=labels.device).expand_as(labels)
    nose = labels == LABELS["nose"].number
    count, total = nose.sum((1, 2)), (x * nose).sum((1, 2))
    middle = torch.where(count > 0, total / count.clamp(min=1), (labels.shape[2] - 1) / 2)
    for left, right in pairs:
        labels[(labels == left) & (x < middle[:, None, None])] = right
    return labels.to(torch.uint8)


def from_colours(colours: Tensor) -> Tensor | None:
    """Finds the classes of colours by a known palette: pspkit's, CelebAMask-HQ's, or that of face parsers.

    Args:
        colours: uint8 (N, 3), RGB.

    Returns:
        uint8 (N,), numbers of `LABELS`; None if no palette has all colours, or if two palettes disagree.
    """
    wanted = {bytes(colour) for colour in colours.tolist()}
    readings = {
        tuple(table[bytes(colour)] for colour in colours.tolist()) for table in _palettes() if wanted <= table.keys()
    }
    return torch.tensor(readings.pop(), dtype=torch.uint8) if len(readings) == 1 else None


@cache
def _palettes() -> tuple[dict[bytes, int], ...]:
    own = {bytes.fromhex(label.colour): label.number for label in LABELS.values()}
    celebamask = {bytes.fromhex(colour): number for number, colour in enumerate(CELEBAMASK_COLOURS)}
    parser = {
        bytes.fromhex(colour): LABELS[name].number
        for name, colour in zip(FACE_PARSER_ORDER, FACE_PARSER_COLOURS, strict=True)
    } | {bytes(3): 0}
    return own, celebamask, parser, {colour[::-1]: number for colour, number in parser.items()}


def looks_like_a_parsers(labels: Tensor) -> bool:
    """Whether a map shows a face only if its numbers are read in the order of `FACE_PARSER_ORDER`.

    An upright face has its hair above its neck, its brows above its mouth, and so on. The parsers number hair as the
    neck is numbered here.

    Args:
        labels: uint8 (H, W), numbers from 0 to 18.
    """
    return _upside_down(labels) >= 2 and not _upside_down(from_face_parser(labels))


def _upside_down(labels: Tensor) -> int:
    """Counts the pairs of parts of a face whose order is upside down."""
    rows = torch.arange(labels.shape[0], device=labels.device)[:, None].expand_as(labels)
    height = {}
    for name, label in LABELS.items():
        here = labels == label.number
        if here.sum() >= 1e-3 * labels.numel():
            height[name] = float(rows[here].float().mean())
    return sum(height[above] > height[below] for above, below in ABOVE if above in height and below in height)


def swap_sides(labels: Tensor) -> Tensor:
    """Exchanges left and right eye, brow and ear, which a mirrored face needs in addition to mirrored pixels.

    Args:
        labels: uint8, of any shape, with numbers of `LABELS`.

    Returns:
        uint8, of the same shape.
    """
    swapped = torch.arange(256, dtype=torch.uint8, device=labels.device)
    for left, right in SIDES:
        a, b = LABELS[left].number, LABELS[right].number
        swapped[a], swapped[b] = b, a
    return swapped[labels.long()]


def palette() -> Tensor:
    """The colours of the classes, uint8 (19, 3), one row for each number."""
    colours = [list(bytes.fromhex(label.colour)) for label in LABELS.values()]
    return torch.tensor(colours, dtype=torch.uint8, device="cpu")


# The nearest-pixel mode of masks rounds down, which shifts them by half a pixel against the picture. Other modes would
# take the mean of two class numbers, which is a third class.
@functional.register_kernel(functional.resize, LabelMap)
def _resize(labels: LabelMap, size: list[int], **_: Any) -> LabelMap:
    resized = functional.resize(labels.as_subclass(Tensor)[None], size, InterpolationMode.NEAREST_EXACT)
    return LabelMap(resized[0])


@functional.register_kernel(functional.horizontal_flip, LabelMap)
def _mirror(labels: LabelMap) -> LabelMap:
    return LabelMap(swap_sides(labels.as_subclass(Tensor).flip(-1)))
