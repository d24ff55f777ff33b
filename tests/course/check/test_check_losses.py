import re

import pytest

from pspkit.course import check
from pspkit.course.check.losses import CASES, DIAGNOSES, MIX_UPS, OVERLOOKED

NOTICES = {"exchanged once": False, "exchanged anew": True, "range": False, "average": False}


@pytest.mark.parametrize(
    ("misconception", "answer"),
    [
        ("unanswered", dict.fromkeys(NOTICES, ...)),
        ("names", {"range": True}),
        ("choices", NOTICES | {"range": "perhaps"}),
        *((name, NOTICES | {mistake: not NOTICES[mistake]}) for mistake, (name, _) in OVERLOOKED.items()),
    ],
)
def test_by_heart_names_what_is_wrong(misconception, answer):
    verdict = check.by_heart(answer)
    assert not verdict.right
    assert verdict.misconception == misconception


def test_by_heart_tells_what_it_measured():
    verdict = check.by_heart(NOTICES)
    assert verdict.right
    measured = dict(re.findall(r"(\w+(?: \w+)?) [\d.]+ to ([\d.]+)", verdict.message))
    assert float(measured["exchanged once"]) < 0.5 < float(measured["exchanged anew"])


def test_diagnose_accepts_the_cases():
    assert check.diagnose(dict(CASES)).right


@pytest.mark.parametrize(
    ("misconception", "answer"),
    [
        ("unanswered", dict.fromkeys(CASES, ...)),
        ("names", {"A": "healthy"}),
        ("choices", CASES | {"A": "overfitting"}),
        *((name, CASES | {letter: given}) for letter, case in CASES.items()
          for (which, given), (name, _) in MIX_UPS.items() if which == case),
        ("trend", CASES | {"D": "healthy"}),
    ],
)  # fmt: skip
def test_diagnose_names_what_is_wrong(misconception, answer):
    verdict = check.diagnose(answer)
    assert not verdict.right
    assert verdict.misconception == misconception


def test_the_curves_to_diagnose_are_as_their_case_says():
    logs = check.drawn_logs()
    assert {*CASES.values()} == {*DIAGNOSES} and logs == check.drawn_logs()
    by_case = {CASES[letter]: log for letter, log in logs.items()}

    def curve(case, side):
        return [line[side]["total"] for line in by_case[case]]

    for side in ("training", "validation"):
        assert abs(curve("healthy", side)[-1] / curve("healthy", side)[-4] - 1) < 0.15, "flat"
        assert curve("stopped too early", side)[-1] < 0.85 * curve("stopped too early", side)[-4], "falling"
        assert max(curve("rate too high", side)[10:]) > curve("rate too high", side)[0], "rising"
    assert curve("healthy", "validation")[-1] < curve("healthy", "training")[-1]
    few = curve("too few pictures", "validation")
    assert few[-1] > min(few) and curve("too few pictures", "training")[-1] < 0.1 * few[-1]
