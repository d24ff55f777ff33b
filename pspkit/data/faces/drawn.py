"""Codes of W+ to draw faces from: people mixed, nearer to the average or further away, and spread beyond W."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Variety:
    """How much drawn codes differ from each other; shares are of the pictures.

    Real faces lie outside W, the set of codes that the mapping network gives. Mixing people and adding spread fills
    the space around it.

    Attributes:
        mixed: share whose later codes are a second person's, from a random code on.
        mixed_twice: share whose last codes are a third person's as well.
        truncation: the smallest and the largest distance from the average, relative to the mapping network's.
        opposite: share of people who are reflected through the average, at 0.7 times the distance.
        spread: share that get a random offset in every code, the difference of two people.
        spread_strength: largest factor of that offset.
    """

    mixed: float = 0.6
    mixed_twice: float = 0.3
    truncation: tuple[float, float] = (0.4, 1.0)
    opposite: float = 0.0
    spread: float = 0.0
    spread_strength: float = 0.0


PLAIN = Variety()  # what encoders are measured on
WIDE = Variety(mixed=0.7, mixed_twice=0.4, opposite=0.1, spread=0.5, spread_strength=0.4)  # what they learn from


@torch.no_grad()
def draw_codes(decoder: nn.Module, average: Tensor, n: int, generator: torch.Generator, variety: Variety) -> Tensor:
    """Draws codes at random.

    Args:
        decoder: has `mapping`, `n_styles` and `style_dim`.
        average: (style_dim,), the decoder's average code.
        n: how many pictures.
        generator: on the decoder's device; its state alone determines the codes.
        variety: how much they differ.

    Returns:
        Codes (n, n_styles, style_dim), float32.
    """
    random = {"generator": generator, "device": average.device}
    styles = decoder.n_styles
    w = decoder.mapping(torch.randn(3 * n, decoder.style_dim, **random)).float().view(n, 3, -1) - average
    low, high = variety.truncation
    w *= low + (high - low) * torch.rand(n, 1, 1, **random)
    w = torch.where(torch.rand(n, 3, 1, **random) < variety.opposite, -0.7 * w, w)

    first, second = torch.randint(1, styles, (2, n, 1), **random).sort(0).values
    index, chance = torch.arange(styles, device=average.device), torch.rand(n, 1, **random)
    person = ((index >= first) & (chance < variety.mixed)).long()
    person = torch.where((index >= second) & (chance < variety.mixed_twice), 2, person)
    codes = w.gather(1, person[..., None].expand(-1, -1, w.shape[-1]))

    a, b = w.flatten(0, 1)[torch.randint(3 * n, (2, n, styles), **random)]
    strength = variety.spread_strength * torch.rand(n, 1, 1, **random)
    strength *= torch.rand(n, 1, 1, **random) < variety.spread
    return average + codes + strength * (a - b)
