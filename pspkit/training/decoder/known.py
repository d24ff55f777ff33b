"""What is known of rendered heads, from which a generator can learn to draw them: as numbers, as codes, as z."""

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
LOUD = {"yaw": 5, "pitch": 3, "roll": 3}  # factors that move every pixel get larger numbers than a hundred others
POOL = 200_000  # draws by which the odds of a choice are met and its latent vectors found
EDGE = 1e-4  # probabilities stay this far from 0 and 1, whose quantiles are not finite


def factor_numbers(heads: Factors) -> Tensor:
    """Heads as numbers (N, WIDTH): factors of mean 0 and deviation 1, the pose's louder; choices as 0s and a 2."""
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
    """From numbers (N, WIDTH) to codes w (N, style_dim): stands in for the mapping network, then teaches it."""

    def __init__(self, style_dim: int) -> None:
        super().__init__(
            nn.Linear(WIDTH, HIDDEN),
            nn.LeakyReLU(0.2),
            nn.Linear(HIDDEN, HIDDEN),
            nn.LeakyReLU(0.2),
            nn.Linear(HIDDEN, style_dim),
            nn.RMSNorm(style_dim, elementwise_affine=False),  # the scale that a fresh mapping network gives
        )


class KnownLatents:
    """Places the heads' factors in a standard normal z, one after the other.

    A number f takes one entry, its quantile; a choice of K takes K entries, the largest of which (after an offset for
    the odds) is what was chosen. What remains of z stays random.

        z_f = Φ⁻¹(P(F <= f));    choice = argmax_k (z_k + offset_k)

    The z of heads that follow the data's distribution are therefore standard normal, and any other z is a head as well.

    Args:
        style_dim: length of z.

    Raises:
        PspkitError: z is too short for all factors.
    """

    def __init__(self, style_dim: int) -> None:
        if style_dim < WIDTH:
            raise PspkitError(f"style_dim: {style_dim}, but the heads' factors take {WIDTH} entries of z.")
        self.style_dim = style_dim

    @cached_property
    def pools(self) -> dict[str, list[Tensor]]:
        """For each choice of a factor normal vectors that stand for it; seconds of work, so only once they are used."""
        generator = torch.Generator(device="cpu").manual_seed(0)
        return {
            field.name: _pool(field.metadata["odds"], generator) for _, field in COLUMNS if "names" in field.metadata
        }

    def __call__(self, heads: Factors) -> Tensor:
        """Heads to z (N, style_dim); what the factors leave open comes from torch's random numbers."""
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
    """Normal vectors sorted by the choice that they stand for."""
    wanted = torch.tensor(odds, device="cpu") / sum(odds)
    drawn = torch.randn(POOL, len(odds), generator=generator, device="cpu")
    offset = torch.zeros(len(odds), device="cpu")
    for _ in range(100):
        chosen = (drawn + offset).argmax(1)
        offset += 0.5 * (wanted / (chosen.bincount(minlength=len(odds)) / POOL).clamp(min=EDGE)).log()
    return [drawn[chosen == choice] for choice in range(len(odds))]


def _quantile(share: Tensor, draws: int) -> Tensor:
    """The normal quantile of the mean of some uniform draws, given in [0, 1]: the Irwin-Hall distribution."""
    total = share * draws
    terms = [(-1) ** j * math.comb(draws, j) * (total - j).clamp(min=0) ** draws for j in range(draws + 1)]
    probability = sum(terms) / math.factorial(draws)
    return torch.special.ndtri(probability.clamp(EDGE, 1 - EDGE)).float()
