"""Draw explorer: paint a label map or a sketch, by mouse or by keyboard, and watch the face that follows from it."""

from collections.abc import Callable
from functools import lru_cache

import ipywidgets as widgets
import numpy as np
import torch
from IPython.display import HTML
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from pspkit.course.explore.easel import Easel, State, Stroke
from pspkit.course.show.figure import figure, paste
from pspkit.course.show.heads import draw_legend, legend_height
from pspkit.course.show.styles import thumbnails
from pspkit.data.heads import Render
from pspkit.data.labels import LABELS, palette
from pspkit.data.tasks import get_task
from pspkit.errors import check_choice
from pspkit.psp import PSP

PAPER = 255


class Drawing:
    """The explorer of one task's drawings.

    Args:
        task: "segmentation" or "sketch".
        psp: the task's model, in evaluation mode.
        heads: to start from, rendered at the encoder's input side.
    """

    def __init__(self, task: str, psp: PSP, heads: Render):
        check_choice("task", task, ("segmentation", "sketch"))
        self.task, self.psp, self.size = get_task(task), psp, psp.encoder.config.input_size
        self.of_labels = task == "segmentation"
        self.sheets = heads.labels if self.of_labels else (heads.sketch[:, 0] * 255).round().to(torch.uint8)
        self.brushes = [(f"{label.number} {label.title}", label.number) for label in LABELS.values()]
        if not self.of_labels:
            self.brushes = [("ink", 0), ("paper", PAPER)]
        self.face = lru_cache(64)(self.face)

    def sheet(self, state: State) -> Tensor:
        """The drawing, uint8 (size, size): class numbers, or greys."""
        empty = LABELS["background"].number if self.of_labels else PAPER
        start = torch.full_like(self.sheets[0], empty) if state.head is None else self.sheets[state.head]
        image = Image.fromarray(start.numpy())
        for mark in state.marks:
            mark.on(image)
        return torch.from_numpy(np.array(image))

    def source(self, state: State) -> Tensor:
        """The drawing as the encoder gets it, (input_nc, size, size)."""
        sheet = self.sheet(state)
        return self.task.inference_source(sheet if self.of_labels else sheet[None], self.size)

    def colours(self, state: State) -> np.ndarray:
        """The drawing as it is shown, uint8 (size, size, 3)."""
        sheet = self.sheet(state)
        return (palette()[sheet.long()] if self.of_labels else sheet[..., None].expand(-1, -1, 3)).numpy()

    def face(self, state: State) -> Tensor:
        """The face that follows, (3, H, W), about [-1, 1]."""
        with torch.no_grad():
            codes = self.psp.encode(self.source(state)[None])
        return thumbnails(self.psp.decoder, codes)[0]

    def describe(self, state: State) -> str:
        """What the figure shows, in words."""
        sheet = self.sheet(state)
        start = "an empty sheet" if state.head is None else f"head {state.head}"
        marks = f"{len(state.marks)} mark{'s' * (len(state.marks) != 1)}"
        if not self.of_labels:
            share = (sheet < 128).float().mean()
            return f"A sketch that started from {start}, with {marks}: {share:.0%} is ink. Right: the face it becomes."
        shares = torch.bincount(sheet.flatten(), minlength=len(LABELS)) / sheet.numel()
        most = sorted(LABELS.values(), key=lambda label: -shares[label.number])[:5]
        named = ", ".join(f"{label.title} {shares[label.number]:.0%}" for label in most if shares[label.number])
        return f"A label map that started from {start}, with {marks}: {named}. Right: the face it becomes."

    @property
    def stages(self) -> tuple[Callable[[State], Figure], ...]:
        """The ways to draw a state, one after another: the quick one first, where there are two."""
        return (self.preview, self.render) if self.of_labels else (self.render,)

    def preview(self, state: State) -> Figure:
        """The drawing and the face, without the names of the classes, which would double the time."""
        return self.render(state, named=False)

    def render(self, *states: State, named: bool = True) -> Figure:
        """The drawing, and the face; below, the classes that the drawings hold; one row a state."""
        side, line_height = 2.6, 2.6 + 0.22
        numbers = {number for state in states for number in self.sheet(state).unique().tolist()}
        below = legend_height(numbers) + 0.06 if self.of_labels else 0
        width = 8.2 if self.of_labels else 2 * side
        fig = Figure(figsize=(width, len(states) * line_height + below))
        for line, state in enumerate(states):
            bottom = below + (len(states) - 1 - line) * line_height
            sheet, shown = Image.fromarray(self.colours(state)), 0.98 * side
            paste(fig, sheet, (width / 2 - side, bottom, shown), "drawing", smooth=False)
            paste(fig, self.face(state), (width / 2 + 0.02 * side, bottom, shown), "face")
        if self.of_labels and named:
            draw_legend(fig, numbers)
        return fig

    def strip(self) -> HTML:
        """Two states of the explorer, for readers without a kernel: a head's own drawing, and one that was changed."""
        k = self.size / 64
        if self.of_labels:
            mark = Stroke(LABELS["hair"].number, round(7 * k), ((14 * k, 24 * k), (32 * k, 9 * k), (50 * k, 24 * k)))
        else:
            mark = Stroke(0, max(1, round(k)), ((22 * k, 47 * k), (32 * k, 52 * k), (42 * k, 47 * k)))
        states = (State(0), State(0, (mark,)))
        words = " ".join(map(self.describe, states))
        return figure(self.render(*states), words, words, photographic=True)

    def explore(self) -> widgets.VBox:
        """The explorer."""
        return Easel(self).widget
