import json
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
from PIL import Image

import pspkit
from pspkit import PspkitError, assets, course, psp
from pspkit.cli import main


def test_version(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out == f"pspkit {pspkit.__version__}\n"


def test_help_does_not_wait_for_torch():
    script = "import sys, pspkit.cli as c\ntry:\n  c.main(['--help'])\nfinally:\n  print('torch' in sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"PYTHONPATH": str(course.ROOT)},
        capture_output=True,
        text=True,
    )
    assert "inspect" in result.stdout
    assert result.stdout.endswith("False\n")


@pytest.mark.parametrize("arguments", [[], ["assets"], ["course"], ["unknown"]])
def test_an_incomplete_command_shows_the_usage(arguments, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert "usage: pspkit" in capsys.readouterr().err


def test_assets_list_shows_every_asset_with_its_licence(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PSPKIT_CACHE", str(tmp_path))
    assert main(["assets", "list"]) == 0
    head, *rows, note = capsys.readouterr().out.splitlines()
    assert head.split() == ["name", "cached", "MB", "purpose", "licence"]
    assert [row.split()[:2] for row in rows] == [[name, "no"] for name in assets.ASSETS]
    assert [row.endswith("†") for row in rows] == [asset.restricted for asset in assets.ASSETS.values()]
    assert "not for commercial use" in note


def test_assets_get_prints_where_the_files_are(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(assets, "fetch", lambda name: tmp_path / name)
    assert main(["assets", "get", "face-landmarks"]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'face-landmarks'}\n"


def test_a_refusal_is_one_message_and_exit_code_1(capsys):
    assert main(["assets", "get", "nothing"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("pspkit: 'nothing': no such asset. There are mobile-stylegan,")


@pytest.mark.parametrize(("loads", "code"), [(True, 0), (False, 1)])
def test_inspect_prints_the_report(loads, code, monkeypatch, capsys):
    class Report(SimpleNamespace):
        def __str__(self):
            return f"report on {self.path}"

    monkeypatch.setattr(psp, "inspect_checkpoint", lambda path: Report(path=path, loads=loads))
    assert main(["inspect", "weights.pt"]) == code
    assert capsys.readouterr().out == "report on weights.pt\n"


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


def test_course_run_passes_its_options(monkeypatch):
    asked = {}
    monkeypatch.setattr(course, "run", lambda **options: asked.update(options))
    assert main(["course", "run", "--only", "00", "--only", "03", "--in-place"]) == 0
    assert asked == {"only": ["00", "03"], "in_place": True}


def test_an_interrupt_ends_without_a_traceback(monkeypatch, capsys):
    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr(course, "site", interrupted)
    assert main(["course", "site"]) == 130
    assert capsys.readouterr().err == ""


def test_a_failing_course_is_exit_code_1(monkeypatch, capsys):
    def failing():
        raise PspkitError("00_start_here.ipynb, cell 3 failed.")

    monkeypatch.setattr(course, "site", failing)
    assert main(["course", "site"]) == 1
    assert capsys.readouterr().err == "pspkit: 00_start_here.ipynb, cell 3 failed.\n"
