"""Directions of rendered heads: how an encoder's codes move when one thing about a head changes, and nothing else.

    direction = mean of encoder(heads with the factor high) - encoder(the same heads with the factor low)

A step of 1 along a direction goes all the way from its low end to its high end. Rendered heads know their factors, so
no labels and no attribute classifier are needed.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from pspkit.data.heads import Factors, render

BATCH = 32


@dataclass(frozen=True)
class Contrast:
    """Two ends of one thing.

    Attributes:
        low: the end that steps backwards lead to, in words.
        high: the end that steps forwards lead to.
        at_low: the factors that make it, as `Factors.replace` takes them.
        at_high: the same factors, at the other end.
    """

    low: str
    high: str
    at_low: dict[str, Any] = field(default_factory=dict)
    at_high: dict[str, Any] = field(default_factory=dict)


CONTRASTS = {
    "yaw": Contrast("turned left", "turned right", {"yaw": -30.0}, {"yaw": 30.0}),
    "pitch": Contrast("looking down", "looking up", {"pitch": -14.0}, {"pitch": 14.0}),
    "smile": Contrast("frowning", "smiling", {"smile": -0.3}, {"smile": 1.0}),
    "mouth": Contrast("mouth closed", "mouth open", {"mouth_open": 0.0}, {"mouth_open": 0.9}),
    "hair length": Contrast("buzz cut", "long hair", {"hair_style": "buzz"}, {"hair_style": "long"}),
    "hair colour": Contrast("black hair", "blond hair", {"hair_colour": "black"}, {"hair_colour": "blond"}),
    "beard": Contrast("no beard", "full beard", {"beard": "none"}, {"beard": "full"}),
    "glasses": Contrast("no glasses", "round glasses", {"glasses": "none"}, {"glasses": "round"}),
    "skin": Contrast("light skin", "dark skin", {"skin_tone": 0.1}, {"skin_tone": 0.9}),
    "jaw": Contrast("narrow jaw", "wide jaw", {"jaw_width": 0.78}, {"jaw_width": 1.2}),
    "light": Contrast("lit from the left", "lit from the right", {"light_azimuth": -60.0}, {"light_azimuth": 60.0}),
}


def find_direction(
    encode: Callable[[Tensor], Tensor],
    contrast: Contrast,
    factors: Factors,
    size: int,
    device: torch.device | str = "cpu",
) -> Tensor:
    """The mean way of the codes from a contrast's low end to its high end.

    Args:
        encode: from pictures (N, 3, size, size) in [-1, 1] to codes (N, n_styles, style_dim).
        contrast: what changes; everything else about each head stays.
        factors: the heads.
        size: of the pictures, one of `pspkit.data.heads.SIZES`.
        device: where `encode` takes its pictures. They are rendered on the CPU, so that they are the same everywhere.

    Returns:
        (n_styles, style_dim), on the device of the codes.
    """
    ways = []
    for start in range(0, len(factors), BATCH):
        heads = factors[start : start + BATCH]
        ends = (contrast.at_low, contrast.at_high)
        low, high = (render(heads.replace(**end), size).image.to(device) for end in ends)
        with torch.no_grad():
            ways.append(encode(high) - encode(low))
    return torch.cat(ways).mean(0)
