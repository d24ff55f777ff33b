"""Animated pictures through a trained model, frame by frame, into animations."""

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor
from tqdm.auto import tqdm

from pspkit.data.films import save_film
from pspkit.data.pictures import open_frames, to_pil
from pspkit.data.tasks import get_task
from pspkit.data.tasks.transforms import from_square
from pspkit.errors import PspkitError
from pspkit.inference.codes import draw
from pspkit.inference.inputs import list_inputs
from pspkit.inference.results import Job, Summary, check_jobs
from pspkit.psp import PSP


def translate_frames(
    psp: PSP,
    paths: Sequence[Path | str],
    out: Path | str,
    *,
    task: str = "encode",
    overwrite: bool = False,
    batch: int = 8,
    fit: str | None = None,
    from_photograph: bool = False,
    kept: Sequence[Path | str | None] = (),
) -> Summary:
    """Translates every frame of animated pictures; `film.gif` becomes `out/film.webp`, of the same pace.

    The frames are taken as they come: none is aligned, refined or pasted back.

    Args:
        psp: the model, on its device; it is put into evaluation mode.
        paths: animated pictures, and folders of them. A picture that stands still is left out.
        out: the folder for the animations.
        task: what the model was trained for; not one that needs a mask.
        overwrite: whether animations that are there are replaced.
        batch: frames at once.
        fit: as `translate`.
        from_photograph: as `translate`.
        kept: as `translate`.

    Returns:
        What became of every file.

    Raises:
        PspkitError: the task does not fit the model or needs a mask; as `list_inputs` and `check_jobs`.
    """
    found, side, out = get_task(task), psp.encoder.input_size, Path(out)
    if psp.input_nc != found.input_nc or found.option == "mask":
        raise PspkitError(f"task: {task} does not take frames as they come, or not by this model. Name another.")
    if from_photograph:
        found.check_from_photograph()
    inputs, failed = list_inputs(paths, out)
    jobs = [Job(path, name, [out / f"{name}.webp"], []) for path, name in inputs]
    jobs, summary = check_jobs(jobs, failed, out, overwrite, kept)
    psp.eval()
    for job in tqdm(jobs, "translating", unit="film", disable=None):
        try:
            frames = iter(open_frames(job.path, "picture" if from_photograph else found.source))
            answers, pace = [], []
            for pictures, times in _batches(frames, batch):
                shown = map(found.source_of, pictures) if from_photograph else pictures
                sources = torch.stack([found.inference_source(picture, side, fit=fit) for picture in shown])
                with torch.no_grad():
                    drawn = draw(psp.decoder, psp.encode(sources.to(psp.latent_avg)), batch)
                answers += [to_pil(picture) for picture in from_square(drawn, *pictures[0].shape[-2:], fit)]
                pace += times
            save_film(job.pictures[0], answers, pace)
            summary.written += job.pictures
        except PspkitError as error:
            summary.failed[job.path] = str(error)
    return summary


def _batches(frames: Iterator[tuple[Tensor, int]], size: int) -> Iterator[tuple[tuple[Tensor, ...], tuple[int, ...]]]:
    while batch := list(islice(frames, size)):
        pictures, times = zip(*batch, strict=True)
        yield pictures, times
