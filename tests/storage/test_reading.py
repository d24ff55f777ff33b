"""Ordinary files and JSON."""

import os

import pytest

from pspkit.storage.reading import check_ordinary, parse_json


def test_only_ordinary_files_and_links_to_them_pass(tmp_path):
    (tmp_path / "a").touch()
    (tmp_path / "link").symlink_to(tmp_path / "a")
    check_ordinary(tmp_path / "link")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    others = {"pipe": "a pipe or a device", "loop": "symbolic links", "x\0": "a zero byte", "n" * 300: "too long"}
    for name, reason in {**others, ".": "a folder", "nothing": "No such file"}.items():
        with pytest.raises(OSError, match=reason):
            check_ordinary(f"{tmp_path}/{name}")
    with pytest.raises(OSError, match="a pipe or a device"):
        check_ordinary("/dev/null")


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, '{"a": NaN}', "[-Infinity]", "[" + "9" * 5000 + "]"])
def test_every_bad_text_is_a_value_error(text):
    with pytest.raises(ValueError):
        parse_json(text)


def test_json_is_read():
    assert parse_json('{"a": [1, 2.5, null]}') == {"a": [1, 2.5, None]}
