"""Heads explorer: a person, and a control for each factor that shows most, of the person and of the scene."""

from dataclasses import asdict, dataclass, fields
from functools import lru_cache

import ipywidgets as widgets
from IPython.display import HTML
from matplotlib.figure import Figure
from torch import Tensor

from pspkit.course.explore.wiring import choice, explorer, number
from pspkit.course.show.figure import figure, paste
from pspkit.course.show.heads import label_picture
from pspkit.data.heads import Factors, Identity, Scene, front_view, sample_factors
from pspkit.data.heads import render as render_heads

SEED, PEOPLE, SIZE = 0, 40, 128
TITLES = "as set", "its front view", "its toon look", "its label map"
BEARDS = {"stubble": "stubble", "moustache": "a moustache", "goatee": "a goatee", "full": "a full beard"}
TABLE = {field.name: field.metadata for table in (Identity, Scene) for field in fields(table)}


@dataclass(frozen=True)
class State:
    """A person of the seed, with these factors in place of their own."""

    person: int = 0
    hair_style: str = "curls"
    hair_colour: str = "brown"
    beard: str = "none"
    glasses: str = "none"
    skin_tone: float = 0.3
    jaw_width: float = 1.0
    nose_length: float = 0.2
    eye_size: float = 0.2
    mouth_width: float = 0.26
    yaw: float = -25.0
    pitch: float = 0.0
    roll: float = 0.0
    smile: float = 0.6
    mouth_open: float = 0.0
    brow_raise: float = 0.0
    gaze_yaw: float = 0.0
    light_azimuth: float = -35.0


def factors_of(state: State) -> Factors:
    """The head of a state."""
    values = asdict(state)
    return sample_factors(1, SEED, start=values.pop("person")).replace(**values)


@lru_cache(64)
def pictures(state: State) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The head's picture, its front view, its toon look, each (3, SIZE, SIZE) in [-1, 1], and its label map."""
    factors = factors_of(state)
    plain = render_heads(factors, SIZE)
    front, toon = render_heads(front_view(factors), SIZE), render_heads(factors, SIZE, look="toon")
    return plain.image[0], front.image[0], toon.image[0], plain.labels[0]


def describe(state: State) -> str:
    """What the figure shows, in words."""
    turn = f"turned {abs(state.yaw):.0f}° to the {'right' if state.yaw > 0 else 'left'}" if state.yaw else "facing us"
    worn = [f"{state.glasses} glasses"] * (state.glasses != "none")
    worn += [
        {"full": "a full beard", "goatee": "a goatee", "moustache": "a moustache"}.get(state.beard, state.beard)
    ] * (state.beard != "none")
    mood = "smiling" if state.smile > 0.3 else "frowning" if state.smile < 0 else "calm"
    mouth = ", mouth open" if state.mouth_open > 0 else ""
    hair = f"{state.hair_colour} hair ({state.hair_style})"
    return f"Person {state.person}: {', '.join([hair, *worn])}; {turn}, {mood}{mouth}."


def render(*states: State) -> Figure:
    """Picture, front view, toon look and label map; one row a state."""
    return draw([pictures(state) for state in states])


def preview(state: State) -> Figure:
    """The picture and its label map at half the side; each of the other two would take as long again."""
    seen = render_heads(factors_of(state), SIZE // 2, samples=1)
    return draw([(seen.image[0], None, None, seen.labels[0])])


def draw(rows: list[tuple[Tensor | None, ...]]) -> Figure:
    """Rows of what `pictures` returns; None leaves a place empty."""
    side, line_height = 2.05, 2.05 + 0.22
    fig = Figure(figsize=(4 * side, len(rows) * line_height))
    for line, (*images, labels) in enumerate(rows):
        bottom = (len(rows) - 1 - line) * line_height
        for column, (image, title) in enumerate(zip(images, TITLES, strict=False)):
            if image is not None:
                paste(fig, image, (column * side, bottom, 0.98 * side), title)
        paste(fig, label_picture(labels), (3 * side, bottom, 0.98 * side), TITLES[3], smooth=False)
    return fig


STRIP = (
    State(),
    State(7, "afro", "ginger", "none", "round", 0.75, yaw=-40, smile=0.9, mouth_open=0.6, light_azimuth=50),
    State(3, "long", "silver", "full", "none", 0.1, 0.8, 0.34, yaw=25, pitch=10, roll=-12, smile=-0.3, brow_raise=-0.5),
)


def strip() -> HTML:
    """Three states of the explorer, for readers without a kernel."""
    words = " ".join(map(describe, STRIP))
    return figure(render(*STRIP), words, words, photographic=True)


def control(name: str, value: float | str) -> widgets.Widget:
    """A list for a choice, a slider with its factor's range for a number."""
    known, label = TABLE[name], name.replace("_", " ")
    if "names" in known:
        return choice(label, known["names"], value)
    span = known["high"] - known["low"]
    return number(label, value, known["low"], known["high"], 1.0 if span > 10 else 0.01)


def explore() -> widgets.VBox:
    """The explorer."""
    state = State()
    controls = {name: control(name, value) for name, value in asdict(state).items() if name != "person"}
    person = number("person", state.person, 0, PEOPLE - 1)
    return explorer(render, describe, state, {"person": person} | controls, photographic=True, preview=preview)
