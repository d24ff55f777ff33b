"""What the tasks do to a picture before the network sees it, and how sources are shown to people.

Random choices come from torch's generator, so that one seed determines them all.
"""

from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import InterpolationMode, v2
from torchvision.transforms.v2 import functional

from pspkit.data.labels import LABELS, check_labels, palette
from pspkit.errors import PspkitError, check_choice

FITS = ("pad", "crop", "stretch")
MASKS = ("rectangles", "strokes", "half")


class ToOneHot(v2.Transform):
    """Turns a label map into one channel of 0 and 1 for each class, so that no class number is read as a quantity.

        x[c, i, j] = 1 if labels[i, j] = c else 0

    It takes `LabelMap`s or plain tensors of whole numbers (..., H, W), and returns float32 (..., n_classes, H, W).

    Args:
        n_classes: number of classes; 19 in CelebAMask-HQ.

    Raises:
        PspkitError: a class number is outside the range.

    Source: Richardson et al. 2021, section 4.3.
    """

    def __init__(self, n_classes: int = len(LABELS)):
        super().__init__()
        self.n_classes = n_classes

    def transform(self, inpt: Tensor, params: dict[str, Any]) -> Tensor:
        """Turns one label map; transforms v2 call this for each map that they are given."""
        labels = inpt.as_subclass(Tensor)
        check_labels("labels", labels, self.n_classes)
        # functional.one_hot would need eight bytes for each channel and pixel.
        numbers = torch.arange(self.n_classes, device=labels.device)[:, None, None]
        return (labels.unsqueeze(-3) == numbers).float()


