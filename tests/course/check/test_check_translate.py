import pytest
import torch

from pspkit.course import check


def paste(source, result):
    mask = source[:, 3:]
    return source[:, :3] * (1 - mask) + result * mask


def in_place(source, result):
    result[:] = paste(source, result)
    return result


@pytest.mark.parametrize(
    ("misconception", "answer"),
    [
        ("unanswered", lambda source, result: None),
        ("mask in the picture", lambda source, result: torch.cat([paste(source, result), source[:, 3:]], dim=1)),
        ("shape", lambda source, result: paste(source, result)[0]),
        ("nothing kept", lambda source, result: result),
        ("nothing filled", lambda source, result: source[:, :3]),
        ("inverted", lambda source, result: source[:, :3] * source[:, 3:] + result * (1 - source[:, 3:])),
        ("added", lambda source, result: source[:, :3] + result),
        ("mean", lambda source, result: (source[:, :3] + result) / 2),
        ("in place", in_place),
        ("raises", lambda source, result: source + result),
        ("", lambda source, result: torch.zeros_like(result)),
    ],
)
def test_keep_known_names_what_is_wrong(misconception, answer):
    verdict = check.keep_known(answer)
    assert not verdict.right
    assert verdict.misconception == misconception


def test_keep_known_accepts_any_way_to_paste():
    assert check.keep_known(paste).right
    assert check.keep_known(lambda source, result: torch.where(source[:, 3:] > 0.5, result, source[:, :3])).right


@pytest.mark.parametrize(
    ("misconception", "answer"),
    [
        ("unanswered", lambda stopped, every: None),
        ("form", lambda stopped, every: (stopped / every, 0)),
        ("nothing is lost", lambda stopped, every: (stopped, 0)),
        ("from the start", lambda stopped, every: (0, stopped)),
        ("saved ahead", lambda stopped, every: (-(-stopped // every) * every, 0)),
        ("one too many", lambda stopped, every: (stopped // every * every, stopped % every + 1)),
        ("swapped", lambda stopped, every: (stopped % every, stopped // every * every)),
        ("what is left", lambda stopped, every: (stopped // every * every, every - stopped % every)),
        ("raises", lambda stopped, every: stopped),
        ("", lambda stopped, every: (stopped // every, stopped % every)),
    ],
)
def test_go_on_names_what_is_wrong(misconception, answer):
    verdict = check.go_on(answer)
    assert not verdict.right
    assert verdict.misconception == misconception


def test_go_on_accepts_the_last_state_and_the_rest():
    assert check.go_on(lambda stopped, every: (stopped - stopped % every, stopped % every)).right


@pytest.mark.parametrize(
    ("misconception", "answer"),
    [
        ("unanswered", {"nearest": ..., "farthest": "one draw"}),
        ("names", {"nearest": "predicted"}),
        ("choices", {"nearest": "predicted", "farthest": "truth"}),
        ("pretty is near", {"nearest": "one draw", "farthest": "mean of draws"}),
        ("fog is far", {"nearest": "predicted", "farthest": "mean of draws"}),
    ],
)
def test_nearest_answer_names_what_is_wrong(misconception, answer):
    verdict = check.nearest_answer(answer)
    assert not verdict.right
    assert verdict.misconception == misconception
