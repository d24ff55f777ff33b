"""Malformed pictures: every format damaged in several ways, and files that only look like pictures."""

import io
import os
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path

import numpy as np
from PIL import Image

from pspkit.data.pictures import check_header, open_picture
from pspkit.inference.inputs import list_inputs

FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP", "PPM", "TGA", "ICO", "JPEG2000", "SGI", "PCX", "DDS")
MODES = ("RGB", "L", "P", "RGBA", "CMYK", "I;16", "F", "1", "LA")
NAMES = ("a\nb", "a\x1b[31mb", "a\udcffb", "n" * 250, "a b", "-o", "a:0", "é")


def cases(folder: Path, rng: np.random.Generator) -> Iterator[tuple[Path, Callable[[], object]]]:
    """One malformed picture and what reads it."""
    path = _make(folder, rng)
    for kind in ("picture", "sketch", "labels"):
        yield path, partial(open_picture, path, kind)
    yield path, partial(check_header, path)
    yield path, partial(list_inputs, [folder], folder.parent / "out")


def _make(folder: Path, rng: np.random.Generator) -> Path:
    name = rng.choice(NAMES) if rng.random() < 0.1 else "a"
    path = folder / f"{name}.{rng.choice(['png', 'jpg', 'webp', 'tif'])}"
    sort = rng.integers(20)
    if sort == 0:
        path.symlink_to(path)
    elif sort == 1:
        os.mkfifo(path)
    elif sort == 2:
        path.symlink_to("/dev/zero")
    elif sort == 3:
        path.mkdir()
    elif sort == 4:
        path.write_bytes(rng.bytes(rng.integers(200)))
    else:
        path.write_bytes(damaged(_picture(str(rng.choice(FORMATS)), str(rng.choice(MODES))), rng))
    return path


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """Some bytes changed, left out or put in, or the end cut off."""
    values = bytearray(content)
    sort = rng.integers(6)
    if sort == 0:
        return content[: rng.integers(len(content))]
    if sort == 1:
        return content
    for _ in range(rng.integers(1, 9)):
        # Half of the changes hit the header, where sizes are.
        place = int(rng.integers(min(64, len(values)) if rng.random() < 0.5 else len(values)))
        if sort == 2:
            values[place : place + 4] = rng.bytes(rng.integers(8))
        elif sort == 3:
            values[place : place + 4] = b"\xff\xff\xff\xff"
        else:
            values[place] = rng.integers(256)
    return bytes(values)


@cache
def _picture(kind: str, mode: str) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 19, (24, 20, 3), dtype=np.uint8)
    picture = Image.fromarray(pixels)
    picture = Image.fromarray(pixels[..., 0].astype(np.uint16)) if mode == "I;16" else picture.convert(mode)
    file = io.BytesIO()
    try:
        picture.save(file, kind)
    except (OSError, ValueError, KeyError):  # a mode that the format does not have
        picture.convert("RGB").save(file, kind)
    return file.getvalue()
