"""Walk explorer: steps along a direction of W+, on some codes or on all, and how far each code moves."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import ipywidgets as widgets
import torch
from IPython.display import HTML
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from pspkit.course.explore.wiring import choice, explorer, number
from pspkit.course.show.figure import INK, figure, paste
from pspkit.course.show.styles import code_colours, thumbnails
from pspkit.errors import check_tensor
from pspkit.inference.directions import CONTRASTS
from pspkit.psp import PSP

SIDE = 2.05  # of a picture, inches


@dataclass(frozen=True)
class State:
    head: int = 0
    direction: str = "yaw"
    step: float = 0.5
    first: int = 0
    last: int = 9
    truncation: float = 1.0

    @property
    def layers(self) -> range:
        """The codes that move."""
        return range(self.first, self.last + 1)


class Walker:
    """The explorer of some heads.

    Args:
        psp: encodes them and draws what comes of it, in evaluation mode.
        pictures: the heads, (N, 3, S, S) in [-1, 1], S the encoder's input side.
        directions: (n_styles, style_dim) by the names of their contrasts, as `load_directions` returns them.

    Raises:
        PspkitError: directions of another shape than the decoder's codes.
    """

    def __init__(self, psp: PSP, pictures: Tensor, directions: Mapping[str, Tensor]):
        self.psp, self.directions = psp, directions
        for name, way in directions.items():
            remedy = "Find them anew with this encoder: `pspkit directions`."
            check_tensor(name, way, tuple(psp.latent_avg.shape), remedy)
        self.pictures = pictures
        with torch.no_grad():
            self.heads = psp.encode(pictures)
        self.starts = thumbnails(psp.decoder, self.heads)
        self.decoded = lru_cache(256)(self.decoded)

    def codes(self, state: State) -> Tensor:
        """Where the walk leads, (1, n_styles, style_dim): pulled to the average first, then moved."""
        average = self.psp.latent_avg
        codes = average + state.truncation * (self.heads[[state.head]] - average)
        moved = slice(state.first, state.last + 1)
        codes[:, moved] += state.step * self.directions[state.direction][moved]
        return codes

    def decoded(self, state: State) -> Tensor:
        """The picture there, (3, H, W), about [-1, 1]."""
        return thumbnails(self.psp.decoder, self.codes(state))[0]

    def describe(self, state: State) -> str:
        """What the figure shows, in words."""
        contrast = CONTRASTS[state.direction]
        shrunk = "" if state.truncation == 1 else f", {1 - state.truncation:.0%} of the way to the average head"
        if not state.layers or not state.step:
            return f"Head {state.head}{shrunk}, and no step from there."
        codes = f"code {state.first}" if len(state.layers) == 1 else f"codes {state.first} to {state.last}"
        end = contrast.high if state.step > 0 else contrast.low
        lengths = self.directions[state.direction].norm(dim=1)
        share = (lengths[state.first : state.last + 1].square().sum() / lengths.square().sum()).item()
        return (
            f"Head {state.head}{shrunk}, {abs(state.step):.0%} of the way towards “{end}” in {codes}, which hold"
            f" {share:.0%} of the direction."
        )

    def render(self, *states: State) -> Figure:
        """The head, its codes decoded, where the walk leads, and how far each code moves; one row a state."""
        line_height = SIDE + 0.22
        fig = Figure(figsize=(3 * SIDE + 2.6, len(states) * line_height))
        for line, state in enumerate(states):
            bottom = (len(states) - 1 - line) * line_height
            contrast = CONTRASTS[state.direction]
            images = (self.pictures[state.head], self.starts[state.head], self.decoded(state))
            way = f"{contrast.low} ↔ {contrast.high}: {state.step:+.2f}"
            titles = (f"head {state.head}", "encoded and decoded", way)
            for column, (image, title) in enumerate(zip(images, titles, strict=True)):
                paste(fig, image, (column * SIDE, bottom, 0.98 * SIDE), title)
            self._draw_lengths(fig, 3 * SIDE + 0.4, bottom, state)
        return fig

    def _draw_lengths(self, fig: Figure, left: float, bottom: float, state: State) -> None:
        """Bars over the numbers of the codes, the longest as high as there is room."""
        width, height = fig.get_size_inches()
        lengths = self.directions[state.direction].norm(dim=1).tolist()
        unit = (SIDE - 0.45) / max(lengths)
        step = 2.1 / len(lengths)
        for code, (length, colour) in enumerate(zip(lengths, code_colours(len(lengths)), strict=True)):
            style = {"fc": colour, "alpha": 1 if code in state.layers else 0.25, "transform": fig.dpi_scale_trans}
            fig.add_artist(Rectangle((left + code * step, bottom + 0.25), 0.8 * step, unit * length, **style))
            middle = (left + (code + 0.4) * step) / width
            for text, y in ((str(code), 0.12), (f"{length:.1f}", 0.32 + unit * length)):
                fig.text(middle, (bottom + y) / height, text, ha="center", va="center", fontsize=7.5, color=INK)
        title = "length of a whole step, by code"
        middle, top = (left + 1.05) / width, (bottom + 0.98 * SIDE + 0.04) / height
        fig.text(middle, top, title, ha="center", va="bottom", fontsize=9, color=INK)

    def strip(self) -> HTML:
        """Three states of the explorer, for readers without a kernel."""
        last, names = len(self.psp.latent_avg) - 1, list(self.directions)
        chosen = names[:: max(1, len(names) // 3)][:3]
        states = [State(head % len(self.heads), name, 0.7, last=last) for head, name in enumerate(chosen)]
        words = " ".join(map(self.describe, states))
        return figure(self.render(*states), words, words, photographic=True)

    def explore(self) -> widgets.VBox:
        """The explorer."""
        last = len(self.psp.latent_avg) - 1
        state = State(direction=next(iter(self.directions)), last=last)
        ways = [(f"{name}: {CONTRASTS[name].low} to {CONTRASTS[name].high}", name) for name in self.directions]
        return explorer(
            self.render,
            self.describe,
            state,
            {
                "head": number("head", state.head, 0, len(self.heads) - 1),
                "direction": choice("direction", ways, state.direction),
                "step": number("step", state.step, -1.5, 1.5, 0.05),
                "first": number("from code", state.first, 0, last),
                "last": number("to code", state.last, 0, last),
                "truncation": number("truncation", state.truncation, 0.0, 1.0, 0.05),
            },
            photographic=True,
        )
