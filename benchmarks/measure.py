"""Times several ways to do one thing: in turn, in one process, against the first of them."""

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor


def arguments(description: str, **defaults: int) -> argparse.Namespace:
    """The command line of a benchmark: the options named, with its own defaults."""
    helps = {
        "size": "side of the pictures, pixels",
        "batch": "pictures at once",
        "runs": "timed rounds, after a warm-up",
    }
    parser = argparse.ArgumentParser(description=description)
    for name, default in defaults.items():
        parser.add_argument(f"--{name}", type=int, default=default, help=f"{helps[name]}; {default} unless given")
    return parser.parse_args()


def machine() -> str:
    """The processor, the threads and the version of torch that a figure belongs to."""
    processor = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")  # on Linux it holds the processor's name
    if cpuinfo.exists():
        names = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        processor = names[0].split(":")[1].strip() if names else processor
    return f"{processor}, {torch.get_num_threads()} threads, torch {torch.__version__}"


def compare(title: str, options: dict[str, Callable[[], Tensor]], runs: int) -> None:
    """Prints one line per option: median time, how many times faster than the first, error against the first.

    Rounds take every option once, so that a busy machine hits all alike; the ratio is the median of the rounds' ratios.

    Args:
        title: what is done, at which size.
        options: what to run by name; the first is what the others are held against.
        runs: rounds.
    """
    print(f"\n{title}\n{machine()}, medians of {runs} rounds")
    print(f"{'':40}{'seconds':>10}{'faster':>10}{'error':>10}", flush=True)
    results = {name: run() for name, run in options.items()}  # also the warm-up
    truth = next(iter(results.values()))
    errors = {name: ((result.float() - truth).norm() / truth.norm()).item() for name, result in results.items()}
    del results, truth
    rounds = []
    for _ in range(runs):
        seconds = {}
        for name, run in options.items():
            start = time.perf_counter()
            run()
            seconds[name] = time.perf_counter() - start
        rounds.append(seconds)
    first = next(iter(options))
    for name in options:
        median = statistics.median(seconds[name] for seconds in rounds)
        faster = statistics.median(seconds[first] / seconds[name] for seconds in rounds)
        print(f"{name:40}{median:10.2f}{faster:9.2f}x{errors[name]:10.1e}")
