"""Figures of notebook 06 about the rendered heads: all that is known of one, and who belongs to which set."""

from collections.abc import Collection

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image
from torch import Tensor

from pspkit.course.show.figure import COLOURS, INK, to_pil
from pspkit.data.heads import Render
from pspkit.data.labels import LABELS, Label, palette

LEGEND_COLUMNS = 5


def draw_image(ax: Axes, image: Tensor, title: str = "") -> None:
    """One picture (3, H, W) in [-1, 1] without axes."""
    ax.imshow(to_pil(image), interpolation="lanczos")
    ax.set_title(title, fontsize=9, color=INK, pad=3)
    ax.axis("off")


def draw_labels(ax: Axes, labels: Tensor, title: str = "") -> None:
    """One label map (H, W), pixel by pixel."""
    ax.imshow(label_picture(labels), interpolation="nearest")
    ax.set_title(title, fontsize=9, color=INK, pad=3)
    ax.axis("off")


def label_picture(labels: Tensor) -> Image.Image:
    """One label map (H, W) in the colours of its classes."""
    return Image.fromarray(palette()[labels.long()].numpy(force=True))


def short_title(label: Label) -> str:
    """A class's title as it fits beside or above small things."""
    return label.title.removeprefix("inside of the ")


def legend_height(numbers: Collection[int]) -> float:
    """Inches that `draw_legend` needs for these classes."""
    return 0.22 * -(-len(numbers) // LEGEND_COLUMNS)


def draw_legend(fig: Figure, numbers: Collection[int]) -> None:
    """Colour, number and title of each class, along the lower edge of a figure."""
    width, height = fig.get_size_inches()
    for place, label in enumerate(label for label in LABELS.values() if label.number in numbers):
        line, column = divmod(place, LEGEND_COLUMNS)
        left, middle = 0.04 + column * (width - 0.08) / LEGEND_COLUMNS, legend_height(numbers) - 0.22 * (line + 0.5)
        style = {"fc": f"#{label.colour}", "ec": INK, "lw": 0.5}
        fig.add_artist(Rectangle((left, middle - 0.07), 0.16, 0.13, transform=fig.dpi_scale_trans, **style))
        words = f"{label.number}  {short_title(label)}"
        fig.text((left + 0.24) / width, middle / height, words, va="center", fontsize=8.5, color=INK)


def truths(render: Render, index: int = 0) -> Figure:
    """Everything that is known of one rendered head: picture, landmarks, labels with their legend, sketch, depth.

    Args:
        render: some heads.
        index: which of them.
    """
    image, labels, sketch, depth = (getattr(render, name)[index] for name in ("image", "labels", "sketch", "depth"))
    numbers = labels.unique().tolist()
    below = legend_height(numbers) + 0.06
    fig = Figure(figsize=(8.2, below + 1.64 + 0.24))
    height = fig.get_size_inches()[1]
    axes = [fig.add_axes((0.2 * column + 0.002, below / height, 0.196, 1.61 / height)) for column in range(5)]
    draw_image(axes[0], image, "picture")
    draw_image(axes[1], (image + 1) / 2, "five landmarks")  # pale, so that the marks stand out
    x, y = (render.landmarks[index] - 0.5).T.numpy(force=True)
    axes[1].plot(x, y, "o", ms=6, mec="white", color=COLOURS["accent"])
    draw_labels(axes[2], labels, "label map")
    draw_image(axes[3], sketch.expand(3, -1, -1) * 2 - 1, "sketch")
    near, far = depth.min(), depth[depth < depth.max()].max()
    shade = 1 - (depth - near) / (far - near) * 0.75
    draw_image(axes[4], torch.where(depth <= far, shade, 0).expand(3, -1, -1) * 2 - 1, "depth")
    draw_legend(fig, numbers)
    return fig


def splits(images: Tensor, tests: dict[str, Tensor]) -> Figure:
    """The same pictures divided in several ways: a thick frame marks the test set.

    Args:
        images: (N, 3, H, W) in [-1, 1].
        tests: by the name of the way, which pictures are in the test set, bool (N,).
    """
    count, margin, side = len(images), 0.95, 7.2 / len(images)
    fig = Figure(figsize=(8.2, len(tests) * (side + 0.12) + 0.25))
    width, height = fig.get_size_inches()
    for line, (name, test) in enumerate(tests.items()):
        bottom = height - (line + 1) * (side + 0.12)
        fig.text((margin - 0.1) / width, (bottom + side / 2) / height, name, ha="right", va="center", fontsize=9,
                 color=INK)  # fmt: skip
        for place in range(count):
            left = margin + place * side
            ax = fig.add_axes((left / width, bottom / height, (side - 0.1) / width, (side - 0.1) / height))
            ax.imshow(to_pil(images[place]), interpolation="lanczos")
            ax.set(xticks=(), yticks=())
            for spine in ax.spines.values():
                spine.set(color=COLOURS["accent" if test[place] else "plain"], lw=3 if test[place] else 1)
    fig.text(margin / width, 0.06 / height, "thick frame: test set", fontsize=9, color=COLOURS["accent"], weight="bold")
    fig.text(0.35, 0.06 / height, "thin frame: training set", fontsize=9, color=COLOURS["plain"], weight="bold")
    return fig


def crossed(images: Tensor, people: int) -> Figure:
    """People down, scenes across: (people * scenes, 3, H, W) in [-1, 1], person by person."""
    scenes = len(images) // people
    side, margin, top = 7.75 / scenes, 0.4, 0.3
    fig = Figure(figsize=(8.2, people * side + top))
    width, height = fig.get_size_inches()
    for place, image in enumerate(images):
        line, column = divmod(place, scenes)
        left, bottom = margin + column * side, height - top - (line + 1) * side
        draw_image(fig.add_axes((left / width, bottom / height, (side - 0.04) / width, (side - 0.04) / height)), image)
    middle = (margin + 7.75 / 2) / width, 1 - 0.15 / height
    fig.text(*middle, "one scene a column →", ha="center", va="center", fontsize=10, color=COLOURS["accent"])
    fig.text(0.2 / width, (height - top) / 2 / height, "← one person a row", rotation=90, ha="center", va="center",
             fontsize=10, color=COLOURS["accent"])  # fmt: skip
    return fig
