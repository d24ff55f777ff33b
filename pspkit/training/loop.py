"""The one training loop: whatever is trained, it can stop at any moment and go on exactly.

    for batch in strategy.batches(step):
        learn(batch), and when it is due: report, save

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

RECENT = 10  # steps whose losses are fetched together, because each fetch waits for the device


@dataclass(frozen=True)
class Report:
    """What one validation found.

    Attributes:
        step: steps taken by then.
        seconds: spent in steps, over all restarts.
        training: means of the losses since the last report, by name.
        validation: what was measured on held-out data, by name; "total" decides which model is the best.
        best: whether no total before was lower.
        sheet: (rows, columns, 3, S, S) in [-1, 1]: pictures to look at; None where there are none.
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
    """The running average of modules: average ← average + share * (now - average), with a share of 1 at first.

    Args:
        averages: copies of the modules, which are frozen and changed in place.
        modules: those that learn.
        share: from the number of steps taken before to the share of the newest weights.

    Source: Karras et al. 2018 (ProgressiveGAN), appendix A.
    """

    def __init__(
        self, averages: Sequence[nn.Module], modules: Sequence[nn.Module], share: Callable[[int], float]
    ) -> None:
        kept, now = ([value for part in parts for value in part.state_dict().values()] for parts in (averages, modules))
        pairs = list(zip(kept, now, strict=True))
        self.floats = [pair for pair in pairs if pair[0].is_floating_point()]
        self.counts = [pair for pair in pairs if not pair[0].is_floating_point()]  # batches that a norm has seen
        self.share = share
        for average in averages:
            average.requires_grad_(False).eval()

    @torch.no_grad()
    def update(self, done: int) -> None:
        """Moves the average towards the weights after a step, before which `done` were taken."""
        kept, now = zip(*self.floats, strict=True)
        get_ema_multi_avg_fn(1 - self.share(done))(list(kept), list(now), None)
        for count, newest in self.counts:
            count.copy_(newest)


class Strategy(Protocol):
    """What is trained, and how one step of it goes; the loop does everything else.

    Attributes:
        kind: a word for it, such as "encoder".
        config: a dataclass with `seed` and `batch`, and with `accumulate` where a step takes several batches.
        changeable: names of its fields that may change when a training goes on.
        machine: where it computes.
        pace: how long it goes on.
        networks: what learns, by name.
        average: of what learns; None keeps none.
        model: what is kept on disk, by its `save_pretrained`.
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
        """What each step after the first `done` learns from, without end."""

    def step(self, batch: Any, done: int) -> dict[str, Tensor]:
        """Learns from a batch, before which `done` steps were taken.

        Returns:
            Scalars by name, detached and still on the device: the loop looks at them later, many at once.
        """

    def validate(self) -> tuple[dict[str, float], Tensor | None]:
        """Measures `model`: values by name, and a sheet, both as in `Report`."""

    def state_dict(self) -> dict[str, Any]:
        """All that the next step depends on besides its number."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes back to where a state was taken."""


