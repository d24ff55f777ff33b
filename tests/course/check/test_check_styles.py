import pytest

from pspkit.course import check


def inject(codes, reference, layers, alpha):
    mixed, layers = codes.clone(), list(layers)
    mixed[:, layers] = alpha * reference[:, layers] + (1 - alpha) * codes[:, layers]
    return mixed


def inject_in_place(codes, reference, layers, alpha):
    codes.copy_(inject(codes, reference, layers, alpha))
    return codes


def others(layers):
    return [layer for layer in range(16) if layer not in layers]


@pytest.mark.parametrize(
    ("misconception", "answer"),
    [
        ("unanswered", lambda *given: None),
        ("alpha reversed", lambda codes, reference, layers, alpha: inject(codes, reference, layers, 1 - alpha)),
        ("no alpha", lambda codes, reference, layers, alpha: inject(codes, reference, layers, 1.0)),
        ("added", lambda codes, reference, layers, alpha: inject(codes, codes + alpha * reference, layers, 1.0)),
        ("every layer", lambda codes, reference, layers, alpha: inject(codes, reference, range(16), alpha)),
        ("other layers", lambda codes, reference, layers, alpha: inject(codes, reference, others(layers), alpha)),
        ("range instead of list", lambda codes, reference, layers, alpha: inject(codes, reference, range(10), alpha)),
        ("shape", lambda codes, reference, layers, alpha: codes[:, list(layers)]),
        ("in place", inject_in_place),
        ("", lambda codes, reference, layers, alpha: codes),
    ],
)  # fmt: skip
def test_inject_styles_names_what_is_wrong(misconception, answer):
    verdict = check.inject_styles(answer)
    assert not verdict.right
    assert verdict.misconception == misconception


def test_inject_styles_accepts_the_formula():
    assert check.inject_styles(inject).right


@pytest.mark.parametrize(
    ("misconception", "answer"),
    [
        ("unanswered", {"pixels": ..., "identity": ...}),
        ("names", {"pixels": "fine"}),
        ("choices", {"pixels": "fine", "identity": 3}),
        ("small things", {"pixels": "coarse", "identity": "fine"}),
        ("as on photographs", {"pixels": "fine", "identity": "middle"}),
    ],
)
def test_exchanged_level_names_what_is_wrong(misconception, answer):
    verdict = check.exchanged_level(answer)
    assert not verdict.right
    assert verdict.misconception == misconception


def test_exchanged_level_tells_what_it_measured():
    verdict = check.exchanged_level({"pixels": "fine", "identity": "fine"})
    assert verdict.right
    assert "identity coarse 0." in verdict.message


def vary(codes, w, first=7, last=16):
    answers = codes.repeat(len(w), 1, 1)
    answers[:, first:last] = w[:, None]
    return answers


@pytest.mark.parametrize(
    ("misconception", "answer"),
    [
        ("unanswered", lambda codes, w: None),
        ("one answer", lambda codes, w: vary(codes, w[:1])),
        ("other way round", lambda codes, w: vary(codes, w, 0, 7)),
        ("coarse only", lambda codes, w: vary(codes, w, 3)),
        ("off by one", lambda codes, w: vary(codes, w, 8)),
        ("end left out", lambda codes, w: vary(codes, w, 7, 15)),
        ("same for all", lambda codes, w: vary(codes, w[:1].expand_as(w))),
        ("nothing kept", lambda codes, w: vary(codes, w, 0)),
        ("shape", lambda codes, w: w),
    ],
)
def test_draw_variants_names_what_is_wrong(misconception, answer):
    verdict = check.draw_variants(answer)
    assert not verdict.right
    assert verdict.misconception == misconception


def test_draw_variants_accepts_fresh_fine_codes():
    assert check.draw_variants(vary).right
