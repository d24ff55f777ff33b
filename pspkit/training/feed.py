"""From data to batches: the order of every epoch, and the processes that read them."""

import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count
from typing import Protocol, TypeVar

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from pspkit.data.tasks import PairDataset, Task
from pspkit.errors import PspkitError
from pspkit.training.machine import Machine

Share = TypeVar("Share")
# Sources (N, input_nc, S, S), targets (N, 3, H, H) and, where they are known, the targets' codes (N, n_styles,
# style_dim), all on the device.
Pair = tuple[Tensor, ...]


class PairSource(Protocol):
    """Training pairs that come as whole batches, without end: heads that are drawn on the GPU, for example.

    Attributes:
        task: whose pairs they are.
    """

    task: Task

    def batches(self, done: int, size: int, machine: Machine) -> Iterator[Pair]:
        """Batches of `size` pairs on the machine's device, after the first `done` of this process.

        What they hold is to depend on nothing but their number and `machine.rank`, so that a training goes on exactly.
        """


class Feed:
    """Reads the pairs of a data set in a given order, and brings them onto the machine's device.

    Its worker processes live as long as it does; 0 workers read in this process.
    """

    def __init__(self, pairs: PairDataset, machine: Machine, workers: int) -> None:
        self.device, self.order = machine.device, _Order()
        self.loader = DataLoader(
            pairs,
            batch_sampler=self.order,
            num_workers=workers,
            pin_memory=machine.device.type == "cuda",
            persistent_workers=workers > 0,
            worker_init_fn=_leave_interrupts_to_the_main_process,
            generator=torch.Generator(device="cpu"),  # else it would take a number from the one that the steps use
        )

    def read(self, batches: Iterable[Tensor]) -> Iterator[Pair]:
        """Batches of pairs; `batches` holds the numbers (B,) of the pairs in each.

        Raises:
            PspkitError: a picture cannot be read.
        """
        self.order.batches = [batch.tolist() for batch in batches]
        try:
            for pair in self.loader:
                yield tuple(part.to(self.device, non_blocking=True) for part in pair)
        except PspkitError as error:  # in a worker: its traceback comes first
            raise PspkitError(str(error).rpartition("PspkitError: ")[2]) from None


class _Order:
    """The batches of the next pass, for a loader whose workers outlive the pass."""

    batches: Sequence[list[int]] = ()

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)


def shares(order: Callable[[int], Sequence[Share]], steps: int, done: int) -> Iterator[Share]:
    """What each step after the first `done` takes, without end; `order` gives it for all the `steps` of an epoch."""
    for epoch in count(done // steps):
        yield from order(epoch)[max(done - epoch * steps, 0) :]


def _leave_interrupts_to_the_main_process(worker: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
