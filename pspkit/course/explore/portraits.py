"""Portrait explorer: photographs as codes, which move along all directions of faces at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import ipywidgets as widgets
import torch
from IPython.display import HTML
from matplotlib.figure import Figure
from torch import Tensor

from pspkit.course.explore.styles import ROUGH_SIDE
from pspkit.course.explore.wiring import choice, explorer, number
from pspkit.course.show.figure import figure, paste
from pspkit.course.show.styles import thumbnails
from pspkit.errors import PspkitError, check_tensor
from pspkit.inference.directions.attributes import ATTRIBUTES
from pspkit.inference.edit import People, draw_quickly
from pspkit.inference.projection import has_preview

SIDE, PHOTO_SIDE = 2.75, 256  # of a picture: inches on the figure, and pixels of a photograph


@dataclass(frozen=True)
class State:
    """Whom to show, and how far to go along each direction; the names are those of `ATTRIBUTES`."""

    person: int = 0
    yaw: float = 0.0
    pitch: float = 0.0
    smile: float = 0.0
    mouth: float = 0.0
    eyes: float = 0.0
    glasses: float = 0.0
    age: float = 0.0
    hair_length: float = 0.0
    hair_colour: float = 0.0
    light: float = 0.0

    def step(self, direction: str) -> float:
        """How far along one."""
        return getattr(self, field_of(direction))


def field_of(direction: str) -> str:
    """The field of `State` that holds the step along a direction."""
    return direction.replace(" ", "_")


class PortraitWalker:
    """The explorer of some people.

    Args:
        people: as `read_people` gives them.
        names: of them.
        directions: (n_styles, style_dim) by the names of `ATTRIBUTES`, as `load_directions` returns them.

    Raises:
        PspkitError: not one name for each; or directions of another name, or of another shape than the codes.
    """

    def __init__(self, people: People, names: Sequence[str], directions: Mapping[str, Tensor]):
        if len(people.codes) != len(names):
            raise PspkitError(f"names: got {len(names)}, needs one for each of {len(people.codes)} people.")
        for name, way in directions.items():
            if name not in ATTRIBUTES:
                raise PspkitError(f"directions: got {name!r}, needs some of {', '.join(ATTRIBUTES)}.")
            check_tensor(name, way, tuple(people.codes.shape[1:]), "Name the directions of this decoder.")
        self.decoder, self.people, self.directions = people.decoder, people.codes, directions
        self.names = tuple(names)
        self.starts = thumbnails(self.decoder, self.people).cpu()
        self.pictures = [
            start if placement is None else placement.cut(PHOTO_SIDE) / 127.5 - 1
            for start, placement in zip(self.starts, people.placements, strict=True)
        ]
        self.decoded = lru_cache(128)(self.decoded)

    def codes(self, state: State) -> Tensor:
        """Where all steps together lead, (1, n_styles, style_dim)."""
        steps = [state.step(name) * way.to(self.people) for name, way in self.directions.items()]
        return self.people[[state.person]] + torch.stack(steps).sum(0)

    def decoded(self, state: State) -> Tensor:
        """The picture there, (3, H, W), about [-1, 1]."""
        return thumbnails(self.decoder, self.codes(state))[0].cpu()

    def describe(self, state: State) -> str:
        """What the figure shows, in words."""
        who, steps = self.names[state.person], []
        for name in self.directions:
            if step := state.step(name):
                steps.append(f"{name} {step:+.1f} ({ATTRIBUTES[name].high if step > 0 else ATTRIBUTES[name].low})")
        if not steps:
            return f"{who}: the photograph, and the same face decoded from its codes, not moved yet."
        return f"{who}: {', '.join(steps)}."

    def render(self, *states: State) -> Figure:
        """The photograph, its codes decoded, and where the steps lead; one row a state."""
        return self.draw(states, [self.decoded(state) for state in states])

    def preview(self, state: State) -> Figure:
        """The same three pictures, the last of them drawn roughly."""
        return self.draw([state], draw_quickly(self.decoder, self.codes(state), ROUGH_SIDE, preview=True))

    def draw(self, states: Sequence[State], moved: Sequence[Tensor]) -> Figure:
        """Rows of three pictures; `moved` are the last ones."""
        line_height = SIDE + 0.22
        fig = Figure(figsize=(3 * SIDE, len(states) * line_height))
        for line, (state, last) in enumerate(zip(states, moved, strict=True)):
            bottom = (len(states) - 1 - line) * line_height
            images = (self.pictures[state.person], self.starts[state.person], last)
            titles = (self.names[state.person], "encoded and decoded", "moved")
            for column, (image, title) in enumerate(zip(images, titles, strict=True)):
                paste(fig, image, (column * SIDE, bottom, 0.98 * SIDE), title)
        return fig

    def strip(self) -> HTML:
        """A state for each person, for readers without a kernel."""
        names = list(self.directions)
        chosen = [names[place % len(names)] for place in range(0, 2 * len(self.people), 2)]
        states = [State(person, **{field_of(name): 0.6}) for person, name in enumerate(chosen)]
        words = " ".join(map(self.describe, states))
        return figure(self.render(*states), words, words, photographic=True)

    def explore(self) -> widgets.VBox:
        """The explorer."""
        people = [(name, place) for place, name in enumerate(self.names)]
        steps = {field_of(name): number(name, 0.0, -1.5, 1.5, 0.1) for name in self.directions}
        return explorer(
            self.render,
            self.describe,
            State(),
            {"person": choice("person", people, 0)} | steps,
            photographic=True,
            preview=self.preview if has_preview(self.decoder, ROUGH_SIDE) else None,
        )
