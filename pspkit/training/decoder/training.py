"""The training of the decoder as a strategy for the loop: its networks, and the stage of each step."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from pspkit.config import DecoderTrainingConfig
from pspkit.data.heads import LOOKS, sample_factors
from pspkit.data.heads.dataset import picture_key
from pspkit.errors import CheckpointError, PspkitError, check_choice
from pspkit.models.stylegan2 import Discriminator, Generator
from pspkit.seeds import seed_of
from pspkit.training.decoder import mapping
from pspkit.training.decoder.adversarial import Adversarial
from pspkit.training.decoder.known import FactorNetwork, KnownLatents, factor_numbers
from pspkit.training.decoder.supervised import Supervised
from pspkit.training.feed import shares
from pspkit.training.keeper import read_state
from pspkit.training.loop import Pace, RunningAverage
from pspkit.training.machine import Machine

COLUMNS = 12  # of a sheet, which has four rows of drawn heads and two of real ones
# At most this share of the images so far is the half-life of the average, which must not remember the start.
EARLY = 0.05


class DecoderTraining:
    """Trains a decoder of rendered heads in three stages. A `loop.Strategy`.

    Adversarial training alone takes long, but the factors of rendered heads are known. First, therefore, the generator
    learns alone to draw heads from the codes that a second network F makes from their factors. Then the mapping network
    learns from F. Then generator and discriminator take turns, while half of the drawn heads still come from factors:

        1. min_G,F  |G(F(f)) - x|      2. min_style  (style(z(f)) - F(f))²      3. loss_D, loss_G + supervision |...|

    Without supervision only the third stage remains, as for pictures whose factors are not known. A resumed training
    repeats its steps exactly only on the same kind of processor and with the same number of threads.

    Args:
        config: how to train.
        heads: items with "image", or the name of the look, (3, size, size) in [-1, 1]; under supervision also with
            "labels", uint8 (size, size), and a data set with the `factors` of all heads.
        machine: where to compute; the best device and the configuration's precision unless given.

    Attributes:
        model: the running average of the generator, which is kept and used.

    Raises:
        PspkitError: there are fewer heads than a batch takes, there is no such look, codes are too short for the
            factors of a head, there are several processes, float16 is asked for, or the training to start from cannot
            be read.

    Source: Karras et al. 2020 (StyleGAN2), appendix B.
    """

    kind = "decoder"
    changeable = frozenset(
        {"images", "supervised", "supervision", "lr", "generator_rate", "gamma", "validate_every", "save_every"}
    )

    def __init__(self, config: DecoderTrainingConfig, heads: Dataset, machine: Machine | None = None) -> None:
        check_choice("look", config.look, LOOKS)
        if len(heads) < config.batch:
            raise PspkitError(
                f"heads: there are {len(heads)}, but a step takes {config.batch}. Render more or lower the batch."
            )
        self.config, self.heads, self.picture = config, heads, picture_key(config.look)
        self.machine = machine = machine or Machine(precision=config.precision)
        if machine.processes > 1:
            raise PspkitError(
                f"processes: there are {machine.processes}, but a decoder is trained in one. Start it without torchrun."
            )
        if machine.precision == "float16":
            raise PspkitError("precision: float16 is too coarse for two networks. Choose float32, bfloat16 or auto.")
        self.pace = Pace(
            *(-(-images // config.batch) for images in (config.images, config.validate_every, config.save_every))
        )

        torch.manual_seed(seed_of(config.seed))
        decoder, width = config.decoder, config.discriminator
        generator = Generator.from_config(decoder)
        discriminator = Discriminator(
            decoder.size, decoder.channel_multiplier * width, round(decoder.max_channels * width)
        )
        self.generator = generator.to(machine.device)
        self.discriminator = discriminator.to(machine.device, memory_format=torch.channels_last)
        self.model = copy.deepcopy(generator)
        self.average = RunningAverage([self.model], [generator], self._newest)
        self.factors = FactorNetwork(decoder.style_dim).to(machine.device)
        if config.start:  # The codes stay as they are.
            generator.style.requires_grad_(False)
            self.factors.requires_grad_(False)
        self.networks = {"generator": generator, "discriminator": discriminator, "factors": self.factors}
        self.known = KnownLatents(decoder.style_dim) if config.supervised or config.supervision else None
        self.supervised = Supervised(generator, self.factors, config, machine)
        self.adversarial = Adversarial(generator, discriminator, self.factors, config, machine)
        self.images = 0  # real heads shown so far
        if config.start:
            self._load_networks(_state_of(Path(config.start)))

    def batches(self, done: int) -> Iterator[list[int]]:
        """Yields the numbers of the real heads of every step after the first `done`."""
        steps, batch = len(self.heads) // self.config.batch, self.config.batch

        def order(epoch: int) -> list[list[int]]:
            heads = np.random.default_rng([self.config.seed, epoch]).permutation(len(self.heads))
            return heads[: steps * batch].reshape(steps, batch).tolist()

        return shares(order, steps, done)

    def step(self, batch: list[int], done: int) -> dict[str, Tensor]:
        """Takes one step of the present stage, with the real heads of these numbers."""
        config, images = self.config, done * self.config.batch
        self.images = images + config.batch
        if images < config.supervised:
            losses = self.supervised.step(*self._shown(batch, len(batch)), self._share(images, 0, config.supervised))
            if self.images >= config.supervised and not config.start:
                self.fit_mapping()
            return losses
        known = config.batch // 2 if self.known else 0
        share = self._share(images, config.supervised, config.images)
        return self.adversarial.step(*self._shown(batch, known), share, done)

    def fit_mapping(self) -> float:
        """The second stage: the mapping network learns the codes of other people's heads. Returns the last error."""
        heads = sample_factors(mapping.HEADS, self.config.seed, start=2 * len(self.heads))
        error = mapping.fit_mapping(self.generator.style, self.factors, self.known, heads)
        self.model.style.load_state_dict(self.generator.style.state_dict())
        return error

    @torch.no_grad()
    def validate(self) -> tuple[dict[str, float], Tensor]:
        """Shows heads that the running average draws, above real ones; measures nothing.

        Until the mapping network has learned, the heads are drawn from the factors of the real ones.
        """
        columns = min(COLUMNS, len(self.heads) // 2)
        shown = list(range(0, len(self.heads), len(self.heads) // (2 * columns)))[: 2 * columns]
        real = torch.stack([self.heads[index][self.picture] for index in shown])
        if self.images < self.config.supervised:
            w = self.factors(self._numbers(shown))[:, None].expand(-1, self.model.n_styles, -1)
            drawn = self.model.synthesis(w)
        else:
            generator = torch.Generator(device="cpu").manual_seed(0)
            z = torch.randn(4 * columns, self.model.style_dim, generator=generator, device="cpu")
            drawn = self.model(z.to(self.machine.device))
        return {}, torch.cat([drawn.cpu(), real]).unflatten(0, (-1, columns))

    def state_dict(self) -> dict[str, Any]:
        """As `Strategy.state_dict`."""
        supervising = self.images < self.config.supervised
        return {
            "images": self.images,
            **{name: network.state_dict() for name, network in self._kept().items()},
            "supervised": self.supervised.optimizer.state_dict() if supervising else None,
            "adversarial": self.adversarial.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """As `Strategy.load_state_dict`."""
        self.images = state["images"]
        self._load_networks(state)
        self.adversarial.load_state_dict(state["adversarial"])
        if state["supervised"]:
            self.supervised.optimizer.load_state_dict(state["supervised"])

    def _kept(self) -> dict[str, nn.Module]:
        return {**self.networks, "average": self.model}

    def _load_networks(self, state: dict[str, Any]) -> None:
        for name, network in self._kept().items():
            network.load_state_dict(state[name])

    def _shown(self, chosen: list[int], known: int) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Returns real heads, and for the first `known` of them the label maps and the factors as numbers.

        Without supervision, half of the heads are mirrored.
        """
        items = [self.heads[index] for index in chosen]
        real = torch.stack([item[self.picture] for item in items])
        if self.known is None:
            real = torch.where(torch.rand(len(real), 1, 1, 1, device="cpu") < 0.5, real.flip(3), real)
        real = real.to(self.machine.device)
        if not known:
            return real, None, None
        labels = torch.stack([item["labels"] for item in items[:known]])
        return real, labels.long(), self._numbers(chosen[:known])

    def _numbers(self, chosen: list[int]) -> Tensor:
        return factor_numbers(self.heads.factors[chosen]).to(self.machine.device)

    def _share(self, images: int, first: int, last: int) -> float:
        """The share of the learning rates: 1, then down to 0 at the end of the stage from image `first` to `last`."""
        done, anneal_from = min((images - first) / (last - first), 1), self.config.anneal_from
        return 1.0 if done <= anneal_from else (1 - done) / (1 - anneal_from)

    def _newest(self, done: int) -> float:
        """The share of the newest weights in the running average."""
        batch = self.config.batch
        half_life = min(self.config.ema_images, EARLY * done * batch)
        return 1 - 0.5 ** (batch / half_life) if half_life else 1.0


def _state_of(folder: Path) -> dict[str, Any]:
    """Reads what a training of the decoder in a folder has learned."""
    state = read_state(folder)
    if state is None or "discriminator" not in state["strategy"]:
        raise CheckpointError(
            f"{folder}: it holds no training of a decoder to start from. Name a folder that holds one."
        )
    return state["strategy"]
