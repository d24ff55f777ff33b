"""The weights that ship: each loads, and a figure of its card can be repeated; and how cards come about."""

import json

import pytest
import torch

from pspkit import weights
from pspkit.backbone import Backbone
from pspkit.checkpoints.files import write_text
from pspkit.config import BackboneConfig
from pspkit.domains import WEIGHTS
from pspkit.errors import CheckpointError, PspkitError
from pspkit.weights import IDENTITY, RECIPES, store, train, write_overview

ENCODE = "heads-encode"
SHIPPED = [name for name, recipe in RECIPES.items() if recipe.ships]


def card_of(name):
    return json.loads((WEIGHTS / name / "card.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_model_loads_and_a_figure_of_its_card_is_repeated(name):
    card = card_of(name)
    model = RECIPES[name].kind.from_pretrained(WEIGHTS / name)
    assert sum(parameter.numel() for parameter in model.parameters()) == card["parameters"]
    assert RECIPES[name].check(model) == pytest.approx(card["check"], rel=0.01)
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
    assert sum(sizes) <= 48e6
    assert max(sizes) <= 16e6


def test_no_file_is_without_its_recipe():
    assert {folder.name for folder in WEIGHTS.iterdir() if folder.is_dir()} <= RECIPES.keys()


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A finished training of an identity network."""
    monkeypatch.setattr(weights, "WEIGHTS", tmp_path / "weights")
    folder = tmp_path / "runs" / IDENTITY
    torch.manual_seed(0)
    Backbone.from_config(BackboneConfig(18, "ir", 48, (4, 4, 8, 8), 8)).save_pretrained(folder / "model")
    write_text(folder / "log.jsonl", '{"epoch": 1, "seconds": 3.2}\n{"epoch": 2, "seconds": 6.4}\n')
    monkeypatch.setattr(weights, "UNSEEN", 4)
    return folder


def test_a_stored_model_is_half_as_large_and_has_a_card(run, tmp_path):
    store(IDENTITY, tmp_path / "runs")
    folder = tmp_path / "weights" / IDENTITY
    assert (folder / "model.safetensors").stat().st_size < 0.7 * (run / "model" / "model.safetensors").stat().st_size
    kept, model = Backbone.from_pretrained(folder), Backbone.from_pretrained(run / "model")
    for ours, theirs in zip(kept.parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-6)
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    assert card["command"] == f"python -m pspkit.recognition --out runs/{IDENTITY}"
    assert (card["epochs"], card["seconds"]) == (2, 6)
    assert set(card["metrics"]) == {"threshold", "accuracy", "lookalikes", "same", "different", "alike"}
    assert (folder / "log.jsonl").read_text() == (run / "log.jsonl").read_text()
    assert RECIPES[IDENTITY].check(kept) == pytest.approx(card["check"])

    write_overview()
    page = (tmp_path / "weights" / "README.md").read_text(encoding="utf-8")
    assert f"## {IDENTITY}" in page
    assert "| lookalikes |" in page
    assert str(tmp_path) not in page


def test_a_training_without_a_model_yet(tmp_path):
    with pytest.raises(CheckpointError, match="model: cannot be read"):
        store(IDENTITY, tmp_path)


def test_a_training_that_fails_is_named(tmp_path, monkeypatch):
    (tmp_path / IDENTITY).mkdir()
    (tmp_path / IDENTITY / "state.pt").write_bytes(b"nothing")
    with pytest.raises(PspkitError, match=f"{IDENTITY}: its training stopped"):
        train(IDENTITY, tmp_path)
