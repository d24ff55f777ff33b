"""A few cases of every sort that `python -m tools.fuzz` tries in large numbers: the same ones in every run."""

import sys

import pytest

from pspkit import PspkitError
from tools.fuzz import kills
from tools.fuzz.__main__ import SORTS, try_sort
from tools.fuzz.trying import find_fault

COUNTS = {"pictures": 100, "weights": 60, "lines": 60}


@pytest.mark.filterwarnings("ignore")  # Pillow's about the damage
@pytest.mark.parametrize("sort", SORTS)
def test_nothing_that_is_given_ends_otherwise_than_in_a_clear_error(sort):
    assert try_sort(sort, range(COUNTS[sort]), seed=0) == []


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a fork with PyTorch in it may fail by itself")
@pytest.mark.parametrize("name", ["translate", "render"])
def test_what_is_killed_and_run_again_gives_what_an_undisturbed_run_gives(name, tmp_path, one_thread):
    assert kills.find_faults(name, rounds=1, seed=0, folder=tmp_path) == []


@pytest.mark.parametrize(
    ("call", "fault"),
    [
        (lambda path: {}["a"], "KeyError: 'a'"),
        (lambda path: sys.exit(5), "exits with 5"),
        (lambda path: [bytearray(b"x") * 700_000_000], "takes 7"),
        (lambda path: (_ for _ in ()).throw(PspkitError("damaged")), "does not name the file: damaged"),
        (lambda path: (_ for _ in ()).throw(PspkitError(f"{path}: damaged")), ""),
    ],
)
def test_a_fault_is_seen(call, fault, tmp_path):
    path = tmp_path / "a.png"

    def tried():
        result = call(path)
        return next(result) if hasattr(result, "__next__") else result

    assert find_fault(tried, path).startswith(fault)
    assert bool(find_fault(tried, path)) == bool(fault)
