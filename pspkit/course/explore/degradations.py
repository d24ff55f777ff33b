"""Degradations explorer: what super-resolution, inpainting and colourisation take from a picture."""

from dataclasses import dataclass

import ipywidgets as widgets
import torch
from IPython.display import HTML
from matplotlib.figure import Figure
from torch import Tensor

from pspkit.course.explore.wiring import choice, explorer, number
from pspkit.course.show.figure import figure, photos
from pspkit.data.tasks import MASKS, get_task

DEGRADATIONS = ("super_resolution", "inpaint", "colorize")


@dataclass(frozen=True)
class State:
    picture: int = 0
    task: str = "super_resolution"
    factor: int = 8
    mask: str = "strokes"
    draw: int = 0  # of the mask: another number, another mask of the same kind


class Degrader:
    """The explorer of some pictures.

    Args:
        pictures: (N, 3, S, S) in [-1, 1].
    """

    def __init__(self, pictures: Tensor):
        self.images = pictures

    def source(self, state: State) -> Tensor:
        """The task's source as the encoder gets it, (C, S, S)."""
        task, image = get_task(state.task), self.images[state.picture]
        option = getattr(state, task.option) if task.option else None
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(state.draw)
            return task.inference_source(image, image.shape[-1], option)

    def describe(self, state: State) -> str:
        """What the figure shows, in words."""
        if state.task == "inpaint":
            share = self.source(state)[3].mean()
            return f"Picture {state.picture} without {share:.0%} of its pixels ({state.mask}, draw {state.draw})."
        if state.task == "colorize":
            return f"Picture {state.picture} without hue and saturation: three equal channels."
        side = self.images.shape[-1] // state.factor
        return f"Picture {state.picture} at {side}×{side} px (factor {state.factor}), brought back bilinearly."

    def render(self, *states: State) -> Figure:
        """The source, the target, and what lies between them (grey is nothing); one row a state."""
        images = []
        for state in states:
            task, target = get_task(state.task), self.images[state.picture]
            source = self.source(state)
            images += [task.show_source(source[None])[0], target, (target - source[:3]).clamp(-1, 1)]
        titles = ("source", "target", "target − source") * len(states)
        return photos(images, titles, columns=3, side=2.6)

    def strip(self) -> HTML:
        """Two states of the explorer, for readers without a kernel."""
        states = (State(0, factor=16), State(len(self.images) - 1, "inpaint"))
        words = " ".join(map(self.describe, states))
        return figure(self.render(*states), words, words, photographic=True)

    def explore(self) -> widgets.VBox:
        """The explorer."""
        state = State()
        return explorer(
            self.render,
            self.describe,
            state,
            {
                "picture": choice("picture", list(range(len(self.images))), state.picture),
                "task": choice("task", [(get_task(name).title, name) for name in DEGRADATIONS], state.task),
                "factor": choice("factor", list(get_task("super_resolution").folders.options), state.factor),
                "mask": choice("mask", list(MASKS), state.mask),
                "draw": number("mask's draw", state.draw, 0, 99),
            },
            photographic=True,
        )
