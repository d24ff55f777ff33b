"""The whole of pSp on one page, with real pictures on the way; it may be put on a slide."""

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch
from torch import Tensor

from pspkit.course.show.decoder import as_colours
from pspkit.course.show.figure import COLOURS, INK, LEVELS, PALE, to_pil
from pspkit.course.show.pyramid import COLOUR_MAPS, draw_map, lively
from pspkit.course.show.styles import thumbnails
from pspkit.models.encoders import style_level
from pspkit.psp import PSP

WIDTH, HEIGHT = 9.6, 5.4  # inches: a slide of 16 to 9
ROWS = (3.78, 2.68, 1.58)  # where the coarse, the middle and the fine row have their middles
SIDES = (8, 32, 256)  # of the decoder's features in which the codes of a level act last, of those that are shown
NUMBERS = 48  # of each code


def whole_way(psp: PSP, picture: Tensor, giver: Tensor) -> Figure:
    """A photograph on its way through pSp: maps, pyramid, codes, the decoder's features, the picture, and a mix.

    Args:
        psp: of photographs: a `GradualStyleEncoder` and a `MobileStyleGAN`.
        picture: (3, H, W) in [-1, 1], an aligned photograph.
        giver: W+ (n_styles, style_dim) of somebody whose fine codes the mix takes.
    """
    encoder, decoder = psp.encoder, psp.decoder
    side = encoder.input_size
    with torch.no_grad():
        small = F.interpolate(picture[None], size=side, mode="bilinear", antialias=True)
        maps = encoder.stages(small)[-3:]  # c1, c2, c3
        levels = encoder.pyramid(*maps)
        codes = psp.encode(small)
        features = [decoder.features(codes, size) for size in SIDES]
        fine = [style for style in range(decoder.n_styles) if style_level(style) == 2]
        mixed = psp.mix(codes, giver[None], fine)
    output, mix = thumbnails(decoder, torch.cat([codes, mixed]))

    fig = Figure(figsize=(WIDTH, HEIGHT))
    page = fig.add_axes((0, 0, 1, 1), xlim=(0, WIDTH), ylim=(0, HEIGHT))
    page.axis("off")
    _headings(page, side, decoder.n_styles, decoder.size)
    _show(fig, picture, 0.15, ROWS[1], 1.35)
    for row, (y, level) in enumerate(zip(ROWS, LEVELS, strict=True)):
        c, p = maps[2 - row][0], levels[row][0]
        for x, feature, name in ((1.95, c, f"c{3 - row}"), (3.15, p, ("c3", "p2", "p1")[row])):
            draw_map(_axes(fig, x, y, 0.82), feature[lively(feature, 1)[0]], level)
            cells = f"{feature.shape[-1]}×{feature.shape[-1]}"
            page.text(x + 0.41, y - 0.43, f"{name}, {cells}", ha="center", va="top", fontsize=7.5, color=COLOURS[level])
        _arrow(page, (2.79, y), (3.13, y))
        _blocks(page, y, [style for style in range(decoder.n_styles) if style_level(style) == row], COLOURS[level])
        _show(fig, as_colours(features[row][0]), 7.0, y, 0.82)
        page.text(7.41, y - 0.43, f"{SIDES[row]} px", ha="center", va="top", fontsize=7.5, color=COLOURS[level])
        _arrow(page, (6.62, y), (6.98, y))
    for upper, lower in pairwise(ROWS):
        _arrow(page, (3.56, upper - 0.56), (3.56, lower + 0.43), COLOURS["plain"])
        _arrow(page, (7.41, upper - 0.56), (7.41, lower + 0.43), COLOURS["plain"])
        _arrow(page, (2.36, lower + 0.43), (2.36, upper - 0.56), COLOURS["plain"])
    _arrow(page, (1.52, ROWS[1] - 0.3), (1.93, ROWS[2] + 0.2))
    _codes(fig, page, (codes - psp.latent_avg)[0])
    _arrow(page, (7.84, ROWS[2] + 0.2), (8.1, ROWS[1]))
    _show(fig, output, 8.12, 3.1, 1.35)
    _show(fig, mix, 8.52, 1.55, 0.95)
    page.text(8.995, 1.03, "style mixing: fine\ncodes of another", ha="center", va="top", fontsize=7.5,
              color=COLOURS["fine"])  # fmt: skip
    _losses(page)
    return fig


