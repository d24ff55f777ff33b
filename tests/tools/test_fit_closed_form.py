"""Fitting the encoder in closed form: what is logged, what is stored, and what is refused."""

import argparse
import json

import pytest
import torch

from pspkit import PspkitError
from pspkit.models.closed_form import ClosedFormEncoder
from pspkit.models.mobile_stylegan import MobileStyleGAN
from pspkit.psp import load_encoder
from tools import fit_closed_form
from tools.fit_closed_form import milestones, run


@pytest.fixture
def small(monkeypatch):
    """A decoder and an encoder of few channels."""
    torch.manual_seed(0)
    decoder = MobileStyleGAN(style_dim=16, n_mlp=1, channels=(8, 8, 8, 8, 8)).eval()

    def new_encoder(rank):
        sizes = {"n_styles": 10, "style_dim": 16, "input_size": fit_closed_form.SIDE}
        return ClosedFormEncoder(18, widths=(4, 4, 4, 4), map2style_width=rank, **sizes).eval()

    monkeypatch.setattr(fit_closed_form, "load_mobile_stylegan", lambda: decoder)
    monkeypatch.setattr(fit_closed_form, "new_encoder", new_encoder)
    monkeypatch.setattr(fit_closed_form, "face_encoder", new_encoder)
    monkeypatch.setattr(fit_closed_form, "native_precision", lambda device: "float32")
    monkeypatch.setattr(fit_closed_form, "RANKS", (1, 4))
    monkeypatch.setattr(fit_closed_form, "PIXELS", 4)


def arguments(out, **changes):
    values = {"faces": 64, "held_out": 12, "rank": 4, "variety": "plain", "preview": False, "batch": 16, "chunk": 8}
    return argparse.Namespace(**values | {"device": "cpu", "out": out} | changes)


def test_it_logs_what_each_number_of_faces_rank_and_kind_of_features_explains(small, tmp_path):
    run(arguments(tmp_path))
    first, *records = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert (first["device"], first["variety"], first["preview"]) == ("CPU", "plain", False)
    ours = [record for record in records if record["features"] == "face network"]
    assert [record["faces"] for record in ours] == [16, 32, 64, 64, 64]
    assert [record.get("rank") for record in ours] == [None, None, None, 1, 4]
    others = {record["features"]: record["faces"] for record in records if record not in ours}
    assert others == {"pixels": 64, "untrained network": 64}
    assert all(len(record["codes"]) == 10 for record in records)
    full, low = ours[2]["r2"], ours[3]["r2"]
    assert max(record["r2"] for record in ours) > 0 and full > low

    encoder = load_encoder(tmp_path)
    assert isinstance(encoder, ClosedFormEncoder)
    assert encoder.config.map2style_width == 4
    assert encoder.reduce.weight.norm() > 0


def test_half_precision_changes_the_codes_little(small, tmp_path, monkeypatch):
    run(arguments(tmp_path / "half"))
    monkeypatch.setattr(torch.Tensor, "half", lambda tensor: tensor)
    run(arguments(tmp_path / "full"))
    half, full = load_encoder(tmp_path / "half"), load_encoder(tmp_path / "full")
    pictures = torch.rand(4, 3, fit_closed_form.SIDE, fit_closed_form.SIDE) * 2 - 1
    with torch.no_grad():
        expected = full(pictures)
        assert torch.dist(half(pictures), expected) < 0.01 * expected.norm()
    sizes = [(tmp_path / name / "model.safetensors").stat().st_size for name in ("half", "full")]
    assert sizes[0] < 0.8 * sizes[1]


def test_milestones_are_whole_batches_up_to_the_last():
    assert milestones(40_000, 500) == [1000, 2500, 5000, 10_000, 20_000, 40_000]
    assert milestones(70, 32) == [32, 64]


@pytest.mark.parametrize("changes", [{"faces": 8}, {"held_out": 1}, {"variety": "odd"}])
def test_what_cannot_be_fitted_is_refused(changes, tmp_path):
    with pytest.raises(PspkitError, match=r"--faces|variety"):
        run(arguments(tmp_path, **changes))
