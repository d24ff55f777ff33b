"""Rendered heads as data: a data set that renders once into the cache, and a folder of files to look at."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from tqdm.auto import tqdm

from pspkit.data.heads.factors import Factors, front_view, sample_factors
from pspkit.data.heads.light import LOOKS
from pspkit.data.heads.render import SIZES, render
from pspkit.errors import PspkitError, check_choice
from pspkit.storage.atomic import replacing
from pspkit.storage.places import cache_folder

FIRST_PERSON = {"train": 0, "validation": 1 << 40, "test": 1 << 41}  # far enough apart that no split reaches the next
# What is rendered together: from the names in a data set's items to the names in the renderer's results.
KINDS = {
    "plain": {name: name for name in ("image", "labels", "sketch", "landmarks")},
    "front_view": {"front_view": "image"},
    "toon": {"toon": "image"},
}
EXTRAS = KINDS.keys() - {"plain"}
AT_ONCE, CHUNK = 32, 512  # heads that are rendered together, and heads in one file


class HeadsDataset(Dataset):
    """The heads of one split. No person is in two splits, because their numbers come from separate ranges.

    Heads that are missing are rendered into the cache, with a progress bar. Data sets that differ only in their count
    share heads. If rendering was stopped, it later goes on with the last 512 heads.

    Args:
        split: "train", "validation" or "test".
        count: number of heads.
        size: side of the pictures, pixels.
        seed: seed of all factors.
        views: how many heads in a row show one person.
        extras: what else is rendered: "front_view", each person facing the camera at rest; "toon", the other look.
        cache: folder where renderings are kept; `cache_folder()` by default.

    Raises:
        PspkitError: an argument cannot be used, or the cache cannot be written.
    """

    def __init__(
        self,
        split: str,
        count: int,
        size: int,
        *,
        seed: int = 0,
        views: int = 1,
        extras: Sequence[str] = (),
        cache: Path | None = None,
    ) -> None:
        check_choice("split", split, FIRST_PERSON)
        check_choice("size", size, SIZES)
        for extra in extras:
            check_choice("extras", extra, EXTRAS)
        if not 0 < count < 1 << 30:
            raise PspkitError(f"count: got {count}, needs 1 to {(1 << 30) - 1}.")
        self._count, self._seed, self._views, self._start = count, seed, views, FIRST_PERSON[split] * views
        name = "-".join([split, f"{size}px", f"seed{seed}", f"views{views}"])
        self._folder = folder = (cache or cache_folder()) / f"heads-{_renderer_version()}" / name
        self._names = [name for what in ("plain", *extras) for name in KINDS[what]]
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{folder}.lock"):  # Of several processes one renders; the others wait and read.
                for what in ("plain", *extras):
                    _fill(folder, what, self.factors, size)
        except OSError as error:
            raise PspkitError(
                f"{folder}: it could not be written ({error.strerror or error}). Make it writable, with enough room, or"
                " name another folder in PSPKIT_CACHE."
            ) from error

    @cached_property
    def factors(self) -> Factors:
        """The factors from which the heads are rendered."""
        return sample_factors(self._count, self._seed, start=self._start, views=self._views)

    def __len__(self) -> int:
        return self._count

    @cached_property
    def _chunks(self) -> dict[str, list[np.ndarray]]:
        """The renderings by name, in chunks; they stay on disk until they are used."""
        starts = range(0, len(self), CHUNK)
        return {
            name: [np.load(_file(self._folder, name, start), mmap_mode="r") for start in starts] for name in self._names
        }

    def __getstate__(self) -> dict[str, Any]:
        """A spawned worker is given the place of the renderings, not the renderings."""
        return {name: value for name, value in self.__dict__.items() if name not in ("_chunks", "factors")}

    def __getitem__(self, index: int) -> dict[str, Tensor | int]:
        """Returns one head.

        Returns:
            "image" and the extras: (3, size, size) in [-1, 1]; "labels": uint8 (size, size); "sketch": (1, size, size)
            in [0, 1]; "landmarks": (5, 2) in pixels; "person" and "index": int.
        """
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        chunk, row = divmod(index % len(self), CHUNK)
        item = {name: torch.from_numpy(chunks[chunk][row].copy()) for name, chunks in self._chunks.items()}
        for name in {"image", *EXTRAS} & item.keys():
            item[name] = item[name] / 127.5 - 1
        item["sketch"] = item["sketch"] / 255
        index %= len(self)
        return item | {"person": (self._start + index) // self._views, "index": index}


def export(factors: Factors, size: int, folder: Path, *, look: str = "plain") -> None:
    """Writes heads as files: numbered PNG files of images, labels and sketches, and factors.json.

    Raises:
        PspkitError: there is no such size or look, or the folder cannot be written.
    """
    check_choice("size", size, SIZES)
    check_choice("look", look, LOOKS)
    try:
        for name in ("images", "labels", "sketches"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        for start, batch in _rendered(factors, size, look, [range(len(factors))]):
            pictures = {
                "images": batch["image"].permute(0, 2, 3, 1),
                "labels": batch["labels"],
                "sketches": batch["sketch"][:, 0],
            }
            for name, pictures_of_one_kind in pictures.items():
                for number, picture in enumerate(pictures_of_one_kind.numpy(), start):
                    with replacing(folder / name / f"{number:05}.png") as part:
                        Image.fromarray(picture).save(part, format="PNG")
        with replacing(folder / "factors.json") as part:
            part.write_text(factors.to_json())
    except OSError as error:
        raise PspkitError(
            f"{folder}: it could not be written ({error.strerror or error}). Name a folder that can be written, with"
            " enough room."
        ) from error


def picture_key(kind: str) -> str:
    """The name of a picture in an item: an extra has its own name, and every other picture is the "image"."""
    return kind if kind in EXTRAS else "image"


def _file(folder: Path, name: str, start: int) -> Path:
    """The file that holds the entry `name` of the heads from number `start` on."""
    return folder / f"{name}-{start:07}.npy"


def _fill(folder: Path, what: str, factors: Factors, size: int) -> None:
    """Renders the missing chunks of "plain" heads or of an extra."""

    def rows(path: Path) -> int:
        return len(np.load(path, mmap_mode="r")) if path.exists() else 0

    names, starts = KINDS[what], range(0, len(factors), CHUNK)
    spans = {start: range(start, min(start + CHUNK, len(factors))) for start in starts}
    missing = [
        span for start, span in spans.items() if min(rows(_file(folder, name, start)) for name in names) < len(span)
    ]
    shown = front_view(factors) if what == "front_view" else factors
    rendered = _rendered(shown, size, "toon" if what == "toon" else "plain", missing)
    for span in missing:
        parts = list(islice(rendered, -(-len(span) // AT_ONCE)))
        for name, rendered_name in names.items():
            with replacing(_file(folder, name, span.start)) as part, part.open("wb") as stream:
                np.save(stream, np.concatenate([batch[rendered_name].numpy() for _, batch in parts]))


class _Batches(Dataset):
    """Batches of heads as bytes, for the worker processes of a DataLoader."""

    def __init__(self, factors: Factors, size: int, look: str, batches: Sequence[range]) -> None:
        self.factors, self.size, self.look, self.batches = factors, size, look, batches

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, number: int) -> tuple[int, dict[str, Tensor]]:
        heads = self.batches[number]
        seen = render(self.factors[heads.start : heads.stop], self.size, look=self.look)
        return heads.start, {
            "image": _bytes(seen.image, 127.5, 1),
            "labels": seen.labels,
            "sketch": _bytes(seen.sketch, 255, 0),
            "landmarks": seen.landmarks,
        }


def _rendered(
    factors: Factors, size: int, look: str, spans: Sequence[range]
) -> Iterator[tuple[int, dict[str, Tensor]]]:
    """Yields spans of heads in batches: the number of the first head, and the batch. No batch is in two spans."""
    batches = [span[start : start + AT_ONCE] for span in spans for start in range(0, len(span), AT_ONCE)]
    several = len(batches) >= 4  # Otherwise starting processes takes more time than they save.
    workers = min(_usable_cores(), len(batches))
    loader = DataLoader(
        _Batches(factors, size, look, batches),
        batch_size=None,
        num_workers=workers if several else 0,
    )
    with torch.device(
        "cpu"
    ):  # PyTorch's loader draws a seed from a generator of the CPU, whatever the default device is.
        rendered = iter(loader)
    with tqdm(total=sum(map(len, batches)), desc="rendering heads", unit="head", disable=not several) as bar:
        for start, batch in rendered:
            yield start, batch
            bar.update(len(batch["labels"]))


def _usable_cores() -> int:
    """The number of cores that this process may use. PyTorch's number of threads is 1 in every process of torchrun."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _bytes(values: Tensor, scale: float, offset: float) -> Tensor:
    return ((values + offset) * scale).round().clamp(0, 255).to(torch.uint8)


def _renderer_version() -> str:
    """A short text that changes with the renderer's source, so that an old cache is not used."""
    sources = (file.read_bytes() for file in sorted(Path(__file__).parent.glob("*.py")) if file != Path(__file__))
    return hashlib.sha256(b"".join(sources)).hexdigest()[:8]
