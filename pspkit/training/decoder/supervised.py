"""The first stage: the generator learns to draw each head from the head's factors."""

import torch
import torch.nn.functional as F
from torch import Tensor

from pspkit.config import DecoderTrainingConfig
from pspkit.models.stylegan2 import Generator
from pspkit.training.decoder.known import FactorNetwork
from pspkit.training.machine import Machine


class Supervised:
    """Steps of the generator G and of a network F that makes codes from factors f.

        min_G,F  |G(F(f)) - x|

    The mapping network takes no part.
    """

    def __init__(
        self, generator: Generator, factors: FactorNetwork, config: DecoderTrainingConfig, machine: Machine
    ) -> None:
        self.generator, self.factors, self.config, self.machine = generator, factors, config, machine
        taught = [{"params": generator.parameters()}, {"params": factors.parameters()}]
        self.optimizer = torch.optim.Adam(taught, betas=(0.9, 0.99))

    def step(self, real: Tensor, labels: Tensor, numbers: Tensor, share: float) -> dict[str, Tensor]:
        """One step with real heads (N, 3, size, size), what their pixels show, and what is known of them.

        Args:
            real: in [-1, 1].
            labels: (N, size, size), on the CPU.
            numbers: (N, WIDTH), of `factor_numbers`.
            share: of the learning rate.
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
    """How far drawn heads (N, 3, size, size) are from the real ones, (N,): mean absolute, near and from afar.

    What takes little room, as eyes do, weighs more a pixel: the inverse root of the room that its kind takes.
    """
    weights = labels.flatten().bincount().clamp(min=1).rsqrt()[labels]
    weights = (weights / weights.mean())[:, None].to(drawn.device)
    return sum(
        (F.avg_pool2d(weights, side) * (F.avg_pool2d(drawn, side) - F.avg_pool2d(real, side)).abs()).flatten(1).mean(1)
        for side in (1, 4)
    )
