"""What inference writes: PNG pictures, and an account of what was done."""

import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from pspkit.data.folders import unread_in_words
from pspkit.data.pictures import save_picture
from pspkit.errors import PspkitError, told_once
from pspkit.inference.refine import Gain
from pspkit.storage.atomic import check_kept
from pspkit.storage.checkpoints import save_codes

SHOWN = 3  # files that a remark names


@dataclass
class Summary:
    """What became of every file; as a string, the text that the commands print.

    Attributes:
        written: the files made, codes included.
        existing: inputs whose results were all there, and were left alone.
        failed: inputs that could not be used, or whose results could not be written, and why.
        remarks: what is unusual about inputs that were used all the same, and which.
        unread: files of the folders whose formats are not read, by extension, and how many.
        gain: of refinement; None where nothing was refined.
        tuning: the same of tuning.
    """

    written: list[Path] = field(default_factory=list)
    existing: list[Path] = field(default_factory=list)
    failed: dict[Path, str] = field(default_factory=dict)
    remarks: dict[str, list[Path]] = field(default_factory=dict)
    unread: Mapping[str, int] = field(default_factory=dict)
    gain: Gain | None = None
    tuning: Gain | None = None

    def remark(self, path: Path, texts: Iterable[str]) -> None:
        """Notes what is unusual about an input."""
        for text in texts:
            self.remarks.setdefault(text, []).append(path)

    def __str__(self) -> str:
        lines = [f"note: {text}: {_some(paths)}" for text, paths in self.remarks.items()]
        if self.existing:
            lines.append(
                f"{_count(self.existing, 'input')} skipped, the results are there already: {_some(self.existing)}"
            )
        if self.unread:
            lines.append(unread_in_words(self.unread))
        if self.failed:
            lines.append(f"{_count(self.failed, 'input')} left out:")
            lines += [f"  {line}" for line in told_once(self.failed)]
        lines += [str(gain) for gain in (self.gain, self.tuning) if gain]
        return "\n".join([*lines, f"{_count(self.written, 'file')} written"])


class Job(NamedTuple):
    """One input, and the files that it gives."""

    path: Path
    name: str  # of the files, below the folder for results and without extension
    pictures: list[Path]
    codes: list[Path]  # one, or none
    tuned: list[Path] = []  # the layers that were tuned for it: one file, or none

    def due(self, overwrite: bool) -> list[Path]:
        """The files that are to be written."""
        return [path for path in (*self.pictures, *self.codes, *self.tuned) if overwrite or not os.path.exists(path)]


def check_jobs(
    jobs: Sequence[Job],
    failed: dict[Path, str],
    out: Path,
    overwrite: bool,
    kept: Sequence[Path | str | None] = (),
) -> tuple[list[Job], Summary]:
    """Checks where results are to go, before anything is computed.

    Args:
        jobs: all that could be done.
        failed: the inputs that cannot be used, and why.
        out: the folder for the results.
        overwrite: whether results that are there are replaced.
        kept: what else is read, files and folders, such as the model's; as `check_kept` takes them.

    Returns:
        The jobs that are to be done, an input given twice once; and the account so far.

    Raises:
        PspkitError: two inputs would give one file, a result would replace what is read, or `out` is a file.
    """
    if os.path.exists(out) and not os.path.isdir(out):
        raise PspkitError(f"{out}: is a file, and the results need a folder. Name another.")
    sources = {os.path.realpath(path) for path in (*(job.path for job in jobs), *failed)}
    givers: dict[Path, Path] = {}
    todo, summary = [], Summary(failed=failed)
    for job in jobs:
        files = [*job.pictures, *job.codes, *job.tuned]
        replaced = [file for file in files if os.path.realpath(file) in sources]
        if replaced:
            raise PspkitError(f"{replaced[0]}: is an input, and a result would replace it. Name another folder.")
        rivals = {file: givers[file] for file in files if file in givers}
        for file, rival in rivals.items():
            if os.path.realpath(rival) != os.path.realpath(job.path):
                raise PspkitError(
                    f"{rival} and {job.path} would both become {file}. Rename one, or give each a folder of its own."
                )
        if rivals:
            continue
        givers |= dict.fromkeys(files, job.path)
        if due := job.due(overwrite):
            for file in due:
                check_kept(file, *kept)
            todo.append(job)
        else:
            summary.existing.append(job.path)
    return todo, summary


def in_batches(jobs: Sequence[Job], todo: Sequence[Job], size: int) -> list[list[Job]]:
    """The batches in which there is something to do.

    The last bits of a picture depend on how many are computed at once. A run that was killed therefore goes on with the
    batches that it began with, and gives the same files as one that was not.

    Args:
        jobs: all of them.
        todo: those of `check_jobs`.
        size: jobs in a batch.
    """
    distinct = list({job.pictures[0]: job for job in jobs}.values())
    batches = [distinct[first : first + size] for first in range(0, len(distinct), size)]
    due = {job.pictures[0] for job in todo}
    return [batch for batch in batches if any(job.pictures[0] in due for job in batch)]


def write_job(
    job: Job,
    pictures: Iterable[Tensor],
    codes: Tensor,
    overwrite: bool,
    summary: Summary,
    save_layers: Callable[[Path], None] | None = None,
) -> None:
    """Writes what a job gives, and notes it.

    Args:
        job: says where.
        pictures: for each of its files those that stand side by side in it, (N, 3, H, W) in [-1, 1].
        codes: W+ codes (N, n_styles, style_dim).
        overwrite: whether results that are there are replaced.
        summary: of all jobs.
        save_layers: writes the layers that were tuned for it.
    """
    due = job.due(overwrite)
    try:
        for path, images in zip(job.pictures, pictures, strict=True):
            if path in due:
                save_picture(path, images)
                summary.written.append(path)
        for path in job.codes:
            if path in due:
                save_codes(path, codes, "w_plus")
                summary.written.append(path)
        for path in job.tuned:
            if path in due:
                save_layers(path)
                summary.written.append(path)
    except PspkitError as error:
        summary.failed[job.path] = str(error)


def _count(paths: Collection[Path], what: str) -> str:
    return f"{len(paths)} {what}{'' if len(paths) == 1 else 's'}"


def _some(paths: list[Path]) -> str:
    more = f" and {len(paths) - SHOWN} more" if len(paths) > SHOWN else ""
    return ", ".join(map(str, paths[:SHOWN])) + more


def numbered(stem: Path, count: int) -> list[Path]:
    """The names of the pictures that one input gives: NAME.png, or NAME-0.png, NAME-1.png ... of several."""
    ends = [".png"] if count == 1 else [f"-{number}.png" for number in range(count)]
    return [stem.with_name(stem.name + end) for end in ends]
