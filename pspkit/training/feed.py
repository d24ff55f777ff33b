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
# Sources (N, input_nc, S, S), targets (N, 3, H, H) and, if they are known, the codes of the targets (N, n_styles,
# style_dim); all are on the device.
Pair = tuple[Tensor, ...]


class PairSource(Protocol):
    """Training pairs in whole batches, without end; for example, of heads that are drawn on the GPU.

    Attributes:
        task: the task of the pairs.
    """

    task: Task

    def batches(self, done: int, size: int, machine: Machine) -> Iterator[Pair]:
        """Yields batches of `size` pairs on the machine's device, after the first `done` batches of this process.

        Their content must depend only on their number and on `machine.rank`, so that a resumed training repeats them.
        """


class Feed:
    """Reads the pairs of a data set in a given order, and brings them onto the machine's device.

    Its worker processes live as long as the feed. With 0 workers, this process reads.
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
            generator=torch.Generator(device="cpu"),  # It must not take a number from the generator of the steps.
        )

    def read(self, batches: Iterable[Tensor]) -> Iterator[Pair]:
        """Yields batches of pairs; `batches` holds the numbers (B,) of the pairs in each.

        Raises:
            PspkitError: a picture cannot be read.
        """
        self.order.batches = [batch.tolist() for batch in batches]
        try:
            for pair in self.loader:
                yield tuple(part.to(self.device, non_blocking=True) for part in pair)
        except PspkitError as error:  # A worker's error begins with its traceback.
            raise PspkitError(str(error).rpartition("PspkitError: ")[2]) from None


class _Order:
    """The batches of the next pass through the data; the loader's workers live on after it."""

    batches: Sequence[list[int]] = ()

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)


def shares(order: Callable[[int], Sequence[Share]], steps: int, done: int) -> Iterator[Share]:
    """Yields the share of each step after the first `done`; `order` gives those of all `steps` of an epoch."""
    for epoch in count(done // steps):
        yield from order(epoch)[max(done - epoch * steps, 0) :]


def _leave_interrupts_to_the_main_process(worker: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
