"""Figures of notebook 01: units in a row, the inside of one unit, gates."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle
from torch import Tensor

from pspkit.course.show.figure import COLOURS, INK, PALE, to_pil
from pspkit.models.backbone import Bottleneck, get_blocks, stage_ends

# Stages 2, 3 and 4 feed the fine, middle and coarse styles and wear their colours all through the course.
STAGE_COLOURS = (COLOURS["plain"], COLOURS["fine"], COLOURS["middle"], COLOURS["coarse"])


def draw_units(ax: Axes, num_layers: int, marked: Sequence[int] = (), chosen: int | None = None) -> None:
    """One square a unit, coloured by stage; the last unit of each stage carries its index.

    Args:
        ax: 54 units wide, about 2 high.
        num_layers: a depth of the stage table.
        marked: units to put a cross on.
        chosen: a unit to frame.
    """
    ends, index = stage_ends(num_layers), 0
    for colour, stage in zip(STAGE_COLOURS, get_blocks(num_layers), strict=True):
        for _ in stage:
            box = Rectangle((index + 0.08, 0), 0.84, 0.84, fc=colour, alpha=1 if index in ends else 0.45)
            ax.add_patch(box)
            if index in ends:
                ax.text(index + 0.5, 1.0, str(index), ha="center", va="bottom", fontsize=8, color=INK)
            if index in marked:
                ax.text(index + 0.5, 0.4, "×", ha="center", va="center", fontsize=13, color="black", weight="bold")
            if index == chosen:
                ax.add_patch(Rectangle((index - 0.04, -0.12), 1.08, 1.08, fill=False, ec=INK, lw=1.6))
            index += 1
    ax.text(-0.6, 0.42, f"{num_layers}", ha="right", va="center", fontsize=10, weight="bold", color=INK)
    ax.text(index + 0.5, 0.42, f"{index} units", ha="left", va="center", fontsize=8.5, color=INK)
    ax.set(xlim=(-3, 56), ylim=(-0.4, 1.9))
    ax.axis("off")


def units(depths: Sequence[int] = (50, 100, 152), marked: Sequence[int] = ()) -> Figure:
    """Every unit of some depths, with a cross on the `marked` ones."""
    fig = Figure(figsize=(8.4, 0.62 * len(depths) + 0.35))
    height = 0.62 / fig.get_figheight()
    for row, depth in enumerate(depths):
        ax = fig.add_axes((0, 1 - (row + 1) * height, 1, height))
        draw_units(ax, depth, [mark for mark in marked if mark <= stage_ends(depth)[-1]])
    legend = ("stage 1", "stage 2 → c1, fine", "stage 3 → c2, middle", "stage 4 → c3, coarse")
    for number, (label, colour) in enumerate(zip(legend, STAGE_COLOURS, strict=True)):
        fig.text(0.06 + 0.2 * number, 0.02, f"■ {label}", color=colour, fontsize=8.5, va="bottom")
    return fig


def draw_unit(ax: Axes, unit: Bottleneck, mode: str, side: int) -> None:
    """The inside of one unit: residual branch above, shortcut below, with the shapes between.

    Args:
        ax: an empty one.
        unit: its widths and stride.
        mode: "ir" or "ir_se".
        side: of the map that comes in.
    """
    steps = ["BN", f"conv 3×3\n{unit.in_channel}→{unit.depth}", "PReLU", f"conv 3×3\nstride {unit.stride}", "BN"]
    steps += ["SE"] if mode == "ir_se" else []
    for number, step in enumerate(steps):
        draw_box(ax, 1.6 + 1.3 * number, 0.95, step, COLOURS["accent"] if step == "SE" else PALE, step == "SE")
    if unit.in_channel != unit.depth:
        shortcut = f"conv 1×1, stride {unit.stride}, BN"
    else:
        shortcut = "copy" if unit.stride == 1 else f"every {unit.stride}nd pixel"
    end = 1.6 + 1.3 * len(steps)
    draw_box(ax, (1.6 + end - 1.3) / 2, -0.15, shortcut, PALE, False, width=3.2)
    ax.annotate("", (end - 0.55, 0.95), (0.55, 0.95), arrowprops={"arrowstyle": "-|>", "color": INK}, zorder=0)
    ax.annotate("", (end - 0.55, -0.15), (0.55, -0.15), arrowprops={"arrowstyle": "-|>", "color": INK}, zorder=0)
    ax.text(0.45, 0.4, f"{unit.in_channel}\n{side}×{side}", ha="right", va="center", fontsize=9, color=INK)
    ax.plot([0.55, 0.55], [-0.15, 0.95], color=INK, lw=1)
    ax.text(end - 0.4, 0.4, "+", ha="center", va="center", fontsize=16, color=INK)
    out = side // unit.stride
    ax.text(end - 0.05, 0.4, f"{unit.depth}\n{out}×{out}", ha="left", va="center", fontsize=9, color=INK)
    ax.set(xlim=(-0.4, 10.6), ylim=(-0.6, 1.5))
    ax.axis("off")


def draw_box(ax: Axes, x: float, y: float, label: str, face: str, light: bool, width: float = 1.0) -> None:
    ax.add_patch(FancyBboxPatch((x - width / 2, y - 0.22), width, 0.44, "round,pad=0.04", fc=face, ec="none"))
    ax.text(x, y, label, ha="center", va="center", fontsize=7.5, color="white" if light else INK)


def inside(unit: Bottleneck, mode: str = "ir_se", side: int = 64) -> Figure:
    """The inside of one unit."""
    fig = Figure(figsize=(8.4, 1.5))
    draw_unit(fig.add_axes((0, 0, 1, 1)), unit, mode, side)
    return fig


def gates(before: Tensor, gate: Tensor, after: Tensor, titles: Sequence[str]) -> Figure:
    """What three gates do to the three colour channels of some pictures.

    Args:
        before: (N, 3, H, W) in [-1, 1].
        gate: (N, 3) in (0, 1).
        after: as before.
        titles: one a picture.
    """
    fig = Figure(figsize=(2.3 * len(before), 5.0))
    axes = fig.subplots(3, len(before), squeeze=False, height_ratios=(2, 0.6, 2))
    for column, (above, bars, below) in enumerate(axes.T):
        above.imshow(to_pil(before[column]))
        above.set_title(titles[column], fontsize=9, color=INK)
        bars.bar(("R", "G", "B"), gate[column].tolist(), color=("#c0392b", "#3c8d4f", "#2c64b4"), width=0.6)
        bars.set(ylim=(0, 1), yticks=(0, 0.5, 1) if column == 0 else (), xlim=(-1.4, 3.4))
        bars.axhline(0.5, color=PALE, lw=1, zorder=0)
        bars.tick_params(labelsize=7.5, length=0)
        bars.spines[["top", "right"]].set_visible(False)
        below.imshow(to_pil(after[column]))
        above.axis("off")
        below.axis("off")
    fig.subplots_adjust(0.05, 0.01, 0.99, 0.95, 0.06, 0.16)
    return fig


def openings(heads: Tensor, networks: Mapping[str, Mapping[str, Tensor]]) -> Figure:
    """How far units open the gates of their channels, for several networks and pictures.

    Args:
        heads: (N, 3, H, W) in [-1, 1]; the rows of every panel.
        networks: by their names, for each unit by its title the gates (N, channels) in (0, 1).
    """
    side, top = 0.25, 0.26
    block = len(heads) * side + top
    fig = Figure(figsize=(8.4, len(networks) * block))
    width, height = fig.get_size_inches()
    shades = LinearSegmentedColormap.from_list("open", ["white", COLOURS["accent"]])
    for row, (name, units) in enumerate(networks.items()):
        low = height - (row + 1) * block + 0.03
        fig.text(0.12 / width, (low + len(heads) * side / 2) / height, name, rotation=90, va="center", ha="center",
                 fontsize=9, weight="bold", color=INK)  # fmt: skip
        for place, head in enumerate(heads):
            bottom = low + (len(heads) - 1 - place) * side
            ax = fig.add_axes((0.28 / width, bottom / height, side / width, side / height))
            ax.imshow(to_pil(head), interpolation="lanczos")
            ax.axis("off")
        each = (width - 0.58) / len(units)
        for column, (title, gate) in enumerate(units.items()):
            left = 0.58 + column * each
            ax = fig.add_axes((left / width, low / height, (each - 0.08) / width, len(heads) * side / height))
            ordered = gate[:, gate.mean(0).argsort(descending=True)]
            ax.imshow(ordered.numpy(force=True), cmap=shades, vmin=0, vmax=1, aspect="auto", interpolation="nearest")
            ax.set_title(f"{title}, {gate.shape[1]} channels", fontsize=8.5, color=INK, pad=3)
            ax.set(xticks=(), yticks=())
            ax.spines[:].set_color(PALE)
    return fig
