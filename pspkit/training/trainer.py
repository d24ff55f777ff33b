"""The training loop: one core or many devices, stopped at any moment and gone on with."""

import math
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader
from tqdm.auto import tqdm

from pspkit.config import TrainingConfig
from pspkit.encoders import MIDDLE
from pspkit.errors import CheckpointError, PspkitError, check_choice
from pspkit.losses import PSPLoss
from pspkit.psp import PSP
from pspkit.seeds import seed_of
from pspkit.tasks import PairDataset
from pspkit.training.keeper import Keeper, read_state
from pspkit.training.objective import Objective, to_side

if TYPE_CHECKING:
    from accelerate import Accelerator

PRECISIONS = {"float32": "no", "bfloat16": "bf16", "float16": "fp16"}  # as accelerate calls them
OPTIMIZERS = ("ranger", "adam")
SHOWN = 8  # pairs on a validation sheet
RECENT = 10  # steps between two scalars, each the mean over them


@dataclass(frozen=True)
class Report:
    """What one validation found.

    Attributes:
        step: steps taken by then.
        seconds: spent in steps, over all restarts.
        training: means since the last report: "total", and every loss by its name, before weighting.
        validation: the same over the held-out pairs, of the running average of the model.
        best: whether no total before was lower.
        sheet: (3, n, 3, S, S) in [-1, 1]: sources, outputs and targets of the first held-out pairs.
    """

    step: int
    seconds: float
    training: dict[str, float]
    validation: dict[str, float]
    best: bool
    sheet: Tensor


