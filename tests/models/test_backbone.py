import pytest
import torch
import torch.nn.functional as F

from pspkit import PspkitError
from pspkit.models.backbone import (
    Backbone,
    Bottleneck,
    BottleneckIR,
    BottleneckIRSE,
    SEModule,
    get_block,
    get_blocks,
    stage_ends,
)
from tests.reference import answers, draw, fill, relative_error, state_dicts

TOLERANCE = 1e-4
DEPTHS = {
    50: ([3, 4, 14, 3], [2, 6, 20, 23]),
    100: ([3, 13, 30, 3], [2, 15, 45, 48]),
    152: ([3, 8, 36, 3], [2, 10, 46, 49]),
}


def test_a_stage_strides_and_widens_in_its_first_unit_alone():
    assert get_block(64, 128, 3) == [Bottleneck(64, 128, 2), Bottleneck(128, 128, 1), Bottleneck(128, 128, 1)]


@pytest.mark.parametrize("depth", DEPTHS)
def test_stage_table(depth):
    counts, ends = DEPTHS[depth]
    assert [len(stage) for stage in get_blocks(depth)] == counts
    assert stage_ends(depth) == ends


def test_widths_are_a_parameter():
    stages = get_blocks(18, (8, 16, 24, 32))
    assert [stage[0].in_channel for stage in stages] == [8, 8, 16, 24]
    assert [stage[-1].depth for stage in stages] == [8, 16, 24, 32]


def test_se_scales_every_channel_by_its_gate():
    se, x = SEModule(32), draw("x", (2, 32, 5, 5))
    gates = se.gates(x)
    assert gates.shape == (2, 32, 1, 1)
    assert ((gates > 0) & (gates < 1)).all()
    torch.testing.assert_close(se(x), x * gates)


@pytest.mark.parametrize("unit", [BottleneckIR, BottleneckIRSE])
@pytest.mark.parametrize(("in_channel", "stride"), [(16, 1), (16, 2), (8, 2)])
def test_a_unit_adds_its_shortcut_to_its_residual(unit, in_channel, stride):
    layer = unit(in_channel, 16, stride).eval()
    x = draw("x", (2, in_channel, 8, 8))
    shortcut = layer.shortcut_layer(x) if in_channel != 16 else x[:, :, ::stride, ::stride]
    y = layer(x)
    assert y.shape == (2, 16, 8 // stride, 8 // stride)
    torch.testing.assert_close(y, shortcut + layer.res_layer(x))


@pytest.mark.parametrize("mode", ["ir", "ir_se"])
@pytest.mark.parametrize("depth", DEPTHS)
def test_keys_and_shapes_are_the_references(depth, mode):
    with torch.device("meta"):
        backbone = Backbone(depth, mode)
    ours = {key: list(value.shape) for key, value in backbone.state_dict().items()}
    assert ours == state_dicts()[f"arcface_{depth}_{mode}"]


@pytest.mark.parametrize("name", ["50_ir", "50_ir_se", "100_ir_se", "152_ir_se"])
def test_embeddings_are_the_references(name):
    depth, mode = name.split("_", 1)
    backbone = fill(Backbone(int(depth), mode), "facenet.")
    embedding = backbone(draw("input.face", (2, 3, 112, 112)).clamp(-1, 1))
    assert relative_error(embedding, answers()[f"arcface_{name}"]) < TOLERANCE
    torch.testing.assert_close(embedding.norm(dim=1), torch.ones(2))


def test_gradient_reaches_every_weight():
    backbone = Backbone(18, widths=(8, 8, 8, 8), embedding_dim=16, input_size=32)
    F.cosine_similarity(backbone(draw("x", (2, 3, 32, 32))), draw("y", (2, 16))).sum().backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in backbone.parameters())


def test_refusals():
    with pytest.raises(PspkitError, match="num_layers: got 51, needs one of"):
        get_blocks(51)
    with pytest.raises(PspkitError, match="mode: got 'se', needs one of 'ir', 'ir_se'"):
        Backbone(18, "se")
    backbone = Backbone(18, widths=(8, 8, 8, 8)).eval()
    with pytest.raises(PspkitError, match=r"x: got float32 of shape \(1, 3, 128, 128\).*\(N, 3, 112, 112\)"):
        backbone(torch.zeros(1, 3, 128, 128))
    with pytest.raises(PspkitError, match=r"x: got uint8 .* Convert it to float first"):
        backbone(torch.zeros(1, 3, 112, 112, dtype=torch.uint8))
