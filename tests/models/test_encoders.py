import pytest
import torch

from pspkit import PspkitError
from pspkit.config import CONFIGS
from pspkit.models.encoders import (
    ENCODERS,
    BackboneEncoderUsingLastLayerIntoW,
    BackboneEncoderUsingLastLayerIntoWPlus,
    Encoder,
    GradualStyleBlock,
    GradualStyleEncoder,
    narrow_input,
    style_level,
)
from tests.reference import answers, draw, fill, relative_error, state_dicts

TOLERANCE = 1e-4
SMALL = {"widths": (8, 16, 24, 32), "style_dim": 16, "map2style_width": 24}
GOLDEN = {
    "gradual_50_irse_n18": (GradualStyleEncoder, {}),
    "gradual_50_ir_n14": (GradualStyleEncoder, {"mode": "ir", "n_styles": 14}),
    "gradual_50_irse_in19_n10": (GradualStyleEncoder, {"input_nc": 19, "n_styles": 10}),
    "w_50_irse": (BackboneEncoderUsingLastLayerIntoW, {}),
    "wplus_50_irse_n18": (BackboneEncoderUsingLastLayerIntoWPlus, {}),
}


def small(**arguments) -> Encoder:
    torch.manual_seed(0)
    return GradualStyleEncoder(**{"num_layers": 18, "input_size": 64, **SMALL, **arguments}).eval()


def convolutions(block: GradualStyleBlock) -> int:
    return sum(isinstance(layer, torch.nn.Conv2d) for layer in block.convs)


@pytest.mark.parametrize("name", GOLDEN)
def test_keys_and_codes_are_the_references(name):
    kind, arguments = GOLDEN[name]
    with torch.device("meta"):
        encoder = kind(**arguments)
    ours = {key: list(value.shape) for key, value in encoder.state_dict().items()}
    assert ours == state_dicts()[name]

    encoder = fill(encoder.to_empty(device="cpu"), "encoder.")
    if encoder.config.input_nc == 3:
        x = draw("input.image", (2, 3, 256, 256)).clamp(-1, 1)
    else:
        x = draw("input.labels", (2, 19, 256, 256))
    assert relative_error(encoder(x), answers()[name]) < TOLERANCE


@pytest.mark.parametrize("mode", ["ir", "ir_se"])
@pytest.mark.parametrize("depth", [50, 100, 152])
def test_the_pyramid_taps_the_stage_ends_at_every_depth(depth, mode):
    encoder = small(num_layers=depth, mode=mode)
    x = draw("x", (1, 3, 64, 64))
    maps = encoder.stages(x)
    assert [tuple(stage.shape[1:]) for stage in maps] == [(8, 32, 32), (16, 16, 16), (24, 8, 8), (32, 4, 4)]
    assert [level.shape[-1] for level in encoder.pyramid(*maps[1:])] == [4, 8, 16]
    assert encoder(x).shape == (1, 18, 16)


@pytest.mark.parametrize("kind", ENCODERS.values())
@pytest.mark.parametrize("side", [64, 128, 256, 512])
def test_input_sizes(kind, side):
    encoder = kind(num_layers=18, input_size=side, **SMALL).eval()
    codes = encoder(draw("x", (1, 3, side, side)))
    assert codes.shape == ((1, 16) if encoder.kind == "w" else (1, 18, 16))
    assert Encoder.from_config(encoder.config).config == encoder.config


@pytest.mark.parametrize(("side", "depths"), [(64, (2, 3, 4)), (128, (3, 4, 5)), (256, (4, 5, 6)), (512, (5, 6, 7))])
def test_map2style_depth_follows_the_input_size(side, depths):
    with torch.device("meta"):
        encoder = GradualStyleEncoder(18, input_size=side, **SMALL)
    assert [convolutions(block) for block in encoder.styles] == [depths[0]] * 3 + [depths[1]] * 4 + [depths[2]] * 11


def test_style_levels():
    assert [style_level(style) for style in range(18)] == [0] * 3 + [1] * 4 + [2] * 11


@pytest.mark.parametrize("profile", CONFIGS)
def test_every_configuration_builds_its_encoder(profile):
    config = CONFIGS[profile].encoder
    with torch.device("meta"):
        encoder = Encoder.from_config(config)
    assert encoder.config == config
    assert len(encoder.styles) == config.n_styles


def test_a_picture_is_encoded_alike_alone_and_in_a_batch():
    encoder, x = small(), draw("x", (3, 3, 64, 64))
    with torch.no_grad():
        torch.testing.assert_close(encoder(x)[1:2], encoder(x[1:2]))


