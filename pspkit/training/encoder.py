"""The training of pSp's encoder: the losses of a batch, one step, and the validation."""

import copy
import math
from collections.abc import Iterable, Iterator
from itertools import count, islice
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pspkit.config import TrainingConfig
from pspkit.data.tasks import PairDataset
from pspkit.errors import PspkitError, check_choice
from pspkit.losses.terms import PSPLoss
from pspkit.models.backbone import StagedBody
from pspkit.models.registry import has_preview
from pspkit.psp import PSP
from pspkit.seeds import seed_of
from pspkit.training.feed import Feed, Pair, PairSource
from pspkit.training.loop import Pace, RunningAverage
from pspkit.training.machine import Machine, memory_explained

OPTIMIZERS = ("ranger", "adam")
SHOWN = 8  # pairs on a validation sheet


class Objective(nn.Module):
    """Takes a batch through the whole of pSp to its loss, in the same way for training and for validation.

        loss(resize(G(E(x) + average)), y)

    In training mode the encoder's norms use the batch's statistics; everything else stays in evaluation mode.

    Args:
        psp: the model.
        loss: the loss of the task.
        preview: side of the decoder's preview that takes the place of G, if it has one, pixels; 0 for whole pictures.

    Source: Richardson et al. 2021, section 3.2.
    """

    def __init__(self, psp: PSP, loss: PSPLoss, preview: int = 0) -> None:
        super().__init__()
        self.psp, self.loss = psp, loss
        self.preview = preview if has_preview(psp.decoder, preview) else 0

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        self.psp.decoder.eval()
        return self

    def forward(self, source: Tensor, target: Tensor, known: Tensor | None = None) -> tuple[Tensor, dict[str, Tensor]]:
        """Computes the losses of pairs.

        Args:
            source: (N, input_nc, input_size, input_size).
            target: (N, 3, H, H) in [-1, 1].
            known: the codes of the targets (N, n_styles, style_dim), if they are known.

        Returns:
            As `PSPLoss.forward`.
        """
        codes = self.psp.encode(source)
        output = self.psp.decoder.preview(codes, self.preview) if self.preview else self.psp.decode(codes)
        average = self.psp.latent_avg if self.psp.start_from_latent_avg else None
        return self.loss(to_side(output, target.shape[-1]), target, codes, average, known)


