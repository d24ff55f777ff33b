"""The first stage: the generator learns to draw each head from the head's factors."""

import torch
import torch.nn.functional as F
from torch import Tensor

from pspkit.config import DecoderTrainingConfig
from pspkit.models.stylegan2 import Generator
from pspkit.training.decoder.known import FactorNetwork
from pspkit.training.machine import Machine


class Supervised:
    """The steps of the generator G and of a network F that makes codes from factors f.

        min_G,F  |G(F(f)) - x|

    The mapping network does not learn yet.
    """

    def __init__(
        self, generator: Generator, factors: FactorNetwork, config: DecoderTrainingConfig, machine: Machine
    ) -> None:
        self.generator, self.factors, self.config, self.machine = generator, factors, config, machine
        taught = [{"params": generator.parameters()}, {"params": factors.parameters()}]
        self.optimizer = torch.optim.Adam(taught, betas=(0.9, 0.99))

    def step(self, real: Tensor, labels: Tensor, numbers: Tensor, share: float) -> dict[str, Tensor]:
        """Takes one step.

        Args:
            real: heads (N, 3, size, size) in [-1, 1].
            labels: their label maps (N, size, size), on the CPU.
            numbers: their factors (N, WIDTH), as `factor_numbers` writes them.
            share: share of the full learning rate.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.lr * share
        with self.machine.autocast():
            w = self.factors(numbers)
            drawn = self.generator.synthesis(w[:, None].expand(-1, self.generator.n_styles, -1), noise="random")
        loss = difference(drawn, real, labels).mean()
        loss.backward()
        self.machine.update(self.optimizer)
        return {"generator": loss.detach()}


def difference(drawn: Tensor, real: Tensor, labels: Tensor) -> Tensor:
    """Measures how far drawn heads (N, 3, size, size) are from the real ones: mean absolute differences (N,).

    They are taken of single pixels and of patches of 4x4. The pixels of small parts, such as eyes, weigh more: each
    kind of pixel weighs the inverse root of the number of pixels of its kind.
    """
    weights = labels.flatten().bincount().clamp(min=1).rsqrt()[labels]
    weights = (weights / weights.mean())[:, None].to(drawn.device)
    return sum(
        (F.avg_pool2d(weights, side) * (F.avg_pool2d(drawn, side) - F.avg_pool2d(real, side)).abs()).flatten(1).mean(1)
        for side in (1, 4)
    )
