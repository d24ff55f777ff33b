"""What every figure shares: colours, photographs in a grid, and the way onto the page."""

import base64
import html
import io
from collections.abc import Sequence

import numpy as np
from IPython.display import HTML
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from pspkit.data.pictures import to_pil

INK, PALE = "#22303c", "#e8ecef"
LEVELS = ("coarse", "middle", "fine")
DPI = 110  # of a figure on a page
COLOURS = {"coarse": "#c8553d", "middle": "#e0a030", "fine": "#2a7f8e", "plain": "#8a97a3", "accent": "#5b4b8a"}


def paste(
    fig: Figure,
    image: Tensor | Image.Image,
    place: tuple[float, float, float],
    title: str = "",
    colour: str = INK,
    size: float = 9,
    smooth: bool = True,
) -> None:
    """A picture with its title on a figure, in a tenth of the time that axes take: for what follows a slider.

    Args:
        fig: shown by `figure_html`: the picture has its pixels already.
        image: (3, H, W) in [-1, 1], or a Pillow image.
        place: left, bottom and width, inches.
        title: above it.
        colour: of the title.
        size: of the title, points.
        smooth: False shows the picture's pixels as squares.
    """
    left, bottom, width = place
    picture = image if isinstance(image, Image.Image) else to_pil(image)
    sides = round(width * DPI), round(width * DPI * picture.height / picture.width)
    picture = picture.resize(sides, Image.Resampling.LANCZOS if smooth else Image.Resampling.NEAREST)
    fig.figimage(np.asarray(picture), round(left * DPI), round(bottom * DPI))
    if title:
        whole = fig.get_size_inches()
        x, y = (left + width / 2) / whole[0], (bottom + sides[1] / DPI + 0.04) / whole[1]
        fig.text(x, y, title, ha="center", va="bottom", fontsize=size, color=colour)


def photos(
    images: Tensor | Sequence[Tensor],
    titles: Sequence[str] = (),
    columns: int | None = None,
    rows: Sequence[str] = (),
    side: float = 1.5,
    colours: Sequence[str] = (),
) -> Figure:
    """Pictures in a grid.

    Args:
        images: (N, 3, H, W) in [-1, 1], or a list of (3, H, W); None leaves a place empty.
        titles: one above each picture.
        columns: pictures in a row; all of them unless given.
        rows: one label left of each row.
        side: of one picture, inches; a figure has `DPI` dots an inch.
        colours: of the titles, one a picture.
    """
    columns = columns or len(images)
    lines = -(-len(images) // columns)
    gap = 0.22 if len(titles) else 0.05
    margin = 0.08 * max((len(row) + 1 for row in rows), default=0)
    width, height = margin + columns * (side + 0.05), lines * (side + gap) + 0.03
    fig = Figure(figsize=(width, height), layout="none")
    for place, image in enumerate(images):
        line, column = divmod(place, columns)
        left, bottom = margin + column * (side + 0.05), height - (line + 1) * (side + gap)
        ax = fig.add_axes((left / width, bottom / height, side / width, side / height))
        ax.axis("off")
        if image is not None:
            ax.imshow(to_pil(image), interpolation="lanczos")
        if place < len(titles):
            ax.set_title(titles[place], fontsize=8.5, color=colours[place] if len(colours) else INK, pad=3)
        if column == 0 and line < len(rows):
            fig.text((margin - 0.08) / width, (bottom + side / 2) / height, rows[line], ha="right", va="center",
                     fontsize=8.5, color=INK)  # fmt: skip
    return fig


def figure(fig: Figure, alt: str, caption: str, photographic: bool = False) -> HTML:
    """A figure for the page: one image with a text alternative and a caption, nothing beside it to load.

    Args:
        fig: what to show.
        alt: what a reader who cannot see the picture is told.
        caption: the sentence below it.
        photographic: WebP instead of a PNG of 128 colours.
    """
    return HTML(figure_html(fig, alt, caption, photographic))


def animation(frames: Tensor, alt: str, caption: str, milliseconds: int = 90) -> HTML:
    """Moving pictures for the page: an animated WebP that begins again at its end.

    Args:
        frames: (N, 3, H, W) in [-1, 1], one after another.
        alt: as `figure`.
        caption: as `figure`.
        milliseconds: how long each is shown.
    """
    first, *others = map(to_pil, frames)
    packed = io.BytesIO()
    first.save(packed, "WEBP", save_all=True, append_images=others, duration=milliseconds, loop=0, quality=80)
    return HTML(_in_figure(packed.getvalue(), "webp", alt, caption))


def figure_html(fig: Figure, alt: str, caption: str, photographic: bool = False, quick: bool = False) -> str:
    """The HTML that `figure` shows; `quick` packs it in a tenth of the time, for a page that is soon another."""
    fig.set_dpi(DPI)
    fig.set_facecolor("white")
    canvas = FigureCanvasAgg(fig)
    canvas.draw()
    image = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    packed = io.BytesIO()
    if photographic:
        image.save(packed, "WEBP", quality=82, method=1 if quick else 6)
    elif quick:
        image.save(packed, "PNG", compress_level=1)
    else:
        image.quantize(128, dither=Image.Dither.NONE).save(packed, "PNG", optimize=True)
    kind = "webp" if photographic else "png"
    return _in_figure(packed.getvalue(), kind, alt, caption)


def _in_figure(image: bytes, kind: str, alt: str, caption: str) -> str:
    data = base64.b64encode(image).decode()
    return (
        f'<figure style="margin:0"><img alt="{html.escape(alt)}" style="max-width:100%" '
        f'src="data:image/{kind};base64,{data}"><figcaption>{html.escape(caption)}</figcaption></figure>'
    )
