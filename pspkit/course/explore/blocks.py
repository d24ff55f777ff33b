"""Block explorer: depth, mode and input side, and the inside of any unit."""

from dataclasses import dataclass

import ipywidgets as widgets
from IPython.display import HTML
from matplotlib.figure import Figure

from pspkit.course.explore.wiring import choice, explorer, number
from pspkit.course.show.backbone import draw_unit, draw_units
from pspkit.course.show.figure import INK, figure
from pspkit.models.backbone import STAGE_UNITS, Bottleneck, get_blocks, stage_ends


@dataclass(frozen=True)
class State:
    num_layers: int = 50
    mode: str = "ir_se"
    input_size: int = 256
    unit: int = 0


def locate(state: State) -> tuple[int, Bottleneck, int]:
    """Index (cut to the last one there is), shape and incoming side of the chosen unit."""
    shapes = [unit for stage in get_blocks(state.num_layers) for unit in stage]
    index = min(state.unit, len(shapes) - 1)
    side = state.input_size
    for shape in shapes[:index]:
        side //= shape.stride
    return index, shapes[index], side


def weights(unit: Bottleneck, mode: str) -> int:
    """Learned numbers of one unit."""
    convolutions = 9 * unit.depth * (unit.in_channel + unit.depth)
    norms = 2 * unit.in_channel + unit.depth + 2 * unit.depth
    shortcut = unit.in_channel * unit.depth + 2 * unit.depth if unit.in_channel != unit.depth else 0
    gates = 2 * unit.depth * (unit.depth // 16) if mode == "ir_se" else 0
    return convolutions + norms + shortcut + gates


def describe(state: State) -> str:
    """What the figure shows, in words."""
    index, unit, side = locate(state)
    stage = sum(end < index for end in stage_ends(state.num_layers)) + 1
    return (
        f"Depth {state.num_layers}, {state.mode}: unit {index}, in stage {stage}, takes {unit.in_channel} maps of "
        f"{side}×{side} to {unit.depth} maps of {side // unit.stride}×{side // unit.stride} "
        f"with {weights(unit, state.mode):,} weights."
    )


def render(*states: State) -> Figure:
    """The row of units with the chosen one framed, and its inside below; several states one below the other."""
    fig = Figure(figsize=(8.4, 2.5 * len(states)))
    for place, state in zip(fig.subfigures(len(states), 1, squeeze=False)[:, 0], states, strict=True):
        index, unit, side = locate(state)
        draw_units(place.add_axes((0, 0.72, 1, 0.28)), state.num_layers, chosen=index)
        draw_unit(place.add_axes((0, 0, 1, 0.6)), unit, state.mode, side)
        place.text(0.02, 0.66, f"unit {index}: {weights(unit, state.mode):,} weights", fontsize=9, color=INK)
    return fig


def strip() -> HTML:
    """Two states of the explorer, for readers without a kernel."""
    states = (State(unit=3), State(100, "ir", unit=16))
    words = " ".join(map(describe, states))
    return figure(render(*states), words, words)


def explore() -> widgets.VBox:
    """The explorer."""
    state = State()
    return explorer(
        render,
        describe,
        state,
        {
            "num_layers": choice("depth", list(STAGE_UNITS), state.num_layers),
            "mode": choice("mode", [("IR", "ir"), ("IR-SE", "ir_se")], state.mode),
            "input_size": choice("input side", [64, 128, 256, 512], state.input_size),
            "unit": number("unit", state.unit, 0, sum(max(STAGE_UNITS.values(), key=sum)) - 1),
        },
    )
