"""Label maps as others store them to label maps as pspkit reads them: colours, another order, a mask for each part."""

import re
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from tqdm.auto import tqdm

from pspkit.data.folders import count_unread
from pspkit.data.labels import LABELS, from_face_parser, looks_like_a_parsers
from pspkit.data.pictures import open_picture, save_labels
from pspkit.errors import PspkitError, check_choice
from pspkit.inference.inputs import PARSER_ORDER, list_inputs
from pspkit.inference.results import Job, Summary, check_jobs

ORDERS = ("celebamask", "parser")
PART = re.compile(rf"(.+)_({'|'.join(LABELS)})")  # such as 00000_hair


def convert_labels(
    paths: Path | str | Sequence[Path | str], out: Path | str, *, order: str = "celebamask", overwrite: bool = False
) -> Summary:
    """Writes label maps of whatever sort as PNG that every task reads, and every program shows in colour.

    `maps/a.png` becomes `out/a.png`; the masks `maps/00000_skin.png`, `maps/00000_hair.png` and so on, white where the
    part is, become one `out/00000.png`, later classes over earlier ones as CelebAMask-HQ lays them.

    Args:
        paths: files and folders, as `list_inputs`.
        out: the folder for the maps.
        order: how their numbers are meant: "celebamask", or "parser", that of `FACE_PARSER_ORDER`. Colours of a known
            palette, and the names of masks, say their classes themselves.
        overwrite: whether maps that are there are replaced.

    Returns:
        What became of every file.

    Raises:
        PspkitError: no such order; as `list_inputs` and `check_jobs`.
    """
    check_choice("order", order, ORDERS)
    out = Path(out)
    paths = [paths] if isinstance(paths, (str, Path)) else paths
    inputs, failed = list_inputs(paths, out)
    parts: dict[str, dict[str, Path]] = {}
    jobs = []
    for path, name in inputs:
        if part := PART.fullmatch(name):
            parts.setdefault(part[1], {})[part[2]] = path
        else:
            jobs.append(Job(path, name, [out / f"{name}.png"], []))
    jobs += [Job(next(iter(masks.values())), name, [out / f"{name}.png"], []) for name, masks in parts.items()]
    jobs, summary = check_jobs(jobs, failed, out, overwrite)
    summary.unread = count_unread(paths)
    for job in tqdm(jobs, "labels", unit="map", disable=None):
        try:
            labels = (
                _merged(parts[job.name]) if job.path in parts.get(job.name, {}).values() else _read(job.path, order)
            )
            save_labels(job.pictures[0], labels)
        except PspkitError as error:
            summary.failed[job.path] = str(error)
            continue
        summary.written += job.pictures
        if looks_like_a_parsers(labels):
            summary.remark(job.path, [PARSER_ORDER])
    return summary


def _read(path: Path, order: str) -> Tensor:
    labels = open_picture(path, "labels").as_subclass(Tensor)
    return from_face_parser(labels) if order == "parser" else labels


def _merged(masks: dict[str, Path]) -> Tensor:
    labels = None
    for name, label in LABELS.items():
        if name not in masks:
            continue
        mask = open_picture(masks[name], "sketch")[0] > 127
        if labels is None:
            labels = torch.zeros(mask.shape, dtype=torch.uint8)
        if mask.shape != labels.shape:
            raise PspkitError(
                f"{masks[name]}: {mask.shape[1]} x {mask.shape[0]} px, and other masks of this face are"
                f" {labels.shape[1]} x {labels.shape[0]}. Bring them to one size, by the nearest pixel."
            )
        labels[mask.as_subclass(Tensor)] = label.number
    return labels