def to_square(picture: Tensor, fit: str | None) -> Tensor:
    """Makes a picture, sketch or label map square in the given way.

    Args:
        picture: a tv_tensor (C, H, W), or a `LabelMap` (H, W).
        fit: "pad" adds black on both sides, or white to a sketch, or background to a label map; "crop" keeps the
            middle; "stretch", or None, changes nothing, and the resizing that follows stretches it.

    Returns:
        A tensor of the same kind.

    Raises:
        PspkitError: there is no such way.
    """
    check_choice("fit", fit, (None, *FITS))
    height, width = picture.shape[-2:]
    if fit == "crop":
        return functional.center_crop(picture, [min(height, width)] * 2)
    if fit == "pad" and height != width:
        across, down = max(0, height - width), max(0, width - height)
        edges = [across // 2, down // 2, across - across // 2, down - down // 2]  # left, top, right, bottom
        sketch = isinstance(picture, tv_tensors.Image) and picture.shape[0] == 1
        white = 1.0 if picture.is_floating_point() else 255
        return functional.pad(picture, edges, fill=white if sketch else 0)
    return picture


def from_square(pictures: Tensor, height: int, width: int, fit: str | None) -> Tensor:
    """Undoes `to_square` on outputs (..., S, S): (..., h, w) with the proportions of the source and the longer side S.

    What "crop" cut off stays cut off. Without a `fit` the outputs stay square.
    """
    side, longer = pictures.shape[-1], max(height, width)
    size = [max(1, round(side * length / longer)) for length in (height, width)]
    if fit == "pad":
        return functional.center_crop(pictures, size)
    return functional.resize(pictures, size, antialias=True) if fit == "stretch" else pictures


def to_unit(image: Tensor) -> Tensor:
    """Turns an image, uint8 or float in [0, 1], into a plain float32 tensor in [0, 1]."""
    return functional.to_dtype(image, torch.float32, scale=True).as_subclass(Tensor)


def normalise(image: Tensor) -> Tensor:
    """Turns an image (C, H, W), uint8 or float in [0, 1], into float32 in [-1, 1]."""
    half = [0.5] * image.shape[-3]
    return functional.normalize(to_unit(image), half, half)


def bicubic_down(image: Tensor, factor: int) -> Tensor:
    """Makes an image smaller by a whole factor, with antialiasing. The factor 1 changes nothing.

    Args:
        image: float (C, H, W) in [0, 1].
        factor: a whole number from 1 to the side of the image.

    Returns:
        float (C, H // factor, W // factor), clamped and rounded to 8 bits if the factor is above 1.

    Raises:
        PspkitError: the factor is another.
    """
    side = min(image.shape[-2:])
    if not isinstance(factor, int) or not 1 <= factor <= side:
        raise PspkitError(f"factor: got {factor!r}, needs a whole number from 1 to the picture's side, {side}.")
    if factor == 1:
        return image
    size = [length // factor for length in image.shape[-2:]]
    small = functional.resize(image, size, InterpolationMode.BICUBIC, antialias=True)
    return (small.clamp(0, 1) * 255).round() / 255


def low_resolution(image: Tensor, factor: int) -> Tensor:
    """Makes an image (C, H, W) smaller, and brings it back to its size bilinearly: float32 in [-1, 1].

    Source: Richardson et al. 2021, section 4.4 and appendix.
    """
    image = to_unit(image)
    return normalise(functional.resize(bicubic_down(image, factor), list(image.shape[-2:]), antialias=True))


def grey(image: Tensor) -> Tensor:
    """Turns an image (3, H, W) into three equal channels of its luma, float32 in [-1, 1]."""
    return normalise(functional.rgb_to_grayscale(to_unit(image), num_output_channels=3))


def hide(image: Tensor, mask: Image.Image | Tensor | str | None) -> Tensor:
    """Takes a part of an image away, and adds the mask as a channel.

    Args:
        image: uint8 or float in [0, 1], (3, H, W).
        mask: marks the missing part: a name of `MASKS` draws a mask, in a PIL image white is missing, and in a tensor
            (H, W) or (1, H, W) of 0 and 1 it is 1.

    Returns:
        float32 (4, H, W): the image in [-1, 1], which is 0 in the missing part, and the mask of 0 and 1.

    Raises:
        PspkitError: there is no mask, or it is of another kind.
    """
    size = image.shape[-2:]
    if isinstance(mask, str):
        mask = draw_mask(mask, size)
    elif isinstance(mask, Image.Image):
        mask = torch.from_numpy(np.array(mask.convert("L")) > 127)
    if not isinstance(mask, Tensor) or mask.ndim not in (2, 3) or mask.shape[:-2] not in ((), (1,)):
        came = f"a tensor of shape {tuple(mask.shape)}" if isinstance(mask, Tensor) else f"{mask!r}"
        raise PspkitError(
            f"mask: got {came}, needs a picture that is white where parts are missing, a tensor (H, W) of 0 and 1, or"
            f" one of {', '.join(map(repr, MASKS))}."
        )
    mask = tv_tensors.Image(mask.reshape(1, *mask.shape[-2:]).float())
    mask = functional.resize(mask, list(size), InterpolationMode.NEAREST_EXACT).as_subclass(Tensor)
    return torch.cat([normalise(image) * (1 - mask), mask])


def draw_mask(kind: str, size: tuple[int, int]) -> Tensor:
    """Draws a random mask: float (H, W), 1 where the picture is missing.

    Args:
        kind: "rectangles", "strokes" (of a broad pen) or "half" (one half of the picture).
        size: height and width.

    Raises:
        PspkitError: the kind is unknown.
    """
    check_choice("mask", kind, MASKS)
    height, width = size
    if kind == "half":
        mask = torch.zeros(height, width, device="cpu")
        side = _whole(0, 4)
        (mask[:, : width // 2], mask[:, width // 2 :], mask[: height // 2], mask[height // 2 :])[side].fill_(1)
        return mask
    canvas = Image.new("L", (width, height))
    pen = ImageDraw.Draw(canvas)
    for _ in range(_whole(1, 4)):
        if kind == "rectangles":
            w, h = _whole(width // 8, width // 2), _whole(height // 8, height // 2)
            x, y = _whole(0, width - w + 1), _whole(0, height - h + 1)
            pen.rectangle((x, y, x + w - 1, y + h - 1), fill=1)
        else:
            points = [(_whole(0, width), _whole(0, height)) for _ in range(_whole(3, 6))]
            breadth = _whole(width // 16, width // 8)
            pen.line(points, fill=1, width=breadth, joint="curve")
            for x, y in points:
                pen.circle((x, y), breadth / 2, fill=1)
    return torch.from_numpy(np.array(canvas)).float()


def _whole(low: int, high: int) -> int:
    return int(torch.randint(low, max(high, low + 1), ()))


def show_picture(source: Tensor) -> Tensor:
    """Shows RGB sources (N, 3, H, W) in [-1, 1] unchanged."""
    return source


def show_sketch(source: Tensor) -> Tensor:
    """Shows sketches (N, 1, H, W) in [0, 1] as grey pictures (N, 3, H, W) in [-1, 1]."""
    return (source * 2 - 1).expand(-1, 3, -1, -1)


def show_labels(source: Tensor) -> Tensor:
    """Shows one-hot label maps (N, 19, H, W) in the colours of `pspkit.data.labels`: (N, 3, H, W) in [-1, 1]."""
    colours = palette().to(source.device)[source.argmax(1)].movedim(-1, 1)
    return normalise(colours)


def label_legend(source: Tensor, side: int) -> Tensor:
    """Draws the colours, numbers and names of the classes in one-hot label maps as a picture in [-1, 1].

    Args:
        source: the maps (N, 19, H, W).
        side: side of the picture, pixels. All 19 classes can be read from 256 on.

    Returns:
        float32 (3, side, side).
    """
    picture = Image.new("RGB", (side, side), "white")
    pen, row = ImageDraw.Draw(picture), side / len(LABELS)
    font = ImageFont.load_default(max(8, row * 0.8))
    there = [label for label in LABELS.values() if source[:, label.number].any()]
    for place, label in enumerate(there):
        top = place * row
        pen.rectangle(
            (row * 0.3, top + row * 0.1, row * 1.3, top + row * 0.9), fill=f"#{label.colour}", outline="black"
        )
        pen.text((row * 1.7, top), f"{label.number} {label.title}", fill="black", font=font)
    return normalise(torch.from_numpy(np.array(picture)).permute(2, 0, 1))


def show_masked(source: Tensor) -> Tensor:
    """Shows pictures with a mask (N, 4, H, W) as pictures (N, 3, H, W) in [-1, 1], hatched where they are missing."""
    picture, mask = source[:, :3], source[:, 3:]
    rows, columns = (torch.arange(length, device=source.device) for length in source.shape[-2:])
    period = max(4, source.shape[-1] // 16)
    hatch = ((rows[:, None] + columns) % period < period / 4).float() * 0.8 - 0.2
    return torch.where(mask > 0, hatch, picture)
