import pytest
import torch

from pspkit import PspkitError
from pspkit.inference.projection import project
from pspkit.models.stylegan2 import Generator
from pspkit.psp import estimate_latent_avg


@pytest.fixture(scope="module")
def decoder():
    torch.manual_seed(0)
    return Generator(8, style_dim=16, n_mlp=2, max_channels=16).eval()


def test_codes_come_near_to_every_picture_by_itself(decoder):
    with torch.no_grad():
        images = decoder(torch.randn(3, 16))
        average = estimate_latent_avg(decoder).expand(3, decoder.n_styles, -1)
        before = (decoder.synthesis(average) - images).square().mean((1, 2, 3))
    codes, errors = project(decoder, images, steps=100)
    assert codes.shape == (3, decoder.n_styles, 16)
    assert not codes.requires_grad
    assert all(parameter.grad is None for parameter in decoder.parameters())
    assert (errors < 0.1 * before).all()
    with torch.no_grad():
        torch.testing.assert_close((decoder.synthesis(codes) - images).square().mean((1, 2, 3)), errors)
    alone, _ = project(decoder, images[1:2], steps=10)
    together, _ = project(decoder, images, steps=10)
    torch.testing.assert_close(alone[0], together[1], atol=1e-4, rtol=1e-3)


def test_a_perceptual_term_takes_part(decoder):
    images = torch.zeros(2, 3, 8, 8)
    brightness = lambda output, images: (output - images).mean((1, 2, 3), keepdim=True).abs()  # noqa: E731
    plain, _ = project(decoder, images, steps=5)
    both, _ = project(decoder, images, steps=5, lpips=brightness)
    assert not torch.equal(plain, both)


def test_a_start_is_where_it_begins(decoder):
    with torch.no_grad():
        z = torch.randn(2, 16)
        images = decoder(z)
        codes = decoder.mapping(z)[:, None].repeat(1, decoder.n_styles, 1)
        start = codes + 0.3 * torch.randn_like(codes)
        before = (decoder.synthesis(start) - images).square().mean((1, 2, 3))
    kept = start.clone()
    same, errors = project(decoder, images, steps=0, start=start)
    torch.testing.assert_close(same, start)
    torch.testing.assert_close(errors, before)
    _, errors = project(decoder, images, steps=20, start=start)
    assert (errors < before).all()
    assert torch.equal(start, kept)
    shared, _ = project(decoder, images, steps=0, start=start[:1])
    assert torch.equal(shared, start[[0, 0]])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": -1}, r"steps: got -1, needs at least 0"),
        ({"start": torch.zeros(2, 3, 16)}, r"start: got float32 of shape \(2, 3, 16\), needs .*\(N or 1, 4, 16\)"),
        ({"start": torch.zeros(2, 4, 16)}, r"start: got 2 pictures' codes, needs 1 or 3"),
    ],
)
def test_refuses_a_start_that_does_not_fit(options, message, decoder):
    with pytest.raises(PspkitError, match=message):
        project(decoder, torch.zeros(3, 3, 8, 8), **options)


def test_refuses_pictures_of_another_size(decoder):
    with pytest.raises(PspkitError, match=r"images: got float32 of shape \(1, 3, 4, 4\), needs .*\(N, 3, 8, 8\)"):
        project(decoder, torch.zeros(1, 3, 4, 4))
