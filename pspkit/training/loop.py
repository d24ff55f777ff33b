"""The one training loop. It can stop at any moment, and then goes on exactly as if it had not.

    for batch in strategy.batches(step):
        learn(batch); when it is due: report, save

What is trained is a strategy: `encoder.EncoderTraining`, `decoder.DecoderTraining`, `identity.IdentityTraining`, or one
of your own.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn
from tqdm.auto import tqdm

from pspkit.errors import CheckpointError, PspkitError
from pspkit.seeds import seed_of
from pspkit.training.keeper import Keeper, alone, check_same, read_record, read_state
from pspkit.training.machine import Machine, all_finite, memory_explained

RECENT = 10  # steps whose losses are fetched from the device at once, because each fetch waits for it


@dataclass(frozen=True)
class Report:
    """The result of one validation.

    Attributes:
        step: number of steps taken so far.
        seconds: time spent in steps, over all restarts.
        training: by name, the means of the losses since the last report.
        validation: by name, what was measured on held-out data; "total" decides which model is the best.
        best: whether this total is the lowest so far.
        sheet: pictures to look at, (rows, columns, 3, S, S) in [-1, 1]; None if there are none.
    """

    step: int
    seconds: float
    training: dict[str, float]
    validation: dict[str, float]
    best: bool
    sheet: Tensor | None


@dataclass(frozen=True)
class Pace:
    """How many steps a training takes, and how many lie between two reports and between two saved states."""

    steps: int
    validate_every: int
    save_every: int

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value < 1:
                raise PspkitError(f"{name}: got {value}, needs at least 1.")


class RunningAverage:
    """The running average of modules: average ← average + share * (now - average).

    Args:
        averages: copies of the modules; they are frozen and changed in place.
        modules: the modules that learn.
        share: from the number of steps taken before to the share of the newest weights; 1 for the first step.

    Source: Karras et al. 2018 (ProgressiveGAN), appendix A.
    """

    def __init__(
        self, averages: Sequence[nn.Module], modules: Sequence[nn.Module], share: Callable[[int], float]
    ) -> None:
        kept, now = ([value for part in parts for value in part.state_dict().values()] for parts in (averages, modules))
        pairs = list(zip(kept, now, strict=True))
        self.floats = [pair for pair in pairs if pair[0].is_floating_point()]
        self.counts = [
            pair for pair in pairs if not pair[0].is_floating_point()
        ]  # numbers of batches that norms have seen
        self.share = share
        for average in averages:
            average.requires_grad_(False).eval()

    @torch.no_grad()
    def update(self, done: int) -> None:
        """Moves the average towards the weights after a step, before which `done` steps were taken."""
        kept, now = zip(*self.floats, strict=True)
        get_ema_multi_avg_fn(1 - self.share(done))(list(kept), list(now), None)
        for count, newest in self.counts:
            count.copy_(newest)


class Strategy(Protocol):
    """What is trained, and how it takes one step; the loop does everything else.

    Attributes:
        kind: a word for what is trained, such as "encoder".
        config: a dataclass with `seed` and `batch`, and with `accumulate` if a step takes several batches.
        changeable: names of the fields of `config` that may change when a training goes on.
        machine: where it computes.
        pace: how many steps it takes, and when it reports and saves.
        networks: by name, the networks that learn.
        average: the running average of these networks; None keeps none.
        model: the model that is kept on disk by its `save_pretrained`.
    """

    kind: str
    config: Any
    changeable: frozenset[str]
    machine: Machine
    pace: Pace
    networks: Mapping[str, nn.Module]
    average: RunningAverage | None
    model: Any

    def batches(self, done: int) -> Iterator[Any]:
        """Yields the batch of each step after the first `done`, without end."""

    def step(self, batch: Any, done: int) -> dict[str, Tensor]:
        """Learns from a batch, before which `done` steps were taken.

        Returns:
            Losses by name, as detached scalars that are still on the device. The loop fetches many of them at once.
        """

    def validate(self) -> tuple[dict[str, float], Tensor | None]:
        """Measures `model`: values by name, and a sheet, both as in `Report`."""

    def state_dict(self) -> dict[str, Any]:
        """Returns all that the next step depends on, except its number."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes back to the step at which a state was taken."""


