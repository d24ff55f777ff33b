"""Rendering, projection and the metrics on the GPU."""

import pytest
import torch

from pspkit.config import CONFIGS, BackboneConfig
from pspkit.data.heads import LOOKS, HeadsDataset, render, sample_factors
from pspkit.data.tasks import HeadPairs
from pspkit.domains import get_domain
from pspkit.inference.directions import CONTRASTS, find_direction
from pspkit.inference.metrics import YawMeter, likeness, mean_head, precision_recall, translate_pairs
from pspkit.inference.projection import project
from pspkit.losses.perceptual import load_lpips
from pspkit.losses.terms import IdentityLoss
from pspkit.models.backbone import Backbone
from pspkit.models.encoders import Encoder
from pspkit.models.mobile_stylegan import MobileStyleGAN
from pspkit.models.stylegan2 import Generator
from pspkit.psp import PSP
from tests.gpu.conftest import error
from tests.reference import draw, fill


@pytest.mark.parametrize("look", LOOKS)
def test_heads_are_rendered_alike(device, record, look):
    factors = sample_factors(3, 8)
    here, there = render(factors, 64, look=look), render(factors, 64, look=look, device=device)
    assert there.image.device == there.labels.device == there.landmarks.device == device
    difference = (here.image - there.image.cpu()).abs().mean().item()
    same = (here.labels == there.labels.cpu()).float().mean().item()
    record(mean_difference=difference, other_labels=1 - same)
    assert difference < 0.01
    assert same > 0.99
    assert torch.equal(here.landmarks, there.landmarks.cpu())


@pytest.mark.parametrize("kind", ["stylegan2", "mobile"])
def test_projection_comes_near(device, kind):
    if kind == "mobile":
        decoder = MobileStyleGAN(style_dim=16, n_mlp=1, channels=(16, 16, 8))
    else:
        decoder = Generator(16, style_dim=16, n_mlp=2, max_channels=16)
    decoder.eval().to(device)
    with torch.no_grad():
        w = decoder.mapping(draw("z", (2, 16)).to(device))
        images = decoder.synthesis(w[:, None].expand(-1, decoder.n_styles, -1))
    _, before = project(decoder, images.cpu(), steps=0)  # it brings the pictures to the decoder
    codes, after = project(decoder, images, steps=40)
    assert codes.device == after.device == device
    assert (after < 0.8 * before).all()


@pytest.fixture(scope="module")
def psp() -> PSP:
    config = CONFIGS["smoke"]
    decoder = fill(Generator.from_config(config.decoder), "decoder.")
    return PSP(fill(Encoder.from_config(config.encoder), "encoder."), decoder).eval()


def test_likeness(device, psp, tmp_path):
    pairs = HeadPairs(HeadsDataset("test", 4, 64, cache=tmp_path), "encode", 64, training=False)
    network = fill(Backbone.from_config(BackboneConfig(18, "ir", 48, (4, 4, 8, 8), 8)), "identity.")
    found = []
    for where in (torch.device("cpu"), device):
        psp.to(where)
        _, output, target = translate_pairs(psp, pairs)
        output = torch.nn.functional.interpolate(output, size=64)
        mean = torch.nn.functional.interpolate(mean_head(psp), size=64)
        found.append(likeness(output, target, IdentityLoss(network).to(where), load_lpips().to(where), mean))
    here, there = found
    assert vars(there) == pytest.approx(vars(here), rel=1e-3, abs=1e-5)


def test_yaw_is_read(device, psp, tmp_path):
    heads = HeadsDataset("validation", 8, 64, cache=tmp_path)
    pictures = torch.stack([heads[index]["image"] for index in range(8)])
    here = YawMeter(psp.cpu(), heads)(pictures)
    there = YawMeter(psp.to(device), heads)(pictures.to(device))
    assert there.device == device
    torch.testing.assert_close(there.cpu(), here, atol=1.0, rtol=0.05)


def test_precision_and_recall(device):
    features = draw("real", (32, 8)), draw("drawn", (32, 8))
    assert precision_recall(*(part.to(device) for part in features)) == pytest.approx(precision_recall(*features))


def test_a_direction_is_found(device):
    psp = get_domain("heads").psp("encode")
    heads = sample_factors(2, 0)
    here = find_direction(psp.encode, CONTRASTS["smile"], heads, 64)
    there = find_direction(psp.to(device).encode, CONTRASTS["smile"], heads, 64, device)
    assert there.device == device
    assert error(there, here) < 1e-3
