"""Refinement: codes of an encoder brought nearer to their pictures."""

import copy

import pytest
import torch
import torch.nn.functional as F

from pspkit import PspkitError, save_picture, translate
from pspkit.config import CONFIGS
from pspkit.inference import decode_files, project_file, refine
from pspkit.inference.models import find_identity
from pspkit.inference.projection import Nearness, optimise
from pspkit.inference.refine import Gain, Refiner, check_refinement
from pspkit.losses.identity import IdentityLoss
from pspkit.models.registry import has_preview
from pspkit.models.stylegan2 import Generator
from pspkit.psp import PSP
from pspkit.storage.checkpoints import load_codes


class Previewed(Generator):
    """A decoder of 512 px whose preview of 256 px is quick; its whole pictures are counted."""

    preview_sides = (256,)

    def __init__(self):
        super().__init__(512, style_dim=8, n_mlp=1, max_channels=4)
        self.size, self.whole = 512, 0

    def preview(self, w_plus, side):
        return F.interpolate(w_plus[:, :3, :4].reshape(-1, 3, 2, 2), size=side, mode="bilinear")

    def synthesis(self, w_plus, noise="fixed"):
        self.whole += 1
        return F.interpolate(self.preview(w_plus, 256), size=512)


class Colours(torch.nn.Module):
    """An identity network that embeds a picture's colours."""

    input_size = 4

    def forward(self, x):
        return x.flatten(1) + 1


class Brightness(torch.nn.Module):
    """A quick stand-in for LPIPS."""

    def forward(self, output, images):
        return (output - images).abs().mean((1, 2, 3))


@pytest.fixture
def decoder():
    return Previewed().eval().requires_grad_(False)


@pytest.fixture
def codes(decoder):
    return torch.randn(2, decoder.n_styles, 8, generator=torch.Generator().manual_seed(0)) / 2


def test_a_preview_takes_the_place_of_the_whole_picture(decoder, codes):
    assert has_preview(decoder, 256) and not has_preview(decoder, 128)
    pictures, kept = decoder.preview(codes, 256), codes.clone()
    start = codes + 0.2
    found = optimise(decoder, pictures, start, 20, 0.05, side=256)
    assert decoder.whole == 0 and torch.equal(codes, kept)
    assert not found.requires_grad and found.dtype == torch.float32
    before, after = ((decoder.preview(c, 256) - pictures).square().mean() for c in (start, found))
    assert after < 0.2 * before
    optimise(decoder, torch.zeros(1, 3, 512, 512), codes[:1], 3, 0.05)
    assert decoder.whole == 3


def test_every_distance_counts(decoder, codes):
    pictures = decoder.preview(codes, 256)
    networks = {"lpips": Brightness(), "identity": IdentityLoss(Colours())}

    def found(**weights):
        return optimise(decoder, pictures, codes + 0.2, 3, 0.05, Nearness(**weights), **networks, side=256)

    plain = found(lpips=0, identity=0)
    for name in ("lpips", "identity", "start"):
        weights = {"lpips": 0, "identity": 0} | {name: 5}
        assert (found(**weights) - plain).abs().max() > 1e-4, name
    tied = found(lpips=0, identity=0, start=50)
    assert (tied - codes - 0.2).abs().mean() < (plain - codes - 0.2).abs().mean()


def test_a_refiner_measures_what_it_gains(decoder, codes, monkeypatch):
    monkeypatch.setattr(refine, "load_lpips", Brightness)
    refiner = Refiner(decoder, 15, IdentityLoss(Colours()))
    pictures, start = decoder.preview(codes, 256), codes + 0.3
    before = refiner.measure(decoder.synthesis(start), pictures)
    refined = refiner(start, pictures)
    refiner.gain.add(before, refiner.measure(decoder.synthesis(refined), pictures))
    assert set(before) == {"L2", "LPIPS", "identity"}
    assert all(len(values) == 2 for values in refiner.gain.after.values())
    assert sum(refiner.gain.after["L2"]) < 0.2 * sum(refiner.gain.before["L2"])
    alone = refiner(start[:1], pictures[:1])
    torch.testing.assert_close(alone, refined[:1], atol=0.02, rtol=0)


def test_the_line_that_is_printed():
    gain = Gain(20, seconds=3.0)
    gain.add({"L2": torch.tensor([0.1, 0.2])}, {"L2": torch.tensor([0.05, 0.05])})
    assert str(gain) == "2 pictures refined by 20 steps, 1.5 s each: L2 0.150 -> 0.050"


@pytest.fixture(scope="module")
def psp():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return PSP.from_config(CONFIGS["smoke"]).eval().requires_grad_(False)


@pytest.fixture
def photos(tmp_path):
    for number in range(3):
        noise = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(number))
        save_picture(tmp_path / f"photos/{number}.png", F.interpolate(noise, size=64, mode="bicubic") / 2)
    return tmp_path / "photos"


def test_translate_draws_and_keeps_the_refined_codes(psp, photos, tmp_path):
    weights = copy.deepcopy(psp.state_dict())
    options = {"save_codes": True, "variants": 1, "layers": [4, 5], "batch": 2}
    plain = translate(psp, photos, tmp_path / "plain", **options)
    refined = translate(psp, photos, tmp_path / "refined", refine=10, domain="heads", **options)
    assert plain.gain is None and refined.gain.count == 3
    assert "3 pictures refined by 10 steps" in str(refined)
    assert sum(refined.gain.after["L2"]) < sum(refined.gain.before["L2"])
    for number in range(3):
        (old, _), (own, variant) = (
            load_codes(tmp_path / f"{name}/{number}.safetensors") for name in ("plain", "refined")
        )
        assert not torch.equal(own, old)
        assert torch.equal(own[:4], variant[:4])
    decode_files(psp.decoder, [tmp_path / "refined/1.safetensors"], tmp_path / "again")
    assert (tmp_path / "again/1-0.png").read_bytes() == (tmp_path / "refined/1-0.png").read_bytes()
    for name, tensor in psp.state_dict().items():
        assert torch.equal(tensor, weights[name]), name


def test_only_pictures_that_are_wanted_are_fitted_to(psp, photos, tmp_path):
    check_refinement("encode", 20)
    check_refinement("inpaint", 0)
    with pytest.raises(
        PspkitError, match=r"refine: got 5, but the input of colorize is not the picture that is wanted"
    ):
        translate(psp, photos, tmp_path / "out", task="colorize", refine=5)
    with pytest.raises(PspkitError, match=r"refine: got -1, needs at least 0"):
        translate(psp, photos, tmp_path / "out", refine=-1)


def test_projection_of_a_file_goes_through_the_preview(decoder, photos):
    found = project_file(decoder, photos / "0.png", 10)
    assert decoder.whole == 2  # the errors of start and end
    assert found.error < found.start_error


def test_where_there_are_no_faces_no_identity_counts():
    assert find_identity("objects") is None
    assert find_identity("heads").network.input_size == 48
