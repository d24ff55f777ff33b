import pytest

from pspkit.course import check


def codes(size, first=0, next_level=lambda last: (last, last + 1, last + 2)):
    found = [first, first + 1]
    while size > 4:
        found += next_level(found[-1])
        size //= 2
    return found


def to_rgb_shares_with_the_convolution_before(size):
    return [0, 0] + [code for level in range(size.bit_length() - 3) for code in (2 * level + 1, *[2 * level + 2] * 2)]


@pytest.mark.parametrize(
    ("misconception", "answer"),
    [
        ("a code for every ToRGB layer", lambda size: list(range(len(codes(size))))),
        ("ToRGB shares with the convolution before", to_rgb_shares_with_the_convolution_before),
        ("off by one", lambda size: codes(size, first=1)),
        ("one code a resolution", lambda size: [level for level in range(size.bit_length() - 2) for _ in range(3)][1:]),
        ("no 4 px layers", lambda size: codes(size)[2:]),
        ("last ToRGB without a code", lambda size: codes(size)[:-1]),
        ("", lambda size: codes(1024)),
        ("raises", lambda size: codes(str(size))),
    ],
)
def test_codes_of_layers_names_what_is_wrong(misconception, answer):
    verdict = check.codes_of_layers(answer)
    assert not verdict.right
    assert verdict.misconception == misconception


def test_codes_of_layers_accepts_lists_and_tuples():
    assert check.codes_of_layers(codes).right
    assert check.codes_of_layers(lambda size: tuple(codes(size))).right


@pytest.mark.parametrize(
    ("misconception", "answer"),
    [
        ("unanswered", ...),
        ("type", "a quarter"),
        ("no share", 40),
        ("as the codes", 0.25),
        ("distance", 0.5),
        ("no price", 1.0),
        ("", 0.7),
    ],
)
def test_truncated_variety_names_what_is_wrong(misconception, answer):
    verdict = check.truncated_variety(answer)
    assert not verdict.right
    assert verdict.misconception == misconception


def test_truncated_variety_tells_what_it_measured():
    verdict = check.truncated_variety(0.4)
    assert verdict.right
    assert "Measured: 0." in verdict.message
