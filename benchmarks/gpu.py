"""Everything that a GPU has to show, within four minutes: `make gpu`, or `python -m benchmarks.gpu`.

First tests/gpu runs, then the measurements, in the order of their importance. Each one is written to
`benchmarks/results/gpu-NAME.json` as soon as it is taken, so that a stop at any moment loses nothing, and each stands
beside the textbook form in the same run. Nothing is fetched and nothing is installed; packages that lie unpacked in
the folder `packages` beside `benchmarks` are used (see `tools/bundle.py`).
"""

import argparse
import gc
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from pspkit.storage.atomic import replacing

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ROOT / "packages"
RESULTS = ROOT / "benchmarks" / "results"
MINUTES, TEST_SECONDS = 4.0, 110.0  # in all; of the tests at most
CLOSING = 5.0  # seconds that are kept to write what was left out
LEAST, LEAST_COMPILED = 4.0, 25.0  # seconds below which a measurement is not begun
RUNS, TIMED_SECONDS = (5, 20), 0.6  # timed calls at least and at most, and how long they may take once there are enough


class Size(NamedTuple):
    """How large everything is."""

    profile: str  # of the training step and of the encoder
    side: int  # of the decoder's pictures
    batches: tuple[int, ...]  # of decoding and encoding
    batch: int  # of the training step
    heads: int  # to render in one call


SIZES = {"reference": Size("paper", 1024, (1, 8, 32), 8, 4), "smoke": Size("smoke", 16, (1, 2), 2, 1)}


