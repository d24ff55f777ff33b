"""The two networks, and a step of both."""

import copy
import time
from dataclasses import asdict, dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import Dataset
from torchvision.utils import make_grid

from pspkit.config import CONFIGS, GeneratorConfig
from pspkit.errors import PspkitError
from pspkit.seeds import seed_of
from pspkit.stylegan2 import Discriminator, Generator

DRAWN, SHOWN = 48, 24  # on a sheet: heads that the generator drew, real heads


@dataclass(frozen=True)
class AdversarialConfig:
    """How a decoder is trained; the defaults are for two cores and a night.

    Source: Karras et al. 2020 (StyleGAN2), appendix B.
    """

    decoder: GeneratorConfig = CONFIGS["cpu"].decoder
    heads: int = 20_000  # heads to render
    views: int = 4  # heads in a row that are one person
    images: int = 300_000  # real heads shown until the end
    batch: int = 8  # few: what counts early on is the number of steps
    lr: float = 2e-3
    anneal_from: float = 0.7  # share of the images after which the rate falls to 0 along a line
    gamma: float = 1.0  # weight of the gradient penalty
    penalty_every: int = 16  # steps
    mixing: float = 0.9  # share of drawn heads whose codes come from two z
    ema_images: int = 2_500  # half-life of the running average of the generator
    seed: int = 0


@dataclass(frozen=True)
class AdversarialReport:
    """Means since the last report.

    Attributes:
        images: real heads shown by then.
        seconds: spent by then, over all restarts.
        generator: loss.
        discriminator: loss, without the penalty.
        real: score of real heads.
        drawn: score of drawn heads; apart from `real` by 0 where the discriminator is lost, by 10 where it has won.
        penalty: the squared gradient that `gamma` weighs, where it was taken last.
    """

    images: int
    seconds: float
    generator: float
    discriminator: float
    real: float
    drawn: float
    penalty: float


def gradient_penalty(discriminator: nn.Module, images: Tensor) -> Tensor:
    """R1, the mean squared gradient at real pictures: mean_n ‖∂D(x_n) / ∂x_n‖².

    Source: Mescheder et al. 2018, equation 9.
    """
    images = images.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(images).sum(), images, create_graph=True)
    return gradient.square().flatten(1).sum(1).mean()


