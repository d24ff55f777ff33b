"""What an exported file gives, beside what PyTorch gives for the same inputs."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from pspkit.errors import PspkitError
from pspkit.inference.export.parts import PARTS
from pspkit.inference.runtime import Run
from pspkit.losses.identity import IdentityLoss
from pspkit.losses.perceptual import load_lpips
from pspkit.psp import PSP

TOLERANCE = 1e-3  # of float32, relative to the largest value
ROUNDS = 5


@dataclass(frozen=True)
class Verdict:
    """What a comparison found; as a string, the text that `pspkit export` prints.

    Attributes:
        size_mb: of the file.
        count: inputs that were compared.
        error: the largest difference to PyTorch's outputs, relative to the largest of their values.
        lpips: mean LPIPS between the pictures of both; None where it was not measured.
        identity: mean cosine between the people in the pictures of both; None where it was not measured.
        seconds: for one input, by the file; the median of some rounds.
        torch_seconds: by the model, in the same rounds.
    """

    size_mb: float
    count: int
    error: float
    lpips: float | None
    identity: float | None
    seconds: float
    torch_seconds: float

    def __str__(self) -> str:
        lines = [
            f"{self.size_mb:.1f} MB. On {self.count} inputs the largest difference to PyTorch is {self.error:.1e} of"
            " the largest value."
        ]
        if self.lpips is not None:
            people = "" if self.identity is None else f", likeness of the people {self.identity:.3f} (1 at best)"
            lines.append(f"Between its pictures and PyTorch's: LPIPS {self.lpips:.4f} (0 at best){people}.")
        factor = self.torch_seconds / self.seconds
        lines.append(
            f"One input takes {self.seconds * 1000:,.1f} ms by the file and {self.torch_seconds * 1000:,.1f} ms by"
            f" the model in PyTorch and float32, {factor:.2f} times as long, with {torch.get_num_threads()} threads."
        )
        return "\n".join(lines)


def compare(
    psp: PSP,
    part: str,
    path: Path,
    run: Run,
    inputs: Tensor,
    batch: int | None,
    losses: bool,
    identity: IdentityLoss | None,
) -> Verdict:
    """Runs a file and the model that it was made from on the same inputs.

    Args:
        psp: the model.
        part: a key of `PARTS`.
        path: the file.
        run: runs it.
        inputs: as the part takes them, (N, ...).
        batch: inputs that the file takes at once; any number if None.
        losses: whether pictures are compared by LPIPS and by the people in them.
        identity: compares people; None leaves that out.

    Raises:
        PspkitError: the file does not give what PyTorch gives, although it computes in float32.
    """
    found, step = PARTS[part], batch or 1
    inputs = inputs[: max(step, len(inputs) // step * step)]
    if len(inputs) < step:
        inputs = inputs.repeat(-(-step // len(inputs)), *[1] * (inputs.ndim - 1))[:step]
    with torch.no_grad():
        parts = inputs.split(step)
        want = [torch.cat(outputs) for outputs in zip(*(found.run(psp, x) for x in parts), strict=True)]
        have = [torch.cat(outputs) for outputs in zip(*(run(x) for x in parts), strict=True)]
        error = max(((a - b).abs().max() / a.abs().max()).item() for a, b in zip(want, have, strict=True))
        if not losses and not error < TOLERANCE:  # nan is no less
            raise PspkitError(
                f"{path}: the file's results differ from PyTorch's by {error:.1e} of the largest value, more than"
                f" {TOLERANCE:.0e}. The file is there to look at; do not use it."
            )
        lpips = likeness = None
        if losses:
            shown = [outputs[-1].clamp(-1, 1) if "picture" in found.gives else psp.decode(outputs[-1]).clamp(-1, 1)
                     for outputs in (want, have)]  # fmt: skip
            lpips = _mean(load_lpips(), *shown)
            likeness = None if identity is None else 1 - _mean(identity, *shown)
        theirs, ours = _times(lambda: found.run(psp, parts[0]), lambda: run(parts[0]))
    return Verdict(path.stat().st_size / 1e6, len(inputs), error, lpips, likeness, ours / step, theirs / step)


def _mean(loss: Callable[[Tensor, Tensor], Tensor], a: Tensor, b: Tensor) -> float:
    return sum(loss(x[None], y[None]).mean().item() for x, y in zip(a, b, strict=True)) / len(a)


def _times(*runs: Callable[[], object]) -> list[float]:
    """Median seconds of each, taking turns."""
    taken = [[] for _ in runs]
    for _ in range(ROUNDS):
        for run, times in zip(runs, taken, strict=True):
            start = time.perf_counter()
            run()
            times.append(time.perf_counter() - start)
    return [sorted(times)[ROUNDS // 2] for times in taken]