class Results:
    """The file of one machine: read when opened, written whole after every addition."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}

    def put(self, name: str, value: Any) -> None:
        """Sets one entry."""
        self.content[name] = value
        self._write()

    def add(self, name: str, value: Any) -> None:
        """Appends to a list."""
        self.content.setdefault(name, []).append(value)
        self._write()

    def _write(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(self.path) as part:
            part.write_text(json.dumps(self.content, indent=1) + "\n", encoding="utf-8")


class Bench:
    """Takes measurements until the time is up.

    Args:
        results: where they go.
        device: where they are taken.
        until: when to stop, in seconds of `time.monotonic`.
    """

    def __init__(self, results: Results, device: Any, until: float) -> None:
        self.results, self.device, self.until = results, device, until
        self.first: dict[tuple, float] = {}  # seconds of the first way of each measurement

    def take(
        self,
        what: str,
        way: str,
        run: Callable[[], Any],
        *,
        items: int,
        batch: int | None = None,
        least: float = LEAST,
        reference: Any = None,
        builds: bool = False,
        runs: int = RUNS[0],
    ) -> Any:
        """Times one way to do something, and writes what it found, or why it found nothing.

        The first way of every measurement is the one that the others are held against.

        Args:
            what: the measurement.
            way: how it is done, precision included.
            run: what is timed.
            items: pictures that one call makes.
            batch: pictures at once.
            least: seconds that have to be left.
            reference: a tensor that the call's result is compared with.
            builds: whether `run` is not timed itself, but returns what is.
            runs: timed calls at least, after one that is not timed.

        Returns:
            What the last call returned; None where nothing was measured.
        """
        import torch

        entry: dict[str, Any] = {"what": what, "way": way, "batch": batch}
        if self.until - time.monotonic() < least:
            self.results.add("left_out", entry)
            return None
        result = None
        try:
            if self.device.type == "cuda":
                gc.collect()  # a trainer's parts refer to one another
                torch.cuda.empty_cache()
                torch.cuda.reset_peak_memory_stats()
            run = run() if builds else run
            start = time.monotonic()
            run(), self._wait()
            entry["first_seconds"] = round(time.monotonic() - start, 4)
            seconds, begun = [], time.monotonic()
            while len(seconds) < RUNS[1] and (len(seconds) < runs or time.monotonic() - begun < TIMED_SECONDS):
                start = time.perf_counter()
                result = run()
                self._wait()
                seconds.append(time.perf_counter() - start)
                if time.monotonic() > self.until and seconds:
                    break
            median = statistics.median(seconds)
            held_against = self.first.setdefault((what, batch), median)
            entry |= {
                "seconds": median,
                "fastest": min(seconds),
                "runs": len(seconds),
                "per_second": items / median,
                "faster": held_against / median,
            }
            if self.device.type == "cuda":
                entry["peak_gib"] = torch.cuda.max_memory_allocated() / 2**30
            if reference is not None:
                entry["error"] = ((result.float() - reference).norm() / reference.norm()).item()
        except Exception as error:  # one way that fails must not cost the rest
            first_line = next(iter(str(error).strip().splitlines()), "")
            entry["failed"], result = f"{type(error).__name__}: {first_line}"[:300], None
        self.results.add("measurements", entry)
        shown = entry.get("failed") or f"{entry['per_second']:9.2f}/s  {entry['faster']:5.2f}x"
        print(f"{what}, batch {batch}: {way:36} {shown}", flush=True)
        return result

    def _wait(self) -> None:
        import torch

        if self.device.type != "cpu":
            torch.accelerator.synchronize()


@contextmanager
def tf32(allowed: bool) -> Iterator[None]:
    """Whether products and convolutions of float32 are computed in TF32."""
    import torch

    for setting in (torch.backends.cuda.matmul, torch.backends.cudnn):
        setting.allow_tf32 = allowed
    try:
        yield
    finally:
        for setting in (torch.backends.cuda.matmul, torch.backends.cudnn):
            setting.allow_tf32 = False


def training(bench: Bench, size: Size) -> None:
    """A training step: encoder, decoder, losses, gradients and optimiser."""
    from benchmarks.train import pspkit_step, textbook_step

    ways = {
        "textbook form, float32": (textbook_step, "float32", False),
        "pspkit, float32": (pspkit_step, "float32", False),
        "textbook form, TF32": (textbook_step, "float32", True),
        "pspkit, TF32": (pspkit_step, "float32", True),
        "textbook form, bfloat16": (textbook_step, "bfloat16", True),
        "pspkit, bfloat16": (pspkit_step, "bfloat16", True),
    }
    for way, (make, precision, allowed) in ways.items():
        with tf32(allowed):
            bench.take(
                "training step",
                way,
                partial(_step, size, precision, make),
                items=size.batch,
                batch=size.batch,
                builds=True,
            )


def compiled_training(bench: Bench, size: Size) -> None:
    """The same step with both networks compiled."""
    import torch

    from benchmarks.train import prepare, pspkit_step

    def build() -> Callable[[], Any]:
        step, psp = prepare(size.profile, size.batch, "bfloat16", pspkit_step)
        psp.encoder.compile()
        psp.decoder.synthesis = torch.compile(psp.decoder.synthesis)
        return step

    with tf32(True):
        arguments = {"items": size.batch, "batch": size.batch, "least": LEAST_COMPILED, "builds": True}
        bench.take("training step", "pspkit, bfloat16, compiled", build, **arguments)


def _step(size: Size, precision: str, make: Callable) -> Callable[[], Any]:
    from benchmarks.train import prepare

    return prepare(size.profile, size.batch, precision, make)[0]


def in_bfloat16(function: Callable, *inputs: Any) -> Any:
    """Calls a function under autocast, on the device of its last input."""
    import torch

    with torch.autocast(inputs[-1].device.type, torch.bfloat16):
        return function(*inputs)


def decoding(bench: Bench, size: Size, compiled: bool = False) -> None:
    """Codes to pictures by StyleGAN2."""
    import torch

    from benchmarks import textbook
    from benchmarks.decode import lively
    from pspkit.models.stylegan2 import Generator

    torch.manual_seed(0)
    with bench.device:
        generator = lively(Generator(size.side))
    what, book = f"decoding to {size.side} px", partial(textbook.synthesis, generator)
    with torch.no_grad():
        for batch in size.batches[1:2] if compiled else size.batches:
            w = generator.mapping(torch.randn(batch, generator.style_dim, device=bench.device))
            codes = w[:, None].expand(-1, generator.n_styles, -1)
            take = partial(bench.take, what, items=batch, batch=batch)
            if compiled:
                fused = torch.compile(generator.synthesis, fullgraph=True)
                take("pspkit, bfloat16, compiled", partial(in_bfloat16, fused, codes), least=LEAST_COMPILED)
                continue
            exact = take("textbook form, float32", partial(book, codes))
            take("pspkit, float32", partial(generator.synthesis, codes), reference=exact)
            with tf32(True):
                take("textbook form, TF32", partial(book, codes), reference=exact)
                take("pspkit, TF32", partial(generator.synthesis, codes), reference=exact)
                take("textbook form, bfloat16", partial(in_bfloat16, book, codes), reference=exact)
                take("pspkit, bfloat16", partial(in_bfloat16, generator.synthesis, codes), reference=exact)


def encoding(bench: Bench, size: Size, compiled: bool = False) -> None:
    """Pictures to codes by pSp's encoder."""
    import torch

    from benchmarks import textbook
    from benchmarks.encode import lively
    from pspkit.config import CONFIGS
    from pspkit.models.encoders import Encoder
    from pspkit.models.fast import fast_encoder

    torch.manual_seed(0)
    with bench.device:
        encoder = lively(Encoder.from_config(CONFIGS[size.profile].encoder))
    side = encoder.config.input_size
    what, book = f"encoding of {side} px", partial(textbook.encode, encoder)
    with torch.no_grad():
        exact, half = fast_encoder(encoder, torch.float32), fast_encoder(encoder)
        for batch in size.batches[1:2] if compiled else size.batches:
            x = torch.rand(batch, 3, side, side, device=bench.device) * 2 - 1
            take = partial(bench.take, what, items=batch, batch=batch)
            if compiled:
                fused = fast_encoder(encoder, compile=True)
                take("pspkit, fast path, bfloat16, compiled", partial(fused, x), least=LEAST_COMPILED)
                continue
            codes = take("textbook form, float32", partial(book, x))
            take("pspkit, float32", partial(encoder, x), reference=codes)
            take("pspkit, fast path, float32", partial(exact, x), reference=codes)
            with tf32(True):
                take("textbook form, TF32", partial(book, x), reference=codes)
                take("pspkit, fast path, TF32", partial(exact, x), reference=codes)
                take("textbook form, bfloat16", partial(in_bfloat16, book, x), reference=codes)
                take("pspkit, fast path, bfloat16", partial(half, x), reference=codes)


