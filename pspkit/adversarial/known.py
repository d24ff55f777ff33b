"""What is known of rendered heads, so that a generator can be told what to draw: as numbers, as codes, as z."""

import math
from dataclasses import fields

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pspkit.errors import PspkitError
from pspkit.heads import Factors
from pspkit.heads.factors import Identity, Scene

COLUMNS = [
    (table, field) for table in ("identity", "scene") for field in fields({"identity": Identity, "scene": Scene}[table])
]
WIDTH = sum(len(field.metadata.get("names", " ")) for _, field in COLUMNS)  # numbers that describe a head
HIDDEN = 512
LOUD = {"yaw": 5, "pitch": 3, "roll": 3}  # what moves every pixel is heard above a hundred others
POOL = 200_000  # draws by which the odds of a choice are met and its latent vectors found
EDGE = 1e-4  # probabilities stay this far from 0 and 1, whose quantiles are not finite


def describe(heads: Factors) -> Tensor:
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

    So z of heads drawn as the data's are is standard normal, and any other z is a head as well.

    Args:
        style_dim: length of z.

    Raises:
        PspkitError: z is too short for all factors.
    """

    def __init__(self, style_dim: int) -> None:
        if style_dim < WIDTH:
            raise PspkitError(f"style_dim: {style_dim}, but the heads' factors take {WIDTH} entries of z.")
        self.style_dim = style_dim
        generator = torch.Generator().manual_seed(0)
        self.pools = {
            field.name: _pool(field.metadata["odds"], generator) for _, field in COLUMNS if "names" in field.metadata
        }

    def __call__(self, heads: Factors) -> Tensor:
        """Heads to z (N, style_dim); what the factors leave open comes from torch's random numbers."""
        parts = []
        for table, field in COLUMNS:
            values, known = getattr(getattr(heads, table), field.name), field.metadata
            if pools := self.pools.get(field.name):
                entries = torch.empty(len(values), len(pools))
                for choice, pool in enumerate(pools):
                    here = values == choice
                    entries[here] = pool[torch.randint(len(pool), (int(here.sum()),))]
                parts.append(entries)
            else:
                share = (values.double() - known["low"]) / (known["high"] - known["low"])
                parts.append(_quantile(share, known["bell"])[:, None])
        return torch.cat([*parts, torch.randn(len(heads), self.style_dim - WIDTH)], 1)


def _pool(odds: tuple[float, ...], generator: torch.Generator) -> list[Tensor]:
    """Normal vectors sorted by the choice that they stand for."""
    wanted = torch.tensor(odds) / sum(odds)
    drawn = torch.randn(POOL, len(odds), generator=generator)
    offset = torch.zeros(len(odds))
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
