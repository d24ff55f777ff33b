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
from tqdm.auto import tqdm

from pspkit.adversarial.known import WIDTH, FactorNetwork, KnownLatents, describe
from pspkit.config import CONFIGS, GeneratorConfig
from pspkit.errors import PspkitError
from pspkit.heads import sample_factors
from pspkit.heads.dataset import picture_key
from pspkit.seeds import seed_of
from pspkit.stylegan2 import Discriminator, Generator

DRAWN, SHOWN = 48, 24  # on a sheet: heads that the generator drew, real heads
NETWORKS = ("generator", "average", "discriminator", "factors")
FITTED_HEADS, FITTED_STEPS, FITTED_BATCH = 200_000, 12_000, 256


@dataclass(frozen=True)
class AdversarialConfig:
    """How a decoder is trained; the defaults are for two cores and a night.

    Source: Karras et al. 2020 (StyleGAN2), appendix B.
    """

    decoder: GeneratorConfig = CONFIGS["cpu"].decoder
    discriminator: float = 0.5  # its channels by the decoder's: most of a step's time is its
    look: str = "plain"  # which of the heads' pictures it learns: "plain" or "toon"
    start: str = ""  # folder of a training whose networks to start from, and whose codes to keep
    heads: int = 20_000  # heads to render
    views: int = 4  # heads in a row that are one person
    images: int = 370_000  # real heads shown until the end
    supervised: int = 240_000  # the first of them: the generator alone learns heads from their factors
    supervision: float = 8.0  # weight of that afterwards; where both are 0 nothing but the pictures is looked at
    batch: int = 8  # few: what counts is the number of steps
    lr: float = 2e-3
    generator_rate: float = 0.5  # of lr, once supervised: the discriminator has much to catch up with
    anneal_from: float = 0.7  # share of a stage's images after which the rate falls to 0 along a line
    gamma: float = 0.2  # weight of the gradient penalty
    penalty_every: int = 16  # steps
    mixing: float = 0.5  # share of drawn heads whose codes come from two z
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
    """Generator G and discriminator D; the generator may be told at first what to draw.

        loss_D = softplus(-D(x)) + softplus(D(G(z))) + gamma / 2 ‖∂D(x) / ∂x‖²
        loss_G = softplus(-D(G(z)))

    Adversaries alone take long, but rendered heads tell what they show. So at first the generator learns by itself to
    draw heads whose codes a second network F makes from their factors f; then the mapping network learns from F; then
    both adversaries step, while half of the drawn heads stay told by their factors:

        1. min_G,F  |G(F(f)) - x|      2. min_style  (style(z(f)) - F(f))²      3. loss_D, loss_G + supervision |...|

    Without supervision there is nothing but the adversaries, as for pictures of which nothing is known.

    Both learn from the same drawn heads, which pass each network once. The penalty comes every few steps, times
    their number. A step follows from the weights, the optimisers and its number alone: the order of the real heads
    comes from (seed, epoch), anything else random from (seed, step). So nothing else is kept to go on exactly, on one
    kind of processor and with as many threads.

    Args:
        config: how.
        heads: items with "image", or the look's name, (3, size, size) in [-1, 1]; under supervision also "labels",
            uint8 (size, size), and all heads' `factors`.

    Raises:
        PspkitError: fewer heads than a batch, or codes too short for what is known of a head.

    Source: Goodfellow et al. 2014, section 3, for the losses; Karras et al. 2020, appendix B.
    """

    def __init__(self, config: AdversarialConfig, heads: Dataset) -> None:
        if len(heads) < config.batch:
            raise PspkitError(f"heads: {len(heads)}, but a step takes {config.batch}. Render more or lower the batch.")
        self.config, self.heads = config, heads
        self.picture = picture_key(config.look)
        self.device = torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
        torch.manual_seed(seed_of(config.seed))
        generator = Generator.from_config(config.decoder)
        decoder = config.decoder
        discriminator = Discriminator(
            decoder.size,
            decoder.channel_multiplier * config.discriminator,
            round(decoder.max_channels * config.discriminator),
        )
        self.generator = generator.to(self.device)
        self.discriminator = discriminator.to(self.device, memory_format=torch.channels_last)
        self.average = copy.deepcopy(generator).requires_grad_(False).eval()
        lazy = config.penalty_every / (config.penalty_every + 1)  # the penalty's own steps make up for the rest
        self.rates = (config.lr * (config.generator_rate if config.supervised else 1), config.lr * lazy)
        self.optimizers = (
            torch.optim.Adam(generator.parameters(), betas=(0.0, 0.99)),
            torch.optim.Adam(discriminator.parameters(), betas=(0.0, 0.99**lazy)),
        )
        self.factors = FactorNetwork(decoder.style_dim).to(self.device)
        if config.start:  # its codes stay what they are
            generator.style.requires_grad_(False)
            self.factors.requires_grad_(False)
        taught = [{"params": generator.parameters()}, {"params": self.factors.parameters()}]
        self.teacher = torch.optim.Adam(taught, betas=(0.9, 0.99))
        self.known = KnownLatents(decoder.style_dim) if config.supervised or config.supervision else None
        self.step, self.seconds = 0, 0.0
        self.recent: list[Tensor] = []  # losses and scores since the last report
        self.penalty = 0.0

    @property
    def images(self) -> int:
        return self.step * self.config.batch

    def train_step(self) -> None:
        """One step, of the generator alone or of both networks.

        Raises:
            PspkitError: a loss that is no number.
        """
        start = time.perf_counter()
        torch.manual_seed(seed_of(self.config.seed, self.step))
        self._set_rates()
        if self.images < self.config.supervised:
            self._supervised_step()
            if self.images + self.config.batch >= self.config.supervised and not self.config.start:
                self._fit_mapping()
        else:
            self._adversarial_step()
        self._update_average()
        self.step += 1
        self.seconds += time.perf_counter() - start

    def _supervised_step(self) -> None:
        """The generator learns to draw each head from its factors."""
        chosen = self._chosen()
        items = [self.heads[index] for index in chosen]
        w = self.factors(describe(self.heads.factors[chosen]).to(self.device))
        drawn = self.generator.synthesis(w[:, None].expand(-1, self.generator.n_styles, -1), noise="random")
        loss = self._difference(drawn, self._images(items), items).mean()
        loss.backward()
        self._note(loss, *torch.zeros(3, device=self.device))
        self.teacher.step()
        self.teacher.zero_grad()

    def _fit_mapping(self) -> float:
        """The mapping network learns to give, for the z of any head, the codes that its factors give.

        Returns:
            Its last error, by the variance of those codes.
        """
        style, config = self.generator.style, self.config
        optimizer = torch.optim.Adam(style.parameters(), betas=(0.9, 0.99))
        heads = sample_factors(FITTED_HEADS, config.seed, start=2 * len(self.heads))
        with torch.no_grad():
            wanted = self.factors(describe(heads).to(self.device))
        z = self.known(heads)
        for step in tqdm(range(FITTED_STEPS), "fitting the mapping network", disable=None):
            optimizer.param_groups[0]["lr"] = 5 * (1 - step / FITTED_STEPS)  # the layers' own multiplier is 0.01
            rows = torch.randint(len(z), (FITTED_BATCH,))
            here = z[rows]
            here[:, WIDTH:].normal_()
            loss = F.mse_loss(style(here.to(self.device)), wanted[rows.to(self.device)])
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
        self.average.style.load_state_dict(style.state_dict())
        return (loss / wanted.var(0).mean()).item()

    def _difference(self, drawn: Tensor, real: Tensor, items: list[dict]) -> Tensor:
        """How far drawn heads (N, 3, size, size) are from the real ones, (N,): mean absolute, near and from afar.

        What takes little room, as eyes do, weighs more a pixel: the root of the room that all kinds of thing have.
        """
        labels = torch.stack([item["labels"] for item in items]).long()
        weights = labels.flatten().bincount().clamp(min=1).rsqrt()[labels]
        weights = (weights / weights.mean())[:, None].to(self.device)
        return sum(
            (F.avg_pool2d(weights, side) * (F.avg_pool2d(drawn, side) - F.avg_pool2d(real, side)).abs())
            .flatten(1)
            .mean(1)
            for side in (1, 4)
        )

    def _adversarial_step(self) -> None:
        """Both networks, one step."""
        config = self.config
        theirs = list(self.discriminator.parameters())
        chosen = self._chosen()
        items = [self.heads[index] for index in chosen]
        real = self._images(items)

        told = chosen[: config.batch // 2] if self.known else []
        drawn = self._draw(told)
        seen = drawn.detach().requires_grad_()
        score_real, score_drawn = self.discriminator(real), self.discriminator(seen)
        loss_g = F.softplus(-score_drawn).mean()
        loss_d = F.softplus(-score_real).mean() + F.softplus(score_drawn).mean()
        self._note(loss_g, loss_d, score_real.mean(), score_drawn.mean())
        (gradient,) = torch.autograd.grad(loss_g, seen, retain_graph=True)
        loss_d.backward(inputs=theirs)
        if told:
            apart = self._difference(drawn[: len(told)], real[: len(told)], items[: len(told)])
            (supervised,) = torch.autograd.grad(apart.mean() * config.supervision, drawn, retain_graph=True)
            gradient = gradient + supervised
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

    def report(self) -> AdversarialReport:
        """What happened since the last report."""
        means, self.recent = torch.stack(self.recent).mean(0).tolist(), []
        return AdversarialReport(self.images, self.seconds, *means, self.penalty)

    @torch.no_grad()
    def sheet(self) -> Tensor:
        """Heads that the running average draws, then real ones: one picture (3, H, W) in [0, 1]."""
        shown = range(0, len(self.heads), -(-len(self.heads) // SHOWN))
        real = torch.stack([self.heads[index][self.picture] for index in shown])
        if self.images < self.config.supervised:
            codes = self.factors(describe(self.heads.factors[list(shown)]).to(self.device))[:, None]
            drawn = self.average.synthesis(codes.expand(-1, self.average.n_styles, -1))
        else:
            z = torch.randn(DRAWN, self.config.decoder.style_dim, generator=torch.Generator().manual_seed(0))
            drawn = self.average(z.to(self.device))
        pictures = torch.cat([drawn.cpu(), real])
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
            **{name: getattr(self, name).state_dict() for name in NETWORKS},
            "teacher": self.teacher.state_dict() if self.images < self.config.supervised else None,
            "optimizers": [_without_momentum(optimizer.state_dict()) for optimizer in self.optimizers],
        }

    def start_from(self, state: dict) -> None:
        """Takes the networks of another training's state, and nothing else."""
        for name in NETWORKS:
            getattr(self, name).load_state_dict(state[name])

    def load_state_dict(self, state: dict) -> None:
        """Goes back to where a state was taken."""
        self.step, self.seconds, self.penalty = state["step"], state["seconds"], state["penalty"]
        self.recent = state["recent"]
        self.start_from(state)
        for optimizer, kept in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(_with_momentum(kept))
        if state["teacher"]:
            self.teacher.load_state_dict(state["teacher"])

    def _set_rates(self) -> None:
        supervised, anneal_from = self.config.supervised, self.config.anneal_from
        if self.images < supervised:
            done = self.images / supervised
        else:
            done = (self.images - supervised) / (self.config.images - supervised)
        share = 1.0 if done < anneal_from else (1 - done) / (1 - anneal_from)
        for optimizer, rate in zip((*self.optimizers, self.teacher), (*self.rates, self.config.lr), strict=True):
            for group in optimizer.param_groups:
                group["lr"] = rate * share

    def _chosen(self) -> list[int]:
        """The numbers of the next real heads."""
        epoch, step = divmod(self.step, len(self.heads) // self.config.batch)
        order = np.random.default_rng([self.config.seed, epoch]).permutation(len(self.heads))
        return order[step * self.config.batch :][: self.config.batch].tolist()

    def _images(self, items: list[dict]) -> Tensor:
        """Real heads; half of them mirrored where no factors are looked at: mirrored factors are as likely."""
        images = torch.stack([item[self.picture] for item in items])
        if self.known is None:
            mirrored = torch.rand(len(images), 1, 1, 1) < 0.5
            images = torch.where(mirrored, images.flip(3), images)
        return images.to(self.device)

    def _draw(self, told: list[int]) -> Tensor:
        """The heads that are told by their factors, then others from random z to make a batch.

        Of those some have the coarse codes of one z and the fine codes of another.
        """
        count, n_styles = self.config.batch - len(told), self.generator.n_styles
        crossover = torch.randint(1, n_styles, (count,))
        crossover[torch.rand(count) >= self.config.mixing] = n_styles
        first = torch.arange(n_styles) < crossover[:, None]
        z = torch.randn(2 * count, self.generator.style_dim)
        coarse, fine = self.generator.mapping(z.to(self.device))[:, None].chunk(2)
        codes = torch.where(first[..., None].to(self.device), coarse, fine)
        if told:
            known = self.factors(describe(self.heads.factors[told]).to(self.device))
            codes = torch.cat([known[:, None].expand(-1, n_styles, -1), codes])
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
