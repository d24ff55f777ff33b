import pytest
import torch
import torch.nn.functional as F

from pspkit.course import check
from pspkit.course.check.losses import CASES, DIAGNOSES, MIX_UPS


def layer(f, g, weights, dim=1, power=2):
    difference = (F.normalize(f, dim=dim) - F.normalize(g, dim=dim)).abs() ** power
    return difference * weights[:, None, None]


@pytest.mark.parametrize(
    ("misconception", "answer"),
    [
        ("unanswered", lambda f, g, weights: None),
        ("mean of the batch", lambda f, g, weights: layer(f, g, weights).sum(1).mean()),
        ("shape", lambda f, g, weights: layer(f, g, weights).sum(1)),
        ("not normalised", lambda f, g, weights: ((f - g) ** 2 * weights[:, None, None]).sum(1).mean((1, 2))),
        ("normalised over space", lambda f, g, weights: layer(f, g, weights, dim=2).sum(1).mean((1, 2))),
        ("not squared", lambda f, g, weights: layer(f, g, weights, power=1).sum(1).mean((1, 2))),
        ("no weights", lambda f, g, weights: layer(f, g, torch.ones(5)).sum(1).mean((1, 2))),
        ("sum over space", lambda f, g, weights: layer(f, g, weights).sum((1, 2, 3))),
        ("mean over channels", lambda f, g, weights: layer(f, g, weights).mean((1, 2, 3))),
        ("raises", lambda f, g, weights: (f - g) * weights),
        ("", lambda f, g, weights: torch.zeros(2)),
    ],
)
def test_layer_distance_names_what_is_wrong(misconception, answer):
    verdict = check.layer_distance(answer)
    assert not verdict.right
    assert verdict.misconception == misconception


def test_layer_distance_accepts_one_layer_of_lpips():
    assert check.layer_distance(lambda f, g, weights: layer(f, g, weights).sum(1).mean((1, 2))).right


@pytest.mark.parametrize(
    ("misconception", "answer"),
    [
        ("unanswered", lambda output, target: None),
        ("no mean", lambda output, target: 1 - F.cosine_similarity(output, target)),
        ("shape", lambda output, target: 1 - output * target),
        ("similarity", lambda output, target: F.cosine_similarity(output, target).mean()),
        ("not normalised", lambda output, target: 1 - (output * target).sum(1).mean()),
        ("over the batch", lambda output, target: 1 - F.cosine_similarity(output, target, dim=0).mean()),
        ("everybody with everybody", lambda output, target: 1 - (F.normalize(output) @ F.normalize(target).T).mean()),
        ("distance", lambda output, target: ((F.normalize(output) - F.normalize(target)) ** 2).sum(1).mean()),
        ("sum", lambda output, target: (1 - F.cosine_similarity(output, target)).sum()),
        ("", lambda output, target: 0.0),
    ],
)
def test_dissimilarity_names_what_is_wrong(misconception, answer):
    verdict = check.dissimilarity(answer)
    assert not verdict.right
    assert verdict.misconception == misconception


def test_dissimilarity_accepts_one_minus_the_cosine():
    assert check.dissimilarity(lambda output, target: 1 - F.cosine_similarity(output, target).mean()).right


def test_diagnose_accepts_the_cases():
    assert check.diagnose(dict(CASES)).right


@pytest.mark.parametrize(
    ("misconception", "answer"),
    [
        ("unanswered", dict.fromkeys(CASES, ...)),
        ("letters", {"A": "healthy"}),
        ("names", CASES | {"A": "overfitting"}),
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