@pytest.mark.parametrize("kind", ENCODERS.values())
def test_gradient_reaches_the_picture_and_every_weight(kind):
    encoder = kind(num_layers=18, input_size=64, **SMALL)
    x = draw("x", (2, 3, 64, 64)).requires_grad_()
    encoder(x).square().sum().backward()
    assert x.grad.abs().sum() > 0
    assert all(parameter.grad is not None for parameter in encoder.parameters())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_stays_near_float32(dtype):
    encoder, x = small(), draw("x", (2, 3, 64, 64))
    with torch.no_grad():
        exact = encoder(x)
        with torch.autocast("cpu", dtype):
            codes = encoder(x)
    assert relative_error(codes.float(), exact) < 0.05


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.zeros(1, 3, 128, 128), r"x: got float32 of shape \(1, 3, 128, 128\), needs .*\(N, 3, 64, 64\)"),
        (torch.zeros(1, 1, 64, 64), r"x: got float32 of shape \(1, 1, 64, 64\), needs .*\(N, 3, 64, 64\)"),
        (torch.zeros(3, 64, 64), r"x: got float32 of shape \(3, 64, 64\), needs .*\(N, 3, 64, 64\)"),
        (torch.zeros(1, 3, 64, 64, dtype=torch.uint8), r"x: got uint8 .* Convert it to float first"),
        ([[0.0]], "x: got list, needs .* Convert it to a torch tensor first"),
    ],
)
def test_a_wrong_input_is_refused(x, message):
    with pytest.raises(PspkitError, match=message):
        small()(x)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"input_size": 100}, "input_size: got 100, needs a power of two of at least 32"),
        ({"input_size": 16}, "input_size: got 16, needs a power of two of at least 32"),
        ({"num_layers": 51}, "num_layers: got 51, needs one of 18, 34, 50, 100, 152"),
        ({"mode": "se"}, "mode: got 'se', needs one of 'ir', 'ir_se'"),
    ],
)
def test_a_wrong_configuration_is_refused(arguments, message):
    with pytest.raises(PspkitError, match=message):
        small(**arguments)


def test_a_map2style_block_refuses_a_map_of_another_side():
    block = GradualStyleBlock(8, 16, spatial=8)
    assert block(torch.zeros(2, 8, 8, 8)).shape == (2, 16)
    with pytest.raises(PspkitError, match=r"feature map: got float32 of shape \(2, 8, 16, 16\)"):
        block(torch.zeros(2, 8, 16, 16))
    with pytest.raises(PspkitError, match="spatial: got 6"):
        GradualStyleBlock(8, 16, spatial=6)


def facenet_encoder(**arguments) -> Encoder:
    torch.manual_seed(0)
    sizes = {"n_styles": 10, "input_size": 64, "style_dim": 16, "map2style_width": 24}
    return GradualStyleEncoder(backbone="mobile_facenet", **{**sizes, **arguments}).eval()


def test_mobile_facenet_gives_the_pyramid_its_three_levels():
    encoder, x = facenet_encoder(), draw("x", (2, 3, 64, 64))
    maps = encoder.stages(x)
    assert [tuple(level.shape[1:]) for level in maps] == [(128, 16, 16), (256, 8, 8), (256, 4, 4)]
    assert [tuple(level.shape[1:]) for level in encoder.pyramid(*maps)] == [(256, 4, 4), (256, 8, 8), (256, 16, 16)]
    assert encoder(x).shape == (2, 10, 16)
    assert encoder.config.widths == (128, 256, 256)


def test_an_encoder_on_mobile_facenet_is_saved_and_loaded(tmp_path):
    encoder, x = facenet_encoder(), draw("x", (1, 3, 64, 64))
    encoder.save_pretrained(tmp_path)
    loaded = Encoder.from_pretrained(tmp_path)
    assert loaded.config == encoder.config
    assert torch.equal(loaded(x), encoder(x))


def test_another_backbone_is_refused():
    with pytest.raises(PspkitError, match=r"backbone: got 'vgg', needs one of 'resnet_ir', 'mobile_facenet'"):
        GradualStyleEncoder(backbone="vgg")


@pytest.mark.parametrize("backbone", ["resnet_ir", "mobile_facenet"])
def test_an_encoder_without_its_last_channels_sees_them_as_zeros(backbone):
    encoder = small(input_nc=4, backbone=backbone)
    x = torch.rand(2, 3, 64, 64) * 2 - 1
    narrow = narrow_input(encoder, 3)
    assert narrow.input_nc == 3 and encoder.input_nc == 4
    with torch.no_grad():
        torch.testing.assert_close(narrow(x), encoder(torch.cat([x, torch.zeros(2, 1, 64, 64)], 1)))
