"""Figures of notebook 03: map2style, the wiring of styles to levels, folded rows, reactions, where the weights sit."""

from collections.abc import Mapping, Sequence

import torch
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle
from torch import Tensor, nn

from pspkit.course.show.figure import COLOURS, INK, LEVELS, PALE
from pspkit.course.show.pyramid import COLOUR_MAPS, draw_map, lively
from pspkit.models.encoders import style_level


def map2style(sides: Sequence[int] = (16, 32, 64)) -> Figure:
    """What is left of the map after each convolution of a coarse, a middle and a fine map2style block.

    Args:
        sides: of the maps that the three blocks read.
    """
    fig = Figure(figsize=(8.6, 3.6))
    ax = fig.add_axes((0, 0, 1, 1), xlim=(0, 8.6), ylim=(0, 3.6))
    ax.axis("off")
    for row, (level, source, side) in enumerate(zip(LEVELS, ("c3", "p2", "p1"), sides, strict=True)):
        y, x, colour = 3.05 - 1.12 * row, 1.15, COLOURS[level]
        ax.text(0.1, y, f"{level}\nreads {source}", va="center", fontsize=9.5, color=colour, weight="bold")
        while side >= 1:
            edge = 0.15 + 0.7 * (side / max(sides)) ** 0.6
            ax.add_patch(Rectangle((x, y - edge / 2), edge, edge, fc=colour, alpha=0.3, ec="none"))
            if side <= 16:  # finer grids would only be noise at this size
                lines = (
                    [x + edge * i / side for i in range(side + 1)],
                    [y - edge / 2 + edge * i / side for i in range(side + 1)],
                )
                ax.vlines(lines[0], y - edge / 2, y + edge / 2, colors="white", lw=0.6)
                ax.hlines(lines[1], x, x + edge, colors="white", lw=0.6)
            ax.text(x + edge / 2, y - edge / 2 - 0.03, f"{side}×{side}", ha="center", va="top", fontsize=8, color=INK)
            x += edge
            if side > 1:
                ax.annotate("", (x + 0.34, y), (x + 0.03, y), arrowprops={"arrowstyle": "-|>", "color": INK, "lw": 1})
                ax.text(x + 0.18, y + 0.06, "conv", ha="center", va="bottom", fontsize=7, color=INK)
                x += 0.37
            side //= 2
        ax.annotate("", (7.25, y), (x + 0.04, y), arrowprops={"arrowstyle": "-|>", "color": INK, "lw": 1})
        ax.text((x + 7.25) / 2, y + 0.06, "EqualLinear", ha="center", va="bottom", fontsize=7, color=INK)
        ax.add_patch(FancyBboxPatch((7.34, y - 0.1), 1.1, 0.2, "round,pad=0.02", fc=colour, ec="none"))
        ax.text(7.89, y, "code: 512", ha="center", va="center", fontsize=8, color="white")
    return fig


def shades(colour: str, count: int) -> list[tuple[float, ...]]:
    """A colour in steps towards white."""
    return [tuple(1 - (1 - part) * (1 - 0.75 * i / count) for part in to_rgb(colour)) for i in range(count)]


def folding(rows: Tensor, pictures: int, side: int) -> Figure:
    """Whose numbers stand in which row after `view(-1, channels)`.

    Args:
        rows: (pictures * side², channels) of integers: number of the picture times side², plus number of the cell.
        pictures: how many there are.
        side: of the maps.
    """
    cells = side * side
    palette = [shade for colour in (COLOURS["accent"], COLOURS["fine"])[:pictures] for shade in shades(colour, cells)]
    colours = ListedColormap(palette)
    fig = Figure(figsize=(8.2, 2.9))
    for picture in range(pictures):
        ax = fig.add_axes((0.02, 0.52 - 0.47 * picture, 0.14, 0.37))
        own = torch.arange(cells).view(side, side) + picture * cells
        ax.imshow(own.numpy(), cmap=colours, vmin=0, vmax=len(palette) - 1)
        ax.set_title(f"map of picture {picture}", fontsize=8.5, color=INK, pad=3)
        ax.axis("off")
    ax = fig.add_axes((0.27, 0.05, 0.72, 0.84))
    ax.imshow(rows.numpy(), cmap=colours, vmin=0, vmax=len(palette) - 1, aspect="auto")
    ax.hlines([i - 0.5 for i in range(1, len(rows))], -0.5, rows.shape[1] - 0.5, colors="white", lw=4)
    ax.vlines([i - 0.5 for i in range(1, rows.shape[1])], -0.5, len(rows) - 0.5, colors="white", lw=0.8)
    ax.set_title(f"{len(rows)} rows, each taken for the code of a picture", fontsize=8.5, color=INK, pad=3)
    ax.set(xticks=(), yticks=range(len(rows)), yticklabels=[f"row {i}" for i in range(len(rows))])
    ax.tick_params(length=0, labelsize=8)
    ax.spines[:].set_visible(False)
    return fig


