import pytest

from tests.examples import make_psp as make


@pytest.fixture
def make_psp():
    """From a task's name to an untrained model of it, 64 px in, 16 px out."""
    return make
