"""Tuning: layers of the decoder trained for one picture, kept in a small file."""

import pytest
import torch

from pspkit.errors import CheckpointError
from pspkit.inference import tune
from pspkit.inference.refine import Refiner
from pspkit.inference.tune import MOST_NUMBERS, Tuner, load_tuned, save_tuned, tuned_decoder, tuned_layers, tuned_path
from pspkit.models.mobile_stylegan import MobileStyleGAN, Readout
from pspkit.models.stylegan2 import Generator
from pspkit.storage.checkpoints import save_codes


@pytest.fixture
def decoder():
    torch.manual_seed(0)
    decoder = MobileStyleGAN(style_dim=8, n_mlp=1, channels=(8, 8, 8, 8)).eval().requires_grad_(False)
    decoder.readouts["16"] = Readout(8)
    return decoder


@pytest.fixture
def tuner(decoder, monkeypatch):
    monkeypatch.setattr(tune, "RATE", 0.01)  # the layers are small
    return Tuner(decoder, 30, Refiner(decoder, 0))  # its pictures of 64 px are compared by LPIPS, too


def codes_of(decoder):
    return torch.randn(1, decoder.n_styles, 8, generator=torch.Generator().manual_seed(1))


def test_codes_act_through_layers_that_stay(decoder):
    names = tuned_layers(decoder)
    assert "head.conv.weight" in names and "blocks.0.conv1.conv.0.weight" in names
    assert not [name for name in names if "modulation" in name or name.startswith("style") or ".up." in name]
    large = Generator(1024)
    assert sum(large.get_parameter(name).numel() for name in tuned_layers(large)) <= MOST_NUMBERS


def test_of_the_photographic_decoder_three_megabytes_are_tuned():
    with torch.device("meta"):
        decoder = MobileStyleGAN()
    names = tuned_layers(decoder)
    assert sum(decoder.get_parameter(name).numel() for name in names) * 2 < 5e6
    assert {name.split(".")[0] for name in names} == {"blocks", "head"}


def test_a_picture_comes_nearer_and_the_decoder_stays(decoder, tuner, tmp_path):
    kept = {name: tensor.clone() for name, tensor in decoder.state_dict().items()}
    codes, picture = codes_of(decoder), decoder.synthesis(codes_of(decoder)).clamp(-1, 1).flip(1)
    tuned = tuner(codes, picture)
    (before,), (after,) = tuner.gain.before["L2"], tuner.gain.after["L2"]
    assert after < 0.7 * before
    assert all(torch.equal(tensor, kept[name]) for name, tensor in decoder.state_dict().items())
    assert tuned.preview_sides == () and decoder.preview_sides == (16,)
    assert tuned.style is not decoder.style and tuned.style[1].weight is decoder.style[1].weight, "shared, not copied"
    assert "1 picture tuned by 30 steps" in str(tuner.gain) and "MB a picture" in str(tuner.gain)

    save_tuned(decoder, tuned, tuned_path(tmp_path / "a.safetensors"))
    assert (tmp_path / "a.tuned.safetensors").exists()
    again = tuned_decoder(decoder, tmp_path / "a.safetensors")
    torch.testing.assert_close(again.synthesis(codes), tuned.synthesis(codes))
    assert tuned_decoder(decoder, tmp_path / "b.safetensors") is decoder


def test_a_file_of_another_decoder_is_refused(decoder, tmp_path):
    save_tuned(decoder, decoder, tmp_path / "a.tuned.safetensors")
    other = MobileStyleGAN(style_dim=8, n_mlp=1, channels=(16, 8, 8, 8))
    with pytest.raises(CheckpointError, match="its layers are another decoder's"):
        load_tuned(tmp_path / "a.tuned.safetensors", other)
    save_codes(tmp_path / "codes.safetensors", codes_of(decoder), "w_plus")
    with pytest.raises(CheckpointError, match="not a file of tuned layers"):
        load_tuned(tmp_path / "codes.safetensors", decoder)