def photographs(bench: Bench, size: Size) -> None:
    """Codes to pictures by the photographic decoder."""
    import copy

    import torch

    from pspkit.models.mobile_stylegan import MobileStyleGAN, load_mobile_stylegan

    small = size is SIZES["smoke"]
    decoder = MobileStyleGAN(16, 1, (16, 16, 8)).eval() if small else load_mobile_stylegan()
    decoder.requires_grad_(False).to(bench.device)
    half = copy.deepcopy(decoder).to(torch.bfloat16)
    with torch.no_grad():
        for batch in size.batches:
            w = decoder.mapping(torch.randn(batch, decoder.style_dim, device=bench.device))
            codes = w[:, None].expand(-1, decoder.n_styles, -1)
            take = partial(bench.take, f"photographic decoder, {decoder.size} px", items=batch, batch=batch)
            exact = take("float32", partial(decoder.synthesis, codes))
            with tf32(True):
                take("TF32", partial(decoder.synthesis, codes), reference=exact)
                take("bfloat16", partial(half.synthesis, codes), reference=exact)


def heads(bench: Bench, size: Size) -> None:
    """Rendering: on the CPU in one process and in all, and on the GPU."""
    from benchmarks.heads import into_cache
    from pspkit.data.heads import render, sample_factors

    few, take = sample_factors(size.heads, 0), partial(bench.take, "rendering heads of 64 px")
    take("one CPU process", partial(render, few, 64), items=len(few))
    if bench.device.type != "cpu":
        take("GPU", partial(render, few, 64, device=bench.device), items=len(few))
    if size is not SIZES["smoke"]:
        many = 512
        take(f"{os.cpu_count()} CPU processes", partial(into_cache, many, 64), items=many, least=20, runs=1)


def measure(path: Path, device: str, size: Size, until: float) -> None:
    """Takes every measurement in the order of its importance."""
    import torch

    os.environ["PSPKIT_DEVICE"] = device
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    bench = Bench(Results(path), torch.device(device), until)
    parts = [partial(part, bench, size) for part in (training, decoding, encoding, photographs, heads)]
    if bench.device.type != "cpu":  # on a CPU the compiler needs C++
        parts += [partial(part, bench, size, compiled=True) for part in (encoding, decoding)]
        parts.append(partial(compiled_training, bench, size))
    for part in parts:
        try:
            part()
        except Exception as error:  # what cannot be built is noted, and the rest goes on
            bench.results.add("failed", f"{type(error).__name__}: {error}"[:500])
            print(f"failed: {error!r}", flush=True)


