"""What holds for every test, the notebooks' cells included."""

import os
from collections.abc import Iterator

import pytest
import torch
from nbval.plugin import IPyNbCell

pytest_plugins = ["pytester"]


def pytest_configure() -> None:
    os.environ["PSPKIT_PROFILE"] = "smoke"  # kernels inherit it: a test run is the small one on any machine


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
