import copy

import pytest
import torch
import torch.nn.functional as F

from pspkit import PspkitError
from pspkit.config import CONFIGS
from pspkit.models.encoders import BackboneEncoderUsingLastLayerIntoW, GradualStyleEncoder
from pspkit.models.stylegan2 import Generator
from pspkit.psp import PSP, estimate_latent_avg
from tests.reference import answers, draw, fill, relative_error

TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def reference_psp():
    encoder = fill(GradualStyleEncoder(n_styles=10), "encoder.")
    return PSP(encoder, fill(Generator(64), "decoder."), draw("latent_avg", (512,))).eval()


@pytest.fixture(scope="module")
def reference_codes(reference_psp):
    with torch.no_grad():
        return reference_psp.encode(draw("input.image", (2, 3, 256, 256)).clamp(-1, 1))


@pytest.fixture(scope="module")
def psp():
    torch.manual_seed(0)
    config = CONFIGS["smoke"]
    return PSP(GradualStyleEncoder.from_config(config.encoder), Generator.from_config(config.decoder)).eval()


@pytest.fixture
def faces(psp):
    side = psp.config.encoder.input_size
    return draw("faces", (2, 3, side, side)).clamp(-1, 1)


def test_plain_forward_equals_the_reference(reference_psp, reference_codes):
    image = reference_psp(draw("input.image", (2, 3, 256, 256)).clamp(-1, 1))
    assert relative_error(reference_codes, answers()["psp64_plain_latents"]) < TOLERANCE
    assert relative_error(image, answers()["psp64_plain_image"]) < TOLERANCE
    pooled = F.avg_pool2d(F.adaptive_avg_pool2d(image, 256), 4)  # what the reference's losses see
    assert relative_error(pooled, answers()["psp64_face_pool_mean"]) < TOLERANCE


@pytest.mark.parametrize(
    ("name", "layers", "inject", "alpha"),
    [
        ("psp64_mask_inject", range(4, 10), draw("latent.inject", (2, 10, 512)), 1.0),
        ("psp64_mask_inject_alpha", (0, 3, 8), draw("latent.inject", (2, 10, 512)), 0.3),
        ("psp64_mask_only", (1, 2), torch.zeros(1, 10, 512), 1.0),
    ],
)
def test_mixing_equals_the_reference(reference_psp, reference_codes, name, layers, inject, alpha):
    mixed = reference_psp.mix(reference_codes, inject, layers, alpha)
    assert relative_error(mixed, answers()[f"{name}_latents"]) < TOLERANCE
    assert relative_error(reference_psp.decode(mixed), answers()[f"{name}_image"]) < TOLERANCE


def test_codes_from_z_equal_the_reference(reference_psp):
    image = reference_psp.decode_z(draw("latent.z", (2, 512)))
    assert relative_error(image, answers()["psp64_input_code_image"]) < TOLERANCE


def test_forward_is_encode_mix_decode(psp, faces):
    with torch.no_grad():
        codes, other = psp.encode(faces), draw("other", (1, psp.decoder.n_styles, 64))
        assert torch.equal(psp(faces), psp.decode(codes))
        assert torch.equal(psp(faces, (2, 3), other, 0.5), psp.decode(psp.mix(codes, other, (2, 3), 0.5)))


def test_decoding_is_deterministic_with_fixed_noise(psp, faces):
    with torch.no_grad():
        psp.decoder.conv1.noise.weight.fill_(1.0)
        assert torch.equal(psp(faces), psp(faces))
        assert not torch.equal(psp(faces, noise="random"), psp(faces, noise="random"))


def test_mix_leaves_its_arguments_alone_and_other_layers_untouched(psp):
    ours, theirs = draw("ours", (2, 6, 64)), draw("theirs", (2, 6, 64))
    kept = ours.clone()
    mixed = psp.mix(ours, theirs, (0, 5), 0.25)
    assert torch.equal(ours, kept)
    assert torch.equal(mixed[:, 1:5], ours[:, 1:5])
    torch.testing.assert_close(mixed[:, 0], 0.25 * theirs[:, 0] + 0.75 * ours[:, 0])


