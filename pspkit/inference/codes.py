"""Codes and layers as people write them: a file of codes or a picture, and `coarse,8-15`."""

import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from tqdm.auto import tqdm

from pspkit.data.pictures import open_picture
from pspkit.data.tasks import get_task
from pspkit.errors import CheckpointError, PspkitError, in_short
from pspkit.inference.inputs import open_source
from pspkit.inference.projection import PREVIEW_SIDE, project
from pspkit.inference.results import Job, Summary, check_jobs, numbered, write_job
from pspkit.inference.tune import tuned_decoder
from pspkit.models.encoders import COARSE, MIDDLE
from pspkit.models.mobile_stylegan import MobileStyleGAN
from pspkit.models.registry import AnyDecoder, example_tensor, has_preview
from pspkit.psp import PSP
from pspkit.storage.checkpoints import read_codes

CODE_FILES = (".safetensors", ".npy", ".npz", ".pt", ".pth")
FIRST_SIXTEEN = (
    "18 codes a picture, of which the photographic decoder takes the first 16; it shares StyleGAN2-FFHQ's space"
)


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
        numbers = re.fullmatch(r"(\d{1,9})(?:-(\d{1,9}))?", text)
        first, last = (int(numbers[1]), int(numbers[2] or numbers[1])) if numbers else (0, -1)
        codes = levels.get(text) or range(first, last + 1)
        if not codes or codes[-1] >= n_styles:
            raise PspkitError(
                f"layers: got {in_short(layers)}, needs {', '.join(levels)}, numbers from 0 to {n_styles - 1}, or"
                f" ranges such as {n_styles // 2}-{n_styles - 1}; several with commas between them."
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
    source = open_source(Path(path), get_task(task), psp.encoder.input_size).input(psp.encoder.input_size)
    with torch.no_grad():
        return psp.encode(source[None].to(psp.latent_avg))


class Projection(NamedTuple):
    """What `project_file` found: codes (1, n_styles, style_dim), and mean squared errors of start and end."""

    codes: Tensor
    start_error: float
    error: float


def project_file(
    decoder: AnyDecoder, path: Path | str, steps: int = 500, psp: PSP | None = None, start: Tensor | None = None
) -> Projection:
    """Optimises the codes of one picture, as `project`; through the decoder's preview where it has one.

    Args:
        decoder: draws it, on its device.
        path: the picture; it is brought to the size of the decoder, or of its preview.
        steps: how many.
        psp: a model of the same decoder, whose codes for the picture are the start; else the average latent is.
        start: codes to begin with in their place, (1, n_styles, style_dim).

    Raises:
        PspkitError: the file cannot be read, or the model's encoder does not take pictures.
    """
    side = PREVIEW_SIDE if has_preview(decoder, PREVIEW_SIDE) else decoder.size
    picture = get_task("encode").inference_source(open_picture(Path(path)), side)[None]
    if start is None and psp is not None:
        if psp.input_nc != picture.shape[1]:
            raise PspkitError(
                f"model: its encoder takes {psp.input_nc} channels, and a picture has 3. Give one of encode."
            )
        start = encode_file(psp, path, "encode")
    _, before = project(decoder, picture, 0, start=start, side=side)
    codes, after = project(decoder, picture, steps, start=start, side=side)
    return Projection(codes, before.item(), after.item())


def load_w_plus(decoder: AnyDecoder, path: Path | str, remarks: list[str] | None = None) -> Tensor:
    """The codes in a file as W+ of this decoder: (N, n_styles, style_dim), on its device.

    Args:
        decoder: draws from them.
        path: as `read_codes`, of z, w or W+; with `:3` at its end, only row 3 of it.
        remarks: gains what a user should know about how they were read; a warning says it unless given.

    Raises:
        PspkitError: the file cannot be read, has no such row, or its codes are another decoder's.
    """
    path, row = split_row(path)
    codes, space = read_codes(path)
    n_styles, style_dim = decoder.n_styles, decoder.style_dim
    if space == "rows":
        codes, space = (codes[None], "w_plus") if first_styles(decoder, codes) is not None else (codes, "w")
    if space == "w_plus" and (fitting := first_styles(decoder, codes)) is not None:
        if fitting.shape != codes.shape:
            say_first_sixteen(remarks)
        codes = fitting
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


def load_face(decoder: AnyDecoder, path: Path | str, remarks: list[str] | None = None) -> Tensor:
    """As `load_w_plus`, of a file or a row that is one face: (1, n_styles, style_dim).

    Raises:
        PspkitError: as `load_w_plus`; or several faces.
    """
    codes = load_w_plus(decoder, path, remarks)
    if len(codes) > 1:
        raise PspkitError(f"{path}: holds {len(codes)} faces. Name one, as in {path}:0.")
    return codes


def first_styles(decoder: AnyDecoder, codes: Tensor) -> Tensor | None:
    """Codes (..., n, style_dim) as a decoder takes them; None where they are another's.

    The photographic decoder was distilled from StyleGAN2 on FFHQ and shares its space; its layers above 512 px have no
    codes, so that it takes the first 16 of 18.
    """
    if codes.shape[-2] == decoder.n_styles:
        return codes
    return codes[..., :16, :] if shares_styles(decoder, codes.shape[-2]) else None


def shares_styles(decoder: AnyDecoder, n_styles: int) -> bool:
    """Whether a decoder is the photographic one, and so many codes are those of StyleGAN2 on FFHQ at 1024 px."""
    return isinstance(decoder, MobileStyleGAN) and (n_styles, decoder.n_styles) == (18, 16)


def say_first_sixteen(remarks: list[str] | None) -> None:
    """Notes that two codes were left away; warns where nobody takes notes."""
    if remarks is None:
        warnings.warn(FIRST_SIXTEEN, stacklevel=3)
    else:
        remarks.append(FIRST_SIXTEEN)


def split_row(path: Path | str) -> tuple[Path, int | None]:
    """A path that may end in `:3`, and that number.

    Raises:
        PspkitError: a number of more than 9 digits.
    """
    both = re.fullmatch(rf"(.+(?:{'|'.join(map(re.escape, CODE_FILES))})):(\d+)", str(path))
    if both and len(both[2]) > 9:
        raise PspkitError(f"{both[1]}: has no row of {len(both[2])} digits.")
    return (Path(both[1]), int(both[2])) if both else (Path(path), None)


def is_codes(path: Path | str) -> bool:
    """Whether a path names codes rather than a picture."""
    return split_row(path)[0].suffix in CODE_FILES


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
    decoder: AnyDecoder,
    paths: Sequence[Path | str],
    out: Path | str,
    *,
    overwrite: bool = False,
    batch: int = 8,
    move: Tensor | None = None,
    kept: Sequence[Path | str | None] = (),
) -> Summary:
    """Draws the codes in files again.

    What `a.safetensors` holds becomes `out/a.png`, or `out/a-0.png`, `out/a-1.png` and so on where it holds several.
    Where `a.tuned.safetensors` is beside it, the decoder's layers that were tuned for the picture draw it.

    Args:
        decoder: draws them, on its device.
        paths: as `load_w_plus`.
        out: the folder for the pictures.
        overwrite: whether pictures that are there are replaced.
        batch: pictures at once.
        move: added to every code, such as a step along a direction: (n_styles, style_dim).
        kept: files and folders that no picture may replace, such as the model's.

    Returns:
        What became of every file.

    Raises:
        PspkitError: two files would give one picture, one would replace what is read, `out` is a file, or a batch of
            none.
    """
    if batch < 1:
        raise PspkitError(f"batch: got {batch}, needs at least 1.")
    out, jobs, codes, failed, noted = Path(out), [], {}, {}, {}
    for path in map(Path, paths):
        try:
            file, row = split_row(path)
            codes[path] = load_w_plus(decoder, path, noted.setdefault(path, []))
            if move is not None:
                codes[path] = codes[path] + move.to(codes[path])
        except PspkitError as error:
            failed[path] = str(error)
            continue
        name = file.stem if row is None else f"{file.stem}-{row}"
        jobs.append(Job(path, name, numbered(out / name, len(codes[path])), []))
    jobs, summary = check_jobs(jobs, failed, out, overwrite, kept)
    for job in jobs:
        summary.remark(job.path, noted[job.path])
    for job in tqdm(jobs, "decoding", unit="file", disable=None):
        try:
            own = tuned_decoder(decoder, split_row(job.path)[0])
        except PspkitError as error:
            summary.failed[job.path] = str(error)
            continue
        write_job(job, draw(own, codes[job.path], batch)[:, None], codes[job.path], overwrite, summary)
    return summary
