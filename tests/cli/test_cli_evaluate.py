"""`pspkit evaluate`."""

import json

import pytest
import torch

from pspkit.cli import main
from pspkit.config import CONFIGS
from pspkit.inference import models
from pspkit.psp import PSP
from tests.examples import SAMPLES


@pytest.fixture
def model(tmp_path):
    """A small model that has learned nothing."""
    PSP.from_config(CONFIGS["smoke"]).save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def test_figures_of_drawn_faces_and_of_photographs(model, tmp_path, capsys):
    folder = tmp_path / "people"
    folder.mkdir()
    for name in ("hopper", "collins"):
        (folder / f"{name}.jpg").write_bytes((SAMPLES / f"{name}.jpg").read_bytes())
    (folder / "torn.jpg").write_bytes(b"no picture")
    file = tmp_path / "figures.json"
    command = ["evaluate", str(model), "--drawn", "3", "--photographs", str(folder), "--json", str(file)]
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert "drawn: 3 faces" in printed and "people: 2 faces" in printed
    assert "left out: " in printed and "torn.jpg: cannot be read" in printed
    assert "mean face" in printed and "LPIPS 128" in printed
    record = json.loads(file.read_text())
    assert record["precision"] == "float32" and [one["name"] for one in record["sets"]] == ["drawn", "people"]
    drawn, people = (one["figures"] for one in record["sets"])
    assert "codes" in drawn and "codes" not in people
    assert all(figure["low"] <= figure["mean"] <= figure["high"] for figure in people.values())


def test_an_encoder_alone_is_put_before_the_domain_s_decoder(model, tmp_path, monkeypatch):
    psp = PSP.from_pretrained(model)
    psp.encoder.save_pretrained(tmp_path / "encoder")
    monkeypatch.setattr(type(models.get_domain("faces")), "decoder", lambda *_: (psp.decoder, psp.latent_avg))
    assert main(["evaluate", str(tmp_path / "encoder"), "--drawn", "2"]) == 0


def test_without_a_model_it_is_the_one_that_comes_with_faces(faces, tmp_path, capsys):
    file = tmp_path / "figures.json"
    assert main(["evaluate", "--drawn", "2", "--json", str(file)]) == 0
    assert "drawn: 2 faces" in capsys.readouterr().out
    assert json.loads(file.read_text())["model"] == "faces"


def test_refinement_comes_nearer(model, tmp_path):
    file = tmp_path / "figures.json"
    assert main(["evaluate", str(model), "--drawn", "2", "--refine", "10", "--json", str(file)]) == 0
    record = json.loads(file.read_text())
    drawn = record["sets"][0]
    assert record["refine"] == 10
    assert drawn["figures"]["mse"]["mean"] < drawn["mean_face"]["mse"]["mean"]


def test_optimisation_without_the_encoder_depends_on_the_decoder_alone(model, tmp_path):
    psp, found = PSP.from_pretrained(model), []
    for name in ("first", "second"):
        with torch.no_grad():
            for weight in psp.encoder.parameters():
                weight.mul_(0.5)
        psp.save_pretrained(tmp_path / name)
        file = tmp_path / f"{name}.json"
        options = ["--drawn", "2", "--start", "average", "--refine", "3", "--json", str(file)]
        assert main(["evaluate", str(tmp_path / name), *options]) == 0
        found.append(json.loads(file.read_text()))
    assert found[0]["start"] == "average" and found[0]["refine"] == 3
    figures = found[0]["sets"][0]
    assert figures["figures"] == found[1]["sets"][0]["figures"]
    assert figures["figures"]["mse"]["mean"] < figures["mean_face"]["mse"]["mean"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--most", "1"], "pspkit: --most: got 1, needs at least 2"),
        (["--most", "4"], "pspkit: --most: is about photographs, and there are none."),
        (["--start", "zero"], "pspkit: --start: got 'zero', needs one of 'encoder', 'average'"),
        (["--start", "average"], "pspkit: --start: average alone is the mean face"),
        (["--drawn", "0"], "pspkit: --drawn: 0, and no --photographs"),
        (["--precision", "int8"], "pspkit: --precision: got 'int8'"),
        (["--refine", "-1"], "pspkit: --refine: got -1, needs at least 0."),
        (["--batch", "0"], "pspkit: --batch: got 0, needs at least 1."),
    ],
)
def test_what_cannot_be_measured_is_refused(options, message, capsys):
    assert main(["evaluate", *options]) == 1
    assert capsys.readouterr().err.startswith(message)
