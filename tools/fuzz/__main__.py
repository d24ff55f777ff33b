"""Tries it: see the package."""

import argparse
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from tools.fuzz import kills, lines, pictures, weights
from tools.fuzz.trying import find_fault

SORTS = {"pictures": pictures, "weights": weights, "lines": lines}


def try_sort(sort: str, numbers: range, seed: int) -> list[str]:
    """Makes some cases of a sort and tries each; returns the faults, with how to make their cases again."""
    faults, torch_threads = [], torch.get_num_threads()
    torch.set_num_threads(1)
    for number in tqdm(numbers, sort, disable=len(numbers) < 10):
        rng = np.random.default_rng([seed, number])
        with tempfile.TemporaryDirectory() as folder:
            (inside := Path(folder, "given")).mkdir()
            for name, call in SORTS[sort].cases(inside, rng):
                if fault := find_fault(call, name):
                    faults.append(f"{sort}:{number} (seed {seed}) {getattr(call, 'func', call).__name__} {fault}")
    torch.set_num_threads(torch_threads)
    return faults


def main() -> int:
    """Tries many; the exit code is 1 where there are faults."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000, help="cases of each sort (default: 1000)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", metavar="SORT[:NUMBER]", help="such as weights, weights:417 or kills:train")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # Pillow's about the damage
    sort, _, number = (arguments.only or "").partition(":")
    faults = []
    if sort in ("", "kills"):  # first: processes are forked before any thread is there
        torch.set_num_threads(1)
        for name in [number] if number else kills.WORKS:
            with tempfile.TemporaryDirectory() as folder:
                found = kills.find_faults(name, max(1, arguments.count // 100), arguments.seed, Path(folder))
            print(f"kills of {name}: {len(found)} faults", *found, sep="\n  ", flush=True)
            faults += found
    for name in [sort] if sort in SORTS else SORTS if not sort else ():
        numbers = range(int(number), int(number) + 1) if number else range(arguments.count)
        found = try_sort(name, numbers, arguments.seed)
        print(f"{name}: {len(numbers)} cases, {len(found)} faults", *found, sep="\n  ", flush=True)
        faults += found
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
