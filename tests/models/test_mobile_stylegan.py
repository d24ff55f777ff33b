"""The photographic decoder: against the walked graph, and as a network that a learner takes apart."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from pspkit.config import MobileStyleGANConfig
from pspkit.errors import AssetError, PspkitError
from pspkit.models.mobile_stylegan import MobileStyleGAN, inverse_haar, load_mobile_stylegan, state_from_graphs

TOLERANCE = 1e-3
TINY = {"style_dim": 16, "n_mlp": 2, "channels": (16, 16, 8)}


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    with np.load(Path(__file__).parents[1] / "golden" / "mobile_stylegan.npz") as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def ffhq() -> MobileStyleGAN:
    return load_mobile_stylegan()


@pytest.fixture(scope="module")
def tiny() -> MobileStyleGAN:
    torch.manual_seed(0)
    decoder = MobileStyleGAN(**TINY).eval()
    for name, noise in decoder.named_buffers():
        assert name.endswith("noise")
        noise.normal_(std=0.1)
    return decoder


def codes(decoder: MobileStyleGAN, n: int) -> torch.Tensor:
    return torch.randn(n, decoder.n_styles, decoder.style_dim, generator=torch.Generator().manual_seed(1))


def difference(a: torch.Tensor, b: torch.Tensor) -> float:
    return (a - b).abs().max().item()


def test_mapping_meets_the_walked_graph(ffhq, golden):
    w = ffhq.mapping(torch.from_numpy(golden["z"]))
    assert difference(w, torch.from_numpy(golden["w"])) <= TOLERANCE


def test_synthesis_meets_the_walked_graph_on_a_face_and_a_style_mix(ffhq, golden):
    first, second = torch.from_numpy(golden["w"])[:, None].expand(-1, 16, -1)
    mix = first.clone()
    mix[golden["w_plus_layers_of_second"]] = second[golden["w_plus_layers_of_second"]]
    images = ffhq.synthesis(torch.stack((first, mix)))
    assert images.shape == (2, 3, 1024, 1024)
    assert difference(F.adaptive_avg_pool2d(images, 64), torch.from_numpy(golden["images_64"])) <= TOLERANCE
    patches = [torch.stack([image[:, r : r + 32, c : c + 32] for r, c in golden["corners"]]) for image in images]
    assert difference(torch.stack(patches), torch.from_numpy(golden["patches"])) <= TOLERANCE


def test_the_loaded_decoder_is_frozen_and_as_configured(ffhq):
    assert (ffhq.config, ffhq.size, ffhq.n_styles) == (MobileStyleGANConfig(), 1024, 16)
    assert not ffhq.training and not any(parameter.requires_grad for parameter in ffhq.parameters())
    assert len(ffhq.modulations()) == 23


def test_inverse_haar_undoes_the_transform():
    image = torch.randn(2, 5, 8, 12)
    a, b, c, d = (image[..., row::2, column::2] for row in (0, 1) for column in (0, 1))
    bands = torch.cat((a + b + c + d, a + b - c - d, a - b + c - d, a - b - c + d), 1) / 2
    torch.testing.assert_close(inverse_haar(bands), image)
    torch.testing.assert_close(bands.square().sum(), image.square().sum())


def test_a_tiny_decoder_needs_no_weights(tiny):
    assert tiny.config == MobileStyleGANConfig(**TINY)
    w = tiny.mapping(torch.randn(3, 16))
    assert w.shape == (3, 16)
    assert (
        tiny.synthesis(w[:, None].expand(-1, tiny.n_styles, -1)).shape == (3, 3, tiny.size, tiny.size) == (3, 3, 32, 32)
    )


def test_saved_and_loaded_it_draws_the_same(tiny, tmp_path):
    tiny.save_pretrained(tmp_path)
    loaded, w_plus = MobileStyleGAN.from_pretrained(tmp_path), codes(tiny, 1)
    assert loaded.config == tiny.config
    assert torch.equal(loaded.synthesis(w_plus), tiny.synthesis(w_plus))


def test_images_of_a_batch_do_not_touch_one_another(tiny):
    w_plus = codes(tiny, 3)
    torch.testing.assert_close(tiny.synthesis(w_plus), torch.cat([tiny.synthesis(one) for one in w_plus.split(1)]))


def test_every_code_receives_a_gradient_and_it_is_the_right_one():
    torch.manual_seed(0)
    decoder = MobileStyleGAN(**TINY).double()
    w_plus = codes(decoder, 1).double().requires_grad_()
    decoder.synthesis(w_plus).square().mean().backward()
    assert w_plus.grad.abs().sum(dim=-1).min() > 0
    direction = torch.randn_like(w_plus)
    step = 1e-6
    with torch.no_grad():
        up, down = (decoder.synthesis(w_plus + s * direction).square().mean() for s in (step, -step))
    torch.testing.assert_close((w_plus.grad * direction).sum(), (up - down) / (2 * step), rtol=1e-4, atol=1e-8)


def test_the_photographic_decoder_lets_gradients_through_to_every_code(ffhq):
    w_plus = ffhq.mapping(torch.randn(1, 512))[:, None].repeat(1, 16, 1).requires_grad_()
    ffhq.synthesis(w_plus).square().mean().backward()
    assert w_plus.grad.abs().sum(dim=-1).min() > 0


def test_a_code_drives_the_modulations_of_the_table_and_no_other(tiny):
    scales = {}
    handles = [
        tiny.get_submodule(name).register_forward_hook(lambda _, __, scale, name=name: scales.update({name: scale}))
        for name in tiny.modulations()
    ]
    w_plus = codes(tiny, 1)
    tiny.synthesis(w_plus)
    before = dict(scales)
    for k in range(tiny.n_styles):
        changed = w_plus.clone()
        changed[:, k] += 1
        tiny.synthesis(changed)
        moved = {name for name in scales if not torch.equal(scales[name], before[name])}
        assert moved == {name for name, code in tiny.modulations().items() if code == k}
    for handle in handles:
        handle.remove()


def test_the_last_code_changes_the_image_and_no_feature(tiny):
    features = []
    handle = tiny.blocks[-1].register_forward_hook(lambda _, __, x: features.append(x.clone()))
    w_plus = codes(tiny, 1)
    changed = w_plus.clone()
    changed[:, -1] += 1
    images = tiny.synthesis(w_plus), tiny.synthesis(changed)
    handle.remove()
    assert torch.equal(*features) and not torch.allclose(*images)


def test_stored_noise_repeats_and_fresh_noise_does_not(tiny):
    w_plus = codes(tiny, 1)
    fixed = tiny.synthesis(w_plus)
    assert torch.equal(fixed, tiny.synthesis(w_plus))
    fresh = tiny.synthesis(w_plus.expand(2, -1, -1), noise="random")
    assert not torch.allclose(fresh[0], fresh[1]) and not torch.allclose(fresh[:1], fixed)


@pytest.mark.parametrize("way", ["autocast", "to"])
def test_bfloat16_draws_nearly_the_same(tiny, way):
    w_plus = codes(tiny, 2)
    exact = tiny.synthesis(w_plus)
    if way == "autocast":
        with torch.autocast("cpu", torch.bfloat16):
            image = tiny.synthesis(w_plus)
    else:
        half = MobileStyleGAN(**TINY)
        half.load_state_dict(tiny.state_dict())
        image = half.to(torch.bfloat16).synthesis(w_plus)
    assert image.dtype == torch.bfloat16
    assert (image.float() - exact).abs().mean() < 0.02 * exact.abs().mean()


def test_it_compiles_without_a_graph_break(tiny):
    compiled = torch.compile(tiny.synthesis, fullgraph=True, backend="aot_eager")
    w_plus = codes(tiny, 1)
    torch.testing.assert_close(compiled(w_plus), tiny.synthesis(w_plus))


def test_what_does_not_fit_is_refused_by_name(tiny):
    with pytest.raises(PspkitError, match=r"z: got float32 of shape \(1, 8\), needs .*\(N, 16\)"):
        tiny.mapping(torch.zeros(1, 8))
    with pytest.raises(PspkitError, match=r"w_plus: got float32 of shape \(1, 5, 16\), needs .*\(N, 6, 16\)"):
        tiny.synthesis(torch.zeros(1, 5, 16))
    with pytest.raises(PspkitError, match="noise: got 'none', needs one of 'fixed', 'random'"):
        tiny.synthesis(codes(tiny, 1), noise="none")
    with pytest.raises(PspkitError, match=r"channels: .* multiples of 4"):
        MobileStyleGAN(channels=(16, 6, 8))


def test_another_graph_is_refused(tmp_path):
    for name in ("MappingNetwork", "SynthesisNetwork"):
        (tmp_path / f"{name}.xml").write_text("<net><layers/></net>")
        (tmp_path / f"{name}.bin").write_bytes(b"")
    with pytest.raises(AssetError, match=r"SynthesisNetwork.xml holds no constant 'm.input.input'"):
        state_from_graphs(tmp_path)


@pytest.mark.parametrize("side", [128, 256])
def test_the_preview_resembles_the_whole_decode(side):
    decoder = load_mobile_stylegan()
    people = decoder.mapping(torch.randn(64, 512, generator=torch.Generator().manual_seed(0)))
    w_plus = people.mean(0).lerp(people[0], 0.7).repeat(1, 16, 1).requires_grad_()
    preview = decoder.preview(w_plus, side)
    with torch.no_grad():
        whole = torch.nn.functional.adaptive_avg_pool2d(decoder.synthesis(w_plus), side)
    assert preview.shape == (1, 3, side, side)
    assert (preview - whole).square().mean() < 0.2 * whole.var()
    preview.sum().backward()
    assert w_plus.grad[:, :9].abs().sum() > 0 and w_plus.grad[:, 13:].abs().sum() == 0
    assert not any("readouts" in key for key in decoder.state_dict())


def test_a_preview_of_another_side_is_refused():
    with pytest.raises(PspkitError, match=r"side: got 64, needs one of 128, 256"):
        load_mobile_stylegan().preview(torch.zeros(1, 16, 512), 64)
