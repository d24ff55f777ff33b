"""Drawn faces as a data set: pictures that a decoder draws, with their codes, kept in the cache."""

import hashlib
import io
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from filelock import FileLock
from PIL import Image
from safetensors import SafetensorError, safe_open
from torch import Tensor
from torch.utils.data import Dataset
from tqdm.auto import tqdm

from pspkit.data.faces import drawn, sources
from pspkit.data.faces.drawn import PLAIN, WIDE, Variety, draw_codes
from pspkit.data.faces.sources import SIDE, labels_of
from pspkit.device import choose_device, native_precision
from pspkit.errors import PspkitError, check_choice
from pspkit.models.registry import AnyDecoder, has_preview
from pspkit.seeds import seed_of
from pspkit.storage.checkpoints.files import write_tensors
from pspkit.storage.places import cache_folder

SPLITS = {"train": WIDE, "validation": PLAIN}  # how much the faces of each split differ
WHOLE = {"train": 8, "validation": 1}  # One of so many faces is decoded in full, the others by the preview.
LARGEST = 50_000  # faces: about 2 GB
AT_ONCE, CHUNK = 8, 64  # faces that are drawn together, and faces in one file
QUALITY = 95  # of the JPEG files, which take about 25 kB for each face
EXTRAS = {"labels": labels_of}  # what else can be made from the pictures


class DrawnFaces(Dataset):
    """The faces of one split. Each is determined by the decoder, the seed and its number; no face is in two splits.

    Faces that are missing are drawn into the cache, with a progress bar. Data sets that differ only in their count
    share faces. If drawing was stopped, it later goes on with the last 64 faces.

    Codes are rounded to half precision before a face is drawn, so that the stored codes are exactly those of the face.

    Args:
        split: "train" or "validation".
        count: number of faces.
        decoder: the decoder that draws them (see `AnyDecoder`), in float32. While it draws, it is on the device.
        average: (style_dim,), the decoder's average code.
        extras: what else is made from the pictures: "labels", label maps by the face parser.
        seed: seed of all codes.
        cache: folder where the faces are kept; `cache_folder()` by default.

    Raises:
        PspkitError: an argument cannot be used, or the cache cannot be written.
    """

    def __init__(
        self,
        split: str,
        count: int,
        decoder: AnyDecoder,
        average: Tensor,
        *,
        extras: Sequence[str] = (),
        seed: int = 0,
        cache: Path | None = None,
    ) -> None:
        check_choice("split", split, SPLITS)
        for extra in extras:
            check_choice("extras", extra, EXTRAS)
        if not 0 < count <= LARGEST:
            raise PspkitError(f"count: got {count}, needs 1 to {LARGEST} faces.")
        self._split, self._count, self._seed, self._extras = split, count, seed, tuple(extras)
        version = _fingerprint(decoder, average, SPLITS[split])
        self._folder = folder = (cache or cache_folder()) / f"faces-{version}" / f"{split}-seed{seed}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{folder}.lock"):  # Of several processes one draws; the others wait and read.
                self._fill(decoder, average)
                for extra in extras:
                    self._fill_extra(extra)
        except OSError as error:
            raise PspkitError(
                f"{folder}: it could not be written ({error.strerror or error}). Make it writable, with enough room, or"
                " name another folder in PSPKIT_CACHE."
            ) from error

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> dict[str, Tensor | bool | int]:
        """Returns one face.

        Returns:
            "image": uint8 (3, 256, 256); "codes": float32 (n_styles, style_dim); "whole": whether it was decoded in
            full; "index": int; and the extras: uint8 (256, 256).
        """
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        index %= len(self)
        chunk, row = divmod(index, CHUNK)
        files = {name: chunks[chunk] for name, chunks in self._chunks.items()}
        return {
            "image": _picture(files[""], row).permute(2, 0, 1),
            "codes": files[""].get_slice("codes")[row : row + 1][0].float(),
            "whole": bool(files[""].get_slice("whole")[row : row + 1]),
            "index": index,
        } | {extra: _picture(files[extra], row) for extra in self._extras}

    def __getstate__(self) -> dict[str, Any]:
        """A spawned worker is given the place of the faces, not the faces."""
        return {name: value for name, value in self.__dict__.items() if name != "_chunks"}

    @cached_property
    def _chunks(self) -> dict[str, list[safe_open]]:
        """The open files by extra, those of the faces under ""; their content stays on disk until it is used."""
        starts = range(0, len(self), CHUNK)
        return {
            name: [safe_open(self._file(start, name), framework="pt") for start in starts]
            for name in ("", *self._extras)
        }

    def _file(self, start: int, extra: str = "") -> Path:
        """The file with the faces from number `start` on, or with one of their extras."""
        return self._folder / f"{start:07}{extra and '-'}{extra}.safetensors"

    def _missing(self, extra: str = "") -> list[range]:
        """The numbers of the faces in each file that is missing, or holds too few."""
        spans = [range(start, min(start + CHUNK, len(self))) for start in range(0, len(self), CHUNK)]
        return [span for span in spans if _rows(self._file(span.start, extra)) < len(span)]

    def _fill(self, decoder: AnyDecoder, average: Tensor) -> None:
        """Draws the faces that are missing."""
        missing = self._missing()
        if not missing:
            return
        home, device = average.device, choose_device()
        decoder, average = decoder.to(device), average.to(device)
        with tqdm(total=sum(map(len, missing)), desc=f"drawing faces, {self._split}", unit="face") as bar:
            for span in missing:
                codes = self._codes(decoder, average, span)
                whole = torch.tensor([index % WHOLE[self._split] == 0 for index in span])
                if not has_preview(decoder, SIDE):
                    whole[:] = True
                pictures = _draw(decoder, codes, whole, bar)
                _write(self._file(span.start), pictures, codes=codes.half(), whole=whole)
        decoder.to(home)

    def _fill_extra(self, extra: str) -> None:
        """Makes an extra of the faces that lack it."""
        missing = self._missing(extra)
        count, name = sum(map(len, missing)), f"{extra} of faces, {self._split}"
        with tqdm(total=count, desc=name, unit="face", disable=not missing) as bar:
            for span in missing:
                pictures = []
                with safe_open(self._file(span.start), framework="pt") as file:
                    for row in range(len(span)):
                        picture = EXTRAS[extra](_picture(file, row).permute(2, 0, 1))
                        pictures.append(_packed(picture.numpy(), "PNG"))
                        bar.update()
                _write(self._file(span.start, extra), pictures)

    def _codes(self, decoder: AnyDecoder, average: Tensor, span: range) -> Tensor:
        """Codes (N, n_styles, style_dim), float32, that half precision holds exactly."""
        codes = []
        for index in span:
            seed = seed_of(self._seed, list(SPLITS).index(self._split), index)
            generator = torch.Generator(average.device).manual_seed(seed % 2**63)
            codes.append(draw_codes(decoder, average, 1, generator, SPLITS[self._split]))
        return torch.cat(codes).half().float()