def wiring(levels: Sequence[Tensor], codes: Tensor, numbers: int = 96) -> Figure:
    """Which map2style block reads which level, with as many dots as it has convolutions, and the code it writes.

    Args:
        levels: c3, p2 and p1 of one picture, (C, H, W) each.
        codes: of the same picture, (n_styles, style_dim).
        numbers: of each code to draw.
    """
    fig = Figure(figsize=(8.6, 5.2))
    ax = fig.add_axes((0, 0, 1, 1), xlim=(0, 8.6), ylim=(0, 5.2))
    ax.axis("off")
    step = 4.86 / len(codes)
    for number, (level, name, feature) in enumerate(zip(LEVELS, ("c3", "p2", "p1"), levels, strict=True)):
        middle = 4.35 - 1.72 * number
        place = fig.add_axes((0.75 / 8.6, (middle - 0.65) / 5.2, 1.3 / 8.6, 1.3 / 5.2))
        draw_map(place, feature[lively(feature, 1)[0]], level)
        label = f"{name}\n{len(feature)} ×\n{feature.shape[-1]}×{feature.shape[-1]}"
        ax.text(0.68, middle, label, ha="right", va="center", fontsize=9, color=COLOURS[level], weight="bold")
        convolutions = feature.shape[-1].bit_length() - 1
        for style in (style for style in range(len(codes)) if style_level(style) == number):
            y = 4.92 - (style + 0.5) * step
            ax.plot([2.08, 2.9, 3.35], [middle, y, y], color=COLOURS[level], lw=0.9, alpha=0.7)
            ax.plot([3.4 + 0.17 * i for i in range(convolutions)], [y] * convolutions, "o", color=COLOURS[level], ms=5)
            ax.plot([3.4, 4.62], [y, y], color=COLOURS[level], lw=0.9, zorder=0)
            ax.text(4.85, y, str(style), ha="right", va="center", fontsize=7.5, color=INK)
            row = fig.add_axes((4.95 / 8.6, (y - 0.42 * step) / 5.2, 3.55 / 8.6, 0.84 * step / 5.2))
            row.imshow(codes[style : style + 1, :numbers].numpy(force=True), cmap=COLOUR_MAPS[level], aspect="auto")
            row.axis("off")
    for x, title in (
        (1.4, "level"),
        (3.85, "blocks, a dot a convolution"),
        (6.72, f"codes: first {numbers} numbers"),
    ):
        ax.text(x, 5.15, title, ha="center", va="top", fontsize=8.5, color=INK)
    return fig


def reactions(networks: Mapping[str, Mapping[str, Tensor]]) -> Figure:
    """How far each code moves when one thing in a picture changes: one panel a change, one row a network.

    Args:
        networks: by their names, for each change the distance (n_styles,), in any unit that all share.
    """
    changes = list(next(iter(networks.values())))
    fig = Figure(figsize=(2.05 * len(changes), 1.45 * len(networks) + 0.35), layout="constrained")
    axes = fig.subplots(len(networks), len(changes), sharey=True, squeeze=False)
    for row, (name, moved) in enumerate(networks.items()):
        for ax, change in zip(axes[row], changes, strict=True):
            distance = moved[change].tolist()
            colours = [COLOURS[LEVELS[style_level(style)]] for style in range(len(distance))]
            ax.bar(range(len(distance)), distance, color=colours, width=0.8)
            ax.set_xticks(range(0, len(distance), 3))
            ax.tick_params(labelsize=7.5, length=0)
            ax.grid(axis="y", color=PALE)
            ax.set_axisbelow(True)
            ax.spines[["top", "right", "left"]].set_visible(False)
            if row == 0:
                ax.set_title(change, fontsize=9, color=INK)
        axes[row, 0].set_ylabel(name, fontsize=9, color=INK, weight="bold")
    fig.supxlabel("style", fontsize=8.5, color=INK)
    return fig


