"""The third stage: generator and discriminator learn in turn, while some heads still come from their factors."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pspkit.config import DecoderTrainingConfig
from pspkit.models.stylegan2 import Discriminator, Generator
from pspkit.training.decoder.known import FactorNetwork
from pspkit.training.decoder.supervised import difference
from pspkit.training.machine import Machine


class Adversarial:
    """The steps of a generator G and a discriminator D.

        loss_D = softplus(-D(x)) + softplus(D(G(z))) + gamma / 2 ‖∂D(x) / ∂x‖²
        loss_G = softplus(-D(G(z))) + supervision |G(F(f)) - x|

    Both learn from the same drawn heads, which pass each network once. The gradient penalty is computed only every few
    steps, and is multiplied by their number. The network F, `factors`, does not learn.

    Source: Goodfellow et al. 2014, section 3, for the losses; Karras et al. 2020, appendix B.
    """

    def __init__(
        self,
        generator: Generator,
        discriminator: Discriminator,
        factors: FactorNetwork,
        config: DecoderTrainingConfig,
        machine: Machine,
    ) -> None:
        self.generator, self.discriminator, self.factors = generator, discriminator, factors
        self.config, self.machine = config, machine
        lazy = config.penalty_every / (config.penalty_every + 1)  # The steps of the penalty make up for the rest.
        self.rates = (config.lr * (config.generator_rate if config.supervised else 1), config.lr * lazy)
        self.optimizers = (
            torch.optim.Adam(generator.parameters(), betas=(0.0, 0.99)),
            torch.optim.Adam(discriminator.parameters(), betas=(0.0, 0.99**lazy)),
        )

    def step(
        self, real: Tensor, labels: Tensor | None, numbers: Tensor | None, share: float, done: int
    ) -> dict[str, Tensor]:
        """Takes one step of both networks.

        Args:
            real: heads (N, 3, size, size) in [-1, 1].
            labels: label maps of the first M heads, (M, size, size), on the CPU; None without supervision.
            numbers: the factors of these heads as numbers, (M, WIDTH); None without supervision.
            share: share of the full learning rates.
            done: number of steps taken before.

        Returns:
            The losses of both networks; the mean scores of "real" and "drawn" heads, which differ by 0 if the
            discriminator cannot tell them apart and by 10 if it has won; and the squared gradient, "penalty", in the
            steps that compute it.
        """
        config, theirs = self.config, list(self.discriminator.parameters())
        for optimizer, rate in zip(self.optimizers, self.rates, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = rate * share
        with self.machine.autocast():
            drawn = self._draw(len(real), numbers)
            seen = drawn.detach().requires_grad_()
            score_real, score_drawn = self.discriminator(real), self.discriminator(seen)
        loss_g = F.softplus(-score_drawn).mean()
        loss_d = F.softplus(-score_real).mean() + F.softplus(score_drawn).mean()
        (gradient,) = torch.autograd.grad(loss_g, seen, retain_graph=True)
        loss_d.backward(inputs=theirs)
        if numbers is not None:
            apart = difference(drawn[: len(numbers)], real[: len(numbers)], labels)
            (supervised,) = torch.autograd.grad(apart.mean() * config.supervision, drawn, retain_graph=True)
            gradient = gradient + supervised
        drawn.backward(gradient)
        for optimizer in self.optimizers:
            self.machine.update(optimizer)
        found = {"generator": loss_g, "discriminator": loss_d, "real": score_real.mean(), "drawn": score_drawn.mean()}
        if done % config.penalty_every == 0:
            found["penalty"] = penalty = gradient_penalty(self.discriminator, real)
            (penalty * (config.gamma / 2 * config.penalty_every)).backward(inputs=theirs)
            self.machine.update(self.optimizers[1])
        return {name: value.detach() for name, value in found.items()}

    def state_dict(self) -> list[dict]:
        """Returns the states of both optimizers."""
        return [_without_momentum(optimizer.state_dict()) for optimizer in self.optimizers]

    def load_state_dict(self, states: list[dict]) -> None:
        """Goes back to what `state_dict` returned."""
        for optimizer, state in zip(self.optimizers, states, strict=True):
            optimizer.load_state_dict(_with_momentum(state))

    def _draw(self, batch: int, numbers: Tensor | None) -> Tensor:
        """Draws a batch of heads: the first from the factors of real ones, the others from random z.

        Some of the others have the coarse codes of one z and the fine codes of another.
        """
        count, n_styles = batch - (0 if numbers is None else len(numbers)), self.generator.n_styles
        crossover = torch.randint(1, n_styles, (count,), device="cpu")
        crossover[torch.rand(count, device="cpu") >= self.config.mixing] = n_styles
        first = torch.arange(n_styles, device="cpu") < crossover[:, None]
        z = torch.randn(2 * count, self.generator.style_dim, device="cpu").to(self.machine.device)
        coarse, fine = self.generator.mapping(z)[:, None].chunk(2)
        codes = torch.where(first[..., None].to(z.device), coarse, fine)
        if numbers is not None:
            codes = torch.cat([self.factors(numbers)[:, None].expand(-1, n_styles, -1), codes])
        return self.generator.synthesis(codes, noise="random")


def gradient_penalty(discriminator: nn.Module, images: Tensor) -> Tensor:
    """Computes R1, the mean squared gradient at real pictures: mean_n ‖∂D(x_n) / ∂x_n‖².

    Source: Mescheder et al. 2018, equation 9.
    """
    images = images.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(images).sum(), images, create_graph=True)
    return gradient.square().flatten(1).sum(1).mean()


def _without_momentum(state: dict) -> dict:
    """Leaves the first moments out of Adam's state: with beta_1 = 0 every step overwrites them."""
    slim = {i: {k: v for k, v in entry.items() if k != "exp_avg"} for i, entry in state["state"].items()}
    return {**state, "state": slim}


def _with_momentum(state: dict) -> dict:
    full = {i: {**entry, "exp_avg": torch.zeros_like(entry["exp_avg_sq"])} for i, entry in state["state"].items()}
    return {**state, "state": full}
