"""The weights that ship: each loads, and a figure of its card can be repeated; and how cards come about."""

import json

import pytest
import torch

from pspkit.config import BackboneConfig
from pspkit.domains import WEIGHTS
from pspkit.errors import CheckpointError, PspkitError
from pspkit.inference import find_psp
from pspkit.models.backbone import Backbone
from pspkit.models.closed_form import ClosedFormEncoder
from pspkit.models.encoders import GradualStyleEncoder
from pspkit.models.mobile_stylegan import MobileStyleGAN
from pspkit.psp import PSP
from pspkit.storage.checkpoints.files import write_text
from tools import cards, measuring, weights
from tools.cards import store, write_overview
from tools.faces.pieces import write_pieces
from tools.origins import FACE_TASKS, FACES, FACES_CLOSED_FORM, FACES_ENCODE, IDENTITY, ORIGINS
from tools.store import closed_form as store_closed_form
from tools.store import face_tasks as store_face_tasks
from tools.store import faces as store_faces
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
    sizes = {file.relative_to(WEIGHTS): file.stat().st_size for file in WEIGHTS.rglob("*.safetensors")}
    of_faces = sum(size for file, size in sizes.items() if str(file).startswith("faces-"))
    assert of_faces <= 83e6
    assert sum(sizes.values()) - of_faces <= 48e6
    assert max(sizes.values()) <= 34e6


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


@pytest.mark.parametrize("name", FACE_TASKS)
def test_an_encoder_of_photographs_for_tasks_repeats_a_figure_of_its_card(name):
    card = card_of(f"faces-{name}")
    task = store_face_tasks.TASKS_OF.get(name, (name,))[0]
    psp = find_psp("faces", task, device="cpu")
    assert sum(parameter.numel() for parameter in psp.encoder.parameters()) == card["parameters"]
    assert store_face_tasks.check(psp, task) == pytest.approx(card["check"], rel=0.01)
    log = (WEIGHTS / f"faces-{name}" / "log.jsonl").read_text(encoding="utf-8")
    assert json.loads(log.splitlines()[-1])["step"] == card["steps"]


def test_the_encoders_of_photographs_for_tasks_are_good_enough():
    found = {name: card_of(f"faces-{name}")["kinds"] for name in FACE_TASKS}
    mean_face = {one["name"]: one["mean_face"] for one in card_of(FACES_ENCODE)["sets"]}
    for kinds in found.values():
        for kind, figures in kinds.items():  # each knows far more than the mean face does
            group = kind.partition(",")[0]
            assert figures["lpips_128"] < mean_face[group]["lpips_128"]["mean"]
            assert figures["arcface"] > 2 * figures["arcface_others"]
    assert found["frontalize"]["portraits, as it is"]["first"] > 0.9
    assert found["restore"]["portraits, grey"]["first"] > 0.85
    assert found["sketch"]["drawn, lines"]["first"] > 0.8


def test_the_encoder_in_closed_form_is_a_baseline_below_the_trained_one():
    folder, card = WEIGHTS / FACES_CLOSED_FORM, card_of(FACES_CLOSED_FORM)
    psp = find_psp("faces", "encode", folder, device="cpu")
    assert isinstance(psp.encoder, ClosedFormEncoder)
    assert sum(parameter.numel() for parameter in psp.encoder.parameters()) == card["parameters"]
    assert (folder / "model.safetensors").stat().st_size <= 8e6
    assert store_faces.check(psp) == pytest.approx(card["check"], rel=0.01)
    solved, trained = (
        {one["name"]: one for one in card_of(name)["sets"]} for name in (FACES_CLOSED_FORM, FACES_ENCODE)
    )
    for name, one in solved.items():
        for figure in ("arcface", "facenet"):
            assert one["figures"][figure]["low"] > one["mean_face"][figure]["high"]
        assert one["figures"]["lpips_128"]["high"] < one["mean_face"]["lpips_128"]["low"]
        solved_likeness, trained_likeness = one["figures"]["arcface"], trained[name]["figures"]["arcface"]
        assert solved_likeness["mean"] < trained_likeness["mean"]
        if name != "drawn":  # where the intervals meet: what training adds is mostly the way to photographs
            assert solved_likeness["high"] < trained_likeness["low"]
    r2 = {}
    for line in map(json.loads, (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()[1:]):
        r2[line["features"], line["faces"], line.get("rank")] = line["r2"]
    assert r2["face network", 40_000, None] >= 0.44
    assert r2["face network", 10_000, None] > r2["pixels", 10_000, None] + 0.1
    assert r2["face network", 40_000, 128] >= 0.98 * r2["face network", 40_000, None]


def test_the_card_of_an_encoder_in_closed_form(tmp_path, monkeypatch):
    monkeypatch.setattr(store_closed_form, "FOLDER", tmp_path)
    monkeypatch.setattr(store_closed_form, "check", lambda psp: 0.7)
    log = [{"device": "a machine"}, {"faces": 60, "r2": 0.5}, {"faces": 60, "rank": 2, "r2": 0.3, "seconds": 7.6}]
    write_text(tmp_path / "log.jsonl", "".join(json.dumps(line) + "\n" for line in log))
    one = {"name": "people", "count": 3, "seconds": 1.0, "figures": {"arcface": {"mean": 0.123456}}, "mean_face": {}}
    for name in ("a", "b"):
        write_text(tmp_path / f"{name}.json", json.dumps({"precision": "float32", "sets": [one | {"name": name}]}))
    encoder = ClosedFormEncoder(18, input_size=32, widths=(4, 4, 4, 4), map2style_width=3)
    psp = torch.nn.Module()
    psp.encoder = encoder
    store_closed_form.write_card([tmp_path / "a.json", tmp_path / "b.json"], psp)
    card = json.loads((tmp_path / "card.json").read_text(encoding="utf-8"))
    assert (card["seconds"], card["hardware"], card["check"]) == (8, "a machine", 0.7)
    assert "--faces 60 --rank 3" in card["command"]
    assert [one["name"] for one in card["sets"]] == ["a", "b"]
    assert card["sets"][0]["figures"]["arcface"]["mean"] == 0.1235
    assert "rank 3" in card["remarks"] and "30 %" in card["remarks"].replace("%", " %")


def test_the_encoder_of_photographs_and_its_card_are_stored(tmp_path, monkeypatch):
    monkeypatch.setattr(store_faces, "FOLDER", tmp_path / FACES_ENCODE)
    monkeypatch.setattr(cards, "WEIGHTS", tmp_path)
    torch.manual_seed(0)
    encoder = GradualStyleEncoder(n_styles=16, input_size=128, map2style_width=128, backbone="mobile_facenet")
    write_pieces(tmp_path / "run", encoder.state_dict())
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