class Trainer:
    """Takes a strategy from its first step to its last.

    Each step is determined by the weights, the optimizer state and the step number: its batch follows from the number,
    and the random numbers are seeded with (seed, number, process). A state therefore holds nothing else, and a training
    that was killed repeats what came after its state and writes the same again.

    Args:
        strategy: what is trained.
        out: the folder for what is kept (see `keeper`); None keeps nothing.
        begun: what the training is made of, for `run.json`; the strategy's configuration unless given.

    Attributes:
        step: steps taken.
        seconds: spent in them, over all restarts.
    """

    def __init__(
        self, strategy: Strategy, out: str | Path | None = None, begun: Mapping[str, Any] | None = None
    ) -> None:
        self.strategy, self.machine, self.pace = strategy, strategy.machine, strategy.pace
        self.begun = {"trains": strategy.kind, **(begun or asdict(strategy.config))}
        self.step, self.seconds, self.best = 0, 0.0, math.inf
        self.pending: list[dict[str, Tensor]] = []  # losses that are still on the device, one entry a step
        self.recent: list[dict[str, float]] = []  # those that were found to be numbers, since the last report
        self.out = Path(out) if out else None
        self.keeper = Keeper(self.out) if self.out and self.machine.main else None
        self.stopping = self.resumed = False

    @property
    def model(self) -> Any:
        """What is validated, kept and used."""
        return self.strategy.model

    def run(self, minutes: float = math.inf) -> Iterator[Report]:
        """Trains from the step it stands at to the last one; yields after each validation.

        Args:
            minutes: how long at most. The state is saved then, and the rates follow the step number as ever.

        Raises:
            PspkitError: a loss or a weight that is no number, too little memory, a picture that cannot be read, a full
                disk, a training in the folder that was not resumed, or another one that is running there. What was
                kept before stays.
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
            PspkitError: too little memory.
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
            PspkitError: a loss that is no number.
        """
        self._fetch()
        found, sheet = self.strategy.validate()
        _refuse([found], self.step)
        total = found.get("total", math.inf)
        best, self.best = total < self.best, min(total, self.best)
        training, self.recent = _means(self.recent), []
        return Report(self.step, self.seconds, training, found, best, sheet)

    def stop(self) -> None:
        """Ends `run` after the step that it is in, with a saved state; a signal handler may call it."""
        self.stopping = True

    def state_dict(self) -> dict[str, Any]:
        """All that the next step depends on; `load_state_dict` takes it."""
        self._fetch()
        own = {name: getattr(self, name) for name in ("step", "seconds", "best", "recent")}
        return own | {"strategy": self.strategy.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes back to where a state was taken."""
        self.step, self.seconds, self.best = state["step"], state["seconds"], state["best"]
        self.pending, self.recent = [], list(state["recent"])
        self.strategy.load_state_dict(state["strategy"])

    def save(self) -> None:
        """Keeps the state and the model as they are; raises as `run`."""
        state = self.state_dict()
        for name, network in self.strategy.networks.items():
            if not all_finite(network.parameters()):
                raise _diverged(self.step, f"weights of the {name}")
        if self.keeper:
            self.keeper.save(state, self.model)

    def resume(self) -> None:
        """Goes back to the state that was kept last; stays at the start where there is none yet.

        Raises:
            PspkitError: the training in the folder began with something else, or not every process found its state.
            CheckpointError: the state is damaged, or that of another model.
        """
        if record := read_record(self.out):
            check_same(self.begun, record, self.strategy.changeable, self.out)
        if state := read_state(self.out):
            try:
                self.load_state_dict(state)
            except (KeyError, ValueError, RuntimeError, TypeError, AttributeError, IndexError) as error:
                raise CheckpointError(
                    f"{self.out}: its state is damaged, or that of another model ({str(error).partition(chr(10))[0]})."
                    " Resume with what the training began with, or name another folder."
                ) from error
        steps = [int(step) for step in self.machine.gather(self.step)]
        if len(set(steps)) > 1:
            raise PspkitError(
                f"{self.out}: the processes found states of different steps ({', '.join(map(str, steps))})."
                " Give all computers the same folder, or copy it to each."
            )
        self.resumed = True

    def _begin(self) -> None:
        if self.keeper:
            if not self.step and not self.resumed and read_record(self.out):
                raise PspkitError(f"{self.out}: holds a training already. Resume it, or name another folder.")
            self.keeper.begin(self.begun, self.step)

    def _agree(self, stop: bool) -> bool:
        """Whether a process wants to stop; several ask one another every few steps only, because that takes time."""
        return stop if self.machine.processes == 1 else self._due(RECENT) and any(self.machine.gather(stop))

    def _fetch(self) -> dict[str, float]:
        """Fetches the losses that are still on the device; returns the means of the latest ones.

        Raises:
            PspkitError: one of them is no number.
        """
        if self.pending:
            start = time.perf_counter()  # the device finishes its steps here
            values = iter(torch.stack([value for losses in self.pending for value in losses.values()]).tolist())
            fetched = [{name: next(values) for name in losses} for losses in self.pending]
            self.seconds += time.perf_counter() - start
            _refuse(fetched, self.step)
            self.recent, self.pending = self.recent + fetched, []
        return _means(self.recent[-RECENT:])

    def _due(self, every: int) -> bool:
        return self.step % every == 0 or self.step == self.pace.steps


def _means(losses: list[dict[str, float]]) -> dict[str, float]:
    """The mean of each loss over the steps that had it."""
    names = dict.fromkeys(name for step in losses for name in step)
    return {name: fmean(step[name] for step in losses if name in step) for name in names}


def _refuse(losses: list[dict[str, float]], last: int) -> None:
    """Stops at the first of some steps that has a loss that is no number."""
    for step, named in enumerate(losses, last - len(losses) + 1):
        if not all(map(math.isfinite, named.values())):
            raise _diverged(step, ", ".join(f"{name} {value:.3g}" for name, value in named.items()))


def _diverged(step: int, what: str) -> PspkitError:
    return PspkitError(
        f"step {step}: no number any more: {what}. What was kept last stays. Go on from it, or train anew, with a lower"
        " learning rate or in float32."
    )
