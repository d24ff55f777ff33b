"""Figures of notebook 02: feature maps in the colours of their level, upsampling, the pyramid's sums."""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image
from torch import Tensor

from pspkit.course.show.figure import COLOURS, INK, PALE, to_pil

# Who reads a map gives it its colour: coarse styles c3, middle styles p2, fine styles p1.
LEVEL_OF = {"c1": "fine", "c2": "middle", "c3": "coarse", "p2": "middle", "p1": "fine", "stem": "plain"}
COLOUR_MAPS = {
    level: LinearSegmentedColormap.from_list(level, ["#10161c", COLOURS[level], "#fffaf0"])
    for level in ("coarse", "middle", "fine", "plain")
}


def draw_map(ax: Axes, feature: Tensor, level: str, limits: tuple[float, float] | None = None) -> None:
    """One channel of a feature map, dark where it is low.

    Args:
        ax: an empty one.
        feature: (H, W).
        level: "coarse", "middle", "fine" or "plain"; gives the colour.
        limits: values of the darkest and the lightest cell; all but the extreme hundredths unless given.
    """
    low, high = limits or between(feature)
    ax.imshow(feature.numpy(force=True), cmap=COLOUR_MAPS[level], vmin=low, vmax=high, interpolation="nearest")
    ax.axis("off")


def between(*features: Tensor) -> tuple[float, float]:
    """The range that holds all values of some maps but the extreme hundredths."""
    low, high = torch.cat([feature.detach().flatten() for feature in features]).quantile(torch.tensor([0.01, 0.99]))
    return low.item(), high.item()


def map_picture(feature: Tensor, level: str) -> Image.Image:
    """What `draw_map` shows of one channel (H, W), a pixel a cell."""
    return Image.fromarray(COLOUR_MAPS[level](within(feature).numpy(force=True), bytes=True)[..., :3])


def within(feature: Tensor) -> Tensor:
    """A map (H, W) in [0, 1]: where each value lies in the range of `between`."""
    low, high = between(feature)
    return ((feature.detach() - low) / (high - low)).clamp(0, 1)


def gallery(image: Tensor, levels: Mapping[str, Tensor], columns: int = 7) -> Figure:
    """A picture and, for each level, the channels that vary most over it.

    Args:
        image: (3, H, W) in [-1, 1].
        levels: maps (C, H, W) by name, one row each: "c1", "c2", "c3", "p2", "p1" or "stem", and words that tell rows
            of the same map apart.
        columns: channels a row.
    """
    rows, side, left = len(levels), 1.02, 0.72
    large = min(rows, 3) * 0.6
    width, height = left + large + 0.2 + columns * side, rows * side + 0.04
    fig = Figure(figsize=(width, height))

    def place(x: float, y: float, size: float) -> Axes:
        return fig.add_axes((x / width, y / height, size / width, size / height))

    photo = place(0.05, (height - large) / 2, large)
    photo.imshow(to_pil(image))
    photo.axis("off")
    for row, (name, feature) in enumerate(levels.items()):
        level, bottom = LEVEL_OF[name.split()[0]], height - (row + 1) * side
        label = "\n".join([*name.split(), f"{feature.shape[-1]}×{feature.shape[-1]}"])
        fig.text((left + large + 0.08) / width, (bottom + side / 2) / height, label, ha="right", va="center",
                 fontsize=9, color=COLOURS[level], weight="bold")  # fmt: skip
        for column, channel in enumerate(lively(feature, columns)):
            draw_map(place(left + large + 0.2 + column * side, bottom + 0.04, side - 0.06), feature[channel], level)
    return fig


def lively(feature: Tensor, count: int) -> list[int]:
    """The channels of a map (C, H, W) that vary most over the picture and are not much like one another."""
    flat = feature.detach().flatten(1)
    alike, chosen = flat.corrcoef().abs(), []
    for channel in flat.std(1).argsort(descending=True).tolist():
        if len(chosen) < count and not (alike[channel, chosen] > 0.8).any():
            chosen.append(channel)
    return chosen


def lit(image: Tensor, light: Tensor) -> Tensor:
    """A picture (3, H, W) in [-1, 1] that fades to white where the light (H, W) goes from 1 to 0."""
    return 1 - (1 - image) * (0.1 + 0.9 * light)


