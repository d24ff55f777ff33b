"""What `make gpu` does beyond measuring: it keeps its time, loses nothing and goes on after a failure."""

import json
import sys
import time

import pytest
import torch

from benchmarks import tables
from benchmarks.gpu import LEAST, Bench, Results, run_for, run_tests


@pytest.fixture
def results(tmp_path):
    return Results(tmp_path / "results" / "gpu-x.json")


def bench(results, seconds=60.0):
    return Bench(results, torch.device("cpu"), time.monotonic() + seconds)


def test_each_measurement_is_written_at_once(results):
    taken = bench(results)
    for number, way in enumerate(("slow", "fast"), 1):
        pause = 0.02 / number**2
        taken.take("waiting", way, lambda pause=pause: time.sleep(pause), items=4, batch=4)
        assert len(json.loads(results.path.read_text())["measurements"]) == number
    slow, fast = json.loads(results.path.read_text())["measurements"]
    assert slow["faster"] == 1
    assert 2 < fast["faster"] < 5
    assert slow["per_second"] == pytest.approx(4 / slow["seconds"])
    assert slow["runs"] >= 5
    assert not list(results.path.parent.glob("*.part"))


def test_a_way_that_fails_is_noted_and_the_next_is_taken(results):
    taken = bench(results)
    assert taken.take("dividing", "by zero", lambda: 1 / 0, items=1) is None
    assert taken.take("dividing", "by one", lambda: 1 / 1, items=1) == 1
    first, second = results.content["measurements"]
    assert first["failed"] == "ZeroDivisionError: division by zero"
    assert second["faster"] == 1


def test_results_are_compared_with_a_reference(results):
    taken = bench(results)
    exact = taken.take("ones", "exact", lambda: torch.ones(4), items=1)
    taken.take("ones", "rough", lambda: torch.full((4,), 1.01), items=1, reference=exact)
    assert results.content["measurements"][1]["error"] == pytest.approx(0.01, rel=1e-3)


def test_what_is_built_is_timed_without_its_building(results):
    def build():
        time.sleep(0.2)
        return lambda: None

    bench(results).take("nothing", "built", build, items=1, builds=True)
    assert results.content["measurements"][0]["seconds"] < 0.1


def test_nothing_is_begun_when_the_time_is_up(results):
    taken = bench(results, LEAST / 2)
    taken.take("late", "way", lambda: pytest.fail("begun"), items=1)
    assert results.content["left_out"] == [{"what": "late", "way": "way", "batch": None}]


def test_what_was_written_is_read_again(results):
    results.put("machine", {"device": "X"})
    again = Results(results.path)
    again.add("measurements", {"what": "a"})
    assert Results(results.path).content == {"machine": {"device": "X"}, "measurements": [{"what": "a"}]}


def test_a_command_is_ended_with_its_children_when_the_time_is_up(tmp_path):
    child = f"import time, pathlib; time.sleep(3); pathlib.Path({str(tmp_path / 'alive')!r}).touch()"
    program = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    assert run_for(1, [sys.executable, "-c", program]) is None
    assert run_for(60, [sys.executable, "-c", "raise SystemExit(3)"]) == 3
    time.sleep(3)
    assert not (tmp_path / "alive").exists()


def test_tests_are_counted_and_their_errors_are_collected(results):
    results.put("machine", {})
    node = "tests/gpu/test_inference.py::test_heads_are_rendered_alike"
    found = run_tests(results.path, "cpu", 300, node)
    assert (found["passed"], found["failed"], found["error"]) == (2, 0, 0)
    assert found["exit_code"] == 0
    assert not found["timed_out"]
    assert [entry["mean_difference"] for entry in found["errors"]] == [0, 0]
    assert "2 passed" in results.path.with_name(found["report"]).read_text()


def test_tables_are_those_of_the_file(results):
    results.put("machine", {"device": "Card", "torch": "2.11.0", "date": "2026-01-02"})
    entry = {"what": "encoding", "way": "textbook", "batch": 8, "per_second": 1234.5, "seconds": 1, "faster": 1.0}
    results.add("measurements", entry)
    results.add("measurements", entry | {"way": "ours", "faster": 2.0, "peak_gib": 3.21, "error": 1e-5})
    results.add("measurements", {"what": "encoding", "way": "broken", "batch": 8, "failed": "no"})
    results.add("left_out", {"what": "decoding", "way": "compiled", "batch": 8})
    assert tables.table(results.content).splitlines() == [
        "Card, torch 2.11.0, 2026-01-02",
        "",
        "**Encoding**",
        "",
        "|  | batch | a second | faster | peak GiB | error |",
        "| --- | --- | --- | --- | --- | --- |",
        "| textbook | 8 | 1,234.5 | 1.00x |  |  |",
        "| ours | 8 | 1,234.5 | 2.00x | 3.2 | 1e-05 |",
        "",
        "Left out, as the time was up: decoding (compiled).",
    ]
