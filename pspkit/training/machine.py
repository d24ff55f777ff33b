"""Where a training computes: its device, its precision, and the processes that share its steps."""

import atexit
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor

from pspkit.device import choose_device, native_precision
from pspkit.errors import PspkitError, check_choice

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
PATIENCE = timedelta(hours=3)  # how long the other processes wait for one that renders


class Machine:
    """One device with one precision, and its place among the processes that `torchrun` started.

    Every training has its own machine, and machines share nothing. Trainings with different precisions can therefore
    take turns in one process. Several processes average their gradients before every step.

    Args:
        device: as `choose_device` takes it; under `torchrun` each process takes the GPU of its own number.
        precision: "float32", "bfloat16", "float16", or "auto", which is bfloat16 if the device computes in it natively.

    Attributes:
        device: the device of the networks.
        precision: a key of `PRECISIONS`.
        rank: number of this process; 0 is the main process, which writes and prints.
        processes: number of processes that share every step.

    Raises:
        PspkitError: there is no such device or precision, or float16 is asked for on a CPU.
    """

    def __init__(self, device: str | None = None, precision: str = "float32") -> None:
        check_choice("precision", precision, (*PRECISIONS, "auto"))
        self.rank, self.processes = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
        self.local = int(os.environ.get("LOCAL_RANK", 0))  # number among the processes of this computer
        self.device = choose_device(device)
        if self.processes > 1:
            if self.device.type == "cuda":
                self.device = torch.device("cuda", self.local)
                torch.cuda.set_device(self.device)
            if not dist.is_initialized():
                dist.init_process_group("nccl" if self.device.type == "cuda" else "gloo", timeout=PATIENCE)
                atexit.register(dist.destroy_process_group)
        self.precision = native_precision(self.device) if precision == "auto" else precision
        if self.precision == "float16" and self.device.type == "cpu":
            raise PspkitError("precision: float16 needs a GPU. Choose float32, bfloat16 or auto.")
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.precision == "float16")

    def __str__(self) -> str:
        return f"{self.device.type}, {self.precision}, {self.processes} process{'es' * (self.processes > 1)}"

    @property
    def main(self) -> bool:
        """Whether this is the process that writes and prints."""
        return self.rank == 0

    def autocast(self) -> torch.autocast:
        """Returns a context in which networks compute in this machine's precision."""
        dtype = PRECISIONS[self.precision]
        return torch.autocast(self.device.type, dtype, enabled=dtype != torch.float32)

    def update(self, optimizer: torch.optim.Optimizer) -> None:
        """Takes one step with the mean of all processes' gradients, and clears them."""
        parameters = (parameter for group in optimizer.param_groups for parameter in group["params"])
        self.average([parameter.grad for parameter in parameters if parameter.grad is not None])
        self.scaler.step(optimizer)
        self.scaler.update()
        optimizer.zero_grad()

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replaces float32 tensors, in place, by their means over the processes."""
        if self.processes == 1 or not tensors:
            return
        sums = self.total(torch.cat([tensor.reshape(-1) for tensor in tensors]))
        for tensor, part in zip(tensors, sums.split([tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(part.view_as(tensor) / self.processes)

    def total(self, values: Tensor) -> Tensor:
        """Sums a tensor over the processes, in place, and returns it."""
        if self.processes > 1:
            dist.all_reduce(values)
        return values

    def gather(self, number: float) -> list[float]:
        """Collects one number from each process, in the order of their ranks."""
        if self.processes == 1:
            return [number]  # No transfer: the device would have to finish first.
        numbers = torch.zeros(self.processes, dtype=torch.float64 if self.device.type != "mps" else torch.float32)
        numbers[self.rank] = number
        return self.total(numbers.to(self.device)).tolist()

    @contextmanager
    def first(self) -> Iterator[None]:
        """Runs a block in one process of each computer, with all cores, before the others run it.

        The others then find in the cache what the first has rendered. `torchrun` gives every process one thread, so
        that rendering would otherwise have a single worker.
        """
        if self.processes == 1:
            yield
            return
        threads = torch.get_num_threads()
        if self.local:
            dist.barrier()
        else:
            torch.set_num_threads(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count())
        try:
            yield
        finally:
            torch.set_num_threads(threads)
        if not self.local:
            dist.barrier()


def all_finite(tensors: Iterable[Tensor]) -> bool:
    """Whether all entries of all tensors are finite; waits for the device once."""
    return bool(torch.stack([tensor.isfinite().all() for tensor in tensors]).all())


@contextmanager
def memory_explained(batch: int, accumulate: int | None = None) -> Iterator[None]:
    """Turns the various errors of a full memory into a `PspkitError` that says what to change."""
    try:
        yield
    except RuntimeError as error:
        text = str(error)
        if "out of memory" not in text and "can't allocate memory" not in text:
            raise
        remedy = "Lower it."
        if accumulate:
            remedy = f"Halve it and double accumulate (now {accumulate}): the steps stay the same."
        raise PspkitError(f"batch: {batch} does not fit into memory ({text.splitlines()[0]}). {remedy}") from error
