"""Reads a picture file with care, turns it upright and brings it to the form that a task takes; and writes pictures.

`data/PICTURES.md` is the table of what becomes of each kind of file.
"""

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, ImageSequence
from torch import Tensor
from torchvision import tv_tensors

from pspkit.data.labels import LABELS, LabelMap, check_labels, from_colours, palette
from pspkit.errors import PspkitError, check_choice, check_name, check_tensor
from pspkit.storage.checkpoints.files import write_bytes
from pspkit.storage.reading import check_ordinary

MAX_MEGAPIXELS = 40  # largest picture that is decoded; it takes some 300 MB
MAX_HALVED = 80  # largest JPEG, as it can be decoded at half its size
STRIP = 1 << 20  # pixels that are converted at once
# Formats that Pillow only recognises, or that it hands to another program.
NOT_PICTURES = ("BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF")
LOSSY = ("JPEG", "MPO")
FRAME = 100  # how long a frame is shown if the file does not say, milliseconds
ORIENTATION = 0x0112  # The EXIF tag that says which way is up; with 5 or more, height and width are exchanged.
MOVING = ("AVIF", "GIF", "PNG", "WEBP")  # Formats whose frames are a film; in TIFF and MPO, they are separate pictures.

Picture = tv_tensors.Image | LabelMap


class Budget:
    """Limits how much all threads take at once. A single thread may always go on.

    Args:
        most: the limit of their sum.
    """

    def __init__(self, most: float) -> None:
        self.most, self.taken, self.changed = most, 0.0, threading.Condition()

    @contextmanager
    def share(self, amount: float) -> Iterator[None]:
        """Waits until there is room for an amount, and takes it for the length of a block."""
        with self.changed:
            self.changed.wait_for(lambda: not self.taken or self.taken + amount <= self.most)
            self.taken += amount
        try:
            yield
        finally:
            with self.changed:
                self.taken -= amount
                self.changed.notify_all()


decoding = Budget(MAX_MEGAPIXELS)  # megapixels that all threads of this process decode at once


@cache
def picture_formats() -> dict[str, str]:
    """Pillow's format for each file extension (in lower case) that is read."""
    Image.init()
    return {
        extension: name
        for extension, name in Image.registered_extensions().items()
        if name in Image.OPEN and name not in NOT_PICTURES
    }


def check_header(path: Path) -> None:
    """Refuses a file that is not a picture, or too large, without decoding it.

    Raises:
        PspkitError: the file cannot be used; says why.
    """
    with _open(path):
        pass


def open_picture(path: Path, kind: str = "picture") -> Picture:
    """Reads the first frame of a file, and turns it upright.

    Args:
        path: the file.
        kind: "picture", "sketch" or "labels".

    Returns:
        The picture, as `to_picture` returns it.

    Raises:
        PspkitError: the file cannot be decoded whole, or is not of this kind.
    """
    with _open(path) as file:
        if kind == "labels" and file.format in LOSSY:
            raise PspkitError(
                f"{path}: it is a label map stored as {file.format}, which changes class numbers. Store it as PNG."
            )
        with decoding.share(_megapixels(file)):
            try:
                ImageOps.exif_transpose(file, in_place=True)
            except Exception as error:  # Pillow's decoders raise many kinds, from OSError to SyntaxError.
                raise _unreadable(path, error) from error
            return _from_pil(file, kind, str(path))


def picture_size(path: Path) -> tuple[int, int]:
    """Reads height and width of a picture as it stands upright; raises as `check_header` does."""
    with _open(path) as file:
        turned = file.getexif().get(ORIENTATION, 1) >= 5
        return (file.width, file.height) if turned else (file.height, file.width)


def count_frames(path: Path) -> int:
    """Counts the frames of a picture file: 1 if it is not animated.

    Raises:
        PspkitError: as `check_header`.
    """
    with _open(path) as file:
        animated = file.format in MOVING and getattr(file, "is_animated", False)
        return file.n_frames if animated else 1


def open_frames(path: Path, kind: str = "picture") -> Iterator[tuple[Picture, int]]:
    """Yields the frames of an animated file, as `open_picture` reads them, and how long each is shown, milliseconds.

    Raises:
        PspkitError: as `open_picture`; also if the file is not animated.
    """
    if count_frames(path) < 2:
        raise PspkitError(f"{path}: it is not animated. Translate it without frames.")
    with _open(path) as file:
        for frame in ImageSequence.Iterator(file):
            try:
                still = frame.convert("RGBA" if frame.has_transparency_data else "RGB")
            except Exception as error:
                raise _unreadable(path, error) from error
            yield _from_pil(still, kind, str(path)), int(frame.info.get("duration") or FRAME)


