import pytest
import torch

from pspkit.course import check


def power(weight, style):
    return (weight * style[:, None, :, None, None]).square().sum((2, 3, 4))


@pytest.mark.parametrize(
    ("misconception", "answer"),
    [
        ("unanswered", lambda weight, style: None),
        ("sum over the outputs", lambda weight, style: (style.square() * weight.square().sum((0, 2, 3))).rsqrt()),
        ("style forgotten", lambda weight, style: weight.square().sum((1, 2, 3)).rsqrt()),
        ("style forgotten", lambda weight, style: weight.square().sum((1, 2, 3)).rsqrt().expand(len(style), -1)),
        ("style not squared", lambda weight, style: (style @ weight.square().sum((2, 3)).T).rsqrt()),
        ("square after the sum", lambda weight, style: (style @ weight.sum((2, 3)).T).square().rsqrt()),
        ("no square", lambda weight, style: (style @ weight.sum((2, 3)).T).rsqrt()),
        ("no root", lambda weight, style: 1 / power(weight, style)),
        ("no reciprocal", lambda weight, style: power(weight, style).sqrt()),
        ("mean", lambda weight, style: (power(weight, style) / weight[0].numel()).rsqrt()),
        ("shape", lambda weight, style: power(weight, style).rsqrt().T),
        ("raises", lambda weight, style: weight @ style),
    ],
)
def test_demodulation_names_what_is_wrong(misconception, answer):
    verdict = check.demodulation(answer if misconception != "unanswered" else None)
    assert not verdict.right
    assert verdict.misconception == misconception


def test_demodulation_accepts_an_epsilon_and_any_layout():
    assert check.demodulation(lambda weight, style: (power(weight, style) + 1e-8).rsqrt()).right
    assert check.demodulation(lambda weight, style: power(weight, style).rsqrt()[:, :, None, None]).right


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
        ("around zero", lambda w, average, psi: psi * w),
        ("average added twice", lambda w, average, psi: average + psi * w),
        ("average not put back", lambda w, average, psi: psi * (w - average)),
        ("reversed", lambda w, average, psi: w + psi * (average - w)),
        ("shape", lambda w, average, psi: average),
        ("", lambda w, average, psi: w.clamp(-psi, psi)),
        ("raises", lambda w, average: w),
    ],
)
def test_truncation_names_what_is_wrong(misconception, answer):
    verdict = check.truncation(answer)
    assert not verdict.right
    assert verdict.misconception == misconception


def test_truncation_accepts_either_way_of_writing_it():
    assert check.truncation(lambda w, average, psi: average + psi * (w - average)).right
    assert check.truncation(lambda w, average, psi: torch.lerp(average.expand_as(w), w, psi)).right
