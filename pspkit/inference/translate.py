"""Pictures through a trained model, a batch at a time."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.transforms.v2.functional import resize
from tqdm.auto import tqdm

from pspkit.data.folders import count_unread
from pspkit.data.pictures import open_picture
from pspkit.data.tasks import FITS, MASKS, Task, get_task
from pspkit.data.tasks.transforms import from_square
from pspkit.errors import PspkitError, check_choice
from pspkit.inference.codes import draw, parse_layers
from pspkit.inference.inputs import Mask, Place, RemarkOn, Source, find_masks, list_inputs, open_source
from pspkit.inference.models import find_identity
from pspkit.inference.paste import Paster, Placement
from pspkit.inference.refine import Refiner, check_refinement
from pspkit.inference.results import Job, Summary, check_jobs, in_batches, numbered, write_job
from pspkit.inference.tune import Tuner, save_tuned, tuned_path
from pspkit.psp import PSP
from pspkit.seeds import seed_of

LEGEND = 256  # side at which a legend can be read, pixels


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
    place: Place | None = None,
    paste: bool = False,
    refine: int = 0,
    tune: int = 0,
    domain: str = "faces",
    from_photograph: bool = False,
    iterations: int | None = None,
    fit: str | None = None,
    kept: Sequence[Path | str | None] = (),
) -> Summary:
    """Translates picture files by a trained model; one bad file never stops the rest.

    What `folder/a/face.jpg` gives is called `out/a/face.png` where the folder was given, `out/face.png` where the file
    was; with variants `face-0.png` (the model's own answer), `face-1.png` and so on. Codes go to `face.safetensors`,
    one row a picture. A result that is there already is left alone. Where a mask hides a part, the whole result is the
    model's, unless it is to be pasted.

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
        remark_on: says what else is unusual about a picture, as `remark_on_photographs` does for a model of heads.
        place: says where a picture's face is, as `Aligner` does for a model of aligned faces; the pictures are taken as
            they are unless given.
        paste: whether each result is the whole photograph with the model's answer in the place of the face, as
            `paste_back` puts it there; of inpainting, in the place of what is missing.
        refine: steps of optimisation that follow the encoder, for the task "encode" alone; the variants start from the
            refined codes.
        tune: steps of training that follow refinement, for each picture its own copy of some of the decoder's layers,
            as `Tuner` does; with `save_codes` they are kept in `face.tuned.safetensors`.
        domain: a key of `DOMAINS`, whose identity network refinement compares people by.
        from_photograph: whether the files are aligned photographs of faces, of which sketches or label maps are made.
        iterations: of a ReStyle model: how often its encoder corrects the answer, as often as in its training unless
            given. Side by side every answer is shown.
        fit: how pictures that are not square become so, "pad", "crop" or "stretch", as the model was trained; it is
            undone on the answers. Unless given they are squeezed, and the answers are square.
        kept: files and folders that no result may replace, such as the model's.

    Returns:
        What became of every input, and what refinement gained.

    Raises:
        PspkitError: a task, option or layer that is not there, or does not fit the model; refinement of a task whose
            input is not the picture that is wanted; two inputs that would give one file, a result would replace what
            is read, or `out` is a file or lies in one of the folders.
    """
    found, encoder = get_task(task), psp.encoder
    if psp.input_nc != found.input_nc:
        raise PspkitError(
            f"task: {task} gives {found.input_nc} channels, but the model takes {psp.input_nc}. Name the task that it"
            " was trained for."
        )
    if iterations is not None and (not psp.iterations or iterations < 1):
        what = f"got {iterations}, needs at least 1" if psp.iterations else "the model is no ReStyle, and answers once"
        raise PspkitError(f"iterations: {what}.")
    least_of = {"batch": (batch, 1), "variants": (variants, 0), "seed": (seed, 0)}
    for name, (value, least) in (least_of | {"refine": (refine, 0), "tune": (tune, 0)}).items():
        if value < least:
            raise PspkitError(f"{name}: got {value}, needs at least {least}.")
    check_refinement(task, refine)
    check_refinement(task, tune, "tune")
    if from_photograph:
        found.check_from_photograph()
    check_choice("fit", fit, (None, *FITS))
    side, chosen = encoder.input_size, parse_layers(layers, psp.decoder.n_styles)
    option_of = _options(task, found, side, factor, mask, seed)
    if paste and (found.source != "picture" or side_by_side or fit):
        why = "fit is given" if fit else "side_by_side is asked for"
        why = why if found.source == "picture" else f"the source of {task} is no photograph"
        raise PspkitError(f"paste: {why}, which does not go together. Leave it out.")
    if isinstance(paths, (str, Path)):
        paths = [paths]
    out, count = Path(out), 1 if side_by_side else 1 + variants
    inputs, failed = list_inputs(paths, out)
    jobs = []
    for path, name in inputs:
        codes_files = [out / f"{name}.safetensors"] if save_codes else []
        tuned = [tuned_path(file) for file in codes_files if tune]
        jobs.append(Job(path, name, numbered(out / name, count), codes_files, tuned))
    given = mask if isinstance(mask, (str, Path)) else None
    todo, summary = check_jobs(jobs, failed, out, overwrite, [given, *kept])
    summary.unread = count_unread(paths)

    opener = partial(
        open_source,
        task=found,
        side=side,
        remark_on=remark_on,
        from_photograph=from_photograph,
        place=place,
        fit=fit,
    )
    if isinstance(mask, str) and mask in MASKS and not Path(mask).exists():
        opener.keywords["drawn"] = True
    psp.eval()
    fitter = Refiner(psp.decoder, refine, find_identity(domain)) if (refine or tune) and todo else None
    tuner = Tuner(psp.decoder, tune, fitter) if tune and todo else None
    paster = Paster() if paste and todo else None
    with torch.no_grad():
        styles = _styles(psp, variants, seed)
        for together in tqdm(in_batches(jobs, todo, batch), "translating", unit="batch", disable=None):
            good, opened, sources = _read(together, opener, option_of, summary)
            if not good:
                continue
            sources = torch.stack(sources)
            steps = _answers(psp, sources.to(psp.latent_avg), iterations)
            codes = steps[:, -1]
            if fitter:
                wanted = torch.stack([source.input(fitter.side) for source in opened])
            if refine:
                before = fitter.measure(draw(psp.decoder, codes, batch), wanted)
                codes = fitter(codes, wanted)
            codes = torch.stack([codes, *(psp.mix(codes, style[None], chosen, alpha) for style in styles)], 1)
            drawn = torch.cat([steps[:, :-1], codes], 1) if side_by_side else codes
            pictures = draw(psp.decoder, drawn.flatten(0, 1), batch).unflatten(0, drawn.shape[:2])
            if refine:
                fitter.gain.add(before, fitter.measure(pictures[:, drawn.shape[1] - codes.shape[1]], wanted))
                summary.gain = fitter.gain
            for index, (job, source) in enumerate(zip(good, opened, strict=True)):
                files, save_layers = pictures[index], None
                if tuner:
                    decoder = tuner(codes[index, :1], wanted[index, None])
                    files, save_layers = draw(decoder, drawn[index], batch), partial(save_tuned, psp.decoder, decoder)
                    summary.tuning = tuner.gain
                if side_by_side:
                    files = _strip(source, sources[index, None], files)
                elif paster:
                    files = _pasted(paster, job, source, files, summary)
                else:
                    files = from_square(files, *source.shape, source.fit)[:, None]
                if files is not None:
                    write_job(job, files, codes[index], overwrite, summary, save_layers)
    return summary


def _pasted(paster: Paster, job: Job, source: Source, answers: Tensor, summary: Summary) -> list[Tensor] | None:
    """The photograph of a source with each of the answers (N, 3, S, S) in it; None where that cannot be done."""
    placement = source.placement or Placement(open_picture(job.path))
    try:
        photos = [paster(placement, answer, missing=source.missing) for answer in answers]
    except PspkitError as error:
        summary.failed[job.path] = f"{job.path}: {error}"
        return None
    summary.remark(job.path, paster.remarks)
    return [photo[None] / 127.5 - 1 for photo in photos]


def _strip(source: Source, shown: Tensor, answers: Tensor) -> Tensor:
    """Source and answers side by side, (1, 1, 3, H, W); where the source needs a legend, it stands before them.

    Args:
        source: whose answers.
        shown: as the encoder took it, (1, input_nc, side, side).
        answers: (N, 3, S, S).
    """
    task = source.task
    pictures = torch.cat([resize(task.show_source(shown), list(answers.shape[-2:])), answers])
    pictures = from_square(pictures, *source.shape, source.fit)
    if task.legend:
        pictures = F.interpolate(pictures, scale_factor=-(-LEGEND // pictures.shape[-2]))
    strip = [task.legend(shown, pictures.shape[-2])] if task.legend else []
    return torch.cat([*strip, *pictures], -1)[None, None]


def _answers(psp: PSP, sources: Tensor, iterations: int | None) -> Tensor:
    """W+ codes (N, answers, n_styles, style_dim): every one of a ReStyle model's, the last the best; else one."""
    if psp.iterations:
        return psp.iterate(sources, iterations or psp.iterations)
    return psp.encode(sources)[:, None]


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
    jobs: Sequence[Job], opener: Callable[..., Source], option_of: Callable[[Job], Any], summary: Summary
) -> tuple[list[Job], list[Source], list[Tensor]]:
    """The jobs whose pictures can be read, those pictures, and the same as the encoder takes them."""
    good, opened, sources = [], [], []
    for job in jobs:
        try:
            source = opener(job.path, option=option_of(job))
            sources.append(source.input(opener.keywords["side"]))
        except PspkitError as error:
            summary.failed[job.path] = str(error)
            continue
        summary.remark(job.path, source.remarks)
        good.append(job)
        opened.append(source)
    return good, opened, sources


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
