import math

import pytest

from pspkit.course import check


@pytest.mark.parametrize(
    ("misconception", "answer"),
    [
        ("unanswered", lambda spatial: None),
        ("off by one, too many", lambda spatial: math.log2(spatial) + 1),
        ("off by one, too few", lambda spatial: math.log2(spatial) - 1),
        ("divided once", lambda spatial: spatial // 2),
        ("square root", lambda spatial: round(spatial**0.5)),
        ("natural logarithm", lambda spatial: int(math.log(spatial))),
        ("hard-coded sides", lambda spatial: {16: 4, 32: 5}.get(spatial, 6)),
        ("", lambda spatial: spatial),
        ("raises", lambda spatial: spatial.log2()),
    ],
)
def test_map2style_convolutions_names_what_is_wrong(misconception, answer):
    verdict = check.map2style_convolutions(answer)
    assert not verdict.right
    assert verdict.misconception == misconception


@pytest.mark.parametrize("answer", [math.log2, lambda spatial: spatial.bit_length() - 1])
def test_map2style_convolutions_accepts_the_logarithm(answer):
    assert check.map2style_convolutions(lambda spatial: answer(spatial)).right


def names(first_middle, first_fine):
    return lambda style: "coarse" if style < first_middle else "middle" if style < first_fine else "fine"


@pytest.mark.parametrize(
    ("misconception", "answer"),
    [
        ("unanswered", lambda style: None),
        ("style 3 is middle", names(4, 7)),
        ("style 7 is fine", names(3, 8)),
        ("both ends included", names(4, 8)),
        ("coarse and fine swapped", lambda style: "fine" if style < 3 else "middle" if style < 7 else "coarse"),
        ("counted from the end", names(11, 15)),
        ("equal thirds", names(6, 12)),
        ("another name", lambda style: names(3, 7)(style).upper()),
        ("", names(2, 9)),
    ],
)
def test_level_of_style_names_what_is_wrong(misconception, answer):
    verdict = check.level_of_style(answer)
    assert not verdict.right
    assert verdict.misconception == misconception


def test_level_of_style_accepts_three_four_and_the_rest():
    assert check.level_of_style(names(3, 7)).right


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