@torch.no_grad()
def _draw(decoder: AnyDecoder, codes: Tensor, whole: Tensor, bar: tqdm) -> list[bytes]:
    """JPEG files of 256 px in the order of the codes; those that are `whole` (N,) are decoded in full."""
    device, files = codes.device, [b""] * len(codes)
    fast = native_precision(device) == "bfloat16"
    for kind in (True, False):
        for rows in torch.nonzero(whole == kind).flatten().split(AT_ONCE):
            part = codes[rows.to(device)]
            with torch.autocast(device.type, torch.bfloat16, enabled=fast):
                pictures = decoder.synthesis(part) if kind else decoder.preview(part, SIDE)
            pictures = F.adaptive_avg_pool2d(pictures.float().clamp(-1, 1), SIDE)
            pixels = pictures.add(1).mul(127.5).round().to(torch.uint8).permute(0, 2, 3, 1).cpu()
            for row, picture in zip(rows.tolist(), pixels.numpy(), strict=True):
                files[row] = _packed(picture, "JPEG")
            bar.update(len(rows))
    return files


def _packed(picture: np.ndarray, picture_format: str) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, picture_format, quality=QUALITY)
    return file.getvalue()


def _write(path: Path, pictures: list[bytes], **tensors: Tensor) -> None:
    """Writes encoded pictures one after another, with the ends of each, and further tensors."""
    ends = torch.tensor([0, *map(len, pictures)]).cumsum(0)
    packed = torch.frombuffer(bytearray(b"".join(pictures)), dtype=torch.uint8)
    write_tensors(path, {"pictures": packed, "ends": ends, **tensors}, {"format": "pspkit-faces"})


def _picture(file: safe_open, row: int) -> Tensor:
    """Reads the picture in a row of a file that `_write` wrote: uint8 (256, 256, 3), or (256, 256) without colours."""
    start, end = file.get_slice("ends")[row : row + 2].tolist()
    packed = io.BytesIO(file.get_slice("pictures")[start:end].numpy().tobytes())
    return torch.from_numpy(np.array(Image.open(packed)))


def _rows(path: Path) -> int:
    """Counts the faces in a file; 0 if it is missing or damaged."""
    if not path.exists():
        return 0
    try:
        with safe_open(path, framework="pt") as file:
            return file.get_slice("ends").get_shape()[0] - 1
    except SafetensorError:
        return 0


def _fingerprint(decoder: AnyDecoder, average: Tensor, variety: Variety) -> str:
    """A short text that changes with anything that determines a face, so that an old cache is not used."""
    content = hashlib.sha256(repr((variety, QUALITY)).encode())
    for module in (drawn, sources):
        content.update(Path(module.__file__).read_bytes())
    for tensor in (*decoder.parameters(), *decoder.buffers(), average):  # The preview's readouts are buffers.
        content.update(tensor.detach().float().cpu().contiguous().numpy().tobytes())
    return content.hexdigest()[:8]
