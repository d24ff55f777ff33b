"""One picture file: opened with care, turned upright, brought to the form that a task reads; and written.

`data/PICTURES.md` is the table of what each kind of file becomes.
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

MAX_MEGAPIXELS = 40  # that are decoded: some 300 MB
MAX_HALVED = 80  # of a JPEG, which can be decoded at half its size
STRIP = 1 << 20  # pixels that are converted at once
# Formats that Pillow only recognises, or hands to another program.
NOT_PICTURES = ("BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF")
LOSSY = ("JPEG", "MPO")
FRAME = 100  # milliseconds that a frame is shown where the file does not say
ORIENTATION = 0x0112  # the EXIF tag that says which way is up; from 5 on height and width change places
MOVING = ("AVIF", "GIF", "PNG", "WEBP")  # formats whose frames are a film; those of TIFF and MPO are other pictures

Picture = tv_tensors.Image | LabelMap


class Budget:
    """Lets threads take so much at once that their sum stays below a bound; one alone may always go on.

    Args:
        most: the bound.
    """

    def __init__(self, most: float) -> None:
        self.most, self.taken, self.changed = most, 0.0, threading.Condition()

    @contextmanager
    def share(self, amount: float) -> Iterator[None]:
        """Waits until there is room for an amount, and takes it within the block."""
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
        with decoding.share(_megapixels(file)):
            try:
                ImageOps.exif_transpose(file, in_place=True)
            except Exception as error:  # Pillow's decoders raise many kinds, from OSError to SyntaxError
                raise _unreadable(path, error) from error
            return _from_pil(file, kind, str(path))


def picture_size(path: Path) -> tuple[int, int]:
    """Height and width of a picture file once it is upright; raises as `check_header`."""
    with _open(path) as file:
        turned = file.getexif().get(ORIENTATION, 1) >= 5
        return (file.width, file.height) if turned else (file.height, file.width)


def count_frames(path: Path) -> int:
    """How many frames a picture file has; 1 where it is not animated.

    Raises:
        PspkitError: as `check_header`.
    """
    with _open(path) as file:
        animated = file.format in MOVING and getattr(file, "is_animated", False)
        return file.n_frames if animated else 1


def open_frames(path: Path, kind: str = "picture") -> Iterator[tuple[Picture, int]]:
    """The frames of an animated file one by one, as `open_picture`, and how long each is shown, milliseconds.

    Raises:
        PspkitError: as `open_picture`; or the file is not animated.
    """
    if count_frames(path) < 2:
        raise PspkitError(f"{path}: not animated. Translate it without frames.")
    with _open(path) as file:
        for frame in ImageSequence.Iterator(file):
            try:
                still = frame.convert("RGBA" if frame.has_transparency_data else "RGB")
            except Exception as error:
                raise _unreadable(path, error) from error
            yield _from_pil(still, kind, str(path)), int(frame.info.get("duration") or FRAME)


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
    file = io.BytesIO()
    to_pil(picture).save(file, picture_format, quality=92)
    write_bytes(path, file.getvalue())


def to_pil(picture: Tensor) -> Image.Image:
    """A picture (3, H, W) in [-1, 1], as models give it, to a Pillow image; values beyond are clamped."""
    pixels = picture.detach().float().clamp(-1, 1).add(1).mul(127.5).round().to(torch.uint8).cpu()
    return Image.fromarray(pixels.permute(1, 2, 0).numpy())


def save_labels(path: Path | str, labels: Tensor) -> None:
    """Writes a label map as PNG whose indices are the classes and whose palette shows them in our colours.

    Args:
        path: the file, .png; its folder is made where it is not there.
        labels: uint8 (H, W), numbers of `LABELS`.

    Raises:
        PspkitError: another name, or a number that is no class.
        CheckpointError: the file could not be written; what stood there is untouched.
    """
    path = Path(path)
    if path.suffix.lower() != ".png":
        raise PspkitError(f"{path}: a label map is stored without loss. Name it .png.")
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
        raise PspkitError(f"{path}: {megapixels:.0f} megapixels; {most} is the most. Make it smaller.")
    if megapixels > MAX_MEGAPIXELS:
        picture.draft(None, (picture.width // 2, picture.height // 2))
    return picture


def _megapixels(picture: Image.Image) -> float:
    return picture.width * picture.height / 1e6


def _unreadable(path: Path, error: Exception) -> PspkitError:
    if isinstance(error, FileNotFoundError):
        return PspkitError(f"{path}: no such file.")
    if isinstance(error, Image.DecompressionBombError):
        return PspkitError(f"{path}: far more than {MAX_MEGAPIXELS} megapixels. Make it smaller.")
    if isinstance(error, Image.UnidentifiedImageError):
        reason = "it is no picture that Pillow knows" if path.stat().st_size else "it is empty"
    else:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return PspkitError(f"{path}: cannot be read, {reason}. Replace it or take it away.")


def _from_pil(picture: Image.Image, kind: str, where: str) -> Picture:
    """Brings a picture to arrays in strips, so that only one strip is there in several modes at once."""
    if kind == "labels":
        return LabelMap(torch.from_numpy(np.concatenate([_class_numbers(strip, where) for strip in _strips(picture)])))
    mode, white = "RGB" if kind == "picture" else "L", None
    if picture.mode.startswith(("I", "F")):
        white = _white(picture, where)
    transparent = picture.has_transparency_data
    pixels, top = np.empty((picture.height, picture.width, len(mode)), np.uint8), 0
    for strip in _strips(picture):
        if white:
            # Pillow would cut values above 255 off; 16 bits are scaled instead.
            strip = Image.fromarray(np.round(np.asarray(strip) * (255 / white)).astype(np.uint8))
        try:
            if transparent:
                strip = strip.convert("RGBA")
                strip = Image.alpha_composite(Image.new("RGBA", strip.size, "white"), strip)
            strip = strip.convert(mode)
        except ValueError as error:
            raise PspkitError(f"{where}: colour mode {strip.mode} has no way to RGB. Store it as RGB.") from error
        pixels[top : top + strip.height] = np.asarray(strip).reshape(strip.height, strip.width, len(mode))
        top += strip.height
    return tv_tensors.Image(torch.from_numpy(pixels).permute(2, 0, 1))


def _strips(picture: Image.Image) -> Iterator[Image.Image]:
    rows = max(1, STRIP // picture.width)
    for top in range(0, picture.height, rows):
        yield picture.crop((0, top, picture.width, min(top + rows, picture.height)))


def _white(picture: Image.Image, where: str) -> float:
    """What is white in a picture of numbers beyond 8 bits."""
    ends = [(values.min(), values.max()) for values in map(np.asarray, _strips(picture))]
    low, high = min(low for low, _ in ends), max(high for _, high in ends)
    white = 1.0 if picture.mode == "F" else 65535.0
    if not all(low >= 0 and high <= white for low, high in ends):  # NaN is neither
        raise PspkitError(
            f"{where}: has values from {low:g} to {high:g}; mode {picture.mode} is read as 0 (black) to {white:g}"
            " (white). Rescale it."
        )
    return white


def _class_numbers(picture: Image.Image, where: str) -> np.ndarray:
    values = np.array(picture)  # a palette's indices, not its colours
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
                f"{where}: a colour picture ({picture.mode}), where a label map holds one class number of 0"
                f" to {len(LABELS) - 1} per pixel; its colours are of no palette that is known here. Replace them by"
                " class numbers and store it in mode L or P."
            )
    labels = torch.from_numpy(values.astype(np.int64) if picture.mode != "F" else values)
    if not labels.is_floating_point() and set(labels.unique().tolist()) in ({255}, {0, 255}):
        raise PspkitError(
            f"{where}: a mask of 0 and 255, as of one part of a face, where a label map holds class numbers. Merge the"
            " masks of a face into one map with `pspkit labels`."
        )
    check_labels(where, labels)
    return values.astype(np.uint8)


def _classes_of_colours(colours: np.ndarray) -> np.ndarray | None:
    """Colours uint8 (H, W, 3) as the classes of a known palette (H, W); None where they are of none."""
    found, inverse = np.unique(colours.reshape(-1, 3), axis=0, return_inverse=True)
    if len(found) > 2 * len(LABELS):
        return None
    classes = from_colours(torch.from_numpy(found))
    return None if classes is None else classes.numpy()[inverse.reshape(colours.shape[:2])]


def _classes_of_palette(picture: Image.Image, indices: np.ndarray, where: str) -> np.ndarray:
    """The classes in a picture with a palette: by its colours where they are known, else its indices."""
    used = np.unique(indices)
    table = np.array(picture.getpalette("RGB"), np.uint8).reshape(-1, 3)
    classes = from_colours(torch.from_numpy(table[used])) if len(used) > 1 and used[-1] < len(table) else None
    if classes is not None:
        lookup = np.zeros(256, np.uint8)
        lookup[used] = classes.numpy()
        return lookup[indices]
    grey = bool((table == table[:, :1]).all())
    reduced = len(used) == len(table) > 2 or used[-1] >= len(LABELS)  # tables of programs that reduce colours
    if reduced and not grey:
        raise PspkitError(
            f"{where}: a picture that was reduced to its {len(used)} colours: its indices number these colours in the"
            " order of the program that did it, and are no classes. Replace its colours by class numbers, and store it"
            " in mode L."
        )
    return indices