class Trainer:
    """Trains a pSp's encoder; the decoder is frozen.

    A step follows from the weights, the optimiser and its number alone: the pairs' order comes from (seed, epoch),
    anything else random from (seed, step, process). So nothing else is kept to go on exactly, and N processes take
    the steps that one takes with N times the accumulation. Batch norms see the batch of one process, except on
    several GPUs, where they are synchronised.

    Args:
        psp: the model; its weights are changed in place.
        loss: of the task.
        training: pairs to learn from.
        validation: pairs of other people.
        config: how.
        out: the folder for what is kept; None keeps nothing.

    Raises:
        PspkitError: no such precision or optimiser, a count below 1, fewer pairs than a step takes, or nothing to
            validate on.

    Source: Richardson et al. 2021, section 3.2 and appendix.
    """

    def __init__(
        self,
        psp: PSP,
        loss: PSPLoss,
        training: PairDataset,
        validation: PairDataset,
        config: TrainingConfig,
        out: str | Path | None = None,
    ) -> None:
        for name in ("steps", "batch", "accumulate", "validate_every", "save_every"):
            if getattr(config, name) < 1:
                raise PspkitError(f"{name}: got {getattr(config, name)}, needs at least 1.")
        self.accelerator = accelerator = _accelerator(config, idle=psp.encoder.config.n_styles <= MIDDLE)
        self.device, self.config = accelerator.device, config
        self.training, self.validation = training, validation
        self.per_step = config.batch * config.accumulate * accelerator.num_processes
        if len(training) < self.per_step:
            raise PspkitError(
                f"training: {len(training)} pairs, but one step takes {self.per_step} (batch {config.batch}, accumulate"
                f" {config.accumulate}, processes {accelerator.num_processes}). Add pictures or lower --batch."
            )
        if not len(validation):
            raise PspkitError("validation: no pairs, so nothing would tell whether it learns. Hold some out.")

        psp.requires_grad_(True).decoder.requires_grad_(config.train_decoder)
        psp.decoder.style.requires_grad_(False)  # codes come from the encoder
        self.psp = psp.to(self.device)
        if self.device.type == "cuda":
            psp.encoder.to(memory_format=torch.channels_last)
        self.average = AveragedModel(psp, multi_avg_fn=get_ema_multi_avg_fn(config.ema_decay), use_buffers=True)
        self.average.requires_grad_(False)
        self.judge = Objective(self.average.module, loss.to(self.device)).eval()
        objective = Objective(psp, loss)
        if accelerator.num_processes > 1 and self.device.type == "cuda":
            objective = nn.SyncBatchNorm.convert_sync_batchnorm(objective)
        self.objective, self.optimizer = accelerator.prepare(objective, make_optimizer(psp, config))

        self.names = ("total", *(name for name, weight in vars(loss.weights).items() if weight))
        self.step, self.seconds, self.best = 0, 0.0, math.inf
        self.recent: list[Tensor] = []  # losses of the steps since the last report
        self.out = Path(out) if out else None
        self.keeper = Keeper(self.out) if out and accelerator.is_main_process else None

    @property
    def model(self) -> PSP:
        """The running average of the weights: what is validated, kept and used."""
        return self.average.module

    def describe(self) -> str:
        """Where it trains and how, in words."""
        processes = self.accelerator.num_processes
        precision = next(name for name, key in PRECISIONS.items() if key == self.accelerator.mixed_precision)
        return f"{self.device.type}, {precision}, {processes} process{'es' * (processes > 1)}"

    def run(self) -> Iterator[Report]:
        """Trains from the step it stands at to the last one; yields after each validation.

        Raises:
            PspkitError: a loss or a weight that is no number, too little memory, a picture that cannot be read, a full
                disk. What was kept before stays.
        """
        config, batches = self.config, self._batches(self.step)
        steps = tqdm(
            range(self.step + 1, config.steps + 1),
            desc="training",
            initial=self.step,
            total=config.steps,
            disable=not self.accelerator.is_main_process,
        )
        for step in steps:
            start = time.perf_counter()
            torch.manual_seed(seed_of(config.seed, step, self.accelerator.process_index))
            self._set_rate(step)
            self.recent += self.learn(islice(batches, config.accumulate))
            self.step, self.seconds = step, self.seconds + time.perf_counter() - start

            if self._due(RECENT) or self._due(config.validate_every):
                latest = self._means(self.recent[-RECENT * config.accumulate :])
                steps.set_postfix({name: f"{value:.3g}" for name, value in latest.items()})
                if self.keeper:
                    self.keeper.scalars(step, latest)
            if self._due(config.validate_every):
                report = self.validate()
                if self.keeper:
                    self.keeper.report(report, self.model)
                yield report
            if self._due(config.save_every):
                self.save()

    def learn(self, batches: Iterable[tuple[Tensor, Tensor]]) -> list[Tensor]:
        """One step.

        Args:
            batches: as many pairs of sources and targets as are accumulated, on the device.

        Returns:
            The losses of each batch, in the order of `names`.

        Raises:
            PspkitError: a loss that is no number, or too little memory.
        """
        seen = []
        self.objective.train()
        for source, target in batches:
            with self.accelerator.accumulate(self.objective), _memory_explained(self.config):
                loss, parts = self.objective(source, target)
                seen.append(torch.stack([loss, *parts.values()]).detach())
                self._refuse_nan(seen[-1], self.step + 1)
                self.accelerator.backward(loss)
                self.optimizer.step()
                self.optimizer.zero_grad()
        self.average.update_parameters(self.psp)
        return seen

    @torch.no_grad()
    def validate(self) -> Report:
        """Measures the running average of the model on every held-out pair."""
        numbers = torch.arange(len(self.validation)).split(self.config.batch)
        mine = numbers[self.accelerator.process_index :: self.accelerator.num_processes]
        sums = torch.zeros(len(self.names), device=self.device)
        for source, target in self._load(self.validation, mine):
            with self.accelerator.autocast(), _memory_explained(self.config):
                loss, parts = self.judge(source, target)
            sums += len(source) * torch.stack([loss, *parts.values()])
        means = self.accelerator.reduce(sums) / len(self.validation)
        self._refuse_nan(means, self.step)
        found = dict(zip(self.names, means.tolist(), strict=True))
        best, self.best = found["total"] < self.best, min(found["total"], self.best)
        training, self.recent = self._means(self.recent), []
        return Report(self.step, self.seconds, training, found, best, self._sheet())

    def state_dict(self) -> dict:
        """All that the next step depends on; `load_state_dict` takes it."""
        scaler = self.accelerator.scaler  # of float16
        return {
            "step": self.step,
            "seconds": self.seconds,
            "best": self.best,
            "recent": self.recent,
            "psp": self.psp.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),  # lookahead's slow weights too
            "scaler": scaler.state_dict() if scaler else {},
        }

    def load_state_dict(self, state: dict) -> None:
        """Goes back to where a state was taken."""
        self.step, self.seconds, self.best = state["step"], state["seconds"], state["best"]
        self.recent = [losses.to(self.device) for losses in state["recent"]]
        self.psp.load_state_dict(state["psp"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.accelerator.scaler:
            self.accelerator.scaler.load_state_dict(state["scaler"])

    def save(self) -> None:
        """Keeps the state and the model as they are; raises as `run`."""
        if not all(value.isfinite().all() for value in self.psp.parameters()):
            raise self._diverged(self.step, "weights of the model")
        if self.keeper:
            self.keeper.save(self.state_dict(), self.model)

    def resume(self) -> None:
        """Goes back to the state that was kept last; stays at the start where there is none yet.

        Raises:
            CheckpointError: the state is damaged, or that of another model.
        """
        if state := read_state(self.out):
            try:
                self.load_state_dict(state)
            except (KeyError, ValueError, RuntimeError) as error:
                raise CheckpointError(
                    f"{self.out}: its state is that of another model ({str(error).splitlines()[0]})."
                    " Resume with what the run began with, or name another folder."
                ) from error
        if self.keeper:
            self.keeper.rewind(self.step)

    def _batches(self, done: int) -> Iterator[tuple[Tensor, Tensor]]:
        """This process's share of every step after the first `done`, without end."""
        steps = len(self.training) // self.per_step  # of one epoch; the rest of the pairs waits for the next shuffle
        for epoch in count(done // steps):
            self.training.set_epoch(epoch)
            shuffle = torch.Generator().manual_seed(seed_of(self.config.seed, epoch))
            order = torch.randperm(len(self.training), generator=shuffle)[: steps * self.per_step]
            order = order.view(steps, self.config.accumulate, self.accelerator.num_processes, self.config.batch)
            mine = order[max(done - epoch * steps, 0) :, :, self.accelerator.process_index]
            yield from self._load(self.training, mine.flatten(0, 1))

    def _load(self, pairs: PairDataset, batches: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        loader = DataLoader(
            pairs,
            batch_sampler=[batch.tolist() for batch in batches],
            num_workers=self.config.workers,
            pin_memory=self.device.type == "cuda",
            generator=torch.Generator(),  # else it would draw from the one that the steps use
        )
        try:
            for source, target in loader:
                yield source.to(self.device, non_blocking=True), target.to(self.device, non_blocking=True)
        except PspkitError as error:  # of a worker: its traceback comes first
            raise PspkitError(str(error).rpartition("PspkitError: ")[2]) from None

    def _sheet(self) -> Tensor:
        pairs = [self.validation[index] for index in range(min(SHOWN, len(self.validation)))]
        source, target = (torch.stack(side).to(self.device) for side in zip(*pairs, strict=True))
        output = to_side(self.model(source), target.shape[-1])
        return torch.stack([self.validation.task.show_source(source), output, target]).cpu()

    def _set_rate(self, step: int) -> None:
        share = (step - 1) / self.config.steps - self.config.anneal_from
        falling = share > 0
        factor = (1 + math.cos(math.pi * share / (1 - self.config.anneal_from))) / 2 if falling else 1
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.lr * factor

    def _due(self, every: int) -> bool:
        return self.step % every == 0 or self.step == self.config.steps

    def _means(self, losses: list[Tensor]) -> dict[str, float]:
        return dict(zip(self.names, torch.stack(losses).mean(0).tolist(), strict=True)) if losses else {}

    def _refuse_nan(self, losses: Tensor, step: int) -> None:
        if not losses.isfinite().all():
            named = zip(self.names, losses.tolist(), strict=True)
            raise self._diverged(step, ", ".join(f"{name} {value:.3g}" for name, value in named))

    def _diverged(self, step: int, what: str) -> PspkitError:
        return PspkitError(
            f"step {step}: no number any more: {what}. What was kept last stays. Train anew with a lower --lr"
            f" (now {self.config.lr:g}), or in float32."
        )


def _accelerator(config: TrainingConfig, idle: bool) -> "Accelerator":
    from accelerate import Accelerator, DistributedDataParallelKwargs
    from accelerate.state import AcceleratorState

    check_choice("precision", config.precision, (*PRECISIONS, "auto"))
    precision = native_precision() if config.precision == "auto" else config.precision
    if precision == "float16" and not torch.accelerator.is_available():
        raise PspkitError("precision: float16 needs a GPU. Choose float32, bfloat16 or auto.")
    AcceleratorState._reset_state()  # or one process could not train in two precisions, one after the other
    return Accelerator(
        cpu=not torch.accelerator.is_available(),
        mixed_precision=PRECISIONS[precision],
        gradient_accumulation_steps=config.accumulate,
        # Without fine styles the last lateral has nothing to do, and processes would wait for its gradient.
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=idle)],
    )


def native_precision() -> str:
    """Bfloat16 where the processor computes in it; where it is only imitated, it is many times slower."""
    if torch.cuda.is_available():
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = any(torch.cpu.get_capabilities().get(name) for name in ("avx512_bf16", "amx_bf16"))
    return "bfloat16" if native else "float32"


def make_optimizer(psp: PSP, config: TrainingConfig) -> torch.optim.Optimizer:
    check_choice("optimizer", config.optimizer, OPTIMIZERS)
    learning = [parameter for parameter in psp.parameters() if parameter.requires_grad]
    if config.optimizer == "adam":
        return torch.optim.Adam(learning, lr=config.lr, fused=True)
    from pytorch_optimizer import Ranger

    # The reference takes plain steps while the variance of few gradients says too little.
    return Ranger(learning, lr=config.lr, betas=(0.95, 0.999), eps=1e-5, k=6, alpha=0.5, degenerated_to_sgd=True)


@contextmanager
def _memory_explained(config: TrainingConfig) -> Iterator[None]:
    from accelerate.utils.memory import should_reduce_batch_size

    try:
        yield
    except RuntimeError as error:
        if not should_reduce_batch_size(error):
            raise
        raise PspkitError(
            f"batch {config.batch}: does not fit into memory ({str(error).splitlines()[0]})."
            f" Halve --batch and double --accumulate (now {config.accumulate}): the steps stay the same."
        ) from error
