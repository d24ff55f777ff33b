"""From a render function and a few controls to a widget; every control can be reached and moved by keyboard."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import ipywidgets as widgets
from matplotlib.figure import Figure

from pspkit.show.figure import figure_html

WIDE = {"description_width": "7em"}


def number(label: str, value: int | float, low: int | float, high: int | float, step: int | float = 1) -> widgets.HBox:
    """A slider with a labelled number box linked to it; its `value_source` is the slider."""
    kinds = (widgets.IntSlider, widgets.BoundedIntText)
    if isinstance(step, float):
        kinds = (widgets.FloatSlider, widgets.BoundedFloatText)
    bounds = {"value": value, "min": low, "max": high, "step": step}
    slider = kinds[0](
        **bounds, description=label, readout=False, continuous_update=False, style=WIDE, layout={"width": "24em"}
    )
    box = kinds[1](**bounds, layout={"width": "5.5em"}, tooltip=label)
    widgets.link((slider, "value"), (box, "value"))
    row = widgets.HBox([slider, box])
    row.value_source = slider
    return row


def choice(label: str, options: Any, value: Any) -> widgets.Dropdown:
    """A drop-down list."""
    return widgets.Dropdown(options=options, value=value, description=label, style=WIDE, layout={"width": "24em"})


def explorer(
    render: Callable[[Any], Figure],
    describe: Callable[[Any], str],
    state: Any,
    controls: dict[str, widgets.Widget],
    photographic: bool = False,
) -> widgets.VBox:
    """A column of controls above the figure that they change.

    Args:
        render: draws a state.
        describe: says in words what the figure shows; its text alternative and caption.
        state: a frozen dataclass to start from.
        controls: for each field of the state the control that sets it.
        photographic: as `show.figure`.
    """
    page = widgets.HTML()

    def draw(_=None) -> None:
        values = {name: getattr(control, "value_source", control).value for name, control in controls.items()}
        now = replace(state, **values)
        words = describe(now)
        page.value = figure_html(render(now), words, words, photographic)

    for control in controls.values():
        getattr(control, "value_source", control).observe(draw, "value")
    draw()
    return widgets.VBox([*controls.values(), page])
