import pytest

from pspkit.course import check


def repeated(change):
    def answer(encode, decode, picture, rounds, share):
        codes = encode(picture)
        for _ in range(rounds):
            codes = codes + share * change(encode, decode, picture, codes)
        return codes

    return answer


def right(encode, decode, picture, codes):
    return encode(picture) - encode(decode(codes))


@pytest.mark.parametrize(
    ("misconception", "answer"),
    [
        ("unanswered", lambda encode, decode, picture, rounds, share: None),
        ("no feedback", lambda encode, decode, picture, rounds, share: encode(picture)),
        (
            "one round",
            lambda encode, decode, picture, rounds, share: repeated(right)(encode, decode, picture, 1, share),
        ),
        ("wrong sign", repeated(lambda *given: -right(*given))),
        ("pictures subtracted", repeated(lambda encode, decode, picture, codes: encode(picture - decode(codes)))),
        ("shape", lambda encode, decode, picture, rounds, share: encode(picture)[0]),
        ("raises", lambda encode, decode, picture, rounds, share: encode(rounds)),
        ("", lambda encode, decode, picture, rounds, share: decode(picture)),
    ],
)
def test_feedback_names_what_is_wrong(misconception, answer):
    verdict = check.feedback(answer)
    assert not verdict.right
    assert verdict.misconception == misconception


def test_feedback_accepts_the_loop():
    assert check.feedback(repeated(right)).right


@pytest.mark.parametrize(
    ("misconception", "answer"),
    [
        ("unanswered", {"nearest": ..., "edited": "encoder"}),
        ("names", {"nearest": "projected"}),
        ("choices", {"nearest": "projected", "edited": "tuned"}),
        ("near at once", {"nearest": "encoder", "edited": "encoder"}),
        ("near is editable", {"nearest": "projected", "edited": "projected"}),
    ],
)
def test_near_or_edited_names_what_is_wrong(misconception, answer):
    verdict = check.near_or_edited(answer)
    assert not verdict.right
    assert verdict.misconception == misconception
