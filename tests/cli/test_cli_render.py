"""`pspkit render`."""

import json

import pytest

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
    (out / "images" / "00001.png").write_bytes(b"mine")
    assert main(command) == 1
    assert capsys.readouterr().err.startswith(f"pspkit: {out}: holds something already. Name another folder")
    assert (out / "images" / "00001.png").read_bytes() == b"mine"
    assert main([*command, "--overwrite"]) == 0
    assert (out / "images" / "00001.png").read_bytes() == first


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--yaw", "75"], "pspkit: --yaw: got 75, needs -60 to 60 degrees."),
        (["--size", "100"], "pspkit: --size: got 100, needs one of 64, 128, 256."),
        (["--look", "clay"], "pspkit: --look: got 'clay', needs one of 'plain', 'toon'."),
        (["--count", "0"], "pspkit: --count: got 0, needs 1 to 100000."),
    ],
)
def test_render_refuses_what_it_cannot_do(options, message, tmp_path, capsys):
    assert main(["render", "--out", str(tmp_path / "heads"), *options]) == 1
    assert capsys.readouterr().err == f"{message}\n"
    assert not (tmp_path / "heads").exists()
