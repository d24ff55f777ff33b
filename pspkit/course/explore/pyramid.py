"""Pyramid explorer: level, channel and picture, and what the encoder's maps hold there."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import ipywidgets as widgets
import torch
import torch.nn.functional as F
from IPython.display import HTML
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2.functional import pil_to_tensor

from pspkit.course.explore.wiring import choice, explorer, number
from pspkit.course.show.figure import COLOURS, INK, figure, paste
from pspkit.course.show.pyramid import LEVEL_OF, lit, map_picture, within
from pspkit.models.encoders import GradualStyleEncoder

SAMPLES = Path(__file__).resolve().parents[3] / "data" / "samples"
FACES = 8
NEIGHBOURS = 12


@dataclass(frozen=True)
class State:
    level: str = "p1"
    channel: int = 0
    image: int = 0


def faces() -> Tensor:
    """The course's faces, (FACES, 3, 256, 256) in [-1, 1]."""
    pictures = [pil_to_tensor(Image.open(SAMPLES / f"face_{number}.jpg")) for number in range(FACES)]
    return torch.stack(pictures).float() / 127.5 - 1


class PyramidViewer:
    """The explorer of an encoder's maps.

    Args:
        encoder: whose maps to show, on its device and in evaluation mode; its input is a picture of three channels.
        pictures: (N, 3, S, S) in [-1, 1], eight at least; the course's faces unless given.
    """

    def __init__(self, encoder: GradualStyleEncoder, pictures: Tensor | None = None):
        self.encoder, self.pictures = encoder, faces() if pictures is None else pictures
        self.levels = lru_cache(len(self.pictures))(self.levels)  # drawn far more often than encoded

    def levels(self, image: int) -> dict[str, Tensor]:
        """Every map of one picture, (C, H, W) by name."""
        side = self.encoder.config.input_size
        x = F.interpolate(self.pictures[[image]], size=(side, side), mode="bilinear", antialias=True)
        with torch.no_grad():
            c1, c2, c3 = self.encoder.stages(x)[1:]
            _, p2, p1 = self.encoder.pyramid(c1, c2, c3)
        return {"c1": c1[0], "c2": c2[0], "c3": c3[0], "p2": p2[0], "p1": p1[0]}

    def locate(self, state: State) -> tuple[Tensor, int]:
        """The chosen map (C, H, W) and the chosen channel, cut to the last one that the map has."""
        feature = self.levels(state.image)[state.level]
        return feature, min(state.channel, len(feature) - 1)

    def describe(self, state: State) -> str:
        """What the figure shows, in words."""
        feature, channel = self.locate(state)
        count, side, _ = feature.shape
        readers = {"c3": "coarse blocks", "p2": "middle blocks", "p1": "fine blocks"}.get(state.level, "no block")
        return (
            f"Face {state.image}: channel {channel} of the {count} of {state.level}, {side}×{side} cells, "
            f"read by {readers}. Values {feature[channel].min():.2f} to {feature[channel].max():.2f}."
        )

    def draw(self, fig: Figure, bottom: float, state: State) -> None:
        """Face, chosen channel, the face lit by the channel, and the channels that follow, from a height up."""
        feature, channel = self.locate(state)
        image, level = self.pictures[state.image], LEVEL_OF[state.level]
        light = within(feature[channel])
        light = F.interpolate(light[None, None], size=image.shape[-2:], mode="nearest")[0, 0]
        shown = {
            f"face {state.image}": image,
            f"{state.level}, channel {channel}": map_picture(feature[channel], level),
            "where it is high": lit(image, light),
        }
        for column, (title, picture) in enumerate(shown.items()):
            paste(fig, picture, (0.04 + column * 2.05, bottom + 0.02, 1.98), title, smooth=column != 1)
        for neighbour in range(NEIGHBOURS):
            line, column = divmod(neighbour, 4)
            other = (channel + neighbour) % len(feature)
            place = (6.3 + column * 0.77, bottom + 0.02 + (2 - line) * 0.76, 0.58)
            colour = INK if neighbour else COLOURS[level]
            paste(fig, map_picture(feature[other], level), place, str(other), colour, size=7, smooth=False)

    def render(self, *states: State) -> Figure:
        """Some states, one below the other."""
        fig = Figure(figsize=(9.4, 2.3 * len(states)))
        for line, state in enumerate(states):
            self.draw(fig, 2.3 * (len(states) - 1 - line), state)
        return fig

    def strip(self) -> HTML:
        """Three states of the explorer, for readers without a kernel."""
        states = (State("c1", 2, image=7), State("c3", 49, image=2), State("p1", 17, image=5))
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
                "level": choice("level", list(LEVEL_OF), state.level),
                "channel": number("channel", state.channel, 0, self.encoder.config.widths[-1] - 1),
                "image": number("face", state.image, 0, len(self.pictures) - 1),
            },
            photographic=True,
        )
