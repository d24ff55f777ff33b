"""One picture file: opened with care, turned upright, brought to the form that a task reads; and written.

`data/PICTURES.md` is the table of what each kind of file becomes.
"""

import io
from functools import cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torchvision import tv_tensors

from pspkit.data.labels import LABELS, LabelMap, check_labels
from pspkit.errors import PspkitError, check_choice, check_tensor
from pspkit.storage.checkpoints.files import write_bytes

MAX_MEGAPIXELS = 80
# Formats that Pillow only recognises, or hands to another program.
NOT_PICTURES = ("BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF")
LOSSY = ("JPEG", "MPO")

Picture = tv_tensors.Image | LabelMap


@cache
def picture_formats() -> dict[str, str]:
    """Pillow's format by file extension (lower case), for every format that is read."""
    Image.init()
    return {
        extension: name
        for extension, name in Image.registered_extensions().items()
        if name in Image.OPEN and name not in NOT_PICTURES
    }


def check_header(path: Path) -> None:
    """Refuses a file that is no picture, or too large a one, without decoding it.

    Raises:
        PspkitError: names the file and what is wrong with it.
    """
    with _open(path):
        pass


def open_picture(path: Path, kind: str = "picture") -> Picture:
    """Reads a file: its first frame, upright.

    Args:
        path: the file.
        kind: "picture", "sketch" or "labels".

    Returns:
        See `to_picture`.

    Raises:
        PspkitError: the file cannot be decoded whole, or is not of this kind.
    """
    with _open(path) as file:
        if kind == "labels" and file.format in LOSSY:
            raise PspkitError(f"{path}: a label map in {file.format}, which changes class numbers. Store it as PNG.")
        try:
            upright = ImageOps.exif_transpose(file)
        except Exception as error:  # Pillow's decoders raise many kinds, from OSError to SyntaxError
            raise _unreadable(path, error) from error
    return _from_pil(upright, kind, str(path))


def to_picture(picture: Image.Image | Tensor, kind: str = "picture") -> Picture:
    """Brings a picture from any source to the form that a task reads.

    Args:
        picture: a PIL image of any mode; or a tensor: (3, H, W) float in [-1, 1] for a picture, (1, H, W) float in
            [0, 1] for a sketch, (H, W) whole class numbers for labels, or uint8 for any of them.
        kind: "picture", "sketch" or "labels".

    Returns:
        An `Image` (3, H, W) or, for a sketch, (1, H, W): uint8, or float in [0, 1]; or a `LabelMap` uint8 (H, W).

    Raises:
        PspkitError: the picture is not of this kind.
    """
    check_choice("kind", kind, ("picture", "sketch", "labels"))
    if isinstance(picture, tv_tensors.TVTensor):
        return picture
    if isinstance(picture, Image.Image):
        return _from_pil(picture, kind, kind)
    channels = {"picture": (3,), "sketch": (1,), "labels": ()}[kind]
    if not isinstance(picture, Tensor) or picture.ndim != len(channels) + 2 or picture.shape[:-2] != channels:
        came = tuple(picture.shape) if isinstance(picture, Tensor) else type(picture).__name__
        needed = ", ".join([*map(str, channels), "H", "W"])
        raise PspkitError(f"{kind}: got {came}, needs a PIL image or a tensor ({needed}).")
    if kind == "labels":
        check_labels(kind, picture)
        return LabelMap(picture.to(torch.uint8))
    if kind == "picture" and picture.is_floating_point():
        picture = (picture + 1) / 2
    return tv_tensors.Image(picture)


