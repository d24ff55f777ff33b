import pytest
import torch

from pspkit.course import check


def take(codes, other, first):
    return torch.cat([codes[:, :first], other[:, first:]], 1)


def overwrite(codes, other, first):
    codes[:, first:] = other[:, first:]
    return codes


@pytest.mark.parametrize(
    ("misconception", "answer"),
    [
        ("unanswered", lambda codes, other, first: None),
        ("other way round", lambda codes, other, first: take(other, codes, first)),
        ("off by one", lambda codes, other, first: take(codes, other, first + 1)),
        ("wrong dimension", lambda codes, other, first: torch.cat([codes[:, :, :first], other[:, :, first:]], 2)),
        ("hard-coded", lambda codes, other, first: take(codes, other, 7)),
        ("everything", lambda codes, other, first: other),
        ("shape", lambda codes, other, first: other[:, first:]),
        ("in place", overwrite),
        ("raises", lambda codes, other, first: codes + first[0]),
    ],
)
def test_take_codes_names_what_is_wrong(misconception, answer):
    verdict = check.take_codes(answer)
    assert not verdict.right
    assert verdict.misconception == misconception


def test_take_codes_accepts_a_new_tensor():
    assert check.take_codes(take).right


@pytest.mark.parametrize(
    ("misconception", "answer"),
    [
        ("unanswered", ...),
        ("empty", []),
        ("too many codes", range(7, 18)),
        ("end left out", range(7, 15)),
        ("off by one", range(8, 16)),
        ("coarse", range(16)),
        ("coarse", [0, 1, 2]),
        ("middle", range(3, 7)),
        ("middle", range(6, 16)),
        ("", [7, 9]),
    ],
)
def test_colour_codes_names_what_is_wrong(misconception, answer):
    verdict = check.colour_codes(answer)
    assert not verdict.right
    assert verdict.misconception == misconception


def test_colour_codes_accepts_ranges_and_lists():
    assert check.colour_codes(range(7, 16)).right
    assert check.colour_codes(list(range(15, 6, -1))).right


@pytest.mark.parametrize(
    ("misconception", "answer"),
    [
        ("unanswered", {"most": ..., "least": "fine"}),
        ("names", {"most": "middle"}),
        ("choices", {"most": "middle", "least": "none"}),
        ("hair and pose", {"most": "coarse", "least": "fine"}),
        ("colours", {"most": "middle", "least": "coarse"}),
    ],
)
def test_costly_level_names_what_is_wrong(misconception, answer):
    verdict = check.costly_level(answer)
    assert not verdict.right
    assert verdict.misconception == misconception