def to_picture(picture: Image.Image | Tensor, kind: str = "picture") -> Picture:
    """Brings a picture from any source to the form that a task takes.

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
    """Writes a picture, or several side by side, in the format of the name's ending; JPEG has quality 92.

    Args:
        path: the file, such as face.png or face.JPG; its folder is made if it is not there.
        picture: float (3, H, W) or (N, 3, H, W) in [-1, 1], as models give it; values outside are clamped.

    Raises:
        PspkitError: the picture has another shape, or no format that can be written has this ending.
        CheckpointError: the file could not be written; an older one is kept.
    """
    path = Path(path)
    picture_format = picture_formats().get(path.suffix.lower())
    if picture_format not in Image.SAVE:
        raise PspkitError(f"{path}: its name has no ending of a picture format. Let it end in .png, .jpg or .webp.")
    if isinstance(picture, Tensor) and picture.ndim == 4:
        picture = torch.cat(tuple(picture), dim=-1)
    check_tensor("picture", picture, (3, "H", "W"))
    file = io.BytesIO()
    to_pil(picture).save(file, picture_format, quality=92)
    write_bytes(path, file.getvalue())


def to_pil(picture: Tensor) -> Image.Image:
    """Turns a picture (3, H, W) in [-1, 1], as models give it, into a Pillow image; values outside are clamped."""
    pixels = picture.detach().float().clamp(-1, 1).add(1).mul(127.5).round().to(torch.uint8).cpu()
    return Image.fromarray(pixels.permute(1, 2, 0).numpy())


def save_labels(path: Path | str, labels: Tensor) -> None:
    """Writes a label map as a PNG whose indices are the classes, and whose palette shows them in pspkit's colours.

    Args:
        path: the file, which ends in .png; its folder is made if it is not there.
        labels: uint8 (H, W), numbers of `LABELS`.

    Raises:
        PspkitError: the name has another ending, or a number is not a class.
        CheckpointError: the file could not be written; an older one is kept.
    """
    path = Path(path)
    if path.suffix.lower() != ".png":
        raise PspkitError(f"{path}: a label map must be stored without loss. Let its name end in .png.")
    check_labels("labels", labels)
    picture = Image.fromarray(labels.as_subclass(Tensor).to(torch.uint8).numpy(force=True)).convert("P")
    picture.putpalette(bytes(palette().flatten().tolist()) + bytes(3 * (256 - len(LABELS))))
    file = io.BytesIO()
    picture.save(file, "PNG")
    write_bytes(path, file.getvalue())


def _open(path: Path) -> Image.Image:
    check_name(path)
    try:
        check_ordinary(path)
        picture = Image.open(path, formats=tuple(set(picture_formats().values())))
    except Exception as error:
        raise _unreadable(path, error) from error
    jpeg = picture.format in LOSSY
    megapixels, most = _megapixels(picture), MAX_HALVED if jpeg else MAX_MEGAPIXELS
    if megapixels > most:
        picture.close()
        raise PspkitError(f"{path}: it has {megapixels:.0f} megapixels, and {most} is the most. Make it smaller.")
    if megapixels > MAX_MEGAPIXELS:
        picture.draft(None, (picture.width // 2, picture.height // 2))
    return picture


def _megapixels(picture: Image.Image) -> float:
    return picture.width * picture.height / 1e6


def _unreadable(path: Path, error: Exception) -> PspkitError:
    if isinstance(error, FileNotFoundError):
        return PspkitError(f"{path}: no such file.")
    if isinstance(error, Image.DecompressionBombError):
        return PspkitError(f"{path}: it has far more than {MAX_MEGAPIXELS} megapixels. Make it smaller.")
    if isinstance(error, Image.UnidentifiedImageError):
        reason = "it is no picture that Pillow knows" if path.stat().st_size else "it is empty"
    else:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return PspkitError(f"{path}: cannot be read, {reason}. Replace it or take it away.")


def _from_pil(picture: Image.Image, kind: str, where: str) -> Picture:
    """Turns a picture into an array, strip by strip, so that only one strip is in memory in several modes at once."""
    if kind == "labels":
        return LabelMap(torch.from_numpy(np.concatenate([_class_numbers(strip, where) for strip in _strips(picture)])))
    mode, white = "RGB" if kind == "picture" else "L", None
    if picture.mode.startswith(("I", "F")):
        white = _white(picture, where)
    transparent = picture.has_transparency_data
    pixels, top = np.empty((picture.height, picture.width, len(mode)), np.uint8), 0
    for strip in _strips(picture):
        if white:
            # Pillow would cut off values above 255; here, values of 16 bits are scaled instead.
            strip = Image.fromarray(np.round(np.asarray(strip) * (255 / white)).astype(np.uint8))
        try:
            if transparent:
                strip = strip.convert("RGBA")
                strip = Image.alpha_composite(Image.new("RGBA", strip.size, "white"), strip)
            strip = strip.convert(mode)
        except ValueError as error:
            raise PspkitError(
                f"{where}: its colour mode {strip.mode} cannot be converted to RGB. Store it as RGB."
            ) from error
        pixels[top : top + strip.height] = np.asarray(strip).reshape(strip.height, strip.width, len(mode))
        top += strip.height
    return tv_tensors.Image(torch.from_numpy(pixels).permute(2, 0, 1))


def _strips(picture: Image.Image) -> Iterator[Image.Image]:
    rows = max(1, STRIP // picture.width)
    for top in range(0, picture.height, rows):
        yield picture.crop((0, top, picture.width, min(top + rows, picture.height)))


def _white(picture: Image.Image, where: str) -> float:
    """The value of white in a picture whose numbers have more than 8 bits."""
    ends = [(values.min(), values.max()) for values in map(np.asarray, _strips(picture))]
    low, high = min(low for low, _ in ends), max(high for _, high in ends)
    white = 1.0 if picture.mode == "F" else 65535.0
    if not all(low >= 0 and high <= white for low, high in ends):  # false for NaN, too
        raise PspkitError(
            f"{where}: it has values from {low:g} to {high:g}; mode {picture.mode} is read as 0 (black) to {white:g}"
            " (white). Rescale it."
        )
    return white


def _class_numbers(picture: Image.Image, where: str) -> np.ndarray:
    values = np.array(picture)  # of a palette the indices, not the colours
    if picture.mode == "P":
        values = _classes_of_palette(picture, values, where)
    elif values.ndim == 3:
        colours = values[..., :3] if picture.mode in ("RGB", "RGBA") else values[..., :1]
        opaque = picture.mode == "RGB" or (picture.mode in ("LA", "RGBA") and bool((values[..., -1] == 255).all()))
        values = colours[..., 0]
        if not opaque or (colours != colours[..., :1]).any():
            values = _classes_of_colours(colours) if opaque else None
        if values is None:
            raise PspkitError(
                f"{where}: it is a colour picture ({picture.mode}), but a label map holds one class number of 0 to"
                f" {len(LABELS) - 1} per pixel; and its colours belong to no palette that is known here. Replace them"
                " by class numbers and store it in mode L or P."
            )
    labels = torch.from_numpy(values.astype(np.int64) if picture.mode != "F" else values)
    if not labels.is_floating_point() and set(labels.unique().tolist()) in ({255}, {0, 255}):
        raise PspkitError(
            f"{where}: it is a mask of 0 and 255, as of one part of a face, but a label map holds class numbers. Merge"
            " the masks of a face into one map with `pspkit labels`."
        )
    check_labels(where, labels)
    return values.astype(np.uint8)


def _classes_of_colours(colours: np.ndarray) -> np.ndarray | None:
    """Turns colours uint8 (H, W, 3) into the classes of a known palette (H, W); None if they belong to none."""
    found, inverse = np.unique(colours.reshape(-1, 3), axis=0, return_inverse=True)
    if len(found) > 2 * len(LABELS):
        return None
    classes = from_colours(torch.from_numpy(found))
    return None if classes is None else classes.numpy()[inverse.reshape(colours.shape[:2])]


def _classes_of_palette(picture: Image.Image, indices: np.ndarray, where: str) -> np.ndarray:
    """The classes of a picture with a palette: those of its colours if they are known, else its indices."""
    used = np.unique(indices)
    table = np.array(picture.getpalette("RGB"), np.uint8).reshape(-1, 3)
    classes = from_colours(torch.from_numpy(table[used])) if len(used) > 1 and used[-1] < len(table) else None
    if classes is not None:
        lookup = np.zeros(256, np.uint8)
        lookup[used] = classes.numpy()
        return lookup[indices]
    grey = bool((table == table[:, :1]).all())
    reduced = len(used) == len(table) > 2 or used[-1] >= len(LABELS)  # as in tables of programs that reduce colours
    if reduced and not grey:
        raise PspkitError(
            f"{where}: it is a picture that was reduced to its {len(used)} colours. Its indices number these colours"
            " in the order of the program that did so, and are not classes. Replace its colours by class numbers, and"
            " store it in mode L."
        )
    return indices
