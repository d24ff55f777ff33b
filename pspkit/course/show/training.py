"""Figures of a training: the curves of its losses, its validation sheet, and both while it runs."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import torch
from IPython.display import HTML, clear_output, display
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator
from torch import Tensor

from pspkit.course.show.closed_form import PENS, draw_axes, name_ends
from pspkit.course.show.figure import COLOURS, INK, PALE, figure, photos, to_pil
from pspkit.data.pictures import open_picture
from pspkit.errors import PspkitError
from pspkit.training import Report
from pspkit.training.keeper import draw_sheet

Log = Sequence[Report | Mapping[str, Any]]  # of one training: its reports, or the lines of `keeper.read_log`
SIDES = {"training": COLOURS["coarse"], "validation": COLOURS["fine"]}
ROWS = ("source", "output", "target")


def curves(log: Log, loss: str = "total") -> Figure:
    """One loss over the steps, in training and in validation, on a logarithmic scale.

    Args:
        log: what the validations found; a dot marks the best of them.
        loss: its name there.
    """
    fig = Figure(figsize=(6, 2.6))
    draw_curves(fig.add_axes((0.11, 0.16, 0.74, 0.8)), log, loss)
    return fig


def panels(logs: Mapping[str, Log], loss: str = "total", columns: int = 2) -> Figure:
    """Several trainings as `curves` draws one, by title, all on the same scale."""
    lines = -(-len(logs) // columns)
    fig = Figure(figsize=(8.2, 2.1 * lines), layout="constrained")
    axes = list(fig.subplots(lines, columns, sharey=True, squeeze=False).flat)
    for ax, (title, log) in zip(axes, logs.items(), strict=False):
        draw_curves(ax, log, loss)
        ax.set_title(title, fontsize=9, color=INK, weight="bold", loc="left", pad=4)
    for ax in axes[len(logs) :]:
        ax.remove()
    return fig


def sheet(report: Report) -> Figure:
    """Sources, outputs and targets of the first held-out pairs, one row each."""
    columns = report.sheet.shape[1]
    return photos(report.sheet.flatten(0, 1), columns=columns, rows=ROWS, side=min(1.2, 7.1 / columns))


def stored_sheets(folder: Path, columns: int = 8, most: int = 6) -> dict[str, Tensor]:
    """What a training's folder keeps to look at: the sources, and below them what the model made of them.

    Every sheet that was kept during the training gives a row, the earliest first; where none was, the sheet of the
    model that was kept gives the only one.

    Args:
        folder: of a training, or of weights that ship: `sheets/STEP.jpg`, or `sheet.jpg`. Of each, the upper row holds
            sources and the second one outputs.
        columns: pictures a row.
        most: rows of outputs; of more sheets some are left out, evenly, but neither the first nor the last.

    Returns:
        Rows (columns, 3, S, S) in [-1, 1], by name.

    Raises:
        PspkitError: no sheet there.
    """
    paths = sorted((folder / "sheets").glob("*.jpg"))
    names = [f"step {int(path.stem):,}" for path in paths]
    if not paths:
        if not (folder / "sheet.jpg").exists():
            raise PspkitError(f"{folder}: holds no sheet. Name the folder of a training.")
        paths, names = [folder / "sheet.jpg"], ["output"]
    if len(paths) > most:
        chosen = [round(place * (len(paths) - 1) / (most - 1)) for place in range(most)]
        paths, names = [paths[place] for place in chosen], [names[place] for place in chosen]
    rows = {"source": _row_of(paths[-1], 0, columns)}
    return rows | {name: _row_of(path, 1, columns) for name, path in zip(names, paths, strict=True)}


def _row_of(path: Path, row: int, columns: int) -> Tensor:
    """A row of a sheet. Its pictures are square, with the border of `keeper.draw_sheet` between them or with none."""
    pixels = torch.as_tensor(open_picture(path)) / 127.5 - 1
    height, width = pixels.shape[1:]
    for border, lines in product((2, 0), (3, 4, 7)):
        step, left = divmod(height - border, lines)
        if not left and not (width - border) % step:
            row_of = pixels[:, border + row * step : (row + 1) * step]
            places = range(border, min(width, border + columns * step) - 1, step)
            return torch.stack([row_of[:, :, place : place + step - border] for place in places])
    raise PspkitError(f"{path}: no sheet of a training: its pictures are not square. Train anew, or delete the file.")


def over_time(curves: Mapping[str, Sequence[tuple[float, float]]], label: str) -> Figure:
    """Measures of one training over the minutes that it had taken, a line each, with its name at its end.

    Args:
        curves: pairs of minutes and values, by name; five at most.
        label: of the upright axis.
    """
    fig = Figure(figsize=(7.2, 2.5))
    ax = fig.add_axes((0.09, 0.18, 0.66, 0.77))
    for pen, points in zip(PENS, curves.values(), strict=False):
        ax.plot(*zip(*points, strict=True), color=pen, lw=1.8, marker="o", ms=3)
    ax.set(xlim=(0, None), ylim=(0, None))
    ax.set_xlabel("minutes", fontsize=8, color=INK, labelpad=1)
    name_ends(ax, {name: points[-1] for name, points in curves.items()})
    draw_axes(ax, label)
    return fig


def live(reports: Iterable[Report], loss: str = "total") -> Iterator[Report]:
    """Passes on the reports of a training, and redraws its curves and its sheet in place at each of them.

        for report in show.training.live(trainer.run()): ...

    When the training ends, or stops with an error, the figure is all that stays of the cell's output.

    Args:
        reports: as `Trainer.run` yields them.
        loss: whose curves are drawn.
    """
    log, place = [], display(HTML(""), display_id=True)
    try:
        for report in reports:
            log.append(report)
            place.update(_state(log, loss))
            yield report
    finally:
        clear_output()  # the progress bar, which is dead from here on
        if log:
            display(_state(log, loss))


def progress(log: Sequence[Report], loss: str = "total") -> Figure:
    """The curves so far and the sheet of the last report, side by side."""
    fig = Figure(figsize=(8.2, 2.3))
    draw_curves(fig.add_axes((0.055, 0.16, 0.33, 0.8)), log, loss)
    ax = fig.add_axes((0.56, 0.01, 0.44, 0.98))
    image = to_pil(draw_sheet(log[-1].sheet) * 2 - 1)
    ax.imshow(image, interpolation="lanczos")
    ax.set_anchor("W")
    ax.set(xticks=(), yticks=[image.height * (line + 0.5) / len(ROWS) for line in range(len(ROWS))], yticklabels=ROWS)
    _tidy(ax)
    ax.spines[:].set_visible(False)
    return fig


def draw_curves(ax: Axes, log: Log, loss: str, scale: str = "log", smoothing: float = 0.0) -> None:
    """Both curves of a loss, each with its name at its end: the upper one's above, the lower one's below.

    Args:
        ax: where.
        log: as `curves`.
        loss: as `curves`.
        scale: "log" or "linear".
        smoothing: as `smooth`; above 0 the curves themselves stay behind, pale.
    """
    lines = [line if isinstance(line, Mapping) else vars(line) for line in log]
    steps = [line["step"] for line in lines]
    found = {side: [line[side].get(loss, math.nan) for line in lines] for side in SIDES}
    shown = {side: smooth(values, smoothing) for side, values in found.items()}
    upper = max(shown, key=lambda side: shown[side][-1])
    for side, values in shown.items():
        ax.plot(steps, values, color=SIDES[side], lw=1.8, marker="o" if len(steps) == 1 else "", ms=4)
        ax.annotate(side, (steps[-1], values[-1]), (5, 0), textcoords="offset points", fontsize=8, color=SIDES[side],
                    va="bottom" if side == upper else "top", annotation_clip=False)  # fmt: skip
        if smoothing:
            ax.plot(steps, found[side], color=SIDES[side], lw=1, alpha=0.3)
    best = min(range(len(steps)), key=lambda place: found["validation"][place])
    ax.plot(steps[best], found["validation"][best], "o", color=SIDES["validation"], ms=5, mec="white", zorder=3)
    ax.set_yscale(scale)
    ax.margins(y=0.12)  # room for the names
    if len(steps) == 1:
        ax.set(xlim=(0, 2 * steps[0]), xticks=(0, steps[0]))
    if scale == "log":
        low, high = ax.get_ylim()
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)) if high > 10 * low else MaxNLocator(4))
        ax.yaxis.set_major_formatter("{x:g}")
        ax.yaxis.set_minor_locator(NullLocator())
    ax.set_xlabel("step", fontsize=8, color=INK, labelpad=1)
    ax.grid(axis="y", color=PALE, lw=0.8)
    ax.set_axisbelow(True)
    _tidy(ax)


def smooth(values: Sequence[float], smoothing: float) -> list[float]:
    """Running means in which every value counts `smoothing` times as much as the one after it.

    Args:
        values: in order; those that are no number are passed over.
        smoothing: 0 leaves the values as they are, towards 1 all count alike.
    """
    means, total, weight = [], 0.0, 0.0
    for value in values:
        if not math.isnan(value):
            total, weight = total * smoothing + value, weight * smoothing + 1
        means.append(total / weight if weight else math.nan)
    return means


def _tidy(ax: Axes) -> None:
    ax.tick_params(labelsize=8, length=0, labelcolor=INK)
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(COLOURS["plain"])


def _state(log: Sequence[Report], loss: str) -> HTML:
    last = log[-1]
    values = {side: f"{side} {getattr(last, side).get(loss, float('nan')):.3g}" for side in SIDES}
    return figure(
        progress(log, loss),
        f"Curves up to step {last.step}, {' and '.join(values.values())}; beside them sources, outputs and targets.",
        f"Step {last.step}: {', '.join(values.values())}. Beside: held-out pairs, in the middle what the model makes.",
        photographic=True,
    )
