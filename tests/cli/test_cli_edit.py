"""`pspkit edit` and `pspkit animate`."""

import pytest
import torch
from PIL import Image

from pspkit.course.run import ROOT
from pspkit.data.heads import render, sample_factors
from pspkit.data.pictures import save_picture
from pspkit.inference.edit import read_people
from pspkit.storage.checkpoints import read_codes
from tests.cli.running import SAMPLES, names, pixels, run


@pytest.fixture
def way(tmp_path):
    torch.save(torch.randn(512, generator=torch.Generator().manual_seed(0)), tmp_path / "way.pt")
    return tmp_path / "way.pt"


@pytest.fixture
def head(tmp_path):
    save_picture(tmp_path / "head.png", render(sample_factors(1, 0), 64).image)
    return tmp_path / "head.png"


def test_codes_are_moved_and_kept(tmp_path, faces, way):
    out = tmp_path / "moved.png"
    options = ("--direction", way, "--step", "-0.5", "--layers", "fine", "--save-codes", "--out", out)
    assert run("edit", f"{SAMPLES}:2", *options) == 0
    moved, start = read_codes(out.with_suffix(".safetensors"))[0], read_codes(SAMPLES)[0][2]
    assert torch.equal(moved[0, :7], start.expand(7, -1))
    assert torch.allclose(moved[0, 7:], start - 0.5 * torch.load(way))
    assert pixels(out).shape == (1024, 1024, 3)
    assert run("edit", f"{SAMPLES}:2", *options) == 1  # it is there already


def test_a_head_is_encoded_and_moved(tmp_path, head, capsys):
    out = tmp_path / "bearded.png"
    assert run("edit", head, "--domain", "heads", "--direction", "beard", "--side-by-side", "--out", out) == 0
    before, after = pixels(out)[:, :64], pixels(out)[:, 64:]
    lower, upper = (abs(after - before)[rows].mean() for rows in (slice(36, 60), slice(0, 24)))
    assert lower > 1.5 * upper


def test_a_photograph_is_aligned_where_it_is_not(capsys):
    samples = ROOT / "data" / "samples"
    people = read_people([samples / "hopper.jpg", samples / "hopper_aligned.jpg"], refine=0, device="cpu")
    assert [remark.partition(": its face was not")[0] for remark in people.remarks] == [str(samples / "hopper.jpg")]
    assert people.placements[0].face is not None
    assert people.placements[1].face is None
    crop, aligned = people.codes - people.codes.mean(1, keepdim=True)
    assert torch.nn.functional.cosine_similarity(crop.flatten(), aligned.flatten(), 0) > 0.95


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["edit", SAMPLES, "--direction", "way.pt"], "holds 8 faces. Name one, as in"),
        (["edit", f"{SAMPLES}:1", "--direction", "way.pt", "--paste"], "is no photograph of a face. Leave it out."),
        (["edit", f"{SAMPLES}:1", "--direction", "way.pt", "--paste", "--side-by-side"], "--paste: --side-by-side has"),
        (["edit", f"{SAMPLES}:1", "--direction", "way.pt", "--layers", "soft"], "--layers: got 'soft', needs coarse"),
        (["edit", "none.jpg", "--direction", "smile", "--domain", "heads"], "none.jpg: no such file."),
        (["animate", f"{SAMPLES}:1"], "--direction: none is given, and one face alone does not move."),
        (["animate", f"{SAMPLES}:1", f"{SAMPLES}:2", "--seconds", "0.1"], "frames: got 2, needs 4 to 1000."),
        (["animate", f"{SAMPLES}:1", f"{SAMPLES}:2", "--fps", "90"], "--fps: got 90, needs 1 to 50 frames a second."),
        (["animate", f"{SAMPLES}:1", f"{SAMPLES}:2", "--preview"], "--preview: this decoder has none."),
    ],
)
def test_what_cannot_be_used_is_said(tmp_path, faces, way, monkeypatch, capsys, arguments, words):
    monkeypatch.chdir(tmp_path)
    assert run(*arguments, "--out", "out.png" if arguments[0] == "edit" else "out.gif") == 1
    assert words in capsys.readouterr().err
    assert names(tmp_path) == ["way.pt"]


def test_a_head_moves_there_and_back(tmp_path, head):
    out = tmp_path / "film.gif"
    options = ("--direction", "yaw", "--step", "-0.5", "0.5", "--seconds", "0.6", "--fps", "10", "--out", out)
    assert run("animate", head, "--domain", "heads", *options) == 0
    with Image.open(out) as film:
        assert (film.n_frames, film.size) == (6, (64, 64))
    assert run("animate", head, "--domain", "heads", *options) == 1  # it is there already
    assert run("animate", head, "--domain", "heads", "--overwrite", *options) == 0


def test_two_faces_change_into_one_another_with_anybodys_direction(tmp_path, faces, way):
    out = tmp_path / "film.webp"
    options = ("--seconds", "0.4", "--fps", "10", "--size", "32", "--out", out)
    assert run("animate", f"{SAMPLES}:0", f"{SAMPLES}:1", "--direction", way, *options) == 0
    with Image.open(out) as film:
        assert film.size == (32, 32)