def save_picture(path: Path | str, picture: Tensor) -> None:
    """Writes a picture, or several side by side, in the format that the name ends in; a JPEG at quality 92.

    Args:
        path: the file, such as face.png or face.JPG; its folder is made where it is not there.
        picture: float (3, H, W) or (N, 3, H, W) in [-1, 1], as models give it; values beyond are clamped.

    Raises:
        PspkitError: the picture has another shape, or the name ends in no format that can be written.
        CheckpointError: the file could not be written; what stood there is untouched.
    """
    path = Path(path)
    picture_format = picture_formats().get(path.suffix.lower())
    if picture_format not in Image.SAVE:
        raise PspkitError(f"{path}: its name ends in no format of pictures. Name it .png, .jpg or .webp.")
    if isinstance(picture, Tensor) and picture.ndim == 4:
        picture = torch.cat(tuple(picture), dim=-1)
    check_tensor("picture", picture, (3, "H", "W"))
    pixels = picture.detach().float().clamp(-1, 1).add(1).mul(127.5).round().to(torch.uint8).cpu()
    file = io.BytesIO()
    Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(file, picture_format, quality=92)
    write_bytes(path, file.getvalue())


def _open(path: Path) -> Image.Image:
    try:
        picture = Image.open(path, formats=tuple(set(picture_formats().values())))
    except Exception as error:
        raise _unreadable(path, error) from error
    megapixels = picture.width * picture.height / 1e6
    if megapixels > MAX_MEGAPIXELS:
        picture.close()
        raise PspkitError(f"{path}: {megapixels:.0f} megapixels; {MAX_MEGAPIXELS} is the most. Make it smaller.")
    return picture


def _unreadable(path: Path, error: Exception) -> PspkitError:
    if not path.exists():
        return PspkitError(f"{path}: no such file.")
    if isinstance(error, Image.DecompressionBombError):
        return PspkitError(f"{path}: far more than {MAX_MEGAPIXELS} megapixels. Make it smaller.")
    if isinstance(error, Image.UnidentifiedImageError):
        reason = "it is no picture that Pillow knows" if path.stat().st_size else "it is empty"
    else:
        reason = str(error) or type(error).__name__
    return PspkitError(f"{path}: cannot be read, {reason}. Replace it or take it away.")


def _from_pil(picture: Image.Image, kind: str, where: str) -> Picture:
    if kind == "labels":
        return _class_numbers(picture, where)
    if picture.mode.startswith(("I", "F")):
        picture = _to_8_bit(picture, where)
    try:
        if picture.has_transparency_data:
            picture = picture.convert("RGBA")
            picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
        picture = picture.convert("RGB" if kind == "picture" else "L")
    except ValueError as error:
        raise PspkitError(f"{where}: colour mode {picture.mode} has no way to RGB. Store it as RGB.") from error
    pixels = torch.from_numpy(np.array(picture))
    return tv_tensors.Image(pixels.permute(2, 0, 1) if pixels.ndim == 3 else pixels[None])


def _to_8_bit(picture: Image.Image, where: str) -> Image.Image:
    # Pillow would cut values above 255 off; 16 bits are scaled instead.
    values = np.asarray(picture)
    white = 1.0 if picture.mode == "F" else 65535.0
    if not (values.min() >= 0 and values.max() <= white):
        raise PspkitError(
            f"{where}: has values from {values.min():g} to {values.max():g}; mode {picture.mode} is read as 0 (black)"
            f" to {white:g} (white). Rescale it."
        )
    return Image.fromarray(np.round(values * (255 / white)).astype(np.uint8))


def _class_numbers(picture: Image.Image, where: str) -> LabelMap:
    values = np.array(picture)  # a palette's indices, not its colours
    if values.ndim == 3:
        colours = values[..., :3] if picture.mode in ("RGB", "RGBA") else values[..., :1]
        opaque = picture.mode == "RGB" or (picture.mode in ("LA", "RGBA") and bool((values[..., -1] == 255).all()))
        if not opaque or (colours != colours[..., :1]).any():
            raise PspkitError(
                f"{where}: a colour picture ({picture.mode}), where a label map holds one class number of 0 to"
                f" {len(LABELS) - 1} per pixel. Replace its colours by class numbers and store it in mode L or P."
            )
        values = colours[..., 0]
    labels = torch.from_numpy(values.astype(np.int64) if picture.mode != "F" else values)
    check_labels(where, labels)
    return LabelMap(labels.to(torch.uint8))