def reading_points(small: int = 4, large: int = 8) -> Figure:
    """Where upsampling reads from, with corners aligned and without: one row of cells each way.

    Args:
        small: cells that are there.
        large: cells that are wanted.
    """
    fig = Figure(figsize=(8.2, 2.5))
    for row, (aligned, title) in enumerate(((True, "align_corners=True"), (False, "align_corners=False"))):
        ax = fig.add_axes((0, 0.5 - 0.5 * row, 1, 0.5), xlim=(-1.75, small + 0.05), ylim=(-0.55, 1.35))
        ax.axis("off")
        ax.text(-0.12, 0.38, title, ha="right", va="center", fontsize=10, color=INK, weight="bold")
        for cell in range(small):
            ax.add_patch(Rectangle((cell + 0.02, -0.25), 0.96, 0.42, fc=COLOURS["coarse"], alpha=0.28))
            ax.plot(cell + 0.5, -0.04, "o", color=COLOURS["coarse"], ms=8)
        for cell in range(large):
            shown = (cell + 0.5) * small / large
            read = cell * (small - 1) / (large - 1) + 0.5 if aligned else min(max(shown, 0.5), small - 0.5)
            ax.add_patch(Rectangle((shown - 0.5 * small / large + 0.01, 0.86), small / large - 0.02, 0.3, fc=PALE))
            ax.plot(shown, 1.01, "o", color=COLOURS["middle"], ms=5)
            ax.annotate("", (read, 0.02), (shown, 0.95), arrowprops={"arrowstyle": "-|>", "color": INK, "lw": 1})
    return fig


def grids(panels: Sequence[Tensor], titles: Sequence[str]) -> Figure:
    """Small maps side by side, with the value of every cell that is not 0 written into it.

    Args:
        panels: (H, W) each, values in [0, 1].
        titles: one a panel.
    """
    fig = Figure(figsize=(2.3 * len(panels), 2.6))
    for ax, panel, title in zip(fig.subplots(1, len(panels)), panels, titles, strict=True):
        ax.imshow(panel.numpy(), cmap=COLOUR_MAPS["coarse"].reversed(), vmin=0, vmax=1.6)
        for y, x in panel.nonzero().tolist():
            ax.text(x, y, f"{panel[y, x]:.2f}".lstrip("0"), ha="center", va="center", fontsize=6.5, color=INK)
        ax.set_title(title, fontsize=9, color=INK, pad=4)
        ax.set(xticks=(), yticks=())
        ax.spines[:].set_color(COLOURS["plain"])
    fig.subplots_adjust(0.005, 0.01, 0.995, 0.89, 0.05)
    return fig


def difference(aligned: Tensor, centred: Tensor) -> Figure:
    """One map upsampled in two ways, and how much all channels differ, cell by cell.

    Args:
        aligned: (C, H, W), upsampled with align_corners=True.
        centred: the same map, upsampled with align_corners=False.
    """
    channel = lively(aligned, 1)[0]
    limits = between(aligned[channel], centred[channel])
    relative = (aligned - centred).square().mean(0).sqrt() / aligned.square().mean().sqrt()
    fig = Figure(figsize=(8.2, 2.75))
    axes = fig.subplots(1, 3, width_ratios=(1, 1, 1.12))
    draw_map(axes[0], aligned[channel], "coarse", limits)
    draw_map(axes[1], centred[channel], "coarse", limits)
    shown = axes[2].imshow(relative.numpy(force=True), cmap="Purples", vmin=0)
    axes[2].axis("off")
    bar = fig.colorbar(shown, ax=axes[2], fraction=0.05, pad=0.03)
    bar.ax.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    bar.ax.tick_params(labelsize=8, length=0)
    bar.outline.set_visible(False)
    for ax, title in zip(axes, ("align_corners=True", "align_corners=False", "difference, all channels"), strict=True):
        ax.set_title(title, fontsize=9, color=INK)
    fig.subplots_adjust(0.01, 0.04, 0.94, 0.91, 0.05)
    return fig


