"""First and second derivatives on the GPU, and networks as one graph."""

import pytest
import torch
from torch import nn

from benchmarks import textbook
from pspkit.config import CONFIGS
from pspkit.models.encoders import Encoder
from pspkit.models.mobile_stylegan import MobileStyleGAN
from pspkit.models.stylegan2 import Discriminator, Generator
from tests.gpu.conftest import TOLERANCE, error
from tests.reference import draw, fill

EXACT = 1e-8  # of derivatives, which are compared in float64: some are small differences of large numbers


@pytest.fixture(scope="module")
def generator() -> Generator:
    return fill(Generator(32, style_dim=64, n_mlp=2, max_channels=64), "decoder.").requires_grad_(True)


@pytest.fixture(scope="module")
def precise() -> Generator:
    return fill(Generator(32, style_dim=64, n_mlp=2, max_channels=64), "decoder.").requires_grad_(True).double()


def on_both(network: nn.Module, function, device: torch.device) -> list[float]:
    """The errors of what a function of the device returns, tensor by tensor, on the GPU against the CPU."""
    expected = function(network.cpu(), torch.device("cpu"))
    found = function(network.to(device), device)
    return [error(ours, theirs) for ours, theirs in zip(found, expected, strict=True) if theirs.norm() > 0]


def synthesis_weights(generator: Generator) -> list[nn.Parameter]:
    return [parameter for name, parameter in generator.named_parameters() if not name.startswith("style.")]


def path_length(generator: Generator, where: torch.device) -> tuple[torch.Tensor, ...]:
    """The gradients of a path-length penalty.

    Source: Karras et al. 2020, section 3.2.
    """
    codes = draw("w", (2, generator.n_styles, 64)).double().to(where).requires_grad_()
    picture = generator.synthesis(codes)
    weight = draw("direction", picture.shape).double().to(where) / picture.shape[-1]
    (gradient,) = torch.autograd.grad((picture * weight).sum(), codes, create_graph=True)
    penalty = gradient.square().sum(2).mean(1).sqrt().square().mean()
    return torch.autograd.grad(penalty, synthesis_weights(generator), allow_unused=True, materialize_grads=True)


def r1(discriminator: Discriminator, where: torch.device) -> tuple[torch.Tensor, ...]:
    """The gradients of the penalty R1.

    Source: Mescheder et al. 2018, equation 9.
    """
    images = draw("images", (4, 3, 32, 32)).double().to(where).requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(images).sum(), images, create_graph=True)
    penalty = gradient.square().flatten(1).sum(1).mean()
    weights = [parameter for name, parameter in discriminator.named_parameters() if name.endswith("weight")]
    return torch.autograd.grad(penalty, weights)


def test_gradients_of_the_generator_are_the_textbook_forms(device, precise):
    precise.to(device)
    codes = draw("w", (2, precise.n_styles, 64)).double().to(device)
    weights, found = synthesis_weights(precise), []
    for picture in (precise.synthesis(codes), textbook.synthesis(precise, codes)):
        loss = (picture * draw("weight", picture.shape).double().to(device)).sum()
        found.append(torch.autograd.grad(loss, weights))
    assert max(error(ours, theirs) for ours, theirs in zip(*found, strict=True)) < EXACT


def test_path_length(device, precise, record):
    worst = max(on_both(precise, path_length, device))
    record(path_length=worst)
    assert worst < EXACT


def test_gradient_penalty(device, record):
    discriminator = fill(Discriminator(32, max_channels=32), "d.").requires_grad_(True).double()
    worst = max(on_both(discriminator, r1, device))
    record(r1=worst)
    assert worst < EXACT


def test_the_encoder_is_one_graph(device):
    encoder = fill(Encoder.from_config(CONFIGS["smoke"].encoder), "encoder.").to(device)
    x = draw("x", (2, 3, 64, 64)).to(device)
    with torch.no_grad():
        compiled = torch.compile(encoder, backend="aot_eager", fullgraph=True)
        assert error(compiled(x), encoder(x)) < TOLERANCE


@pytest.mark.parametrize("grad", [False, True])
def test_the_generator_is_one_graph(device, generator, grad):
    generator.to(device)
    codes = draw("w", (2, generator.n_styles, 64)).to(device)
    with torch.set_grad_enabled(grad):
        compiled = torch.compile(generator.synthesis, backend="aot_eager", fullgraph=True)
        assert error(compiled(codes), generator.synthesis(codes)) < TOLERANCE


def test_the_photographic_decoder_is_one_graph(device):
    decoder = MobileStyleGAN(style_dim=16, n_mlp=1, channels=(16, 16, 8)).to(device).eval()
    codes = draw("w", (2, decoder.n_styles, 16)).to(device)
    with torch.no_grad():
        compiled = torch.compile(decoder.synthesis, backend="aot_eager", fullgraph=True)
        assert error(compiled(codes), decoder.synthesis(codes)) < TOLERANCE
