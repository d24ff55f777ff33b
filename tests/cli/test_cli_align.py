"""`pspkit align`."""

import pytest
from PIL import Image, ImageChops

from pspkit.cli import main
from tests.examples import SAMPLES


def aligned(path):
    with Image.open(path) as picture:
        return picture.convert("RGB")


@pytest.fixture
def photographs(tmp_path):
    """A folder: one face, two faces, none, and a text."""
    folder = tmp_path / "photographs"
    (folder / "trip").mkdir(parents=True)
    hopper, collins = (Image.open(SAMPLES / f"{name}.jpg") for name in ("hopper", "collins"))
    collins.save(folder / "trip" / "collins.png")
    both = Image.new("RGB", (1100, 620), "grey")
    both.paste(collins, (560, 50))
    both.paste(hopper, (20, 10))
    both.save(folder / "both.png")
    Image.effect_noise((300, 200), 80).save(folder / "noise.png")
    return folder


def test_each_face_becomes_a_file(photographs, tmp_path, capsys):
    out = tmp_path / "faces"
    assert main(["align", str(photographs), "--size", "128", "--out", str(out)]) == 3
    files = sorted(str(path.relative_to(out)) for path in out.rglob("*.png"))
    assert files == ["both-2.png", "both.png", "trip/collins.png"]
    assert {aligned(out / file).size for file in files} == {(128, 128)}
    printed = capsys.readouterr().out
    assert "noise.png: no face found. A face must be seen from the front" in printed
    assert "more than one face, of which each has a file of its own" in printed
    assert f"3 files written to {out}" in printed
    assert main(["align", str(photographs), "--size", "128", "--out", str(out)]) == 3
    assert "2 inputs skipped, the results are there already" in capsys.readouterr().out


def test_a_picture_on_its_side_is_turned_by_its_exif_note(tmp_path):
    picture = Image.open(SAMPLES / "collins.jpg")
    upright, lying = tmp_path / "upright.png", tmp_path / "lying.jpg"
    picture.save(upright)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise by a quarter
    picture.transpose(Image.Transpose.ROTATE_90).save(lying, exif=exif, quality=95)
    out = tmp_path / "faces"
    assert main(["align", str(upright), str(lying), "--size", "64", "--out", str(out)]) == 0
    pairs = zip(aligned(out / "upright.png").tobytes(), aligned(out / "lying.png").tobytes(), strict=True)
    assert sum(abs(a - b) for a, b in pairs) / (3 * 64 * 64) < 4


def test_nothing_to_do_is_a_failure(tmp_path, capsys):
    assert main(["align", str(tmp_path / "missing.jpg"), "--out", str(tmp_path / "faces")]) == 1
    assert "missing.jpg: no such file" in capsys.readouterr().out


def test_a_second_face_never_replaces_another_s_picture(photographs, tmp_path, capsys):
    Image.open(SAMPLES / "hopper.jpg").save(photographs / "both-2.jpg")
    (photographs / "noise.png").unlink()
    out = tmp_path / "faces"
    assert main(["align", str(photographs), "--size", "64", "--out", str(out)]) == 3
    assert "would both become" in capsys.readouterr().out
    assert sorted(path.name for path in out.rglob("*.png")) == ["both-2.png", "collins.png"]


def test_a_side_of_nothing_is_refused(tmp_path, capsys):
    assert main(["align", str(SAMPLES / "collins.jpg"), "--size", "0", "--out", str(tmp_path / "faces")]) == 1
    assert capsys.readouterr().err == "pspkit: --size: got 0, needs 1 to 2048 pixels.\n"


def test_faces_are_shown_framed_and_numbered(photographs, tmp_path):
    out = tmp_path / "faces"
    assert main(["align", str(photographs / "both.png"), "--size", "64", "--show", "--out", str(out)]) == 0
    assert sorted(path.name for path in out.iterdir()) == ["both-2.png", "both-faces.png", "both.png"]
    photo, shown = (aligned(path) for path in (photographs / "both.png", out / "both-faces.png"))
    assert shown.size == photo.size
    changed = ImageChops.difference(photo, shown).convert("L").point(lambda value: 255 * (value > 0))
    left, right = changed.crop((0, 0, 550, 620)), changed.crop((550, 0, 1100, 620))
    assert left.getbbox() and right.getbbox(), "a frame around either face"


def test_pictures_that_are_there_are_kept(photographs, tmp_path):
    out = tmp_path / "faces"
    out.mkdir()
    for name in ("both-2.png", "both-faces.png"):
        Image.new("RGB", (9, 9), "red").save(out / name)
    given = ["align", str(photographs / "both.png"), "--show", "--size", "64", "--out", str(out)]
    assert main(given) == 0
    assert [aligned(out / name).size for name in ("both.png", "both-2.png", "both-faces.png")] == [
        (64, 64),
        (9, 9),
        (9, 9),
    ]
    assert main([*given, "--overwrite"]) == 0
    assert aligned(out / "both-2.png").size == (64, 64)