def test_mix_without_a_reference_takes_the_average(psp):
    mixed = psp.mix(draw("ours", (2, 6, 64)), None, (1,))
    assert torch.equal(mixed[:, 1], psp.latent_avg[1].expand(2, -1))


def test_codes_are_offsets_from_the_average(psp, faces):
    offsets = PSP(psp.encoder, psp.decoder, psp.latent_avg, start_from_latent_avg=False).eval()
    with torch.no_grad():
        torch.testing.assert_close(psp.encode(faces) - offsets.encode(faces), psp.latent_avg.expand(2, -1, -1))


def test_one_code_a_picture_is_repeated_for_every_layer(psp, faces):
    config = CONFIGS["smoke"].encoder
    arguments = {key: value for key, value in vars(config).items() if key != "kind"}
    single = PSP(BackboneEncoderUsingLastLayerIntoW(**arguments), psp.decoder).eval()
    with torch.no_grad():
        codes = single.encode(faces)
    assert codes.shape == (2, 6, 64)
    assert torch.equal(codes[:, 0], codes[:, 5])


@pytest.mark.parametrize("shape", [(64,), (1, 64), (6, 64)])
def test_every_shape_of_average_is_spread_over_the_layers(psp, shape):
    average = draw("average", shape)
    assert torch.equal(PSP(psp.encoder, psp.decoder, average).latent_avg, average.expand(6, 64))


def test_the_average_is_estimated_where_none_is_given(psp):
    again = PSP(psp.encoder, psp.decoder)
    assert torch.equal(again.latent_avg[0], estimate_latent_avg(psp.decoder))
    many = estimate_latent_avg(psp.decoder, n_samples=20000, seed=1)
    assert (again.latent_avg[0] - many).norm() < 0.1 * psp.decoder.mapping(draw("z", (100, 64))).norm(dim=1).mean()


def test_an_encoder_for_another_decoder_is_refused(psp):
    with pytest.raises(PspkitError, match=r"predicts 6 codes of length 64, and the decoder takes 4 of .*n_styles=4"):
        PSP(psp.encoder, Generator(8, 64, 2))


def test_an_average_of_another_shape_is_refused(psp):
    with pytest.raises(PspkitError, match=r"latent_avg: got shape \(5, 64\), needs \(64,\), \(1, 64\) or \(6, 64\)"):
        PSP(psp.encoder, psp.decoder, torch.zeros(5, 64))


def test_codes_of_another_space_are_refused(psp):
    w = torch.zeros(2, 64)
    with pytest.raises(PspkitError, match=r"w_plus: got float32 of shape \(2, 64\), needs .*\(N, 6, 64\)"):
        psp.decode(w)
    with pytest.raises(PspkitError, match=r"w: got float32 of shape \(2, 6, 64\), needs .*\(N, 64\)"):
        psp.decode_w(torch.zeros(2, 6, 64))
    with pytest.raises(PspkitError, match=r"z: got float32 of shape \(2, 6, 64\), needs .*\(N, 64\)"):
        psp.decode_z(torch.zeros(2, 6, 64))


def test_a_layer_that_is_not_there_is_refused(psp):
    with pytest.raises(PspkitError, match=r"layers: got \[6\], needs numbers from 0 to 5"):
        psp.mix(torch.zeros(1, 6, 64), None, (5, 6))
    with pytest.raises(PspkitError, match="reference: got the codes of 3 pictures, needs those of 1 or of 2"):
        psp.mix(torch.zeros(2, 6, 64), torch.zeros(3, 6, 64), (0,))


def test_half_precision_decodes_near_full_precision(psp, faces):
    with torch.no_grad():
        full = psp(faces)
        half = copy.deepcopy(psp).to(torch.bfloat16)(faces.to(torch.bfloat16))
    assert half.dtype == torch.bfloat16
    assert relative_error(half.float(), full) < 0.1