class Trainer:
    """Takes a strategy from its first step to its last.

    Each step is determined by the weights, the optimizer state and the step number. The batch follows from the number,
    and the random numbers are seeded with (seed, number, process). A state therefore holds nothing else. A training
    that was killed repeats the steps after its last state, and writes the same again.

    Args:
        strategy: what is trained.
        out: the folder where the training is kept (see `keeper`); None keeps nothing.
        begun: what the training began with, for `run.json`; the strategy's configuration unless given.

    Attributes:
        step: number of steps taken.
        seconds: time spent in them, over all restarts.
    """

    def __init__(
        self, strategy: Strategy, out: str | Path | None = None, begun: Mapping[str, Any] | None = None
    ) -> None:
        self.strategy, self.machine, self.pace = strategy, strategy.machine, strategy.pace
        self.begun = {"trains": strategy.kind, **(begun or asdict(strategy.config))}
        self.step, self.seconds, self.best = 0, 0.0, math.inf
        self.pending: list[dict[str, Tensor]] = []  # losses of each step that are still on the device
        self.recent: list[dict[str, float]] = []  # losses since the last report that were fetched and are finite
        self.out = Path(out) if out else None
        self.keeper = Keeper(self.out) if self.out and self.machine.main else None
        self.stopping = self.resumed = False

    @property
    def model(self) -> Any:
        """The model that is validated, kept and used."""
        return self.strategy.model

    def run(self, minutes: float = math.inf) -> Iterator[Report]:
        """Trains from the present step to the last; yields a report after each validation.

        Args:
            minutes: when to stop at the latest; the state is then saved. Learning rates follow the step number all the
                same.

        Raises:
            PspkitError: a loss or a weight is not finite, the memory is too small, a picture cannot be read, the disk
                is full, the folder holds a training that was not resumed, or one is running there. What was kept before
                stays.
        """
        with alone(self.out) if self.keeper else nullcontext():
            yield from self._run(minutes)

    def _run(self, minutes: float) -> Iterator[Report]:
        self._begin()
        batches, end = self.strategy.batches(self.step), time.monotonic() + 60 * minutes
        silent = not self.machine.main
        with tqdm(desc="training", initial=self.step, total=self.pace.steps, disable=silent) as bar:
            while self.step < self.pace.steps:
                self.learn(next(batches))
                bar.update()
                if self._due(RECENT) or self._due(self.pace.validate_every):
                    latest = self._fetch()
                    bar.set_postfix({name: f"{value:.3g}" for name, value in latest.items()})
                    if self.keeper:
                        self.keeper.scalars(self.step, latest)
                if self._due(self.pace.validate_every):
                    report = self.validate()
                    if self.keeper:
                        self.keeper.report(report, self.model)
                    yield report
                stop = self._agree(self.stopping or time.monotonic() >= end)
                if stop or self._due(self.pace.save_every):
                    self.save()
                if stop:
                    break
        self.stopping = False

    def learn(self, batch: Any) -> dict[str, Tensor]:
        """Takes one step.

        Args:
            batch: what the strategy's `step` takes; `strategy.batches` makes it.

        Returns:
            The losses by name, on the device.

        Raises:
            PspkitError: the memory is too small.
        """
        start, config = time.perf_counter(), self.strategy.config
        torch.manual_seed(seed_of(config.seed, self.step, self.machine.rank))
        with memory_explained(config.batch, getattr(config, "accumulate", None)):
            losses = self.strategy.step(batch, self.step)
        if self.strategy.average:
            self.strategy.average.update(self.step)
        self.pending.append(losses)
        self.step += 1
        self.seconds += time.perf_counter() - start
        return losses

    def validate(self) -> Report:
        """Measures the model on held-out data.

        Raises:
            PspkitError: a loss is not finite.
        """
        self._fetch()
        found, sheet = self.strategy.validate()
        _refuse([found], self.step)
        total = found.get("total", math.inf)
        best, self.best = total < self.best, min(total, self.best)
        training, self.recent = _means(self.recent), []
        return Report(self.step, self.seconds, training, found, best, sheet)

    def stop(self) -> None:
        """Makes `run` end after the present step and save the state; a signal handler may call it."""
        self.stopping = True

    def state_dict(self) -> dict[str, Any]:
        """Returns all that the next step depends on, for `load_state_dict`."""
        self._fetch()
        own = {name: getattr(self, name) for name in ("step", "seconds", "best", "recent")}
        return own | {"strategy": self.strategy.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes back to the step at which a state was taken."""
        self.step, self.seconds, self.best = state["step"], state["seconds"], state["best"]
        self.pending, self.recent = [], list(state["recent"])
        self.strategy.load_state_dict(state["strategy"])

    def save(self) -> None:
        """Keeps the present state and model on disk; raises as `run` does."""
        state = self.state_dict()
        for name, network in self.strategy.networks.items():
            if not all_finite(network.parameters()):
                raise _diverged(self.step, f"weights of the {name}")
        if self.keeper:
            self.keeper.save(state, self.model)

    def resume(self) -> None:
        """Goes back to the state that was kept last; stays at the start if there is none yet.

        Raises:
            PspkitError: the training in the folder began with something else, or not all processes found its state.
            CheckpointError: the state is damaged, or belongs to another model.
        """
        if record := read_record(self.out):
            check_same(self.begun, record, self.strategy.changeable, self.out)
        if state := read_state(self.out):
            try:
                self.load_state_dict(state)
            except (KeyError, ValueError, RuntimeError, TypeError, AttributeError, IndexError) as error:
                raise CheckpointError(
                    f"{self.out}: its state is damaged, or belongs to another model"
                    f" ({str(error).partition(chr(10))[0]}). Resume with the settings that the training began with, or"
                    " name another folder."
                ) from error
        steps = [int(step) for step in self.machine.gather(self.step)]
        if len(set(steps)) > 1:
            raise PspkitError(
                f"{self.out}: the processes found states of different steps ({', '.join(map(str, steps))})."
                " Let all computers use the same folder, or copy it to each."
            )
        self.resumed = True

    def _begin(self) -> None:
        if self.keeper:
            if not self.step and not self.resumed and read_record(self.out):
                raise PspkitError(f"{self.out}: it holds a training already. Resume it, or name another folder.")
            self.keeper.begin(self.begun, self.step)

    def _agree(self, stop: bool) -> bool:
        """Whether a process wants to stop. Several processes ask one another only every few steps, to save time."""
        return stop if self.machine.processes == 1 else self._due(RECENT) and any(self.machine.gather(stop))

    def _fetch(self) -> dict[str, float]:
        """Fetches the losses that are still on the device; returns the means of the latest ones.

        Raises:
            PspkitError: one of them is not finite.
        """
        if self.pending:
            start = time.perf_counter()  # The device finishes its steps here.
            values = iter(torch.stack([value for losses in self.pending for value in losses.values()]).tolist())
            fetched = [{name: next(values) for name in losses} for losses in self.pending]
            self.seconds += time.perf_counter() - start
            _refuse(fetched, self.step)
            self.recent, self.pending = self.recent + fetched, []
        return _means(self.recent[-RECENT:])

    def _due(self, every: int) -> bool:
        return self.step % every == 0 or self.step == self.pace.steps


def _means(losses: list[dict[str, float]]) -> dict[str, float]:
    """Averages each loss over the steps that have it."""
    names = dict.fromkeys(name for step in losses for name in step)
    return {name: fmean(step[name] for step in losses if name in step) for name in names}


def _refuse(losses: list[dict[str, float]], last: int) -> None:
    """Raises at the first step that has a loss which is not finite."""
    for step, named in enumerate(losses, last - len(losses) + 1):
        if not all(map(math.isfinite, named.values())):
            raise _diverged(step, ", ".join(f"{name} {value:.3g}" for name, value in named.items()))


def _diverged(step: int, what: str) -> PspkitError:
    return PspkitError(
        f"step {step}: no number any more: {what}. What was kept last stays. Go on from it, or train anew, with a lower"
        " learning rate or in float32."
    )