def _headings(page: Axes, side: int, n_styles: int, size: int) -> None:
    page.text(0.15, 5.2, "pixel2style2pixel", va="top", fontsize=15, color=INK, weight="bold")
    page.text(2.35, 5.13, "An encoder reads a picture and predicts the codes that make a frozen StyleGAN draw it.",
              va="top", fontsize=9.5, color=INK)  # fmt: skip
    for x, title, words in (
        (0.82, "picture", f"{side} × {side} px in"),
        (2.36, "backbone", "residual units"),
        (3.56, "pyramid", "upsample, add"),
        (4.62, "map2style", "one block a code"),
        (5.95, f"{n_styles} codes, W+", "+ the average code"),
        (7.41, "decoder", "from small to large"),
        (8.79, "picture", f"{size} × {size} px out"),
    ):
        page.text(x, 4.58, title, ha="center", va="bottom", fontsize=10, color=INK, weight="bold")
        page.text(x, 4.53, words, ha="center", va="top", fontsize=7.5, color=INK)


def _blocks(page: Axes, y: float, styles: Sequence[int], colour: str) -> None:
    """The map2style blocks of a level, a dot each, between the pyramid and the codes."""
    _arrow(page, (3.99, y), (4.3, y))
    gap = min(0.24, 0.9 / len(styles))
    for place, _ in enumerate(styles):
        height = y + gap * ((len(styles) - 1) / 2 - place)
        page.add_patch(Circle((4.62, height), min(0.085, 0.42 * gap), fc=colour, ec="none"))
    page.add_patch(FancyBboxPatch((4.38, y - 0.42), 0.48, 0.84, "round,pad=0.03", fc="none", ec=colour, lw=1))
    _arrow(page, (4.92, y), (5.22, y))


def _codes(fig: Figure, page: Axes, codes: Tensor) -> None:
    """Every code as a row of stripes, beside the block that writes it; a level's codes fill the level's row."""
    for row, (y, level) in enumerate(zip(ROWS, LEVELS, strict=True)):
        styles = [style for style in range(len(codes)) if style_level(style) == row]
        tall = 0.84 / len(styles)
        for place, style in enumerate(styles):
            bottom = y + 0.42 - (place + 1) * tall
            ax = fig.add_axes((5.25 / WIDTH, bottom / HEIGHT, 1.35 / WIDTH, 0.86 * tall / HEIGHT))
            shades = codes[style, None, :NUMBERS].numpy(force=True)
            ax.imshow(shades, cmap=COLOUR_MAPS[level], aspect="auto", interpolation="nearest")
            ax.axis("off")
        words = ("pose, shape", "features", "colours, texture")[row]
        page.text(5.92, y - 0.43, f"{level} {styles[0]}–{styles[-1]}: {words}", ha="center", va="top", fontsize=7.5,
                  color=COLOURS[level], weight="bold")  # fmt: skip


def _losses(page: Axes) -> None:
    """The way back, which only training takes."""
    low, colour = 0.5, COLOURS["accent"]
    page.plot((8.3, 8.3, 0.82, 0.82), (2.38, low, low, 1.9), color=colour, lw=1.3, ls="--")
    _arrow(page, (0.82, 1.85), (0.82, 1.98), colour)
    box = FancyBboxPatch((2.0, low - 0.29), 5.3, 0.58, "round,pad=0.05", fc=PALE, ec="none", zorder=3)
    page.add_patch(box)
    page.text(4.65, low + 0.13, "losses, in training only", ha="center", va="center", fontsize=8.5,
              color=colour, weight="bold", zorder=4)  # fmt: skip
    words = "L2: pixels · LPIPS: what an eye sees · identity: who it is · w-norm: not far from the average"
    page.text(4.65, low - 0.12, words, ha="center", va="center", fontsize=7.5, color=INK, zorder=4)


def _axes(fig: Figure, left: float, middle: float, side: float) -> Axes:
    return fig.add_axes((left / WIDTH, (middle - side / 2) / HEIGHT, side / WIDTH, side / HEIGHT))


def _show(fig: Figure, image: Tensor, left: float, middle: float, side: float) -> None:
    ax = _axes(fig, left, middle, side)
    ax.imshow(to_pil(image), interpolation="nearest" if image.shape[-1] <= 32 else "lanczos")
    ax.axis("off")


def _arrow(page: Axes, start: tuple[float, float], end: tuple[float, float], colour: str = INK) -> None:
    page.add_patch(FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=8, color=colour, shrinkA=0, shrinkB=0))