class AdversarialTrainer:
    """Generator G and discriminator D, one step of each at a time.

        loss_D = softplus(-D(x)) + softplus(D(G(z))) + gamma / 2 ‖∂D(x) / ∂x‖²
        loss_G = softplus(-D(G(z)))

    Both learn from the same drawn heads, which pass each network once. The penalty comes every few steps, times
    their number. A step follows from the weights, the optimisers and its number alone: the order of the real heads
    comes from (seed, epoch), anything else random from (seed, step). So nothing else is kept to go on exactly, on one
    kind of processor and with as many threads.

    Args:
        config: how.
        heads: items with "image", (3, size, size) in [-1, 1].

    Raises:
        PspkitError: fewer heads than a batch.

    Source: Goodfellow et al. 2014, section 3, for the losses; Karras et al. 2020, appendix B.
    """

    def __init__(self, config: AdversarialConfig, heads: Dataset) -> None:
        if len(heads) < config.batch:
            raise PspkitError(f"heads: {len(heads)}, but a step takes {config.batch}. Render more or lower the batch.")
        self.config, self.heads = config, heads
        self.device = torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
        torch.manual_seed(seed_of(config.seed))
        generator = Generator.from_config(config.decoder)
        decoder = config.decoder
        discriminator = Discriminator(decoder.size, decoder.channel_multiplier, decoder.max_channels)
        self.generator = generator.to(self.device)
        self.discriminator = discriminator.to(self.device, memory_format=torch.channels_last)
        self.average = copy.deepcopy(generator).requires_grad_(False).eval()
        lazy = config.penalty_every / (config.penalty_every + 1)  # the penalty's own steps make up for the rest
        self.rates = (config.lr, config.lr * lazy)
        self.optimizers = (
            torch.optim.Adam(generator.parameters(), betas=(0.0, 0.99)),
            torch.optim.Adam(discriminator.parameters(), betas=(0.0, 0.99**lazy)),
        )
        self.step, self.seconds = 0, 0.0
        self.recent: list[Tensor] = []  # losses and scores since the last report
        self.penalty = 0.0

    @property
    def images(self) -> int:
        return self.step * self.config.batch

    def train_step(self) -> None:
        """One step of both networks.

        Raises:
            PspkitError: a loss that is no number.
        """
        start, config = time.perf_counter(), self.config
        torch.manual_seed(seed_of(config.seed, self.step))
        self._set_rates()
        theirs = list(self.discriminator.parameters())
        real = self._real()

        drawn = self._draw()
        seen = drawn.detach().requires_grad_()
        score_real, score_drawn = self.discriminator(real), self.discriminator(seen)
        loss_g = F.softplus(-score_drawn).mean()
        loss_d = F.softplus(-score_real).mean() + F.softplus(score_drawn).mean()
        self._note(loss_g, loss_d, score_real.mean(), score_drawn.mean())
        (gradient,) = torch.autograd.grad(loss_g, seen, retain_graph=True)
        loss_d.backward(inputs=theirs)
        drawn.backward(gradient)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad()

        if self.step % config.penalty_every == 0:
            penalty = gradient_penalty(self.discriminator, real)
            (penalty * (config.gamma / 2 * config.penalty_every)).backward(inputs=theirs)
            self.optimizers[1].step()
            self.optimizers[1].zero_grad()
            self.penalty = penalty.item()
        self._update_average()
        self.step += 1
        self.seconds += time.perf_counter() - start

    def report(self) -> AdversarialReport:
        """What happened since the last report."""
        means, self.recent = torch.stack(self.recent).mean(0).tolist(), []
        return AdversarialReport(self.images, self.seconds, *means, self.penalty)

    @torch.no_grad()
    def sheet(self) -> Tensor:
        """Heads that the running average draws, then real ones: one picture (3, H, W) in [0, 1]."""
        z = torch.randn(DRAWN, self.config.decoder.style_dim, generator=torch.Generator().manual_seed(0))
        real = [self.heads[index]["image"] for index in range(0, len(self.heads), -(-len(self.heads) // SHOWN))]
        pictures = torch.cat([self.average(z.to(self.device)).cpu(), torch.stack(real)])
        return make_grid(pictures.clamp(-1, 1).add(1).div(2), nrow=12)

    def state_dict(self) -> dict:
        """All that the next step depends on; `load_state_dict` takes it.

        Raises:
            PspkitError: a weight that is no number.
        """
        for name in ("generator", "discriminator"):
            if not all(parameter.isfinite().all() for parameter in getattr(self, name).parameters()):
                raise _diverged(self.step, f"a weight of the {name}")
        return {
            "config": asdict(self.config),
            "step": self.step,
            "seconds": self.seconds,
            "penalty": self.penalty,
            "recent": self.recent,
            "generator": self.generator.state_dict(),
            "average": self.average.state_dict(),
            "discriminator": self.discriminator.state_dict(),
            "optimizers": [_without_momentum(optimizer.state_dict()) for optimizer in self.optimizers],
        }

    def load_state_dict(self, state: dict) -> None:
        """Goes back to where a state was taken."""
        self.step, self.seconds, self.penalty = state["step"], state["seconds"], state["penalty"]
        self.recent = state["recent"]
        for name in ("generator", "average", "discriminator"):
            getattr(self, name).load_state_dict(state[name])
        for optimizer, kept in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(_with_momentum(kept))

    def _set_rates(self) -> None:
        done, anneal_from = self.images / self.config.images, self.config.anneal_from
        share = 1.0 if done < anneal_from else (1 - done) / (1 - anneal_from)
        for optimizer, rate in zip(self.optimizers, self.rates, strict=True):
            optimizer.param_groups[0]["lr"] = rate * share

    def _real(self) -> Tensor:
        """The next real heads, half of them mirrored: mirrored factors are as likely."""
        epoch, step = divmod(self.step, len(self.heads) // self.config.batch)
        order = np.random.default_rng([self.config.seed, epoch]).permutation(len(self.heads))
        chosen = order[step * self.config.batch :][: self.config.batch]
        images = torch.stack([self.heads[int(index)]["image"] for index in chosen])
        mirrored = torch.rand(len(images), 1, 1, 1) < 0.5
        images = torch.where(mirrored, images.flip(3), images)
        return images.to(self.device)

    def _draw(self) -> Tensor:
        """Heads from random z, most of them with the coarse codes of one and the fine codes of another."""
        count, n_styles = self.config.batch, self.generator.n_styles
        z = torch.randn(2 * count, self.generator.style_dim)
        crossover = torch.randint(1, n_styles, (count,))
        crossover[torch.rand(count) >= self.config.mixing] = n_styles
        first = torch.arange(n_styles) < crossover[:, None]
        coarse, fine = self.generator.mapping(z.to(self.device))[:, None].chunk(2)
        codes = torch.where(first[..., None].to(self.device), coarse, fine)
        return self.generator.synthesis(codes, noise="random")

    @torch.no_grad()
    def _update_average(self) -> None:
        half_life = min(self.config.ema_images, 0.05 * self.images)  # shorter at first: it must not remember the start
        share = 1 - 0.5 ** (self.config.batch / half_life) if half_life else 1
        for average, now in zip(self.average.parameters(), self.generator.parameters(), strict=True):
            average.lerp_(now, share)

    def _note(self, *values: Tensor) -> None:
        values = torch.stack(values).detach().cpu()
        if not values.isfinite().all():
            raise _diverged(self.step, "a loss")
        self.recent.append(values)


def _without_momentum(state: dict) -> dict:
    """Adam's state without the first moments: with beta_1 = 0 every step overwrites them."""
    slim = {i: {k: v for k, v in entry.items() if k != "exp_avg"} for i, entry in state["state"].items()}
    return {**state, "state": slim}


def _with_momentum(state: dict) -> dict:
    full = {i: {**entry, "exp_avg": torch.zeros_like(entry["exp_avg_sq"])} for i, entry in state["state"].items()}
    return {**state, "state": full}


def _diverged(step: int, what: str) -> PspkitError:
    return PspkitError(
        f"step {step}: {what} is no longer a number, so the training diverged. Go on from the state kept last with a"
        " lower rate (--resume --lr)."
    )
