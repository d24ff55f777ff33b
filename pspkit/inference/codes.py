"""Codes and layers as people write them: a file of codes or a picture, and `coarse,8-15`."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from tqdm.auto import tqdm

from pspkit.data.pictures import open_picture
from pspkit.data.tasks import get_task
from pspkit.errors import CheckpointError, PspkitError
from pspkit.inference.inputs import read_source
from pspkit.inference.projection import PREVIEW_SIDE, has_preview, project
from pspkit.inference.results import Job, Summary, check_jobs, numbered, write_job
from pspkit.models.encoders import COARSE, MIDDLE
from pspkit.models.registry import AnyDecoder, example_tensor
from pspkit.psp import PSP
from pspkit.storage.checkpoints import read_codes


def parse_layers(layers: str | Sequence[int] | None, n_styles: int) -> list[int]:
    """Which codes are meant.

    Args:
        layers: "coarse" (0-2: pose and shape), "middle" (3-6: features), "fine" (7 on: colours and texture), numbers,
            or ranges such as "8-15", several with commas between them; or the numbers themselves; the finer half
            unless given.
        n_styles: how many codes there are.

    Returns:
        Their numbers, in order.

    Raises:
        PspkitError: nothing of the sort, or a code that is not there.
    """
    if layers is None:
        return list(range(n_styles // 2, n_styles))
    every = range(n_styles)
    levels = {"coarse": every[:COARSE], "middle": every[COARSE:MIDDLE], "fine": every[MIDDLE:]}
    levels = {name: codes for name, codes in levels.items() if codes}
    found: list[int] = []
    for part in layers.lower().split(",") if isinstance(layers, str) else layers:
        text = str(part).strip()
        numbers = re.fullmatch(r"(\d+)(?:-(\d+))?", text)
        first, last = (int(numbers[1]), int(numbers[2] or numbers[1])) if numbers else (0, -1)
        codes = levels.get(text) or range(first, last + 1)
        if not codes or codes[-1] >= n_styles:
            raise PspkitError(
                f"layers: got {layers!r}, needs {', '.join(levels)}, numbers from 0 to {n_styles - 1}, or ranges such"
                f" as {n_styles // 2}-{n_styles - 1}; several with commas between them."
            )
        found += codes
    return sorted(set(found))


def encode_file(psp: PSP, path: Path | str, task: str = "encode") -> Tensor:
    """The codes of one picture.

    Args:
        psp: the model, in evaluation mode.
        path: the picture.
        task: what the model was trained for; not one that needs a mask.

    Returns:
        (1, n_styles, style_dim), on the model's device: an ordinary tensor without gradients.

    Raises:
        PspkitError: the file cannot be read, or is not of the task's or the model's kind.
    """
    source, _ = read_source(Path(path), get_task(task), psp.encoder.input_size)
    with torch.no_grad():
        return psp.encode(source[None].to(psp.latent_avg))


class Projection(NamedTuple):
    """What `project_file` found: codes (1, n_styles, style_dim), and mean squared errors of start and end."""

    codes: Tensor
    start_error: float
    error: float


def project_file(decoder: AnyDecoder, path: Path | str, steps: int = 500, psp: PSP | None = None) -> Projection:
    """Optimises the codes of one picture, as `project`; through the decoder's preview where it has one.

    Args:
        decoder: draws it, on its device.
        path: the picture; it is brought to the size of the decoder, or of its preview.
        steps: how many.
        psp: a model of the same decoder, whose codes for the picture are the start; else the average latent is.

    Raises:
        PspkitError: the file cannot be read, or the model's encoder does not take pictures.
    """
    side = PREVIEW_SIDE if has_preview(decoder) else decoder.size
    picture = get_task("encode").inference_source(open_picture(Path(path)), side)[None]
    if psp is not None and psp.encoder.input_nc != picture.shape[1]:
        raise PspkitError(
            f"model: its encoder takes {psp.encoder.input_nc} channels, and a picture has 3. Give one of encode."
        )
    start = encode_file(psp, path, "encode") if psp is not None else None
    _, before = project(decoder, picture, 0, start=start, side=side)
    codes, after = project(decoder, picture, steps, start=start, side=side)
    return Projection(codes, before.item(), after.item())


def load_w_plus(decoder: AnyDecoder, path: Path | str) -> Tensor:
    """The codes in a file as W+ of this decoder: (N, n_styles, style_dim), on its device.

    Args:
        decoder: draws from them.
        path: a file of `save_codes`, of z, w or W+; with `:3` at its end, only row 3 of it.

    Raises:
        PspkitError: the file cannot be read, has no such row, or its codes are another decoder's.
    """
    path, row = split_row(path)
    codes, space = read_codes(path)
    n_styles, style_dim = decoder.n_styles, decoder.style_dim
    if codes.shape[-1] != style_dim or (space == "w_plus" and codes.shape[1] != n_styles):
        raise CheckpointError(
            f"{path}: codes of shape {tuple(codes.shape[1:])}, but the decoder takes {n_styles} of {style_dim}. Name"
            " the domain or the model that they come from."
        )
    if row is not None:
        if row >= len(codes):
            raise PspkitError(f"{path}: has rows 0 to {len(codes) - 1}, and no row {row}.")
        codes = codes[row, None]
    with torch.no_grad():
        codes = codes.to(example_tensor(decoder))
        if space == "z":
            codes = decoder.mapping(codes)
        return codes if space == "w_plus" else codes[:, None].expand(-1, n_styles, -1)


def split_row(path: Path | str) -> tuple[Path, int | None]:
    """A path that may end in `:3`, and that number."""
    both = re.fullmatch(r"(.+\.safetensors):(\d+)", str(path))
    return (Path(both[1]), int(both[2])) if both else (Path(path), None)


def is_codes(path: Path | str) -> bool:
    """Whether a path names codes rather than a picture."""
    return split_row(path)[0].suffix == ".safetensors"


def draw(decoder: AnyDecoder, codes: Tensor, batch: int = 8) -> Tensor:
    """Pictures (N, 3, size, size) of W+ codes (N, n_styles, style_dim), on the CPU; so many at once.

    Raises:
        PspkitError: the device's memory does not hold so many.
    """
    try:
        with torch.no_grad():
            return torch.cat([decoder.synthesis(part).cpu() for part in codes.split(batch)])
    except torch.OutOfMemoryError as error:
        raise PspkitError(
            f"batch: {batch} pictures at once are too many for the device. Give a smaller one."
        ) from error


def decode_files(
    decoder: AnyDecoder, paths: Sequence[Path | str], out: Path | str, *, overwrite: bool = False, batch: int = 8
) -> Summary:
    """Draws the codes in files again.

    What `a.safetensors` holds becomes `out/a.png`, or `out/a-0.png`, `out/a-1.png` and so on where it holds several.

    Args:
        decoder: draws them, on its device.
        paths: as `load_w_plus`.
        out: the folder for the pictures.
        overwrite: whether pictures that are there are replaced.
        batch: pictures at once.

    Returns:
        What became of every file.

    Raises:
        PspkitError: two files would give one picture, `out` is a file, or a batch of none.
    """
    if batch < 1:
        raise PspkitError(f"batch: got {batch}, needs at least 1.")
    out, jobs, codes, failed = Path(out), [], {}, {}
    for path in map(Path, paths):
        file, row = split_row(path)
        try:
            codes[path] = load_w_plus(decoder, path)
        except PspkitError as error:
            failed[path] = str(error)
            continue
        name = file.stem if row is None else f"{file.stem}-{row}"
        jobs.append(Job(path, name, numbered(out / name, len(codes[path])), []))
    jobs, summary = check_jobs(jobs, failed, out, overwrite)
    for job in tqdm(jobs, "decoding", unit="file", disable=None):
        write_job(job, draw(decoder, codes[job.path], batch)[:, None], codes[job.path], overwrite, summary)
    return summary
