import math

import pytest
import torch
import torch.nn.functional as F

from benchmarks import textbook
from pspkit import PspkitError
from pspkit.config import CONFIGS
from pspkit.models.stylegan2 import Discriminator, Generator, ModulatedConv2d, StyledConv
from tests.reference import answers, draw, fill, relative_error, state_dicts

TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def reference64():
    return fill(Generator(64), "decoder.")


@pytest.fixture(scope="module")
def small():
    return fill(Generator(16, style_dim=32, n_mlp=2, max_channels=32), "decoder.")


def weight_form(layer: ModulatedConv2d, x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    """The paper's modulation of the weights, one picture at a time."""
    pictures = []
    for picture, style in zip(x, layer.modulation(w), strict=True):
        weight = layer.weight[0] * layer.scale * style[:, None, None]
        if layer.demodulate:
            weight = weight / (weight.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()
        if layer.upsample:
            pictures.append(layer.blur(F.conv_transpose2d(picture[None], weight.transpose(0, 1), stride=2)))
        else:
            pictures.append(F.conv2d(picture[None], weight, padding=weight.shape[-1] // 2))
    return torch.cat(pictures)


@pytest.mark.parametrize("size", [64, 256, 1024])
def test_keys_and_pictures_are_the_references(size):
    with torch.device("meta"):
        generator = Generator(size)
    ours = {key: list(value.shape) for key, value in generator.state_dict().items()}
    assert ours == state_dicts()[f"generator_{size}"]

    generator = fill(Generator(size), "decoder.")
    with torch.no_grad():
        pictures = generator.synthesis(draw(f"latent.w_{size}", (2, generator.n_styles, 512)))
    assert pictures.shape == (2, 3, size, size)
    assert relative_error(F.avg_pool2d(pictures, size // 64), answers()[f"generator_{size}_w"]) < TOLERANCE


def test_pictures_from_z_are_the_references(reference64):
    z, z2, average = draw("latent.z", (2, 512)), draw("latent.z2", (2, 512)), draw("latent.mean", (1, 512))
    w = reference64.mapping(z)
    assert relative_error(w[:, None].expand(-1, 10, -1), answers()["generator_64_z_latents"]) < TOLERANCE
    assert relative_error(reference64(z), answers()["generator_64_z"]) < TOLERANCE
    truncated = reference64(z, truncation=0.7, latent_avg=average)
    assert relative_error(truncated, answers()["generator_64_z_trunc07"]) < TOLERANCE
    mixed = torch.stack([w] * 4 + [reference64.mapping(z2)] * 6, 1)
    assert relative_error(reference64.synthesis(mixed), answers()["generator_64_mix_at_4"]) < TOLERANCE


@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.parametrize(
    ("kernel_size", "demodulate", "upsample"), [(3, True, False), (3, True, True), (1, False, False), (3, False, False)]
)
def test_activation_form_equals_weight_form(kernel_size, demodulate, upsample, inplace):
    layer = ModulatedConv2d(12, 8, kernel_size, 16, demodulate, upsample).requires_grad_(False)
    x, w = draw("x", (3, 12, 8, 8)), draw("w", (3, 16))
    before = x.clone()
    torch.testing.assert_close(layer(x, w, inplace), weight_form(layer, before, w), atol=1e-5, rtol=1e-4)
    assert inplace or torch.equal(x, before)


def test_without_gradients_the_same_pictures(small):
    codes = draw("w", (2, 6, 32))
    with torch.no_grad():
        pictures = small.synthesis(codes)
    torch.testing.assert_close(small.synthesis(codes), pictures)


def test_a_picture_is_decoded_alike_alone_and_in_a_batch(small):
    codes = draw("w", (3, 6, 32))
    torch.testing.assert_close(small.synthesis(codes)[1:2], small.synthesis(codes[1:2]), atol=1e-5, rtol=1e-4)


def test_fixed_noise_is_deterministic_and_random_noise_is_not(small):
    codes = draw("w", (2, 6, 32))
    assert torch.equal(small.synthesis(codes), small.synthesis(codes))
    first, second = small.synthesis(codes, noise="random"), small.synthesis(codes, noise="random")
    assert not torch.allclose(first, second)
    twins = small.synthesis(codes[:1].expand(2, -1, -1), noise="random")
    assert not torch.allclose(twins[0], twins[1])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_stays_near_float32(small, dtype):
    codes = draw("w", (2, 6, 32))
    exact = small.synthesis(codes)
    with torch.autocast("cpu", dtype), torch.no_grad():
        pictures = small.synthesis(codes)
    assert pictures.isfinite().all()
    assert relative_error(pictures.float(), exact) < 0.05


@pytest.mark.parametrize("grad", [False, True])
def test_synthesis_compiles_without_graph_breaks(small, grad):
    codes = draw("w", (2, 6, 32))
    with torch.set_grad_enabled(grad):
        compiled = torch.compile(small.synthesis, backend="aot_eager", fullgraph=True)
        torch.testing.assert_close(compiled(codes), small.synthesis(codes), atol=1e-5, rtol=1e-4)


def test_gradients_are_exact():
    torch.manual_seed(0)
    generator = Generator(8, style_dim=4, n_mlp=1, max_channels=4).double()
    for noise in (module for name, module in generator.named_modules() if name.endswith("noise")):
        noise.weight.data.fill_(0.1)
    codes = torch.randn(2, 4, 4, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(generator.synthesis, (codes,), fast_mode=True)
    generator.synthesis(codes).square().sum().backward()
    synthesis = [parameter for name, parameter in generator.named_parameters() if not name.startswith("style")]
    assert all(parameter.grad.abs().sum() > 0 for parameter in synthesis)


@pytest.fixture(scope="module")
def twice():
    """A generator for second derivatives, in which no step is idle, and codes for it."""
    torch.manual_seed(0)
    generator = Generator(8, style_dim=4, n_mlp=1, max_channels=4).double()
    for name, parameter in generator.named_parameters():
        if name.endswith(("noise.weight", "activate.bias")):  # zero at the start
            torch.nn.init.normal_(parameter, std=0.3)
    return generator, torch.randn(2, 4, 4, dtype=torch.double, requires_grad=True)


def path_lengths(synthesis, codes, wanted):
    """The gradients that a path-length penalty gives: second derivatives of the pictures."""
    picture = synthesis(codes)
    weight = draw("direction", picture.shape).double()
    (gradient,) = torch.autograd.grad((picture.square() * weight).sum(), codes, create_graph=True)
    return torch.autograd.grad(gradient.square().sum().sqrt(), wanted)


def test_second_derivatives_are_exact(twice):
    generator, codes = twice
    assert torch.autograd.gradgradcheck(lambda codes: generator.synthesis(codes).square(), (codes,), fast_mode=True)
    wanted = [p for name, p in generator.named_parameters() if ".noise" not in name and "to_rgb" not in name]
    wanted = [p for p in wanted if not any(p is mapped for mapped in generator.style.parameters())]
    ours = path_lengths(generator.synthesis, codes, wanted)
    theirs = path_lengths(lambda codes: textbook.synthesis(generator, codes), codes, wanted)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b)


def test_torch_func_differentiates_the_generator(twice):
    generator, codes = twice
    one, way = codes[:1].detach(), draw("way", (1, 4, 4)).double()
    jacobian = torch.autograd.functional.jacobian(generator.synthesis, one)
    _, along = torch.func.jvp(generator.synthesis, (one,), (way,))
    torch.testing.assert_close(along, (jacobian * way).sum((-3, -2, -1)))
    with torch.autograd.forward_ad.dual_level():
        dual = generator.synthesis(torch.autograd.forward_ad.make_dual(one, way))
        torch.testing.assert_close(torch.autograd.forward_ad.unpack_dual(dual).tangent, along)
    torch.testing.assert_close(torch.func.jacrev(generator.synthesis)(one), jacobian)
    torch.testing.assert_close(torch.func.jacfwd(generator.synthesis)(one), jacobian)


def test_torch_func_maps_the_generator(twice):
    generator, codes = twice
    alone = torch.func.vmap(lambda code: generator.synthesis(code[None])[0])
    torch.testing.assert_close(alone(codes), generator.synthesis(codes))
    with torch.no_grad():
        torch.testing.assert_close(alone(codes), generator.synthesis(codes))
    gradient = torch.func.vmap(torch.func.grad(lambda code: generator.synthesis(code[None]).square().sum()))(codes)
    (wanted,) = torch.autograd.grad(generator.synthesis(codes).square().sum(), codes)
    torch.testing.assert_close(gradient, wanted)


def test_torch_func_sees_weights_as_well(twice):
    generator, codes = twice
    for name in ("conv1.activate.bias", "convs.0.conv.weight", "convs.1.noise.weight"):
        parameter = dict(generator.named_parameters())[name]

        def loss(value, name=name):
            picture = torch.func.functional_call(Synthesis(generator), {f"generator.{name}": value}, (codes,))
            return picture.square().sum()

        (wanted,) = torch.autograd.grad(generator.synthesis(codes).square().sum(), parameter)
        torch.testing.assert_close(torch.func.grad(loss)(parameter.detach()), wanted)


class Synthesis(torch.nn.Module):
    """The synthesis as a module's forward, which is what `functional_call` calls."""

    def __init__(self, generator):
        super().__init__()
        self.generator = generator

    def forward(self, codes):
        return self.generator.synthesis(codes)


def test_a_styled_convolution_without_demodulation():
    torch.manual_seed(0)
    layer = StyledConv(4, 6, 8)
    layer.conv.demodulate = False
    x, w, noise = torch.randn(2, 4, 8, 8), torch.randn(2, 8), torch.randn(1, 1, 8, 8)
    torch.testing.assert_close(layer(x.clone(), w, noise), textbook.styled_conv(layer, x, w, noise))


@pytest.mark.parametrize("noise", ["fixed", "random"])
def test_every_gradient_is_that_of_the_textbook_form(noise, monkeypatch):
    torch.manual_seed(0)
    generator = Generator(16, style_dim=8, n_mlp=1, max_channels=8).double()
    for name, parameter in generator.named_parameters():
        if name.endswith(("noise.weight", "activate.bias")):  # zero at the start
            torch.nn.init.normal_(parameter, std=0.3)
    codes = torch.randn(3, 6, 8, dtype=torch.double, requires_grad=True)
    wanted = [p for name, p in generator.named_parameters() if not name.startswith("style")] + [codes]
    if noise == "random":  # one map a picture, which autograd has to add up
        maps = [torch.randn(3, *m.shape[1:], dtype=torch.double) for m in generator.noises.buffers()]
        monkeypatch.setattr(generator.noises, "buffers", lambda: iter(maps))
    ours, theirs = generator.synthesis(codes), textbook.synthesis(generator, codes)
    torch.testing.assert_close(ours, theirs)
    weight = torch.randn_like(ours)
    gradients = (torch.autograd.grad((picture * weight).sum(), wanted) for picture in (ours, theirs))
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("profile", CONFIGS)
def test_every_configuration_builds_its_generator(profile):
    config = CONFIGS[profile].decoder
    with torch.device("meta"):
        generator = Generator.from_config(config)
    assert generator.config == config
    assert generator.n_styles == 2 * int(math.log2(config.size)) - 2


@pytest.mark.parametrize("batch", [3, 4, 8])
def test_discriminator_scores_every_picture(batch):
    discriminator = Discriminator(32, max_channels=32)
    x = draw("x", (batch, 3, 32, 32)).requires_grad_()
    scores = discriminator(x)
    assert scores.shape == (batch, 1)
    (gradient,) = torch.autograd.grad(scores.sum(), x, create_graph=True)
    gradient.square().sum().backward()  # as the gradient penalty does
    weights = [parameter for name, parameter in discriminator.named_parameters() if name.endswith("weight")]
    assert all(weight.grad.abs().sum() > 0 for weight in weights)


def test_discriminator_sees_a_collapsed_batch():
    torch.manual_seed(0)
    discriminator = Discriminator(16, max_channels=16)
    x = draw("x", (4, 3, 16, 16))
    alone = discriminator(x[:1].expand(4, -1, -1, -1))
    assert not torch.allclose(discriminator(x)[0], alone[0])


def test_refusals(small):
    with pytest.raises(PspkitError, match=r"w_plus: got float32 of shape \(2, 32\), needs .*\(N, 6, 32\)"):
        small.synthesis(torch.zeros(2, 32))
    with pytest.raises(PspkitError, match="noise: got 'none', needs one of 'fixed', 'random'"):
        small.synthesis(torch.zeros(1, 6, 32), noise="none")
    with pytest.raises(PspkitError, match=r"z: got float32 of shape \(1, 6, 32\), needs .*\(N, 32\)"):
        small.mapping(torch.zeros(1, 6, 32))
    with pytest.raises(PspkitError, match=r"truncation: .*Give latent_avg"):
        small(torch.zeros(1, 32), truncation=0.7)
    with pytest.raises(PspkitError, match="size: got 100, needs a power of two of at least 8"):
        Generator(100)
    with pytest.raises(PspkitError, match=r"x: got float32 of shape \(1, 3, 16, 16\), needs .*\(N, 3, 32, 32\)"):
        Discriminator(32)(torch.zeros(1, 3, 16, 16))
