"""Pictures through a trained model, a batch at a time."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torchvision.transforms.v2.functional import resize
from tqdm.auto import tqdm

from pspkit.data.tasks import MASKS, Task, get_task
from pspkit.errors import PspkitError
from pspkit.inference.codes import draw, parse_layers
from pspkit.inference.inputs import Mask, RemarkOn, find_masks, list_inputs, read_source
from pspkit.inference.models import find_identity
from pspkit.inference.refine import Refiner, check_refinement
from pspkit.inference.results import Job, Summary, check_jobs, numbered, write_job
from pspkit.psp import PSP
from pspkit.seeds import seed_of


def translate(
    psp: PSP,
    paths: Path | str | Sequence[Path | str],
    out: Path | str,
    *,
    task: str = "encode",
    factor: int | None = None,
    mask: Mask | None = None,
    variants: int = 0,
    layers: Sequence[int] | str | None = None,
    alpha: float = 1.0,
    seed: int = 0,
    side_by_side: bool = False,
    save_codes: bool = False,
    overwrite: bool = False,
    batch: int = 8,
    remark_on: RemarkOn | None = None,
    refine: int = 0,
    domain: str = "faces",
) -> Summary:
    """Translates picture files by a trained model; one bad file never stops the rest.

    What `folder/a/face.jpg` gives is called `out/a/face.png` where the folder was given, `out/face.png` where the file
    was; with variants `face-0.png` (the model's own answer), `face-1.png` and so on. Codes go to `face.safetensors`,
    one row a picture. A result that is there already is left alone. Where a mask hides a part, the whole result is the
    model's; nothing of the source is pasted over it.

    Args:
        psp: the model, on the device it is to run on; it is put into evaluation mode.
        paths: files and folders, or one of them; folders are searched with all below them. A file is translated once.
        out: the folder for the results, made where it is not there.
        task: what the model was trained for, a key of `TASKS`.
        factor: of super-resolution: how much smaller each picture is made first. 1, the default, takes it as it is.
        mask: of inpainting, which needs one: a picture whose white is missing; a folder of them, named as the inputs
            are; or a name of `MASKS`, to draw one for all.
        variants: more answers to each input: some codes are replaced by those of a z drawn at random, the same for
            every input.
        layers: which codes, as numbers or as `parse_layers` reads them; the finer half unless given.
        alpha: how much of the drawn codes, as `PSP.mix`.
        seed: of the variants and of a mask that is drawn.
        side_by_side: whether source and answers go into one picture, `face.png`.
        save_codes: whether codes are kept.
        overwrite: whether results that are there are replaced.
        batch: pictures at once; no picture depends on the others.
        remark_on: says what else is unusual about a picture, as `FaceLook` does for a model of aligned faces.
        refine: steps of optimisation that follow the encoder, for the task "encode" alone; the variants start from the
            refined codes.
        domain: a key of `DOMAINS`, whose identity network refinement compares people by.

    Returns:
        What became of every input, and what refinement gained.

    Raises:
        PspkitError: a task, option or layer that is not there, or does not fit the model; refinement of a task whose
            input is not the picture that is wanted; two inputs that would give one file, a result would replace an
            input, or `out` is a file or lies in one of the folders.
    """
    found, encoder = get_task(task), psp.encoder
    if encoder.input_nc != found.input_nc:
        raise PspkitError(
            f"task: {task} gives {found.input_nc} channels, but the model takes {encoder.input_nc}. Name the task that"
            " it was trained for."
        )
    least_of = (("batch", batch, 1), ("variants", variants, 0), ("seed", seed, 0), ("refine", refine, 0))
    for name, value, least in least_of:
        if value < least:
            raise PspkitError(f"{name}: got {value}, needs at least {least}.")
    check_refinement(task, refine)
    side, chosen = encoder.input_size, parse_layers(layers, psp.decoder.n_styles)
    option_of = _options(task, found, side, factor, mask, seed)
    if isinstance(paths, (str, Path)):
        paths = [paths]
    out, count = Path(out), 1 if side_by_side else 1 + variants
    inputs, failed = list_inputs(paths, out)
    jobs = [
        Job(path, name, numbered(out / name, count), [out / f"{name}.safetensors"] if save_codes else [])
        for path, name in inputs
    ]
    jobs, summary = check_jobs(jobs, failed, out, overwrite)

    psp.eval()
    refiner = Refiner(psp.decoder, refine, find_identity(domain)) if refine and jobs else None
    with torch.no_grad():
        styles = _styles(psp, variants, seed)
        for first in tqdm(range(0, len(jobs), batch), "translating", unit="batch", disable=None):
            good, sources = _read(jobs[first : first + batch], found, side, option_of, remark_on, summary)
            if not good:
                continue
            sources = torch.stack(sources)
            codes = psp.encode(sources.to(psp.latent_avg))
            if refiner:
                wanted = torch.stack([read_source(job.path, found, refiner.side)[0] for job in good])
                before = refiner.measure(draw(psp.decoder, codes, batch), wanted)
                codes = refiner(codes, wanted)
            codes = torch.stack([codes, *(psp.mix(codes, style[None], chosen, alpha) for style in styles)], 1)
            pictures = draw(psp.decoder, codes.flatten(0, 1), batch).unflatten(0, codes.shape[:2])
            if refiner:
                refiner.gain.add(before, refiner.measure(pictures[:, 0], wanted))
                summary.gain = refiner.gain
            shown = resize(found.show_source(sources), list(pictures.shape[-2:])) if side_by_side else None
            for index, job in enumerate(good):
                files = pictures[index]
                files = torch.cat([shown[index, None], files])[None] if side_by_side else files[:, None]
                write_job(job, files, codes[index], overwrite, summary)
    return summary


def _options(
    name: str, task: Task, side: int, factor: int | None, mask: Mask | None, seed: int
) -> Callable[[Job], Any]:
    """From a job to the task's option for it."""
    for option, value in (("factor", factor), ("mask", mask)):
        if value is not None and task.option != option:
            raise PspkitError(f"{option}: got {value!r}, but {name} has none. Leave it out.")
    if task.option == "mask":
        if mask is None:
            raise PspkitError(
                f"mask: none, and {name} has to know what is missing. Give a picture whose white is missing, a folder"
                f" of them, named as the pictures are, or one of {', '.join(map(repr, MASKS))}."
            )
        return find_masks(mask, side, seed)
    if task.option == "factor":  # once before, so that a factor that is none does not fail for every picture
        task.inference_source(torch.zeros(3, side, side), side, factor)
    return lambda job: factor


def _read(
    jobs: Sequence[Job],
    task: Task,
    side: int,
    option_of: Callable[[Job], Any],
    remark_on: RemarkOn | None,
    summary: Summary,
) -> tuple[list[Job], list[Tensor]]:
    """The jobs whose pictures can be read, and those pictures as the encoder takes them."""
    good, sources = [], []
    for job in jobs:
        try:
            source, remarks = read_source(job.path, task, side, option_of(job), remark_on)
        except PspkitError as error:
            summary.failed[job.path] = str(error)
            continue
        summary.remark(job.path, remarks)
        good.append(job)
        sources.append(source)
    return good, sources


def _styles(psp: PSP, count: int, seed: int) -> Tensor:
    """W+ codes (count, n_styles, style_dim), each from a z that depends on the seed and its number alone."""
    shape = (psp.decoder.n_styles, psp.decoder.style_dim)
    drawn = [
        torch.randn(shape[1], generator=torch.Generator().manual_seed(seed_of(seed, number))) for number in range(count)
    ]
    if not drawn:
        return psp.latent_avg.new_empty(0, *shape)
    w = psp.decoder.mapping(torch.stack(drawn).to(psp.latent_avg))
    return w[:, None].expand(-1, *shape)
