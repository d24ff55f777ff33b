import pytest

from pspkit.course import check
from pspkit.course.check.encoders import MIX_UPS

RIGHT = {"tilted": "coarse", "another wall": "fine", "smiling": "none"}


@pytest.mark.parametrize(
    ("misconception", "answer"),
    [
        ("unanswered", dict.fromkeys(RIGHT, ...)),
        ("names", {"tilted": "coarse"}),
        ("choices", RIGHT | {"smiling": "nothing"}),
        *((name, RIGHT | {change: "middle"}) for change, (name, _) in MIX_UPS.items()),
    ],
)
def test_listening_level_names_what_is_wrong(misconception, answer):
    verdict = check.listening_level(answer)
    assert not verdict.right
    assert verdict.misconception == misconception


def test_listening_level_tells_what_it_measured():
    verdict = check.listening_level(RIGHT)
    assert verdict.right
    assert "tilted coarse 0." in verdict.message


def one_cell(x):
    if x.shape[2:] != (1, 1):
        raise ValueError("more than one cell")
    return x.flatten(1)


@pytest.mark.parametrize(
    ("misconception", "answer"),
    [
        ("unanswered", lambda x: None),
        ("folds", lambda x: x.reshape(-1, 5)),
        ("widens", lambda x: x.flatten(1)),
        ("hides", lambda x: x.mean((2, 3))),
        ("hides", lambda x: x[:, :, 0, 0]),
        ("squeeze", lambda x: x.squeeze()),
        ("shape", lambda x: x),
        ("shape", lambda x: x.flatten(1).T),
        ("not refused", lambda x: x.flatten(1) if x.shape[2] == 1 else x),
    ],
)
def test_one_row_a_picture_names_what_is_wrong(misconception, answer):
    verdict = check.one_row_a_picture(answer)
    assert not verdict.right
    assert verdict.misconception == misconception


def test_one_row_a_picture_accepts_a_refusal():
    assert check.one_row_a_picture(one_cell).right