class EncoderTraining:
    """Trains the encoder of a pSp; the decoder is frozen unless the configuration says otherwise. A `loop.Strategy`.

    N processes take the same steps as one process that accumulates N times as many batches. Batch norms see the batch
    of one process, except on several GPUs, where they are synchronised.

    Args:
        psp: the model; its weights are changed in place.
        loss: the loss of the task.
        training: pairs to learn from, as a data set or as anything that gives batches of them.
        validation: pairs of other people.
        config: how to train.
        machine: where to compute; the best device and the configuration's precision unless given.

    Attributes:
        model: the running average of `psp`, which is validated, kept and used. A frozen decoder is shared with `psp`.
        names: "total", and every loss that has a weight.

    Raises:
        PspkitError: there is no such optimiser, a count is below 1, there are fewer pairs than a step takes or none to
            validate on, or codes have a weight but are not known.

    Source: Richardson et al. 2021, section 3.2 and appendix.
    """

    kind = "encoder"
    changeable = frozenset({"steps", "save_every", "workers"})

    def __init__(
        self,
        psp: PSP,
        loss: PSPLoss,
        training: PairDataset | PairSource,
        validation: PairDataset,
        config: TrainingConfig,
        machine: Machine | None = None,
    ) -> None:
        for name in ("batch", "accumulate"):
            if getattr(config, name) < 1:
                raise PspkitError(f"{name}: got {getattr(config, name)}, needs at least 1.")
        self.config, self.training, self.validation = config, training, validation
        self.machine = machine = machine or Machine(precision=config.precision)
        self.pace = Pace(config.steps, config.validate_every, config.save_every)
        self.per_step = config.batch * config.accumulate * machine.processes
        self.drawn = hasattr(training, "batches")
        if not self.drawn and len(training) < self.per_step:
            raise PspkitError(
                f"training: there are {len(training)} pairs, but one step takes {self.per_step} (batch {config.batch},"
                f" accumulate {config.accumulate}, processes {machine.processes}). Add pictures or lower the batch."
            )
        if not len(validation):
            raise PspkitError(
                "validation: there are no pairs, so that nothing would tell whether it learns. Hold some out."
            )
        if loss.weights.codes:
            _check_codes(validation[0][2:], (psp.decoder.n_styles, psp.decoder.style_dim))
        self.feed = None if self.drawn else Feed(training, machine, config.workers)
        self.held_out = Feed(validation, machine, config.workers)

        psp.requires_grad_(True).decoder.requires_grad_(config.train_decoder)
        self.psp = psp.to(machine.device)
        if machine.device.type == "cuda":
            psp.encoder.to(memory_format=torch.channels_last)
        learning = {"encoder": psp.encoder} | ({"decoder": psp.decoder} if config.train_decoder else {})
        frozen = {} if config.train_decoder else {id(psp.decoder): psp.decoder}
        self.model = copy.deepcopy(psp, frozen)
        averages = [getattr(self.model, name) for name in learning]
        self.average = RunningAverage(averages, [*learning.values()], lambda done: 1 - config.ema_decay if done else 1)
        self.judge = Objective(self.model, loss.to(machine.device)).eval()  # It sees whole pictures.
        objective = Objective(psp, loss, config.preview)
        if machine.processes > 1 and machine.device.type == "cuda":
            objective = nn.SyncBatchNorm.convert_sync_batchnorm(objective)
        self.objective, self.optimizer = objective, make_optimizer(psp, config)
        self.networks = {name: getattr(psp, name) for name in learning}
        self.names = ("total", *loss.weights.counted())

    def batches(self, done: int) -> Iterator[Iterator[Pair]]:
        """Yields this process's share of every step after the first `done`: as many batches as are accumulated."""
        config = self.config
        if self.drawn:
            pairs = self.training.batches(done * config.accumulate, config.batch, self.machine)
        else:
            pairs = self._read(done)
        while True:
            yield islice(pairs, config.accumulate)

    def step(self, batch: Iterable[Pair], done: int) -> dict[str, Tensor]:
        """Takes one step.

        Args:
            batch: as many batches of pairs as are accumulated, on the device.
            done: number of steps taken before.

        Returns:
            By `names`, the means of the losses over these batches.
        """
        self._set_rate(done)
        self.objective.train()
        seen = []
        for pair in batch:
            with self.machine.autocast():
                loss, parts = self.objective(*pair)
            seen.append(torch.stack([loss, *parts.values()]).detach())
            self.machine.scaler.scale(loss / self.config.accumulate).backward()
        self.machine.update(self.optimizer)
        self.machine.average([value for value in self.psp.encoder.buffers() if value.is_floating_point()])
        return self._named(torch.stack(seen).mean(0))

    @torch.no_grad()
    def validate(self) -> tuple[dict[str, float], Tensor]:
        """Measures the running average on every held-out pair, and draws the first ones."""
        machine, config = self.machine, self.config
        numbers = torch.arange(len(self.validation)).split(config.batch)[machine.rank :: machine.processes]
        sums = torch.zeros(len(self.names), device=machine.device)
        for pair in self.held_out.read(numbers):
            with machine.autocast(), memory_explained(config.batch, config.accumulate):
                loss, parts = self.judge(*pair)
            sums += len(pair[0]) * torch.stack([loss, *parts.values()])
        means = machine.total(sums) / len(self.validation)
        return self._named(means.tolist()), self._sheet()

    def state_dict(self) -> dict[str, Any]:
        """As `Strategy.state_dict`."""
        averages = {name: getattr(self.model, name).state_dict() for name in self.networks}
        return {
            "psp": self.psp.state_dict(),
            "average": averages,
            "optimizer": self.optimizer.state_dict(),  # with the slow weights of lookahead
            "scaler": self.machine.scaler.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """As `Strategy.load_state_dict`."""
        self.psp.load_state_dict(state["psp"])
        for name in self.networks:
            getattr(self.model, name).load_state_dict(state["average"][name])
        self.optimizer.load_state_dict(state["optimizer"])
        if state["scaler"]:
            self.machine.scaler.load_state_dict(state["scaler"])

    def _read(self, done: int) -> Iterator[Pair]:
        machine, config = self.machine, self.config
        steps = len(self.training) // self.per_step  # of one epoch; pairs that are left over wait for the next shuffle
        for epoch in count(done // steps):
            self.training.set_epoch(epoch)
            shuffle = torch.Generator(device="cpu").manual_seed(seed_of(config.seed, epoch))
            order = torch.randperm(len(self.training), generator=shuffle, device="cpu")[: steps * self.per_step]
            order = order.view(steps, config.accumulate, machine.processes, config.batch)
            mine = order[max(done - epoch * steps, 0) :, :, machine.rank]
            yield from self.feed.read(mine.flatten(0, 1))

    def _set_rate(self, done: int) -> None:
        anneal_from = self.config.anneal_from
        share = min(done / self.config.steps, 1) - anneal_from
        factor = (1 + math.cos(math.pi * share / (1 - anneal_from))) / 2 if share > 0 else 1
        body = self.config.body_rate if done >= self.config.body_from * self.config.steps else 0
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.lr * factor * (body if group["body"] else 1)

    def _named(self, values: Iterable[Any]) -> dict[str, Any]:
        return dict(zip(self.names, values, strict=True))

    @torch.no_grad()
    def _sheet(self) -> Tensor:
        pairs = [self.validation[index] for index in range(min(SHOWN, len(self.validation)))]
        source, target = (torch.stack(side).to(self.machine.device) for side in list(zip(*pairs, strict=True))[:2])
        rows = [self.validation.task.show_source(source), self.model(source)]
        return torch.stack([*(to_side(row, target.shape[-1]) for row in rows), target]).cpu()


def _check_codes(known: tuple[Tensor, ...], taken: tuple[int, int]) -> None:
    if not known:
        raise PspkitError(
            "codes: their loss has a weight, but the codes of the pairs are not known. Set codes=0, or train on drawn"
            " faces."
        )
    if tuple(known[0].shape) != taken:
        have = "{} of length {}".format(*known[0].shape)
        raise PspkitError(
            f"codes: the pairs have {have}, and the decoder takes {taken[0]} of length {taken[1]}. Set codes=0, or"
            " train with the decoder that drew the pairs."
        )


def to_side(images: Tensor, side: int) -> Tensor:
    """Scales pictures (N, C, H, H) to a side: by pooling to a smaller one, as the reference does, else bilinearly."""
    if side < images.shape[-1]:
        return F.adaptive_avg_pool2d(images, side)
    return images if side == images.shape[-1] else F.interpolate(images, size=side, mode="bilinear")


def make_optimizer(model: nn.Module, config: TrainingConfig) -> torch.optim.Optimizer:
    """Makes the optimizer that a configuration names, for all weights of a model that have gradients.

    The entry "body" of each group says whether it holds the pretrained body of the encoder or all else.

    Raises:
        PspkitError: there is no optimizer of this name.
    """
    check_choice("optimizer", config.optimizer, OPTIMIZERS)
    bodies = [part for module in model.modules() if isinstance(module, StagedBody) for part in module.trunk]
    of_body = {id(parameter) for part in bodies for parameter in part.parameters()}
    groups: dict[bool, list[nn.Parameter]] = {False: [], True: []}
    for parameter in model.parameters():
        if parameter.requires_grad:
            groups[id(parameter) in of_body].append(parameter)
    learning = [{"params": group, "body": body} for body, group in groups.items() if group]
    if config.optimizer == "adam":
        return torch.optim.Adam(learning, lr=config.lr, fused=True)
    from pytorch_optimizer import Ranger

    # As in the reference, it takes plain steps until there are enough gradients to know their variance.
    return Ranger(learning, lr=config.lr, betas=(0.95, 0.999), eps=1e-5, k=6, alpha=0.5, degenerated_to_sgd=True)
