from collections.abc import Callable, Mapping

import pytest
import torch
from torch import Tensor

from pspkit.course import check
from pspkit.course.check.verdict import Verdict, check_choices, checker


def test_verdict_reads_as_a_sentence():
    assert repr(check.Verdict(True, "Well done.")) == "Right. Well done."
    assert repr(check.Verdict(False, "Count again.", "off by one")) == "Not yet. Count again."


def test_compare_tells_equal_close_and_different_apart(capsys):
    ours = torch.ones(3)
    check.compare("same", ours, ours.clone())
    check.compare("near", ours + 1e-6, ours)
    check.compare("far", ours + 1, ours)
    check.compare("other", ours, torch.ones(2))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "same: exact True | close True | max difference 0.0e+00"
    assert lines[1].startswith("near: exact False | close True")
    assert lines[2].startswith("far: exact False | close False | max difference 1.0e+00")
    assert lines[3] == "other: shapes differ, (3,) and (2,)"


@checker
def takes_a_function(answer: Callable[[int], Tensor]) -> Verdict:
    return Verdict(bool((answer(3) == 3).all()), "")


@checker
def takes_a_prediction(answer: Mapping[str, str]) -> Verdict:
    return check_choices(answer, ("first", "second"), ("up", "down")) or Verdict(True, "")


@pytest.mark.parametrize(
    ("misconception", "check", "answer"),
    [
        ("unanswered", takes_a_function, ...),
        ("unanswered", takes_a_function, lambda number: None),
        ("unanswered", takes_a_prediction, {"first": "up", "second": ...}),
        ("type", takes_a_function, 3),
        ("type", takes_a_function, lambda number: [number]),
        ("type", takes_a_prediction, ["up", "down"]),
        ("raises", takes_a_function, lambda number: number / 0),
        ("names", takes_a_prediction, {"first": "up"}),
        ("choices", takes_a_prediction, {"first": "up", "second": "sideways"}),
    ],
)
def test_an_answer_of_another_kind_is_described_in_words(misconception, check, answer):
    verdict = check(answer)
    assert not verdict.right
    assert verdict.message.endswith(".") == (misconception != "raises")
    assert verdict.misconception == misconception


def test_an_answer_of_the_right_kind_is_checked():
    assert takes_a_function(torch.tensor).right
    assert takes_a_prediction({"first": "up", "second": "down"}).right
