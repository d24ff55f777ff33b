"""Rendered heads as data: a dataset that renders once into the cache, and a folder of files to look at."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock
from numpy.lib.format import open_memmap
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from tqdm.auto import tqdm

from pspkit.assets import cache_folder
from pspkit.atomic import replacing
from pspkit.errors import PspkitError, check_choice
from pspkit.heads.factors import Factors, front_view, sample_factors
from pspkit.heads.light import LOOKS
from pspkit.heads.render import SIZES, render

FIRST_PERSON = {"train": 0, "validation": 1 << 40, "test": 1 << 41}  # so far apart that no split reaches the next
EXTRAS = {"front_view", "toon"}
AT_ONCE = 32  # heads between two notes of how far a rendering came


class HeadsDataset(Dataset):
    """Heads of one split. People of different splits are different: their numbers are drawn from ranges of their own.

    What is missing is rendered into the cache with a progress bar; a rendering that was stopped goes on where it was.

    Args:
        split: "train", "validation" or "test".
        count: how many heads.
        size: side of the pictures in pixels.
        seed: of all factors.
        views: how many heads in a row are one person.
        extras: what to render besides: "front_view", each person facing the camera at rest; "toon", the other look.
        cache: where renderings live; `pspkit.assets.cache_folder()` by default.

    Raises:
        PspkitError: an argument that cannot be used, or a cache that cannot be written.
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
        self.factors = sample_factors(count, seed, start=FIRST_PERSON[split] * views, views=views)
        name = "-".join([split, f"{count}x{size}px", f"seed{seed}", f"views{views}"])
        folder = (cache or cache_folder()) / f"heads-{_renderer_version()}" / name
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{folder}.lock"):  # of several processes one renders, the others wait and read
                self._arrays = {}
                for what in ("plain", *extras):
                    self._arrays |= _fill(folder, what, self.factors, size)
        except OSError as error:
            raise PspkitError(
                f"{folder}: could not be written ({error.strerror or error}). Make it writable, with room "
                "enough, or name another folder in PSPKIT_CACHE."
            ) from error

    def __len__(self) -> int:
        return len(self.factors)

    def __getitem__(self, index: int) -> dict[str, Tensor | int]:
        """One head.

        Returns:
            image and the extras: (3, size, size) in [-1, 1]; labels: uint8 (size, size); sketch: (1, size, size) in
            [0, 1]; landmarks: (5, 2) in pixels; person and index: int.
        """
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        item = {name: torch.from_numpy(array[index].copy()) for name, array in self._arrays.items()}
        for name in {"image", *EXTRAS} & item.keys():
            item[name] = item[name] / 127.5 - 1
        item["sketch"] = item["sketch"] / 255
        return item | {"person": self.factors.person[index].item(), "index": index % len(self)}


def export(factors: Factors, size: int, folder: Path, *, look: str = "plain") -> None:
    """Writes heads as files: images, labels, sketches (one PNG each, numbered) and factors.json.

    Raises:
        PspkitError: no such size or look, or a folder that cannot be written.
    """
    check_choice("size", size, SIZES)
    check_choice("look", look, LOOKS)
    try:
        for name in ("images", "labels", "sketches"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        for start, batch in _rendered(factors, size, look):
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
            f"{folder}: could not be written ({error.strerror or error}). Name a folder that can be, with room enough."
        ) from error


def _fill(folder: Path, what: str, factors: Factors, size: int) -> dict[str, np.ndarray]:
    """The arrays of "plain" heads, or of an extra, after rendering what they lack."""
    shapes = {what: (3, size, size)}
    if what == "plain":
        shapes = {"image": (3, size, size), "labels": (size, size), "sketch": (1, size, size), "landmarks": (5, 2)}
    files = {name: folder / f"{name}.npy" for name in shapes}
    note = folder / f"{what}.rendered"
    done = int(note.read_text()) if note.exists() and all(file.exists() for file in files.values()) else 0
    if done < len(factors):
        if not done:
            for name, file in files.items():
                kind = np.float32 if name == "landmarks" else np.uint8
                open_memmap(file, "w+", kind, (len(factors), *shapes[name]))
        arrays = {name: open_memmap(file, "r+") for name, file in files.items()}
        shown = front_view(factors) if what == "front_view" else factors
        for start, batch in _rendered(shown, size, "toon" if what == "toon" else "plain", done):
            here = slice(start, start + AT_ONCE)
            for name, array in arrays.items():
                array[here] = batch["image" if name == what else name]
                array.flush()
            done = min(here.stop, len(factors))
            with replacing(note) as part:
                part.write_text(str(done))
    return {name: np.load(file, mmap_mode="r") for name, file in files.items()}


class _Batches(Dataset):
    """Batches of heads as bytes, for the worker processes of a DataLoader."""

    def __init__(self, factors: Factors, size: int, look: str) -> None:
        self.factors, self.size, self.look = factors, size, look

    def __getitem__(self, start: int) -> tuple[int, dict[str, Tensor]]:
        seen = render(self.factors[start : start + AT_ONCE], self.size, look=self.look)
        return start, {
            "image": _bytes(seen.image, 127.5, 1),
            "labels": seen.labels,
            "sketch": _bytes(seen.sketch, 255, 0),
            "landmarks": seen.landmarks,
        }


def _rendered(factors: Factors, size: int, look: str, done: int = 0) -> Iterator[tuple[int, dict[str, Tensor]]]:
    """The numbers of the batches' first heads and the batches, from head `done` on."""
    starts = range(done, len(factors), AT_ONCE)
    several = len(starts) >= 4  # else starting processes takes longer than they save
    batches = DataLoader(
        _Batches(factors, size, look),
        batch_size=None,
        sampler=starts,
        num_workers=torch.get_num_threads() if several else 0,
    )
    with tqdm(total=len(factors), initial=done, desc="rendering heads", unit="head", disable=not several) as bar:
        for start, batch in batches:
            yield start, batch
            bar.update(len(batch["labels"]))


def _bytes(values: Tensor, scale: float, offset: float) -> Tensor:
    return ((values + offset) * scale).round().clamp(0, 255).to(torch.uint8)


def _renderer_version() -> str:
    """Changes with the renderer's source, so that no cache outlives it."""
    sources = (file.read_bytes() for file in sorted(Path(__file__).parent.glob("*.py")) if file != Path(__file__))
    return hashlib.sha256(b"".join(sources)).hexdigest()[:8]
