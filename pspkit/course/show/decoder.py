"""Figures of notebook 04: the two spaces, demodulation, up-convolution, features as colours, and the wiring."""

from collections.abc import Mapping, Sequence

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyBboxPatch
from torch import Tensor

from pspkit.course.show.figure import COLOURS, INK, LEVELS, PALE
from pspkit.models.encoders import style_level

WIRE = "#b9c2ca"


def spaces(z: Tensor, w: Tensor, second: int = 100) -> Figure:
    """Where z and w lie: both along two of their own directions, and how their variance spreads over all.

    Args:
        z: normalised draws (N, style_dim).
        w: what the mapping network makes of them, (N, style_dim).
        second: the direction to draw upwards, counted from the widest, which is drawn sideways.
    """
    fig = Figure(figsize=(8.4, 2.9))
    axes = fig.subplots(1, 3, width_ratios=(1, 1, 1.15))
    for name, points, ax, colour in (("z", z, axes[0], COLOURS["plain"]), ("w", w, axes[1], COLOURS["accent"])):
        variances, directions = torch.linalg.eigh(torch.cov(points.T))  # narrowest first
        plane = (points - points.mean(0)) @ directions[:, [-1, -second]] / variances.mean().sqrt()
        ax.scatter(*plane.T, s=3, color=colour, alpha=0.4, lw=0)
        ax.set(title=f"{name}: directions 1 and {second}", xlim=(-18, 18), ylim=(-18, 18), aspect="equal")
        ax.set(xticks=(-10, 0, 10), yticks=(-10, 0, 10))
        share = variances.flip(0).cumsum(0) / variances.sum()
        axes[2].plot(range(1, len(share) + 1), share, color=colour, lw=2)
        place = len(share) // (3 if name == "z" else 12)
        axes[2].annotate(name, (place, share[place]), (8, -12), textcoords="offset points", color=colour, size=12)
    axes[2].set(title="share of the variance", xlabel="directions, widest first", ylim=(0, 1.02))
    for ax in axes:
        ax.tick_params(labelsize=7.5)
        ax.xaxis.label.set_size(8)
        ax.title.set(size=9, color=INK)
        ax.spines[["top", "right"]].set_visible(False)
    fig.subplots_adjust(0.05, 0.16, 0.99, 0.9, 0.22)
    return fig


def strengths(without: Tensor, demodulated: Tensor, labels: Sequence[str]) -> Figure:
    """Deviation of the features after each layer, one line a code, without and with demodulation.

    Args:
        without: (3, layers), positive.
        demodulated: as `without`.
        labels: one a code.
    """
    fig = Figure(figsize=(7.6, 2.8))
    axes = fig.subplots(1, 2, sharey=True)
    colours = (COLOURS["plain"], COLOURS["accent"], INK)
    for ax, values, title in zip(axes, (without, demodulated), ("modulated", "modulated and demodulated"), strict=True):
        for line, colour, label in zip(values, colours, labels, strict=True):
            ax.plot(range(1, len(line) + 1), line, "o-", color=colour, ms=4, label=label)
        ax.set_title(title, fontsize=9.5, color=INK)
        ax.set_xlabel("layer", fontsize=8.5)
        ax.grid(axis="y", color=PALE)
        ax.tick_params(labelsize=8)
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].set_yscale("log")
    axes[0].set_ylabel("standard deviation", fontsize=8.5)
    axes[0].legend(fontsize=8, frameon=False)
    fig.subplots_adjust(0.09, 0.17, 0.99, 0.9, 0.06)
    return fig


def maps(rows: Sequence[Sequence[Tensor]], titles: Sequence[str], labels: Sequence[str]) -> Figure:
    """Small maps (H, W) as squares of colour; one colour scale a map, from 0 to its largest value.

    Args:
        rows: the maps.
        titles: one a column.
        labels: one a row.
    """
    fig = Figure(figsize=(1.9 * len(titles) + 0.3, 1.9 * len(rows) + 0.2))
    axes = fig.subplots(len(rows), len(titles), squeeze=False)
    for row, label, line in zip(rows, labels, axes, strict=True):
        for values, ax in zip(row, line, strict=True):
            ax.imshow(values, cmap="viridis", vmin=0)
            ax.set(xticks=(), yticks=())
            ax.spines[:].set_visible(False)
        line[0].set_ylabel(label, fontsize=9.5, color=INK)
    for ax, title in zip(axes[0], titles, strict=True):
        ax.set_title(title, fontsize=9.5, color=INK)
    fig.subplots_adjust(0.05, 0.01, 0.99, 0.92, 0.06, 0.06)
    return fig


