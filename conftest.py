"""What holds for every test, the notebooks' cells included."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

try:
    from nbval.plugin import IPyNbCell
except ImportError:  # a GPU machine that runs tests/gpu alone needs no notebooks

    class IPyNbCell:
        """Stands in for a notebook's cell; nothing is one."""


pytest_plugins = ["pytester"]
GPU_TESTS = Path(__file__).parent / "tests" / "gpu"


def pytest_configure() -> None:
    os.environ["PSPKIT_PROFILE"] = "smoke"  # kernels inherit it: a test run is the small one on any machine
    os.environ["PSPKIT_DEVICE"] = "cpu"  # and gives the same numbers; only tests/gpu chooses otherwise


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leaves tests/gpu out unless it is named: `make test-gpu` runs it."""
    named = any("gpu" in Path(argument).parts for argument in config.args)
    return True if collection_path == GPU_TESTS and not named else None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if isinstance(item, IPyNbCell) and report.failed:
        item.parent.timed_out = True  # nbval's own sign for a notebook that cannot go on
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item) -> None:
    if isinstance(item, IPyNbCell) and item.parent.timed_out:
        pytest.skip("an earlier cell of this notebook failed")


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Sums in one order: with several threads two trainings may differ in their last bits."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
