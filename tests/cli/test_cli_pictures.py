"""`pspkit render` and `pspkit pairs`."""

import json

import pytest
from PIL import Image

from pspkit.cli import main


def test_render_writes_pictures_labels_sketches_and_factors(tmp_path, capsys):
    out = tmp_path / "heads"
    command = [
        "render",
        "--seed",
        "3",
        "--count",
        "2",
        "--size",
        "64",
        "--out",
        str(out),
        "--yaw",
        "-40",
        "--same-identity",
    ]
    assert main(command) == 0
    assert capsys.readouterr().out == f"{out}\n"
    assert sorted(path.name for path in out.iterdir()) == ["factors.json", "images", "labels", "sketches"]
    heads = json.loads((out / "factors.json").read_text())
    assert [head["person"] for head in heads] == [0, 0]
    assert [head["scene"]["yaw"] for head in heads] == [-40, -40]
    assert heads[0]["identity"] == heads[1]["identity"]
    assert heads[0]["scene"] != heads[1]["scene"]
    first = (out / "images" / "00001.png").read_bytes()
    assert main(command) == 0
    assert (out / "images" / "00001.png").read_bytes() == first


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--yaw", "75"], "pspkit: --yaw: got 75, needs -60 to 60 degrees."),
        (["--size", "100"], "pspkit: size: got 100, needs one of 64, 128, 256."),
        (["--look", "clay"], "pspkit: look: got 'clay', needs one of 'plain', 'toon'."),
        (["--count", "0"], "pspkit: --count: got 0, needs at least 1."),
    ],
)
def test_render_refuses_what_it_cannot_do(options, message, tmp_path, capsys):
    assert main(["render", "--out", str(tmp_path / "heads"), *options]) == 1
    assert capsys.readouterr().err == f"{message}\n"
    assert not (tmp_path / "heads").exists()


def test_pairs_draws_what_a_task_is_shown(tmp_path, capsys):
    assert main(["render", "--count", "3", "--size", "64", "--out", str(tmp_path / "heads")]) == 0
    folders = ["--source", str(tmp_path / "heads/labels"), "--target", str(tmp_path / "heads/images")]
    sheet = tmp_path / "pairs.png"
    assert main(["pairs", "--task", "segmentation", "--size", "64", *folders, "--out", str(sheet)]) == 0
    assert "3 pairs for segmentation" in capsys.readouterr().out
    with Image.open(sheet) as image:
        assert image.width > image.height


def test_pairs_names_bad_pictures_and_skips_them_where_asked(tmp_path, capsys):
    assert main(["render", "--count", "3", "--size", "64", "--out", str(tmp_path)]) == 0
    bad = next((tmp_path / "images").iterdir())
    bad.write_bytes(bad.read_bytes()[:200])
    arguments = ["pairs", "--task", "encode", "--source", str(tmp_path / "images")]
    assert main(arguments) == 1
    assert f"1 picture cannot be used:\n  {bad}" in capsys.readouterr().err
    assert main([*arguments, "--on-bad-image", "skip"]) == 0
    out, err = capsys.readouterr()
    assert out == "2 pairs for encode\n"
    assert err.startswith("skipped: 1 picture cannot be used")
