"""The map of pSp that opens every notebook."""

from IPython.display import HTML
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from pspkit.course.show.figure import INK, PALE, figure
from pspkit.errors import check_choice

PLACES = {
    "image": "picture\n06",
    "backbone": "backbone\n01",
    "pyramid": "feature\npyramid\n02",
    "encoders": "map2style\n03",
    "codes": "+ average\nlatent\n05",
    "mixing": "style\nmixing\n05",
    "decoder": "decoder\n04",
    "output": "picture\n+ losses\n07",
}


def course_map(*here: str) -> HTML:
    """The way of the data through pSp, with the places of this notebook marked.

    Args:
        here: keys of `PLACES`; without any, the whole way.

    Raises:
        PspkitError: a place that is not on the map.
    """
    for place in here:
        check_choice("here", place, tuple(PLACES))
    whole = not here
    here = here or tuple(PLACES)
    fig = Figure(figsize=(8.2, 1.15))
    ax = fig.add_axes((0, 0, 1, 1), xlim=(0, 8.2), ylim=(0, 1.15))
    ax.axis("off")
    for number, (place, label) in enumerate(PLACES.items()):
        left, marked = 0.06 + 1.02 * number, place in here
        face = "#5b4b8a" if marked else PALE
        box = FancyBboxPatch((left + 0.06, 0.24), 0.72, 0.66, "round,pad=0.05,rounding_size=0.08", fc=face, ec="none")
        ax.add_patch(box)
        ax.text(left + 0.42, 0.57, label, ha="center", va="center", fontsize=8, color="white" if marked else INK)
        if number:
            arrow = FancyArrowPatch(
                (left - 0.185, 0.57), (left + 0.01, 0.57), arrowstyle="-|>", mutation_scale=9, color=INK
            )
            ax.add_patch(arrow)
    marked = [list(PLACES).index(place) for place in here]
    middle = 0.48 + 1.02 * sum(marked) / len(marked)
    ax.text(middle, 0.08, "you are here", ha="center", va="center", fontsize=7.5, color="#5b4b8a", weight="bold")
    *first, last = (PLACES[place].split("\n0")[0].replace("\n", " ").removeprefix("+ ") for place in here)
    names = "the whole way" if whole else f"{', '.join(first)} and {last}" if first else last
    return figure(
        fig,
        f"A row of boxes from picture to picture: backbone, feature pyramid, map2style, average latent, style mixing, "
        f"decoder. Marked: {names}.",
        f"The way of a picture through pSp. You are here: {names}.",
    )