def as_colours(features: Tensor) -> Tensor:
    """Features (C, H, W) as a picture (3, H, W) in [-1, 1]: their three principal directions as red, green, blue."""
    pixels = features.float().flatten(1).T
    pixels = pixels - pixels.mean(0)
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)  # the method starts from random directions
        directions = torch.pca_lowrank(pixels, 6, center=False)[2][:, :3]
    directions = directions * directions.sum(0).sign()  # a direction's sign is free: fix it
    colours = pixels @ directions
    return (colours / (2 * colours.std(0))).clamp(-1, 1).T.unflatten(1, features.shape[1:])


def wiring(drives: Mapping[str, int]) -> Figure:
    """Which code drives which modulation of a StyleGAN2 generator.

    Codes above, feature convolutions in the middle, ToRGB layers below, resolutions from left to right.

    Args:
        drives: name of each modulation, in the order of the forward pass, to the index of its code.
    """
    n_codes = max(drives.values()) + 1
    left, right, low, high = -2.1, n_codes - 0.2, -1.0, 4.9
    fig = Figure(figsize=(8.8, 8.8 * (high - low) / (right - left)))
    ax = fig.add_axes((0, 0, 1, 1), xlim=(left, right), ylim=(low, high))
    ax.axis("off")
    step = -1  # counts convolutions, from left to right
    for name, code in drives.items():
        colour = COLOURS[LEVELS[style_level(code)]]
        if name.startswith("to_rgb"):
            ax.plot((code, step + 0.5, step + 0.5, step), (3.2, 2.7, 0.3, 0.3), color=colour, lw=1.5, zorder=1)
            ax.plot((step, step), (1.7, 0.3), color=WIRE, lw=2, zorder=1)
            _box(ax, step, 0.3, "RGB", colour, filled=False)
        else:
            step += 1
            if step % 2 == 0:  # a resolution ends here
                ends = (-0.5 if step == 0 else step - 1.5, step + 0.5)
                ax.axvspan(*ends, color=PALE if step % 4 else "white", zorder=0)
                ax.text(sum(ends) / 2, -0.75, f"{4 * 2 ** (step // 2)}", ha="center", fontsize=9, color=INK)
            ax.plot((code, step), (3.2, 1.7), color=colour, lw=1.5, zorder=1)
            _box(ax, step, 1.7, "up" if step % 2 else "conv", colour)
    for code in range(n_codes):
        ax.add_patch(Circle((code, 3.5), 0.4, fc=COLOURS[LEVELS[style_level(code)]], ec="none", zorder=3))
        ax.text(code, 3.48, str(code), ha="center", va="center", fontsize=9, color="white", weight="bold")
    for y in (1.7, 0.3):
        ax.plot((0, step), (y, y), color=WIRE, lw=2, zorder=1)
    for y, label in ((3.5, "codes"), (1.7, "features"), (0.3, "picture"), (-0.65, "side, px")):
        ax.text(left + 0.1, y, label, va="center", fontsize=8.5, color=INK)
    for number, level in enumerate(LEVELS):
        ax.text(2 * number - 0.35, 4.45, f"● {level}", color=COLOURS[level], fontsize=9, va="center")
    return fig


def _box(ax: Axes, x: float, y: float, label: str, colour: str, filled: bool = True) -> None:
    box = FancyBboxPatch(
        (x - 0.34, y - 0.22),
        0.68,
        0.44,
        "round,pad=0.06",
        fc=colour if filled else "white",
        ec=colour,
        lw=1.3,
        zorder=2,
    )
    ax.add_patch(box)
    ax.text(x, y - 0.02, label, ha="center", va="center", fontsize=7, color="white" if filled else colour, zorder=3)
