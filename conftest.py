"""What holds for every test, the notebooks' cells included."""

import os

import pytest
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
