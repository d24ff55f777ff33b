"""The reference's numbers: weights and inputs that follow from names, and what it answered for them.

`golden/official_*` were printed by the reference implementation; `golden/README.md` says how.
"""

import json
import zlib
from functools import cache
from pathlib import Path

import numpy as np
import torch

GOLDEN = Path(__file__).parent / "golden"
KEPT_SCALE = ("modulation", "input.input", "noises")


@cache
def state_dicts() -> dict[str, dict[str, list[int]]]:
    """Key to shape, for every module of the reference that was printed."""
    return json.loads((GOLDEN / "official_state_dicts.json").read_text())


@cache
def answers() -> dict[str, torch.Tensor]:
    """Output by name, for every printed output."""
    return {
        name: torch.from_numpy(values)
        for file in sorted(GOLDEN.glob("official_*.npz"))
        for name, values in np.load(file).items()
    }


def draw(name: str, shape) -> torch.Tensor:
    """Standard normal values that depend on the name alone."""
    rng = np.random.RandomState(zlib.crc32(name.encode()))
    return torch.from_numpy(rng.standard_normal(tuple(shape)).astype(np.float32))


def weight(key: str, value: torch.Tensor, prefix: str) -> torch.Tensor:
    """The weight that belongs to a state-dict key."""
    last = key.rsplit(".", 1)[-1]
    if last == "num_batches_tracked" or "kernel" in last:
        return value
    n = draw(prefix + key, value.shape)
    if last == "running_var":
        return 1 + 0.1 * n.abs()
    if last == "running_mean":
        return 0.1 * n
    if value.ndim >= 2:
        if key.startswith("style."):
            return 100 * n
        if value.ndim == 5 or key.endswith("linear.weight") or any(part in key for part in KEPT_SCALE):
            return n
        return n * (2 / value[0].numel()) ** 0.5
    if last == "weight":
        return 0.1 * n if value.numel() == 1 else (0.2 if "res_layer.4" in key else 1.0) * (1 + 0.1 * n)
    return 0.1 * n + (1.0 if key.endswith("modulation.bias") else 0.0)


def fill(module: torch.nn.Module, prefix: str) -> torch.nn.Module:
    """Gives a module the weights of its keys; in eval mode, without gradients."""
    module.load_state_dict({key: weight(key, value, prefix) for key, value in module.state_dict().items()})
    return module.eval().requires_grad_(False)


def relative_error(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    return ((ours - theirs).norm() / theirs.norm()).item()
