"""Figures of notebooks 00 and 05: mixed people with the codes they are made of, and what each code changes."""

from collections.abc import Collection, Sequence

import torch
import torch.nn.functional as F
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from pspkit.course.show.figure import COLOURS, INK, LEVELS, photos, to_pil
from pspkit.course.show.pyramid import COLOUR_MAPS
from pspkit.models.encoders import MIDDLE, style_level
from pspkit.models.mobile_stylegan import MobileStyleGAN
from pspkit.models.stylegan2 import Generator

EDGE = (-0.01, -0.02, 1.02, 0.095)  # of a picture: where the row of its codes stands


def thumbnails(decoder: Generator | MobileStyleGAN, codes: Tensor, side: int = 256) -> Tensor:
    """Decodes in the fastest way at hand, and averages each picture down.

    One picture at a time keeps its feature maps in the cache; bfloat16 is worth it where the processor computes in it.

    Args:
        decoder: any of the decoders, in evaluation mode.
        codes: W+ (N, n_styles, style_dim).
        side: of the pictures that come out, at most the decoder's own.

    Returns:
        (N, 3, side, side), about [-1, 1], float32.
    """
    fast = codes.is_cuda or torch.backends.cpu.get_cpu_capability().startswith("AVX512")
    small = []
    with torch.no_grad(), torch.autocast(codes.device.type, torch.bfloat16, enabled=fast):
        for code in codes:
            image = decoder.synthesis(code[None]).float()
            small.append(F.adaptive_avg_pool2d(image, min(side, image.shape[-1])))
    return torch.cat(small)


def code_colours(n_styles: int) -> list[str]:
    """The colour of each code's level."""
    return [COLOURS[LEVELS[style_level(code)]] for code in range(n_styles)]


def draw_codes(ax: Axes, n_styles: int, strong: Collection[int]) -> None:
    """A row of squares, one a code, coloured by level; those not `strong` are pale."""
    for code, colour in enumerate(code_colours(n_styles)):
        ax.add_patch(Rectangle((code + 0.06, 0), 0.88, 1, fc=colour, ec="none", alpha=1 if code in strong else 0.2))
    ax.set(xlim=(0, n_styles), ylim=(-0.15, 1.15), xticks=(), yticks=())
    ax.spines[:].set_visible(False)


def lay_codes(fig: Figure, n_styles: int, strong: Collection[int], place: tuple[float, float, float]) -> None:
    """As `draw_codes`, along the lower edge of a picture that `paste` put at the same place."""
    left, bottom, side = place
    wide, low, high = side / n_styles, bottom - 0.01 * side, 0.073 * side
    squares = [Rectangle((left, low - 0.01 * side), side, high + 0.02 * side, fc="white", ec="none")]
    for code, colour in enumerate(code_colours(n_styles)):
        corner, alpha = (left + (code + 0.06) * wide, low), 1 if code in strong else 0.2
        squares.append(Rectangle(corner, 0.88 * wide, high, fc=colour, ec="none", alpha=alpha))
    for square in squares:
        square.set_transform(fig.dpi_scale_trans)
        fig.add_artist(square)


def mixes(
    images: Tensor | Sequence[Tensor],
    taken: Sequence[Collection[int] | None],
    n_styles: int,
    titles: Sequence[str] = (),
    columns: int | None = None,
    rows: Sequence[str] = (),
    side: float = 1.5,
) -> Figure:
    """Pictures in a grid as `photos`, each with the row of its codes along its lower edge.

    Args:
        images: as `photos`.
        taken: for each picture the codes drawn strong, or None for no row.
        n_styles: codes of a picture.
        titles: as `photos`.
        columns: as `photos`.
        rows: as `photos`.
        side: as `photos`.
    """
    fig = photos(images, titles, columns, rows, side)
    for ax, codes in zip(fig.axes[: len(taken)], taken, strict=True):
        if codes is not None:
            draw_codes(ax.inset_axes(EDGE), n_styles, codes)
    return fig


def inversion(inputs: Tensor, codes: Tensor, outputs: Tensor, numbers: int = 64) -> Figure:
    """Pictures, the codes that an encoder found for them, and what was drawn from the codes alone; one row each.

    Args:
        inputs: (N, 3, H, W) in [-1, 1].
        codes: (N, n_styles, style_dim).
        outputs: as `inputs`.
        numbers: of each code to draw.
    """
    side, wide, gap, top = 1.75, 3.4, 0.45, 0.24
    fig = Figure(figsize=(2 * (side + gap) + wide, top + len(inputs) * (side + 0.08)))
    width, height = fig.get_size_inches()
    middle = side + gap
    titles = (
        (side / 2, "input"),
        (middle + wide / 2, f"{codes.shape[1]} codes, the first {numbers} of {codes.shape[2]} numbers each"),
        (middle + wide + gap + side / 2, "output"),
    )
    for x, title in titles:
        fig.text(x / width, 1 - 0.05 / height, title, ha="center", va="top", fontsize=8.5, color=INK)
    for line, (image, stack, drawn) in enumerate(zip(inputs, codes, outputs, strict=True)):
        bottom = height - top - (line + 1) * (side + 0.08) + 0.08
        for left, picture in ((0, image), (middle + wide + gap, drawn)):
            ax = fig.add_axes((left / width, bottom / height, side / width, side / height))
            ax.imshow(to_pil(picture), interpolation="lanczos")
            ax.axis("off")
        for code, numbers_of in enumerate(stack[:, :numbers]):
            low = bottom + side * (1 - (code + 1) / len(stack))
            box = (middle / width, low / height, wide / width, 0.84 * side / len(stack) / height)
            ax = fig.add_axes(box)
            shades = COLOUR_MAPS[LEVELS[style_level(code)]]
            ax.imshow(numbers_of[None].numpy(force=True), cmap=shades, aspect="auto", interpolation="nearest")
            ax.axis("off")
        for left in (side, middle + wide):
            fig.text((left + gap / 2) / width, (bottom + side / 2) / height, "→", ha="center", va="center",
                     fontsize=16, color=INK)  # fmt: skip
    return fig


