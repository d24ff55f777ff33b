"""Curves explorer: the losses of a training, and what the model made of the held-out pairs at a chosen step."""

import math
from dataclasses import dataclass
from pathlib import Path

import ipywidgets as widgets
from IPython.display import HTML
from matplotlib.figure import Figure
from PIL import Image

from pspkit.course.explore.wiring import choice, explorer, number, several
from pspkit.course.show.figure import COLOURS, INK, figure, paste
from pspkit.course.show.training import ROWS, SIDES, draw_curves
from pspkit.errors import PspkitError
from pspkit.training.keeper import LOG, read_log

PANEL, WIDTH, LEFT = 2.2, 8.4, 0.55  # inches: a panel's height, the figure's width, the room for labels
SHEET = WIDTH - LEFT - 0.02


@dataclass(frozen=True)
class State:
    losses: tuple[str, ...] = ("total",)
    smoothing: float = 0.0
    scale: str = "log"
    step: int = 0  # of a validation


class TrainingCurves:
    """The explorer of one training.

    Args:
        folder: what `pspkit train --out` filled: its log.jsonl, and its sheets where they were kept.

    Raises:
        PspkitError: no log there, or one that cannot be read.
    """

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        file = self.folder / LOG
        try:
            self.log = read_log(self.folder)
            self.steps = [line["step"] for line in self.log]
            self.losses = list(dict.fromkeys(name for line in self.log for name in line["validation"]))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise PspkitError(
                f"{file}: not the log of a training ({error}). Train anew, or name another run."
            ) from error
        if not self.log:
            raise PspkitError(f"{file}: not there, or without a line. Name the folder of a training.")

    def sheet(self, step: int) -> Path | None:
        """The validation sheet of a step, else that of the model that was kept, where there is one."""
        of_step, of_model = self.folder / "sheets" / f"{step:06}.jpg", self.folder / "sheet.jpg"
        return next((path for path in (of_step, of_model) if path.exists()), None)

    def describe(self, state: State) -> str:
        """What the figure shows, in words."""
        line = self.log[self.steps.index(state.step)]
        values = "; ".join(
            f"{loss} {', '.join(f'{line[side].get(loss, math.nan):.3g} in {side}' for side in SIDES)}"
            for loss in state.losses
        )
        best = min(self.log, key=lambda line: line["validation"]["total"])["step"]
        sheet = self.sheet(state.step)
        below = "No sheet of this step was kept"
        if sheet:
            of = "the model that was kept" if sheet.parent == self.folder else "this step"
            below = f"Below: sources, outputs and targets of {of}"
        return f"Step {state.step}: {values or 'no loss is chosen'}. Lowest total: step {best}. {below}."

    def render(self, *states: State) -> Figure:
        """The chosen losses one below the other, a line at the chosen step, and the step's sheet; state by state."""
        sheets = [Image.open(path) if (path := self.sheet(state.step)) else None for state in states]
        heights = [PANEL * max(1, len(state.losses)) for state in states]
        below = [SHEET * sheet.height / sheet.width + 0.08 if sheet else 0 for sheet in sheets]
        fig = Figure(figsize=(WIDTH, sum(heights) + sum(below)))
        top = fig.get_figheight()
        for state, sheet, height, room in zip(states, sheets, heights, below, strict=True):
            for line, loss in enumerate(state.losses):
                self._draw_loss(fig, top - (line + 1) * PANEL, loss, state)
            top -= height + room
            if sheet:
                self._draw_sheet(fig, top, sheet)
        return fig

    def _draw_loss(self, fig: Figure, bottom: float, loss: str, state: State) -> None:
        height = fig.get_figheight()
        place = (LEFT / WIDTH, (bottom + 0.36) / height, (SHEET - 0.7) / WIDTH, (PANEL - 0.65) / height)
        ax = fig.add_axes(place)
        draw_curves(ax, self.log, loss, state.scale, state.smoothing)
        ax.axvline(state.step, color=COLOURS["accent"], lw=1, ls=":", zorder=0)
        ax.set_xticks(sorted({self.steps[0], state.step, self.steps[-1]}))
        ax.set_xlabel("")  # to find the place of a label takes as long as to draw the curves
        fig.text(place[0] + place[2], (bottom + 0.04) / height, "step", ha="right", fontsize=8, color=INK)
        fig.text(LEFT / WIDTH, (bottom + PANEL - 0.22) / height, loss, fontsize=9, color=INK, weight="bold")

    def _draw_sheet(self, fig: Figure, bottom: float, sheet: Image.Image) -> None:
        paste(fig, sheet, (LEFT, bottom, SHEET))
        row = SHEET * sheet.height / sheet.width / len(ROWS)
        for line, name in enumerate(ROWS):
            y = (bottom + (len(ROWS) - line - 0.5) * row) / fig.get_figheight()
            fig.text((LEFT - 0.06) / WIDTH, y, name, ha="right", va="center", fontsize=8, color=INK)

    def strip(self) -> HTML:
        """Two states of the explorer, for readers without a kernel."""
        states = (State(step=self.steps[0]), State(self.losses[-1:], 0.6, "linear", self.steps[-1]))
        words = " ".join(map(self.describe, states))
        return figure(self.render(*states), words, words, photographic=True)

    def explore(self) -> widgets.VBox:
        """The explorer."""
        state = State(step=self.steps[-1])
        return explorer(
            self.render,
            self.describe,
            state,
            {
                "losses": several("losses", self.losses, state.losses),
                "smoothing": number("smoothing", state.smoothing, 0.0, 0.95, 0.05),
                "scale": choice("axis", [("logarithmic", "log"), ("linear", "linear")], state.scale),
                "step": choice("step", self.steps, state.step),
            },
            photographic=True,
        )
