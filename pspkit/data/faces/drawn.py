"""Draws codes of W+ for faces: mixed from several people, at several distances from the average, and beyond W."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Variety:
    """How much drawn codes differ from each other. All shares are shares of the pictures.

    Real faces lie outside W, the set of codes that the mapping network gives. Mixing people and adding offsets fills
    the space around it.

    Attributes:
        mixed: share whose codes, from a random one on, are those of a second person.
        mixed_twice: share whose last codes are, in addition, those of a third person.
        truncation: the smallest and the largest distance from the average, relative to that of the mapping network.
        opposite: share of people who are reflected at the average, to 0.7 times their distance.
        spread: share that get a random offset in every code: the difference between two people.
        spread_strength: largest factor of that offset.
    """

    mixed: float = 0.6
    mixed_twice: float = 0.3
    truncation: tuple[float, float] = (0.4, 1.0)
    opposite: float = 0.0
    spread: float = 0.0
    spread_strength: float = 0.0


PLAIN = Variety()  # on which encoders are measured
WIDE = Variety(mixed=0.7, mixed_twice=0.4, opposite=0.1, spread=0.5, spread_strength=0.4)  # from which they learn


@torch.no_grad()
def draw_codes(decoder: nn.Module, average: Tensor, n: int, generator: torch.Generator, variety: Variety) -> Tensor:
    """Draws codes at random.

    Args:
        decoder: only its `mapping`, `n_styles` and `style_dim` are used.
        average: (style_dim,), the decoder's average code.
        n: number of pictures.
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