def size(module: nn.Module) -> int:
    """Learned numbers of a module."""
    return sum(parameter.numel() for parameter in module.parameters())


def blocks(encoder: nn.Module) -> list[tuple[str, str, list[list[int]]]]:
    """The parts of an encoder that hold weights: label, colour, and rows of pieces with the weights of each."""
    stages, start = [], 0
    for end in encoder.stage_ends:
        stages.append([sum(map(size, encoder.body[start : end + 1]))])
        start = end + 1
    parts = [("body", COLOURS["plain"], stages[::-1])]
    if hasattr(encoder, "styles"):
        for number, level in enumerate(LEVELS):
            group = [block for style, block in enumerate(encoder.styles) if style_level(style) == number]
            pieces = [[size(part) for part in (*block.convs, block.linear) if size(part)] for block in group]
            parts.append((f"{len(group)} {level}\nblocks", COLOURS[level], pieces))
        return parts
    last = [
        [size(getattr(encoder, name))]
        for name in ("output_layer_2", "linear", "reduce", "expand")
        if hasattr(encoder, name)
    ]
    return [*parts, ("last\nlayers" if len(last) > 1 else "", COLOURS["accent"], last)]


def draw_blocks(
    ax: Axes, parts: list[tuple[str, str, list[list[int]]]], left: float, height: float, unit: float
) -> float:
    """Columns of rows of pieces, each as large as its weights; returns where the last column ends.

    Args:
        ax: measured in inches.
        parts: as `blocks` returns them.
        left: where the first column begins.
        height: of every column.
        unit: weights a square inch.
    """
    for label, colour, rows in parts:
        total = sum(map(sum, rows))
        width, top = total / unit / height, height
        for row in rows:
            tall, x = height * sum(row) / total, left
            for piece in row:
                wide = width * piece / sum(row)
                ax.add_patch(Rectangle((x, top - tall), wide, tall, fc=colour, ec="white", lw=0.7))
                x += wide
            top -= tall
        if label:
            ax.text(left + width / 2, height + 0.06, label, ha="center", va="bottom", fontsize=8, color=colour)
        left += width
    return left


def weights(encoders: Mapping[str, nn.Module]) -> Figure:
    """Where the weights of some encoders sit: equal areas hold equally many.

    Args:
        encoders: by name; on the meta device they cost nothing.
    """
    height, gap, breadth = 2.5, 0.35, 8.6
    counts = [size(encoder) for encoder in encoders.values()]
    unit = sum(counts) / (breadth - 0.2 - gap * (len(counts) - 1)) / height
    fig = Figure(figsize=(breadth, height + 0.95))
    ax = fig.add_axes((0, 0, 1, 1), xlim=(0, breadth), ylim=(-0.55, height + 0.4))
    ax.axis("off")
    left = 0.1
    for (name, encoder), count in zip(encoders.items(), counts, strict=True):
        right = draw_blocks(ax, blocks(encoder), left, height, unit)
        ax.text(
            (left + right) / 2,
            -0.08,
            f"{name}\n{count / 1e6:.0f} million",
            ha="center",
            va="top",
            fontsize=9,
            color=INK,
        )
        left = right + gap
    return fig


def pace(changes: Mapping[str, Sequence[float]], widths: Sequence[int]) -> Figure:
    """How far one optimiser step moves layers of several widths.

    Args:
        changes: by kind of layer, the relative change at each width.
        widths: inputs of the layers.
    """
    fig = Figure(figsize=(6.2, 2.3))
    ax = fig.add_axes((0.11, 0.2, 0.6, 0.74))
    for (name, change), colour in zip(changes.items(), (COLOURS["plain"], COLOURS["accent"]), strict=True):
        ax.plot(widths, change, "o-", color=colour, lw=2, ms=5)
        ax.text(widths[-1] * 1.15, change[-1], name, color=colour, fontsize=9.5, va="center", weight="bold")
    ax.set_xscale("log", base=2)
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    ax.set(xticks=widths, ylim=(0, None))
    ax.set_xticks((), minor=True)
    ax.set_xticklabels([str(width) for width in widths])
    ax.set_xlabel("inputs of the layer", fontsize=8.5, color=INK)
    ax.grid(axis="y", color=PALE)
    ax.tick_params(labelsize=8, length=0)
    ax.spines[["top", "right", "left"]].set_visible(False)
    return fig
