"""From a render function and a few controls to a widget; every control can be reached and moved by keyboard."""

import asyncio
import html
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import ipywidgets as widgets
from matplotlib.figure import Figure

from pspkit.course.show.figure import figure_html
from pspkit.errors import PspkitError

EXPLORER = "pspkit-explorer"  # the class by which a page's script and the tests know an explorer
# JupyterLab's shortcuts would take arrow keys, Enter and letters from lists and buttons; the focused element itself can
# forbid it, but no widget has a trait for that. The style is empty: its being loaded is what runs the line.
KEYS = (
    "<style onload=\"window.pspkitKeys ??= (document.addEventListener('focusin', event => event.target.closest"
    f"('.{EXPLORER}') && event.target.setAttribute('data-lm-suppress-shortcuts', '')), true)\"></style>"
)
WIDE = {"description_width": "7em"}
ONE_AT_A_TIME = ThreadPoolExecutor(1, "explorer")  # a drawing already has all threads of the machine


def number(label: str, value: int | float, low: int | float, high: int | float, step: int | float = 1) -> widgets.HBox:
    """A slider with a labelled number box linked to it; its `value_source` is the slider."""
    kinds = (widgets.IntSlider, widgets.BoundedIntText)
    if isinstance(step, float):
        kinds = (widgets.FloatSlider, widgets.BoundedFloatText)
    bounds = {"value": value, "min": low, "max": high, "step": step}
    slider = kinds[0](**bounds, description=label, readout=False, style=WIDE, layout={"width": "24em"})
    box = kinds[1](**bounds, layout={"width": "5.5em"}, tooltip=label)
    # A slider moved by keyboard adds up steps: 0 becomes 3.6e-15, of which the box would show the first digits.
    widgets.link((slider, "value"), (box, "value"), transform=(lambda value: round(value, 4), lambda value: value))
    row = widgets.HBox([slider, box])
    row.value_source = slider
    return row


def choice(label: str, options: Any, value: Any) -> widgets.Dropdown:
    """A drop-down list."""
    return widgets.Dropdown(options=options, value=value, description=label, style=WIDE, layout={"width": "24em"})


def several(label: str, options: Any, value: tuple) -> widgets.SelectMultiple:
    """A list of which several are chosen: by mouse with Ctrl, by keyboard with Shift and the arrows."""
    return widgets.SelectMultiple(
        options=options, value=value, description=label, rows=len(options), style=WIDE, layout={"width": "24em"}
    )


class Page(widgets.HTML):
    """The place of an explorer's figure. It shows the newest state asked for; what it cannot keep up with is dropped.

    In a kernel drawing runs in a thread beside the event loop, which meanwhile takes in what the controls send: of the
    states that arrive during a drawing only the last is drawn after it. Elsewhere, and the first time, it is drawn at
    once.

    Args:
        draw: one after another what is shown of a state, as HTML: a preview and the whole, or the whole alone. What
            follows a preview is left out where a newer state waits.
    """

    def __init__(self, *draw: Callable[[Any], str]) -> None:
        super().__init__()
        self._draw, self._wanted, self._task = draw, None, None

    def ask(self, state: Any) -> None:
        """Shows a state as soon as possible."""
        self._wanted = state
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            loop = None
        if loop is None or not self.value:
            self.value = KEYS + _said(self._draw[-1], state)
        elif self._task is None or self._task.done():
            self._task = loop.create_task(self._keep_up(loop))
            self._task.add_done_callback(asyncio.Task.result)  # an error belongs into the kernel's log at once

    async def _keep_up(self, loop: asyncio.AbstractEventLoop) -> None:
        drawn = None
        while self._wanted is not drawn:
            drawn = self._wanted
            for draw in self._draw:
                self.value = KEYS + await loop.run_in_executor(ONE_AT_A_TIME, _said, draw, drawn)
                if self._wanted is not drawn:
                    break


def _said(draw: Callable[[Any], str], state: Any) -> str:
    """The HTML that `draw` makes of a state, or the message of what it cannot use."""
    try:
        return draw(state)
    except PspkitError as error:
        return f'<p role="alert">{html.escape(str(error))}</p>'


def drawing(
    render: Callable[[Any], Figure], describe: Callable[[Any], str], photographic: bool = False
) -> Callable[[Any], str]:
    """From a state to the HTML of its figure; arguments as of `explorer`."""

    def draw(state: Any) -> str:
        words = describe(state)
        return figure_html(render(state), words, words, photographic, quick=True)

    return draw


def explorer(
    render: Callable[[Any], Figure],
    describe: Callable[[Any], str],
    state: Any,
    controls: dict[str, widgets.Widget],
    photographic: bool = False,
    preview: Callable[[Any], Figure] | None = None,
) -> widgets.VBox:
    """A column of controls above the figure that they change.

    Args:
        render: draws a state.
        describe: says in words what the figure shows; its text alternative and caption.
        state: a frozen dataclass to start from.
        controls: for each field of the state the control that sets it.
        photographic: as `show.figure`.
        preview: draws what can be had at once, where `render` takes longer than a tenth of a second.
    """
    page = Page(*(drawing(render, describe, photographic) for render in (preview, render) if render))

    def ask(_=None) -> None:
        values = {name: getattr(control, "value_source", control).value for name, control in controls.items()}
        page.ask(replace(state, **values))

    for control in controls.values():
        getattr(control, "value_source", control).observe(ask, "value")
    ask()
    return column(*controls.values(), page)


def column(*parts: widgets.Widget) -> widgets.VBox:
    """An explorer's parts, one below the other."""
    box = widgets.VBox(parts)
    box.add_class(EXPLORER)
    return box
