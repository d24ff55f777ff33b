"""The GPU gives the numbers of the CPU, and those of the reference."""

import pytest
import torch
import torch.nn.functional as F

from pspkit.config import CONFIGS
from pspkit.data.heads import render, sample_factors
from pspkit.domains import get_domain
from pspkit.models.backbone import Backbone
from pspkit.models.encoders import ENCODERS, Encoder, GradualStyleEncoder
from pspkit.models.fast import fast_encoder
from pspkit.models.mobile_facenet import load_mobile_facenet
from pspkit.models.mobile_stylegan import load_mobile_stylegan
from pspkit.models.stylegan2 import Generator
from pspkit.psp import PSP
from tests.gpu.conftest import REHEARSAL, TOLERANCE, error
from tests.reference import answers, draw, fill

SIZE = 64 if REHEARSAL else 1024  # of the large generator


@pytest.fixture(scope="module")
def encoder() -> GradualStyleEncoder:
    """The reference's encoder, or a small one in a rehearsal; its weights follow from their names."""
    with torch.device("meta"):
        made = Encoder.from_config(CONFIGS["smoke" if REHEARSAL else "paper"].encoder)
    return fill(made.to_empty(device="cpu"), "encoder.")


@pytest.fixture(scope="module")
def generator() -> Generator:
    return fill(Generator(SIZE), "decoder.")


@pytest.fixture(scope="module")
def faces(encoder: GradualStyleEncoder) -> torch.Tensor:
    side = encoder.config.input_size
    return draw("input.image", (2, 3, side, side)).clamp(-1, 1)


def test_encoder(agree, encoder, faces):
    agree(encoder, encoder, faces)


@pytest.mark.parametrize("kind", sorted(ENCODERS.keys() - {"gradual"}))
def test_baseline_encoders(agree, kind):
    baseline = ENCODERS[kind](18, input_size=64, widths=(16, 32, 64, 128), style_dim=64)
    agree(baseline.eval(), baseline, draw("x", (2, 3, 64, 64)))


def test_generator(agree, generator):
    agree(generator, generator.synthesis, draw("w", (2, generator.n_styles, 512)))


def test_mapping(agree, generator):
    agree(generator, generator.mapping, draw("z", (16, 512)))


def test_photographic_decoder(agree):
    decoder = load_mobile_stylegan()
    agree(decoder, lambda z: decoder.synthesis(decoder.mapping(z)[:, None].expand(-1, 16, -1)), draw("z", (2, 512)))


def test_identity_network_of_photographs(agree):
    network = load_mobile_facenet()
    agree(network, network, draw("faces", (4, 3, 112, 112)).clamp(-1, 1))


def test_identity_network_of_the_reference(agree):
    network = fill(Backbone(50, "ir_se"), "")
    agree(network, network, draw("faces", (2, 3, 112, 112)).clamp(-1, 1))


def test_the_whole_model(agree, encoder, generator):
    if REHEARSAL:
        pytest.skip("the small encoder does not fit the large generator")
    psp = PSP(encoder, generator, draw("average", (512,))).eval()
    agree(psp, psp, draw("input.image", (1, 3, 256, 256)).clamp(-1, 1))


def test_the_shipped_model_of_heads(agree):
    psp = get_domain("heads").psp("encode")
    agree(psp, psp, render(sample_factors(2, 0), psp.encoder.config.input_size).image)


@pytest.mark.parametrize("size", [64, 1024])
def test_pictures_are_the_references(device, generator, size):
    if size != SIZE:
        generator = fill(Generator(size), "decoder.")
    generator.to(device)
    with torch.no_grad():
        pictures = generator.synthesis(draw(f"latent.w_{size}", (2, generator.n_styles, 512)).to(device))
    assert error(F.avg_pool2d(pictures, size // 64), answers()[f"generator_{size}_w"]) < TOLERANCE


def test_codes_are_the_references(device, encoder, faces):
    if REHEARSAL:
        pytest.skip("the small encoder is not the reference's")
    with torch.no_grad():
        codes = encoder.to(device)(faces.to(device))
    assert error(codes, answers()["gradual_50_irse_n18"]) < TOLERANCE


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, TOLERANCE), (torch.bfloat16, 0.05)])
def test_the_fast_path(device, record, encoder, faces, dtype, tolerance):
    encoder.to(device)
    with torch.no_grad():
        expected = encoder(faces.to(device))
    found = error(fast_encoder(encoder, dtype)(faces.to(device)), expected)
    record(fast=found)
    assert found < tolerance
