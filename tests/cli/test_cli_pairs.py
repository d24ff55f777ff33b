"""`pspkit pairs`."""

from PIL import Image

from pspkit.cli import main


def test_pairs_draws_what_a_task_is_shown(tmp_path, capsys):
    assert main(["render", "--count", "3", "--size", "64", "--out", str(tmp_path / "heads")]) == 0
    folders = ["--source", str(tmp_path / "heads/labels"), "--target", str(tmp_path / "heads/images")]
    sheet = tmp_path / "pairs.PNG"
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
    error = capsys.readouterr().err
    assert f"1 picture cannot be used:\n  {bad}" in error
    assert error.endswith("or leave them out with --on-bad-image skip.\n")
    assert main([*arguments, "--on-bad-image", "skip"]) == 0
    out, err = capsys.readouterr()
    assert out == "2 pairs for encode\n"
    assert err.startswith("skipped: 1 picture cannot be used")
