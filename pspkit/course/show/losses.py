"""Figures of notebook 07: what each loss finds near, what it wants changed, and the price of distant codes."""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import ConnectionPatch
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from pspkit.course.show.figure import COLOURS, INK, PALE, photos, to_pil

PENS = ("#c8553d", "#e0a030", "#5c8a3c", "#2a7f8e", "#5b4b8a", "#b0578d", "#7a6a58", "#8a97a3")


def rankings(versions: Mapping[str, Tensor], scores: Mapping[str, Mapping[str, float]]) -> Figure:
    """The same pictures in the order of each loss, one row a loss, with lines from row to row.

    Args:
        versions: at most eight pictures (3, H, W) by name.
        scores: by loss, each picture's value; the lowest stands on the left.
    """
    gap, aisle, top, margin, width = 0.1, 0.36, 0.04, 0.75, 8.2
    side = (width - margin) / len(versions) - gap
    height = top + len(scores) * (side + aisle) - aisle + 0.03
    fig = Figure(figsize=(width, height))
    pens, above = dict(zip(versions, PENS, strict=False)), {}
    for row, (loss, values) in enumerate(scores.items()):
        bottom, below = height - top - side - row * (side + aisle), {}
        for column, name in enumerate(sorted(versions, key=values.__getitem__)):
            left = margin + column * (side + gap)
            ax = fig.add_axes((left / width, bottom / height, side / width, side / height))
            ax.imshow(to_pil(versions[name]), interpolation="lanczos")
            ax.set(xticks=(), yticks=())
            ax.spines[:].set(color=pens[name], linewidth=2.2)
            ax.text(0.5, 0.04, f"{name} {values[name]:.3f}", transform=ax.transAxes, ha="center", fontsize=7.5,
                    color=pens[name], bbox={"fc": "white", "ec": "none", "pad": 1.2})  # fmt: skip
            below[name] = ax
            if above:
                line = ConnectionPatch((0.5, 0), (0.5, 1), "axes fraction", axesA=above[name], axesB=ax,
                                       color=pens[name], lw=1.6, alpha=0.75, zorder=-1)  # fmt: skip
                fig.add_artist(line)
        middle = (bottom + side / 2) / height
        fig.text((margin - 0.1) / width, middle, loss, ha="right", va="center", fontsize=9, color=INK, weight="bold")
        above = below
    return fig


def wish(gradient: Tensor) -> Tensor:
    """What a loss wants of an output: minus the gradient (3, H, W) as a picture, mid-grey where it wants nothing."""
    return -gradient / gradient.abs().quantile(0.995).clamp_min(1e-12)


def where(gradient: Tensor) -> Tensor:
    """Where a loss looks: the gradient's size (3, H, W), smoothed over a few pixels, as a picture from pale to dark."""
    size = F.avg_pool2d(gradient.norm(dim=0)[None, None], 9, 1, 4, count_include_pad=False)[0]
    ends = (torch.tensor(to_rgb(colour))[:, None, None] for colour in (PALE, COLOURS["accent"]))
    return torch.lerp(*ends, (size / size.max().clamp_min(1e-12)).expand(3, -1, -1)) * 2 - 1


def gradients(output: Tensor, target: Tensor, found: Mapping[str, Tensor]) -> Figure:
    """What each loss wants changed in an output, above, and where it looks, below.

    Args:
        output: (3, H, W) in [-1, 1].
        target: of the same shape.
        found: the gradients (3, H, W) with respect to the output, by loss; each is drawn on a scale of its own.
    """
    images = [output, *map(wish, found.values()), target, *map(where, found.values())]
    titles = ["output", *(f"{name}: wish" for name in found), "target", *(f"{name}: where" for name in found)]
    return photos(images, titles, len(found) + 1, side=1.95)


def prices(images: Sequence[Tensor], shares: Sequence[float], totals: Mapping[str, Sequence[float]]) -> Figure:
    """A walk through pictures, and below the first of them what they cost; the cheapest of every line is marked.

    Args:
        images: (3, H, W) in [-1, 1].
        shares: how far each has gone.
        totals: by the name of the line, the costs of as many pictures as were measured.
    """
    gap, width = 0.05, 8.2
    side = width / len(images) - gap
    height = side + 2.1
    fig = Figure(figsize=(width, height))
    for place, (image, share) in enumerate(zip(images, shares, strict=True)):
        left = place / len(images) + gap / 2 / width
        ax = fig.add_axes((left, 1 - (side + 0.2) / height, side / width, side / height))
        ax.imshow(to_pil(image), interpolation="lanczos")
        ax.set_title(f"{share:g}", fontsize=8.5, color=INK, pad=3)
        ax.axis("off")
    ax = fig.add_axes((0, 0.1 / height, 1, 1.55 / height), xlim=(-0.5, len(images) - 0.5))
    for pen, (name, values) in zip(PENS[::2], totals.items(), strict=False):
        ax.plot(range(len(values)), values, color=pen, lw=1.8, marker="o", ms=3)
        best = min(range(len(values)), key=values.__getitem__)
        ax.plot(best, values[best], "o", color=pen, ms=9, mec="white", mew=1.5)
        ax.annotate(name, (len(values) - 1, values[-1]), (9, 0), textcoords="offset points", va="center", fontsize=8,
                    color=pen, annotation_clip=False)  # fmt: skip
    ax.text(-0.45, 1, "total loss", transform=ax.get_xaxis_transform(), va="bottom", fontsize=8, color=INK)
    ax.set_xticks(())
    ax.tick_params(axis="y", direction="in", length=0, pad=-24, labelsize=8, labelcolor=INK)
    ax.yaxis.set_major_locator(MaxNLocator(4))
    ax.grid(axis="y", color=PALE)
    ax.set_axisbelow(True)
    ax.spines[:].set_visible(False)
    return fig
