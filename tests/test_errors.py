"""Messages: what they show of names and values from anywhere, and the checks of numbers and choices."""

import math

import numpy as np
import pytest

from pspkit import PspkitError
from pspkit.errors import check_choice, check_name, check_number, check_registered, in_short, shown

UNSHOWN = ["\n", "\r", "\x00", "\x1b[31m", "\x7f", "\x9b", "\u2028", "\u202e", "\udcff"]


@pytest.mark.parametrize("text", UNSHOWN)
def test_what_a_terminal_would_obey_is_escaped(text):
    path = f"a{text}b.png"
    assert shown(path).isprintable() and shown(path).startswith("a\\")
    assert str(PspkitError(f"{path}: damaged")).replace("\n", "").isprintable()
    with pytest.raises(PspkitError, match=r"^a\\.*: its name holds characters"):
        check_name(path)


def test_names_in_any_script_are_shown_as_they_are():
    for name in ("a b.png", "Zoë.png", "顔.webp", "photo\u202f1\xa0(2).jpg", "👩‍🦰.png"):
        check_name(name)
        assert shown(name) == name


def test_messages_keep_their_lines():
    assert str(PspkitError("2 files:\n  a\x1b.png\n  b.png")) == "2 files:\n  a\\x1b.png\n  b.png"


@pytest.mark.parametrize(
    ("value", "options", "message"),
    [
        (math.nan, {}, "x: got nan, needs a finite number."),
        (-math.inf, {"high": 3}, "x: got -inf, needs a finite number."),
        (math.inf, {"low": 0}, "x: got inf, needs at least 0."),
        (5, {"low": -2, "high": 2.5, "unit": "px"}, "x: got 5, needs -2 to 2.5 px."),
        (1.5, {"low": 1, "whole": True}, "x: got 1.5, needs a whole number, at least 1."),
        (True, {"whole": True}, "x: got True, needs a whole number."),
        (None, {}, "x: got None, needs a number."),
        (10**90, {"low": 0, "high": 9}, "x: got a number of more than 80 digits, needs 0 to 9."),
    ],
)
def test_numbers_are_refused_with_their_range(value, options, message):
    with pytest.raises(PspkitError) as raised:
        check_number("x", value, **options)
    assert str(raised.value) == message


def test_numbers_of_every_library_pass():
    for value in (1, 1.0, np.int64(1), np.float32(1)):
        check_number("x", value, 1, 1)
    check_number("x", np.uint8(1), whole=True)


def test_long_values_are_cut():
    assert len(in_short("x" * 10**6)) == 80


def test_a_misspelt_name_is_answered_with_the_one_that_was_meant():
    for check in (check_choice, check_registered):
        with pytest.raises(PspkitError, match=r"needs one of 'sketch', 'encode'\. Did you mean 'sketch'\?"):
            check("task", "sketh", ("sketch", "encode"))
        for value in ("toonify", 3, None):
            with pytest.raises(PspkitError) as error:
                check("task", value, ("sketch", "encode"))
            assert "Did you mean" not in str(error.value)
