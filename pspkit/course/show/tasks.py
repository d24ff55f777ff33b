"""Figures of notebook 06 about the tasks: pairs of source and target, label maps cell by cell, what is lost."""

from collections.abc import Mapping, Sequence
from textwrap import fill

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from pspkit.course.show.figure import COLOURS, INK, PALE, to_pil
from pspkit.course.show.heads import draw_image, draw_labels, draw_legend, legend_height, short_title
from pspkit.data.labels import LABELS, palette
from pspkit.data.tasks import Task


def pairs(tasks: Sequence[Task], made: Sequence[tuple[Tensor, Tensor]], columns: int = 2) -> Figure:
    """For each task its source as the task shows it, its target, and in words what lies between.

    Args:
        tasks: the registry's entries, or one's own.
        made: a pair of each, as `pspkit.data.tasks.PairDataset` gives it.
        columns: tasks in a row.
    """
    side, words, gap = 1.2, 1.4, 0.26
    cell = 2 * side + gap + words
    width, height = columns * cell + 0.1, -(-len(tasks) // columns) * (side + 0.09) + 0.03
    fig = Figure(figsize=(width, height))
    page = fig.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(0, height), zorder=-1)
    page.axis("off")
    for place, (task, (source, target)) in enumerate(zip(tasks, made, strict=True)):
        line, column = divmod(place, columns)
        left, bottom = 0.05 + column * cell, height - (line + 1) * (side + 0.09)
        for offset, image in ((0, task.show_source(source[None])[0]), (side + gap, target)):
            draw_image(fig.add_axes(((left + offset) / width, bottom / height, side / width, side / height)), image)
        arrow = {"arrowstyle": "-|>", "color": COLOURS["accent"], "lw": 1.6}
        start, middle = left + side + 0.05, bottom + side / 2
        page.annotate("", (start + gap - 0.1, middle), (start, middle), arrowprops=arrow)
        text = left + 2 * side + gap + 0.08
        page.text(text, bottom + side - 0.04, task.title, va="top", fontsize=9, color=INK, weight="bold")
        page.text(text, bottom + side - 0.27, "invents", va="top", fontsize=8, color=COLOURS["accent"])
        page.text(text, bottom + side - 0.43, fill(task.invents, 20), va="top", fontsize=8, color=INK, linespacing=1.25)
    return fig


def _draw_cells(ax: Axes, values: Tensor, title: str) -> None:
    """A small map (H, W) of class numbers, each cell in the colour of the class it rounds to."""
    for y, row in enumerate(values.tolist()):
        for x, value in enumerate(row):
            number = round(value)
            colour = [part / 255 for part in palette()[number].tolist()]
            dark = 0.3 * colour[0] + 0.59 * colour[1] + 0.11 * colour[2] < 0.5
            ax.add_patch(Rectangle((x, y), 1, 1, fc=colour, ec="white", lw=0.8))
            ax.text(x + 0.5, y + 0.53, f"{value:.3g}", ha="center", va="center", fontsize=7.5,
                    color="white" if dark else INK)  # fmt: skip
    ax.set(xlim=(0, values.shape[1]), ylim=(values.shape[0], 0), aspect="equal")
    ax.set_title(title, fontsize=9, color=INK, pad=4)
    ax.axis("off")


def cells(maps: Mapping[str, Tensor]) -> Figure:
    """Small label maps (H, W) by title, the class number written into every cell, and the legend of all of them."""
    numbers = {round(value) for values in maps.values() for value in values.flatten().tolist()}
    below = legend_height(numbers) + 0.06
    fig = Figure(figsize=(8.2, below + 8.2 / len(maps) + 0.2))
    height = fig.get_size_inches()[1]
    for place, (title, values) in enumerate(maps.items()):
        area = ((place + 0.01) / len(maps), below / height, 0.98 / len(maps), 8.1 / len(maps) / height)
        _draw_cells(fig.add_axes(area), values, title)
    draw_legend(fig, numbers)
    return fig


def label_maps(maps: Mapping[str, Tensor], marked: Mapping[str, Tensor] | None = None) -> Figure:
    """Label maps (H, W) side by side, by title, and the legend of all of them.

    Args:
        maps: uint8, numbers of `pspkit.data.labels.LABELS`.
        marked: by some of the titles, bool (H, W): pixels that keep their colour while all others turn pale.
    """
    numbers = {number for labels in maps.values() for number in labels.unique().tolist()}
    below, side = legend_height(numbers) + 0.06, 8.2 / len(maps)
    fig = Figure(figsize=(8.2, below + side + 0.18))
    height = fig.get_size_inches()[1]
    for place, (title, labels) in enumerate(maps.items()):
        ax = fig.add_axes(((place + 0.01) / len(maps), below / height, 0.98 / len(maps), 0.98 * side / height))
        draw_labels(ax, labels, title)
        if marked and title in marked:
            colours = palette()[labels.long()] / 255
            pale = 1 - (1 - colours) * 0.15
            ax.images[0].set_data(torch.where(marked[title][..., None], colours, pale).numpy(force=True))
    draw_legend(fig, numbers)
    return fig


def channels(labels: Tensor, one_hot: Tensor) -> Figure:
    """A label map (H, W) and the channels (19, H, W) it becomes, those without a pixel left blank."""
    fig = Figure(figsize=(8.2, 3.5))
    draw_labels(fig.add_axes((0.004, 0.16, 0.29, 0.68)), labels, "one map of numbers")
    for label, channel in zip(LABELS.values(), one_hot, strict=True):
        line, column = divmod(label.number, 7)
        ax = fig.add_axes((0.32 + 0.097 * column, 0.68 - 0.33 * line, 0.091, 0.213))
        ax.imshow(channel.numpy(force=True), cmap="Purples", vmin=0, vmax=1.3, interpolation="nearest")
        ax.set_title(f"{label.number} {short_title(label)}", fontsize=7.5, color=INK, pad=2)
        ax.set(xticks=(), yticks=())
        ax.spines[:].set_color(PALE)
    return fig


def changes(rows: Mapping[str, tuple[Tensor, Tensor]], gain: float = 4) -> Figure:
    """Two versions of a picture and how far they differ, one row each, by the row's name.

    Args:
        rows: pairs of pictures (3, H, W) in [-1, 1].
        gain: how much the difference is strengthened.
    """
    side, margin = 2.35, 0.95
    fig = Figure(figsize=(8.2, len(rows) * (side + 0.05) + 0.22))
    height = fig.get_size_inches()[1]
    titles = ("as it was", "as it became", f"difference, times {gain:g}")
    for line, (name, (before, after)) in enumerate(rows.items()):
        bottom = height - 0.22 - (line + 1) * (side + 0.05)
        panels = (before, after, (after - before).abs() * gain - 1)
        for column, (panel, title) in enumerate(zip(panels, titles, strict=True)):
            ax = fig.add_axes(((margin + column * (side + 0.06)) / 8.2, bottom / height, side / 8.2, side / height))
            ax.imshow(to_pil(panel), interpolation="nearest")
            ax.axis("off")
            if not line:
                ax.set_title(title, fontsize=9, color=INK, pad=3)
        fig.text(
            (margin - 0.08) / 8.2, (bottom + side / 2) / height, name, ha="right", va="center", fontsize=9, color=INK
        )
    return fig