def matrix(keepers: Tensor, givers: Tensor, mixed: Tensor, n_styles: int, first: int = MIDDLE) -> Figure:
    """Everyone with everyone: rows keep the codes below `first`, columns give the others.

    Args:
        keepers: (R, 3, H, W) in [-1, 1], down the left.
        givers: (C, 3, H, W), along the top.
        mixed: (R * C, 3, H, W), row by row.
        n_styles: codes of a picture.
        first: the first code that is taken from the column.
    """
    side, gap, aisle = 1.5, 0.05, 0.16
    width = side + aisle + len(givers) * (side + gap)
    height = side + aisle + len(keepers) * (side + gap)
    fig = Figure(figsize=(width, height))

    def place(row: int, column: int) -> Axes:
        left = column * (side + gap) + (aisle if column else 0)
        top = row * (side + gap) + (aisle if row else 0)
        return fig.add_axes((left / width, 1 - (top + side) / height, side / width, side / height))

    pictures = {(0, column): image for column, image in enumerate(givers, 1)}
    for row, keeper in enumerate(keepers, 1):
        pictures[row, 0] = keeper
        pictures |= {(row, column): mixed[(row - 1) * len(givers) + column - 1] for column in range(1, len(givers) + 1)}
    for (row, column), image in pictures.items():
        ax = place(row, column)
        ax.imshow(to_pil(image), interpolation="lanczos")
        ax.axis("off")
        if not (row and column):
            strong = range(first) if row else range(first, n_styles)
            draw_codes(ax.inset_axes(EDGE), n_styles, strong)
    corner = place(0, 0)
    corner.axis("off")
    given = f"columns give\ncodes {first}–{n_styles - 1}"
    corner.text(0.95, 0.78, f"{given} →", ha="right", va="center", fontsize=10, color=COLOURS["fine"], weight="bold")
    kept = f"rows keep\ncodes 0–{first - 1}\n↓"
    corner.text(0.5, 0.2, kept, ha="center", va="center", fontsize=10, color=COLOURS["coarse"], weight="bold")
    return fig


def influence(face: Tensor, maps: Tensor) -> Figure:
    """Where and how much each code changes a face.

    Args:
        face: (3, H, W) in [-1, 1]; stands pale behind every map.
        maps: (n_styles, h, w), mean absolute change; colours go up to a map's own strongest, bars are the means.
    """
    n_styles, columns = len(maps), -(-len(maps) // 2)
    fig = Figure(figsize=(1.12 * columns, 4.6))
    colours, grey = code_colours(n_styles), face.mean(0).clamp(-1, 1)
    extent = (-0.5, face.shape[-1] - 0.5, face.shape[-2] - 0.5, -0.5)  # maps may be smaller than the face
    for code, (heat, colour) in enumerate(zip(maps, colours, strict=True)):
        row, column = divmod(code, columns)
        ax = fig.add_axes((column / columns + 0.004, 0.7 - 0.3 * row, 1 / columns - 0.008, 0.25))
        strength = (heat / heat.quantile(0.99)).clamp(0, 1)  # a few pixels of noise must not set the scale
        layer = torch.cat([torch.tensor(to_rgb(colour)).expand(*heat.shape, 3), strength[..., None]], 2)
        ax.imshow(grey.numpy(), cmap="gray", vmin=-1.9, vmax=1)
        ax.imshow(layer.numpy(), interpolation="bilinear", extent=extent)
        ax.set_title(f"code {code}", fontsize=8.5, color=colour, pad=3, weight="bold")
        ax.axis("off")
    bars = fig.add_axes((0.07, 0.06, 0.925, 0.27))
    totals = maps.mean((1, 2)).tolist()
    bars.bar(range(n_styles), totals, color=colours, width=0.75)
    bars.set(xticks=range(n_styles), xlim=(-0.5, n_styles - 0.5))
    bars.set_ylabel("mean change", fontsize=8, color=INK)
    bars.tick_params(labelsize=8, length=0)
    bars.spines[["top", "right"]].set_visible(False)
    return fig
