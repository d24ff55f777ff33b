"""The weights that ship: each loads, and a figure of its card can be repeated; and how cards come about."""

import json

import pytest
import torch

from pspkit.config import BackboneConfig
from pspkit.domains import WEIGHTS
from pspkit.errors import CheckpointError, PspkitError
from pspkit.inference import find_psp
from pspkit.models.backbone import Backbone
from pspkit.models.encoders import GradualStyleEncoder
from pspkit.models.mobile_stylegan import MobileStyleGAN
from pspkit.psp import PSP
from pspkit.storage.checkpoints.files import write_text
from tools import cards, measuring, store_faces, train_faces, weights
from tools.cards import store, write_overview
from tools.origins import FACES, FACES_ENCODE, IDENTITY, ORIGINS
from tools.weights import train

ENCODE = "heads-encode"
SHIPPED = [name for name, origin in ORIGINS.items() if origin.ships]


def card_of(name):
    return json.loads((WEIGHTS / name / "card.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_model_loads_and_a_figure_of_its_card_is_repeated(name):
    card = card_of(name)
    model = ORIGINS[name].kind.from_pretrained(WEIGHTS / name)
    assert sum(parameter.numel() for parameter in model.parameters()) == card["parameters"]
    assert ORIGINS[name].check(model) == pytest.approx(card["check"], rel=0.01)
    assert {"command", "seed", "seconds", "hardware", "data", "date", "metrics"} <= card.keys()
    assert (WEIGHTS / name / "log.jsonl").read_text(encoding="utf-8").count("\n") >= 1


def test_what_ships_is_good_enough():
    found = {name: card_of(name)["metrics"] for name in SHIPPED}
    encode = found[ENCODE]
    assert encode["identity"] - encode["random_identity"] >= 0.6
    assert encode["lpips"] <= encode["mean_head_lpips"] / 2
    for task in ("sketch", "segmentation"):  # whose colours nobody knows
        assert found[f"heads-{task}"]["lpips"] < 0.7 * encode["mean_head_lpips"]
    assert found["heads-frontalize"]["yaw"] < 8  # degrees
    assert found["heads-inpaint"]["seen_l2"] <= 1.1 * encode["l2"]
    returned = [value for name, value in found["heads-super_resolution"].items() if name.startswith("returned")]
    assert max(returned) <= 1.1 * encode["l2"]
    assert found["heads-plain-64"]["projection_l2"] <= 0.01


def test_codes_from_a_pyramid_are_worth_their_heads():
    pyramid, w, w_plus = (card_of(name) for name in (ENCODE, f"{ENCODE}-w", f"{ENCODE}-w_plus"))
    assert pyramid["steps"] == w["steps"] == w_plus["steps"]
    for figure in ("lpips", "l2"):
        assert pyramid["metrics"][figure] < 0.9 * min(w["metrics"][figure], w_plus["metrics"][figure])
    assert pyramid["metrics"]["identity"] > max(w["metrics"]["identity"], w_plus["metrics"]["identity"])


def test_what_ships_is_small():
    sizes = [file.stat().st_size for file in WEIGHTS.rglob("*") if file.is_file()]
    assert sum(sizes) <= 80e6
    assert max(sizes) <= 34e6


def test_no_file_is_without_its_origin():
    assert {folder.name for folder in WEIGHTS.iterdir() if folder.is_dir()} <= {*ORIGINS, *FACES}
    for name in FACES:  # which descend from the weights of others
        assert {"command", "data", "licence"} <= card_of(name).keys()


def test_the_encoder_of_photographs_repeats_a_figure_of_its_card():
    card, psp = card_of(FACES_ENCODE), find_psp("faces", "encode", device="cpu")
    assert sum(parameter.numel() for parameter in psp.encoder.parameters()) == card["parameters"]
    assert store_faces.check(psp) == pytest.approx(card["check"], rel=0.01)
    log = (WEIGHTS / FACES_ENCODE / "log.jsonl").read_text(encoding="utf-8")
    assert json.loads(log.splitlines()[-1])["step"] == card["steps"]
    likeness = {one["name"]: (one["figures"], one["mean_face"]) for one in card["sets"]}
    for name, figures in {"drawn": 0.8, "london": 0.45, "portraits": 0.5}.items():
        found, mean_face = likeness[name]
        assert found["arcface"]["mean"] >= figures
        for figure in ("arcface", "facenet"):
            assert found[figure]["low"] > mean_face[figure]["high"]
        assert found["lpips_128"]["high"] < mean_face["lpips_128"]["low"]


def test_the_encoder_of_photographs_and_its_card_are_stored(tmp_path, monkeypatch):
    monkeypatch.setattr(store_faces, "FOLDER", tmp_path / FACES_ENCODE)
    monkeypatch.setattr(cards, "WEIGHTS", tmp_path)
    torch.manual_seed(0)
    encoder = GradualStyleEncoder(n_styles=16, input_size=128, map2style_width=128, backbone="mobile_facenet")
    train_faces.write_pieces(tmp_path / "run", encoder.state_dict())
    store_faces.store_model(tmp_path / "run")
    kept = GradualStyleEncoder.from_pretrained(tmp_path / FACES_ENCODE)
    for ours, theirs in zip(kept.parameters(), encoder.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-6)

    decoder = MobileStyleGAN(n_mlp=1, channels=(8,) * 8).eval()
    psp = PSP(kept, decoder, torch.zeros(512)).eval()
    assert store_faces.draw_sheet(psp).shape == (3, 4 * store_faces.SHEET_SIDE, 8 * store_faces.SHEET_SIDE)
    figure = {"mean": 0.512345, "low": 0.4, "high": 0.6}
    one = {
        "name": "people",
        "count": 3,
        "seconds": 1.0,
        "figures": {"arcface": figure},
        "mean_face": {"arcface": figure},
    }
    write_text(tmp_path / "figures.json", json.dumps({"precision": "float32", "sets": [one]}))
    write_text(tmp_path / "run" / "log.jsonl", '{"step": 7, "seconds": 60}\n')
    store_faces.write_card(tmp_path / "run", tmp_path / "figures.json", "a machine", psp)
    write_overview()
    page = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "7 steps, 1 min, a machine, seed 0" in page
    assert "| measured | people (3) |" in page
    assert "| arcface | 0.512 [0.400, 0.600] – 0.512 |" in page


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A finished training of an identity network."""
    monkeypatch.setattr(cards, "WEIGHTS", tmp_path / "weights")
    folder = tmp_path / "runs" / IDENTITY
    torch.manual_seed(0)
    Backbone.from_config(BackboneConfig(18, "ir", 48, (4, 4, 8, 8), 8)).save_pretrained(folder / "last")
    write_text(folder / "log.jsonl", '{"step": 1, "seconds": 3.2}\n{"step": 2, "seconds": 6.4}\n')
    monkeypatch.setattr(measuring, "UNSEEN", 4)
    return folder


def test_a_stored_model_is_half_as_large_and_has_a_card(run, tmp_path):
    store(IDENTITY, tmp_path / "runs")
    folder = tmp_path / "weights" / IDENTITY
    assert (folder / "model.safetensors").stat().st_size < 0.7 * (run / "last" / "model.safetensors").stat().st_size
    kept, model = Backbone.from_pretrained(folder), Backbone.from_pretrained(run / "last")
    for ours, theirs in zip(kept.parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-6)
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    assert card["command"] == f"pspkit train-identity --out runs/{IDENTITY}"
    assert (card["steps"], card["seconds"]) == (2, 6)
    assert set(card["metrics"]) == {"threshold", "accuracy", "lookalikes", "same", "different", "alike"}
    assert (folder / "log.jsonl").read_text() == (run / "log.jsonl").read_text()
    assert ORIGINS[IDENTITY].check(kept) == pytest.approx(card["check"])

    write_overview()
    page = (tmp_path / "weights" / "README.md").read_text(encoding="utf-8")
    assert f"## {IDENTITY}" in page
    assert "| lookalikes |" in page
    assert str(tmp_path) not in page


def test_a_training_without_a_model_yet(tmp_path):
    with pytest.raises(CheckpointError, match="last: cannot be read"):
        store(IDENTITY, tmp_path)


def test_a_training_that_fails_is_named(tmp_path, monkeypatch):
    (tmp_path / IDENTITY).mkdir()
    (tmp_path / IDENTITY / "state.pt").write_bytes(b"nothing")
    with pytest.raises(PspkitError, match=f"{IDENTITY}: its training stopped"):
        train(IDENTITY, tmp_path)


def test_every_name_is_made_in_order_and_the_directions_last(monkeypatch, tmp_path):
    made = []
    monkeypatch.setattr(weights, "train", lambda name, runs: made.append(name))
    monkeypatch.setattr(weights, "store", lambda name, runs: None)
    monkeypatch.setattr(weights, "write_overview", lambda: None)
    monkeypatch.setattr(weights, "_pspkit", lambda *arguments: made.append(arguments[0]) or 0)
    monkeypatch.setattr("sys.argv", ["weights", "--runs", str(tmp_path)])
    weights.main()
    assert made == [*ORIGINS, "directions"]
    monkeypatch.setattr("sys.argv", ["weights", "nothing"])
    with pytest.raises(PspkitError, match="NAME: got 'nothing', needs one of 'heads-plain-64'"):
        weights.main()
