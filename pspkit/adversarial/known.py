"""Latent vectors of heads whose factors are known, so that a generator can be told what to draw for them."""

from dataclasses import fields

import torch
from torch import Tensor

from pspkit.errors import PspkitError
from pspkit.heads import Factors
from pspkit.heads.factors import Identity, Scene

POOL = 200_000  # draws by which the odds of a choice are met and its latent vectors found
EDGE = 1e-4  # probabilities stay this far from 0 and 1, whose quantiles are not finite


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
        self.style_dim = style_dim
        self.columns = [(table, f) for table in (Identity, Scene) for f in fields(table)]
        needed = sum(len(f.metadata.get("names", " ")) for _, f in self.columns)
        if style_dim < needed:
            raise PspkitError(f"style_dim: {style_dim}, but the heads' factors take {needed} entries of z.")
        self.generator = torch.Generator().manual_seed(0)
        self.pools = {f.name: self._pool(f.metadata["odds"]) for _, f in self.columns if "names" in f.metadata}

    def __call__(self, heads: Factors) -> Tensor:
        """Heads to z (N, style_dim); what the factors leave open comes from torch's random numbers."""
        parts = []
        for table, f in self.columns:
            values = getattr(heads.identity if table is Identity else heads.scene, f.name)
            if pools := self.pools.get(f.name):
                rows = [pools[choice][torch.randint(len(pools[choice]), ())] for choice in values.tolist()]
                parts.append(torch.stack(rows))
            else:
                share = (values.double() - f.metadata["low"]) / (f.metadata["high"] - f.metadata["low"])
                parts.append(_quantile(share, f.metadata["bell"])[:, None])
        known = torch.cat(parts, 1)
        return torch.cat([known, torch.randn(len(heads), self.style_dim - known.shape[1])], 1)

    def _pool(self, odds: tuple[float, ...]) -> list[Tensor]:
        """Normal vectors sorted by the choice that they stand for."""
        odds = torch.tensor(odds, dtype=torch.float32) / sum(odds)
        drawn = torch.randn(POOL, len(odds), generator=self.generator)
        offset = torch.zeros(len(odds))
        for _ in range(100):
            chosen = (drawn + offset).argmax(1)
            offset += 0.5 * (odds / (chosen.bincount(minlength=len(odds)) / POOL).clamp(min=1e-4)).log()
        return [drawn[chosen == choice] for choice in range(len(odds))]


def _quantile(share: Tensor, draws: int) -> Tensor:
    """The normal quantile of the mean of some uniform draws, given in [0, 1].

    Source: the Irwin-Hall distribution.
    """
    total = share * draws
    terms = [(-1) ** j * _binomial(draws, j) * (total - j).clamp(min=0) ** draws for j in range(draws + 1)]
    probability = sum(terms) / torch.arange(1, draws + 1).prod()
    return torch.special.ndtri(probability.clamp(EDGE, 1 - EDGE)).float()


def _binomial(n: int, k: int) -> int:
    import math

    return math.comb(n, k)
