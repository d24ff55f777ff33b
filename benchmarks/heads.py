"""Rendering heads into the cache: as many processes as torch has threads against one, in heads per second."""

import argparse
import contextlib
import io
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.measure import machine
from pspkit.data.heads import SIZES, HeadsDataset, render, sample_factors


def heads_per_second(count: int, run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return count / (time.perf_counter() - start)


def into_cache(count: int, size: int) -> None:
    no_bar = contextlib.redirect_stderr(io.StringIO())
    with tempfile.TemporaryDirectory() as cache, no_bar:
        HeadsDataset("train", count, size, cache=Path(cache))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=256, help="heads of a round at 64 px; half of it at larger sizes")
    parser.add_argument("--runs", type=int, default=3, help="rounds")
    options = parser.parse_args()
    print("\nRendering heads, 2 x 2 samples a pixel, with shadows and occlusion")
    print(f"{machine()}, medians of {options.runs} rounds")
    print(f"{'':8}{'one process':>14}{'all':>8}{'faster':>9}    20,000 heads")
    render(sample_factors(2, 0), SIZES[0])  # the first call of a process is slow
    for size in SIZES:
        count = options.count if size == SIZES[0] else options.count // 2
        rounds = [
            (
                heads_per_second(count // 4, lambda n=count // 4, size=size: render(sample_factors(n, 0), size)),
                heads_per_second(count, lambda n=count, size=size: into_cache(n, size)),
            )
            for _ in range(options.runs)
        ]
        one, every = (statistics.median(column) for column in zip(*rounds, strict=True))
        ratio = statistics.median(b / a for a, b in rounds)
        print(f"{size:5} px{one:12.1f}/s{every:6.1f}/s{ratio:8.2f}x{20_000 / every / 60:10.0f} min", flush=True)


if __name__ == "__main__":
    main()
