"""Figures of appendix A1: how much of the codes a regression predicts, by code and by the number of faces."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pspkit.course.show.figure import COLOURS, INK, LEVELS, PALE
from pspkit.models.encoders import style_level

PENS = (COLOURS["accent"], COLOURS["plain"], INK, COLOURS["coarse"], COLOURS["fine"])


def by_code(curves: Mapping[str, Sequence[float]]) -> Figure:
    """R² of each code, a line for every regression, over bands of the levels' colours.

    Args:
        curves: by the regression's name a value for each code, all of the same length; four at most. Values below 0
            are drawn at 0.
    """
    fig = Figure(figsize=(8.2, 2.7))
    ax = fig.add_axes((0.06, 0.17, 0.74, 0.76))
    n_styles = len(next(iter(curves.values())))
    for number, level in enumerate(LEVELS):
        codes = [code for code in range(n_styles) if style_level(code) == number]
        ax.axvspan(codes[0] - 0.5, codes[-1] + 0.5, color=COLOURS[level], alpha=0.12, lw=0)
        ax.text((codes[0] + codes[-1]) / 2, 1, level, transform=ax.get_xaxis_transform(), ha="center", va="bottom",
                fontsize=8.5, color=COLOURS[level], weight="bold")  # fmt: skip
    for pen, values in zip(PENS, curves.values(), strict=False):
        ax.plot([max(0, value) for value in values], color=pen, lw=1.8, marker="o", ms=3)
    name_ends(ax, {name: (n_styles - 1, max(0, values[-1])) for name, values in curves.items()})
    ax.set(xticks=range(n_styles), xlim=(-0.5, n_styles - 0.5), ylim=(0, None))
    ax.set_xlabel("code", fontsize=8, color=INK, labelpad=1)
    draw_axes(ax, "R²")
    return fig


def growth(curves: Mapping[str, Mapping[int, float]], label: str = "R²") -> Figure:
    """R² over the number of faces, or of whatever else doubles, on a logarithmic axis; a line each.

    Args:
        curves: by name from numbers to R²; four at most.
        label: of the upright axis.
    """
    fig = Figure(figsize=(6.4, 2.5))
    ax = fig.add_axes((0.08, 0.18, 0.66, 0.78))
    for pen, points in zip(PENS, curves.values(), strict=False):
        ax.plot(list(points), list(points.values()), color=pen, lw=1.8, marker="o", ms=4)
    numbers = sorted({number for points in curves.values() for number in points})
    ax.set_xscale("log")
    ax.set_xticks(numbers, [f"{number:,}" for number in numbers])
    ax.minorticks_off()
    name_ends(ax, {name: list(points.items())[-1] for name, points in curves.items()})
    draw_axes(ax, label)
    return fig


def name_ends(ax: Axes, ends: Mapping[str, tuple[float, float]]) -> None:
    """The name of every line at its end; names that would overlap are moved apart."""
    low, high = ax.get_ylim()
    room, last = 0.085 * (high - low), -float("inf")
    pens = dict(zip(ends, PENS, strict=False))
    for name, (x, y) in sorted(ends.items(), key=lambda end: end[1][1]):
        last = max(y, last + room)
        shift = (last - y) / (high - low) * ax.get_position().height * ax.figure.get_figheight() * 72
        ax.annotate(name, (x, y), (9, shift), textcoords="offset points", va="center", fontsize=8, color=pens[name],
                    annotation_clip=False)  # fmt: skip


def draw_axes(ax: Axes, label: str) -> None:
    """Axes as the figures of a measure have them: pale lines behind, a label at the left, no frame."""
    ax.grid(axis="y", color=PALE, lw=0.8)
    ax.set_axisbelow(True)
    ax.set_ylabel(label, fontsize=8, color=INK)
    ax.tick_params(labelsize=8, length=0, labelcolor=INK)
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(COLOURS["plain"])
