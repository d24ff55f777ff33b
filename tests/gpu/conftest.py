"""What holds for the tests on a GPU: where they compute, in which precision, and how errors are recorded.

make test-gpu                                  on a machine with a GPU
PSPKIT_REHEARSE=1 python -m pytest tests/gpu   everything on the CPU, to see that the tests themselves work
"""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from pspkit.config import TRAININGS
from pspkit.training import Run, Trainer

REHEARSAL = os.environ.get("PSPKIT_REHEARSE") == "1"
RECORD = "PSPKIT_GPU_RECORD"  # names a file to which every error is added as one line of JSON
TOLERANCE = 1e-4  # relative, float32 without TF32


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not torch.cuda.is_available() and not REHEARSAL:
        for item in items:
            if Path(__file__).parent in item.path.parents:
                item.add_marker(pytest.mark.skip(reason="no CUDA device is there (PSPKIT_REHEARSE=1 takes the CPU)"))


@pytest.fixture(scope="session")
def device() -> torch.device:
    return torch.device("cpu") if REHEARSAL else torch.device("cuda", torch.cuda.current_device())


@pytest.fixture(autouse=True)
def exact(monkeypatch: pytest.MonkeyPatch, device: torch.device) -> Iterator[None]:
    """Takes the GPU, without TF32; a test that wants TF32 asks `tf32` for it."""
    monkeypatch.setenv("PSPKIT_DEVICE", device.type)
    with tf32(False):
        yield


@contextmanager
def tf32(allowed: bool) -> Iterator[None]:
    """Whether products and convolutions of float32 are computed in TF32, which has ten bits after the point."""
    settings = (torch.backends.cuda.matmul, torch.backends.cudnn)
    before = [setting.allow_tf32 for setting in settings]
    for setting in settings:
        setting.allow_tf32 = allowed
    try:
        yield
    finally:
        for setting, value in zip(settings, before, strict=True):
            setting.allow_tf32 = value


def error(ours: Tensor, theirs: Tensor) -> float:
    """Relative error of the norm, computed on the CPU in float64."""
    ours, theirs = ours.detach().cpu().double(), theirs.detach().cpu().double()
    return ((ours - theirs).norm() / theirs.norm()).item()


@pytest.fixture
def record(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Notes measured errors: in the test's report, and in the file that `PSPKIT_GPU_RECORD` names."""

    def note(**errors: float) -> None:
        for name, value in errors.items():
            request.node.user_properties.append((name, value))
            print(f"{request.node.name}: {name} {value:.1e}")
        if path := os.environ.get(RECORD):
            with Path(path).open("a", encoding="utf-8") as file:
                file.write(json.dumps({"test": request.node.name, **errors}) + "\n")

    return note


@pytest.fixture
def agree(device: torch.device, record: Callable[..., None]) -> Callable[..., None]:
    """Holds a network on the GPU to itself on the CPU, and records the error with TF32 on."""

    @torch.no_grad()
    def check(network: nn.Module, function: Callable[..., Tensor], *inputs: Tensor) -> None:
        network.cpu()
        expected = function(*inputs)
        network.to(device)
        inputs = tuple(value.to(device) for value in inputs)
        found = error(function(*inputs), expected)
        with tf32(True):
            loose = error(function(*inputs), expected)
        record(float32=found, tf32=loose)
        assert found < TOLERANCE
        assert loose < 0.05

    return check


def smoke_run(**changes) -> Run:
    """The smallest training of rendered heads, with other settings where they are named."""
    return Run(profile="smoke", training=replace(TRAININGS["smoke"], **changes))


def trained_weights(trainer: Trainer) -> dict[str, Tensor]:
    """The encoder's weights, without the running statistics of its norms, on the CPU."""
    state = trainer.strategy.psp.encoder.state_dict()
    return {name: tensor.cpu().clone() for name, tensor in state.items() if "running_" not in name}