def run_for(seconds: float, command: list[str], **settings: Any) -> int | None:
    """Runs a command in the repository, and ends it and all its children when the time is up.

    Returns:
        Its exit code; None where the time was up.
    """
    process = subprocess.Popen(command, cwd=ROOT, start_new_session=True, **settings)
    try:
        return process.wait(max(seconds, 1))
    except subprocess.TimeoutExpired:
        return None
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def run_tests(path: Path, device: str, seconds: float, what: str) -> dict[str, Any]:
    """Runs tests/gpu in a process of its own; its report is written beside the results as it comes."""
    report, errors = path.with_name(f"{path.stem}-tests.txt"), path.with_name(f"{path.stem}-errors.jsonl")
    errors.unlink(missing_ok=True)
    environment = os.environ | {"PSPKIT_GPU_RECORD": str(errors), "PYTHONUNBUFFERED": "1"}
    if device == "cpu":
        environment["PSPKIT_REHEARSE"] = "1"
    options = ["-o", "addopts=", "-p", "no:cacheprovider", "-v", "-rfEs", "--tb=short", "--durations=10", "--color=no"]
    start = time.monotonic()
    with report.open("w", encoding="utf-8") as file:
        command = [sys.executable, "-m", "pytest", *options, *what.split()]
        code = run_for(seconds, command, env=environment, stdout=file, stderr=subprocess.STDOUT)
    text = report.read_text(encoding="utf-8")
    counts = {
        name: len(re.findall(rf"::.* {name.upper()}\b", text)) for name in ("passed", "failed", "error", "skipped")
    }
    lines = errors.read_text(encoding="utf-8").splitlines() if errors.exists() else []
    return counts | {
        "seconds": round(time.monotonic() - start, 1),
        "timed_out": code is None,
        "exit_code": code,
        "report": report.name,
        "errors": [json.loads(line) for line in lines],
    }


def describe(device: str) -> dict[str, Any]:
    """The machine that the figures belong to."""
    import platform

    import torch

    from benchmarks.measure import machine

    found = {"cpu": machine(), "cores": os.cpu_count(), "python": platform.python_version(), "torch": torch.__version__}
    if device != "cpu":
        card = torch.cuda.get_device_properties(device)
        found |= {
            "device": card.name,
            "memory_gib": round(card.total_memory / 2**30, 1),
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),
        }
    return {"device": "CPU", **found, "date": time.strftime("%Y-%m-%d")}


def main() -> int:
    start = time.monotonic()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=MINUTES, help=f"for everything; {MINUTES:g} unless given")
    parser.add_argument("--size", choices=SIZES, default="reference", help="smoke is a rehearsal, in seconds")
    parser.add_argument("--device", default="cuda", help="cuda, or cpu for a rehearsal")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for what is found")
    parser.add_argument("--tests", default="tests/gpu", help="which tests; empty for none")
    parser.add_argument("--measure", nargs=2, metavar=("FILE", "UNTIL"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    size = SIZES[options.size]
    if options.measure:
        measure(Path(options.measure[0]), options.device, size, float(options.measure[1]))
        return 0

    paths = [str(ROOT), *([str(PACKAGES)] if PACKAGES.is_dir() else []), os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    sys.path[:0] = paths[:-1]
    import torch

    if options.device != "cpu" and not torch.cuda.is_available():
        print("No CUDA device is there. A rehearsal on the CPU: --size smoke --device cpu", file=sys.stderr)
        return 1
    until = start + 60 * options.minutes - CLOSING
    machine = describe(options.device)
    name = re.sub(r"[^a-z0-9]+", "-", machine["device"].lower().removeprefix("nvidia")).strip("-")
    path = options.out.absolute() / f"gpu-{name}.json"
    path.unlink(missing_ok=True)
    Results(path).put("machine", machine)
    print(json.dumps(machine), flush=True)
    passed = True
    if options.tests:
        seconds = min(TEST_SECONDS, (until - time.monotonic()) / 2)
        tests = run_tests(path, options.device, seconds, options.tests)
        Results(path).put("tests", tests)
        passed = not tests["failed"] and not tests["error"] and tests["exit_code"] in (0, None)
        print({key: value for key, value in tests.items() if key != "errors"}, flush=True)
        if not passed:
            print("\n".join(path.with_name(tests["report"]).read_text(encoding="utf-8").splitlines()[-60:]), flush=True)
    command = [sys.executable, "-m", "benchmarks.gpu", "--size", options.size, "--device", options.device]
    code = run_for(until - time.monotonic(), [*command, "--measure", str(path), str(until)])
    results = Results(path)
    results.put("stopped", code != 0)  # while something was measured; what had been measured before is written
    results.put("seconds", round(time.monotonic() - start, 1))
    print(path, flush=True)
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
