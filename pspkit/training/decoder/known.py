"""The factors of rendered heads, from which a generator can learn to draw them: as numbers, as codes and as z."""

import math
from dataclasses import fields
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pspkit.data.heads import Factors
from pspkit.data.heads.factors import Identity, Scene
from pspkit.errors import PspkitError

COLUMNS = [
    (table, field) for table in ("identity", "scene") for field in fields({"identity": Identity, "scene": Scene}[table])
]
WIDTH = sum(len(field.metadata.get("names", " ")) for _, field in COLUMNS)  # numbers that describe a head
HIDDEN = 512
LOUD = {"yaw": 5, "pitch": 3, "roll": 3}  # These move every pixel, and therefore get larger numbers.
POOL = 200_000  # vectors that are drawn to fit the odds of a choice, and to find vectors for each
EDGE = 1e-4  # distance of probabilities from 0 and 1, whose quantiles are not finite


def factor_numbers(heads: Factors) -> Tensor:
    """Writes heads as numbers (N, WIDTH).

    Factors have mean 0 and standard deviation 1, those of the pose more. A choice is one 2 among zeros.
    """
    parts = []
    for table, field in COLUMNS:
        values, known = getattr(getattr(heads, table), field.name), field.metadata
        if names := known.get("names"):
            parts.append(2 * F.one_hot(values, len(names)).float())
        else:
            middle, span = (known["low"] + known["high"]) / 2, known["high"] - known["low"]
            deviation = span / math.sqrt(12 * known["bell"])
            parts.append((LOUD.get(field.name, 1) * (values - middle) / deviation)[:, None])
    return torch.cat(parts, 1)


class FactorNetwork(nn.Sequential):
    """Maps numbers (N, WIDTH) to codes w (N, style_dim): first in place of the mapping network, then as its teacher."""

    def __init__(self, style_dim: int) -> None:
        super().__init__(
            nn.Linear(WIDTH, HIDDEN),
            nn.LeakyReLU(0.2),
            nn.Linear(HIDDEN, HIDDEN),
            nn.LeakyReLU(0.2),
            nn.Linear(HIDDEN, style_dim),
            nn.RMSNorm(style_dim, elementwise_affine=False),  # the scale of a fresh mapping network's codes
        )


class KnownLatents:
    """Writes the factors of heads into a standard normal z, one after the other.

    A number f takes one entry, its quantile. A choice among K takes K entries; the largest, after an offset for the
    odds, marks what was chosen. The rest of z stays random.

        z_f = Φ⁻¹(P(F <= f));    choice = argmax_k (z_k + offset_k)

    If heads follow the distribution of the data, their z are therefore standard normal, and every z stands for a head.

    Args:
        style_dim: length of z.

    Raises:
        PspkitError: z is too short for all factors.
    """

    def __init__(self, style_dim: int) -> None:
        if style_dim < WIDTH:
            raise PspkitError(
                f"style_dim: got {style_dim}, but the factors of the heads need {WIDTH} entries of z. Raise it to at"
                f" least {WIDTH}."
            )
        self.style_dim = style_dim

    @cached_property
    def pools(self) -> dict[str, list[Tensor]]:
        """For each choice of a factor, normal vectors that stand for it; made only when needed: they take seconds."""
        generator = torch.Generator(device="cpu").manual_seed(0)
        return {
            field.name: _pool(field.metadata["odds"], generator) for _, field in COLUMNS if "names" in field.metadata
        }

    def __call__(self, heads: Factors) -> Tensor:
        """Writes heads as z (N, style_dim); what the factors leave open is random."""
        parts = []
        for table, field in COLUMNS:
            values, known = getattr(getattr(heads, table), field.name), field.metadata
            if pools := self.pools.get(field.name):
                entries = torch.empty(len(values), len(pools), device="cpu")
                for choice, pool in enumerate(pools):
                    here = values == choice
                    entries[here] = pool[torch.randint(len(pool), (int(here.sum()),), device="cpu")]
                parts.append(entries)
            else:
                share = (values.double() - known["low"]) / (known["high"] - known["low"])
                parts.append(_quantile(share, known["bell"])[:, None])
        return torch.cat([*parts, torch.randn(len(heads), self.style_dim - WIDTH, device="cpu")], 1)


def _pool(odds: tuple[float, ...], generator: torch.Generator) -> list[Tensor]:
    """Draws normal vectors, and sorts them by the choice for which they stand."""
    wanted = torch.tensor(odds, device="cpu") / sum(odds)
    drawn = torch.randn(POOL, len(odds), generator=generator, device="cpu")
    offset = torch.zeros(len(odds), device="cpu")
    for _ in range(100):
        chosen = (drawn + offset).argmax(1)
        offset += 0.5 * (wanted / (chosen.bincount(minlength=len(odds)) / POOL).clamp(min=EDGE)).log()
    return [drawn[chosen == choice] for choice in range(len(odds))]


def _quantile(share: Tensor, draws: int) -> Tensor:
    """The normal quantile of a mean of uniform draws, which is given in [0, 1]: the Irwin-Hall distribution."""
    total = share * draws
    terms = [(-1) ** j * math.comb(draws, j) * (total - j).clamp(min=0) ** draws for j in range(draws + 1)]
    probability = sum(terms) / math.factorial(draws)
    return torch.special.ndtri(probability.clamp(EDGE, 1 - EDGE)).float()