def sums(image: Tensor, maps: Mapping[str, Tensor]) -> Figure:
    """The pyramid at work in one channel: what is added at every level, and what comes out.

    Args:
        image: the picture the maps come from, (3, H, W) in [-1, 1].
        maps: (H, W) by name: "c3", "lateral1", "up(c3)", "p2", "lateral2", "up(p2)", "p1".
    """
    fig = Figure(figsize=(8.2, 5.0))
    side, top = 1.42, 4.75
    lefts = {"lateral": 0.95, "up": 3.3, "sum": 5.65}

    def place(name: str, title: str, column: str, row: int, level: str, limits: tuple[float, float]) -> None:
        bottom = top - (row + 1) * side - 0.22 * row
        ax = fig.add_axes((lefts[column] / 8.2, bottom / 5.0, side / 8.2, side / 5.0))
        draw_map(ax, maps[name], level, limits)
        ax.set_title(title, fontsize=9, color=COLOURS[level], pad=3, weight="bold")

    def write(x: float, row: int, text: str, **style) -> None:
        fig.text(x / 8.2, (top - (row + 0.5) * side - 0.22 * row) / 5.0, text, va="center", ha="center", **style)

    photo = fig.add_axes((lefts["lateral"] / 8.2, (top - side) / 5.0, side / 8.2, side / 5.0))
    photo.imshow(to_pil(image))
    photo.axis("off")
    place("c3", "c3", "sum", 0, "coarse", between(maps["c3"]))
    rows = (
        ("lateral1", "c2", "up(c3)", "p2", "middle", "coarse"),
        ("lateral2", "c1", "up(p2)", "p1", "fine", "middle"),
    )
    for row, (lateral, source, up, total, level, above) in enumerate(rows, 1):
        limits = between(maps[lateral], maps[up], maps[total])
        place(lateral, f"{lateral}({source})", "lateral", row, level, limits)
        place(up, up, "up", row, above, limits)
        place(total, total, "sum", row, level, limits)
        write(2.83, row, "+", fontsize=20, color=INK)
        write(5.18, row, "=", fontsize=20, color=INK)
    for row, (level, styles) in enumerate(
        (("coarse", "styles 0-2"), ("middle", "styles 3-6"), ("fine", "styles 7 on"))
    ):
        write(7.65, row, f"{level}\n{styles}", fontsize=9, color=COLOURS[level])
    overlay = fig.add_axes((0, 0, 1, 1), xlim=(0, 8.2), ylim=(0, 5.0), zorder=-1)
    overlay.axis("off")
    for row in (0, 1):
        start, end = top - (row + 0.75) * side - 0.22 * row, top - (row + 1.3) * side - 0.22 * (row + 1)
        style = {"arrowstyle": "-|>", "color": INK, "lw": 1.4, "connectionstyle": "angle3,angleA=180,angleB=90"}
        overlay.annotate("", (4.72, end), (5.62, start), arrowprops=style)
    overlay.text(4.78, top - 0.68 * side, "upsample", fontsize=9, color=INK, ha="right")
    return fig


def reach(image: Tensor, weights: Mapping[str, Tensor]) -> Figure:
    """The part of a picture that one cell of each map sees, lit up.

    Args:
        image: (3, H, W) in [-1, 1].
        weights: by map, how strongly each pixel moves the cell (H, W), at least 0.
    """
    fig = Figure(figsize=(2.05 * len(weights), 2.3))
    for ax, (name, weight) in zip(fig.subplots(1, len(weights)), weights.items(), strict=True):
        even = F.avg_pool2d(weight[None], 9, 1, 4)[0]  # strides leave a lattice
        light = (even / even.max()).clamp(1e-3).log10().div(3).add(1)
        ax.imshow(to_pil(lit(image, light)))
        ax.set_title(name, fontsize=10, color=COLOURS[LEVEL_OF[name]], weight="bold", pad=3)
        ax.axis("off")
    fig.subplots_adjust(0.005, 0.01, 0.995, 0.9, 0.03)
    return fig


def maps(features: Sequence[Tensor], titles: Sequence[str], level: str) -> Figure:
    """Maps (H, W) side by side on one scale."""
    fig = Figure(figsize=(2.05 * len(features), 2.3))
    limits = between(*features)
    for ax, feature, title in zip(fig.subplots(1, len(features)), features, titles, strict=True):
        draw_map(ax, feature, level, limits)
        ax.set_title(title, fontsize=9, color=INK, pad=3)
    fig.subplots_adjust(0.005, 0.01, 0.995, 0.9, 0.03)
    return fig
