"""Style mixing explorer: two people, a range of codes, and how much of the second person goes in."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import ipywidgets as widgets
from IPython.display import HTML
from matplotlib.figure import Figure
from torch import Tensor

from pspkit.course.explore.wiring import choice, explorer, number
from pspkit.course.show.figure import figure, paste
from pspkit.course.show.styles import lay_codes, thumbnails
from pspkit.inference.edit import draw_quickly
from pspkit.inference.projection import has_preview
from pspkit.models.encoders import MIDDLE
from pspkit.models.mobile_stylegan import MobileStyleGAN
from pspkit.models.stylegan2 import Generator

ROUGH_SIDE = 128  # pixels of what is shown while a control moves
SIDE, WIDTH, HEIGHT = 2.5, 2.55, 2.75  # of a picture, and of its place on the figure with title and codes: inches


@dataclass(frozen=True)
class State:
    person: int = 4
    other: int = 0
    first: int = MIDDLE
    last: int = 15
    alpha: float = 1.0

    @property
    def layers(self) -> range:
        """The codes that are taken."""
        return range(self.first, self.last + 1)


class StyleMixer:
    """The explorer of some people; the pictures seen last are kept.

    Args:
        decoder: draws them, in evaluation mode.
        people: W+ codes (N, n_styles, style_dim).
    """

    def __init__(self, decoder: Generator | MobileStyleGAN, people: Tensor):
        self.decoder, self.people = decoder, people
        self.picture = lru_cache(256)(self.picture)

    def codes(self, state: State) -> Tensor:
        """The mixed codes (1, n_styles, style_dim)."""
        person, other = self.people[[state.person]], self.people[[state.other]]
        mixed = person.clone()
        taken = slice(state.first, state.last + 1)
        mixed[:, taken] = person.lerp(other, state.alpha)[:, taken]
        return mixed

    def picture(self, state: State) -> Tensor:
        """The mix (3, H, W), about [-1, 1]."""
        return thumbnails(self.decoder, self.codes(state))[0]

    def rough(self, state: State) -> Tensor:
        """The mix as the decoder's preview shows it, which is there at once."""
        return draw_quickly(self.decoder, self.codes(state), ROUGH_SIDE, preview=True)[0]

    def portrait(self, person: int) -> Tensor:
        """One of the people as they are."""
        return self.picture(State(person, person))

    def describe(self, state: State) -> str:
        """What the figure shows, in words."""
        if not state.layers or not state.alpha:
            return f"Person {state.person} as they are: nothing is taken from person {state.other}."
        codes = f"code {state.first}" if len(state.layers) == 1 else f"codes {state.first} to {state.last}"
        share = "" if state.alpha == 1 else f", {state.alpha:.0%} of the way"
        return f"Person {state.person} with {codes} of person {state.other}{share}."

    def render(self, *states: State) -> Figure:
        """The first person, the mix and the second person, with the codes that each gives; one row a state."""
        return self.draw(states, self.picture)

    def preview(self, state: State) -> Figure:
        """The same pictures, with a roughly drawn mix."""
        return self.draw([state], self.rough)

    def draw(self, states: Sequence[State], picture: Callable[[State], Tensor]) -> Figure:
        """Rows of pictures; `picture` gives the mix of a state."""
        n_styles = self.people.shape[1]
        fig = Figure(figsize=(3 * WIDTH, len(states) * HEIGHT))
        for line, state in enumerate(states):
            bottom = (len(states) - 1 - line) * HEIGHT + 0.05
            images = (self.portrait(state.person), picture(state), self.portrait(state.other))
            taken = (set(range(n_styles)).difference(state.layers), range(n_styles), state.layers)
            titles = (f"person {state.person}", "the mix", f"person {state.other}")
            for column, shown in enumerate(zip(images, taken, titles, strict=True)):
                image, codes, title = shown
                place = (column * WIDTH, bottom, SIDE)
                paste(fig, image, place, title)
                lay_codes(fig, n_styles, codes, place)
        return fig

    def strip(self) -> HTML:
        """Two states of the explorer, for readers without a kernel."""
        states = (State(last=self.people.shape[1] - 1), State(first=0, last=MIDDLE - 1))
        words = " ".join(map(self.describe, states))
        return figure(self.render(*states), words, words, photographic=True)

    def explore(self) -> widgets.VBox:
        """The explorer."""
        last = self.people.shape[1] - 1
        state = State(last=last)
        numbers = list(range(len(self.people)))
        return explorer(
            self.render,
            self.describe,
            state,
            {
                "person": choice("person", numbers, state.person),
                "other": choice("other person", numbers, state.other),
                "first": number("from code", state.first, 0, last),
                "last": number("to code", state.last, 0, last),
                "alpha": number("alpha", state.alpha, 0.0, 1.0, 0.1),
            },
            photographic=True,
            preview=self.preview if has_preview(self.decoder, ROUGH_SIDE) else None,
        )
