"""Figures of notebook 08: pictures row by row, and what a task makes of people it has not met."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from torch import Tensor

from pspkit.course.show.figure import photos
from pspkit.data.tasks import Task
from pspkit.errors import PspkitError

WIDTH = 8.2  # inches


def rows(pictures: Mapping[str, Sequence[Tensor]], titles: Sequence[str] = (), largest: float = 1.4) -> Figure:
    """Rows of pictures under one another, each with its name at the left.

    Args:
        pictures: by name as many pictures (3, H, W) in [-1, 1] a row; sizes may differ from row to row.
        titles: one above each column.
        largest: side of one picture, inches, where there are few columns.

    Raises:
        PspkitError: rows of different lengths.
    """
    columns = {len(row) for row in pictures.values()}
    if len(columns) > 1:
        lengths = ", ".join(f"{name} {len(row)}" for name, row in pictures.items())
        raise PspkitError(f"pictures: rows of different lengths ({lengths}). Give one picture a column to each.")
    (count,) = columns
    side = min(largest, (WIDTH - 0.08 * (max(map(len, pictures)) + 1)) / count - 0.05)
    flat = [picture for row in pictures.values() for picture in row]
    return photos(flat, titles, columns=count, rows=list(pictures), side=side)


def results(task: Task, source: Tensor, result: Tensor, truth: Tensor, titles: Sequence[str] = ()) -> Figure:
    """What a task was given, what it made of it, and what was wanted.

    Args:
        task: how its sources are shown.
        source: (N, input_nc, H, W), as the encoder took them.
        result: (N, 3, H, W) in [-1, 1].
        truth: (N, 3, H, W) in [-1, 1].
        titles: one a column.
    """
    return rows({"source": task.show_source(source), "result": result, "truth": truth}, titles)
