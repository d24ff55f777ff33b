import torch

from pspkit.course.explore import blocks
from pspkit.models.backbone import BottleneckIR, BottleneckIRSE


def test_weights_are_those_of_the_unit():
    for unit in (blocks.Bottleneck(64, 128, 2), blocks.Bottleneck(256, 256, 1)):
        for mode, kind in (("ir", BottleneckIR), ("ir_se", BottleneckIRSE)):
            with torch.device("meta"):
                counted = sum(parameter.numel() for parameter in kind(*unit).parameters())
            assert blocks.weights(unit, mode) == counted


def test_describe_follows_the_state():
    assert "unit 3, in stage 2, takes 64 maps of 128×128 to 128 maps of 64×64" in blocks.describe(blocks.State(unit=3))
    assert "unit 23" in blocks.describe(blocks.State(unit=49)), "depth 50 has no unit 49: its last is shown"


def test_every_control_changes_the_page():
    page = blocks.explore()
    depth, mode, side, (slider, box), html = (*page.children[:3], page.children[3].children, page.children[4])
    for control, value in ((depth, 100), (mode, "ir"), (side, 512), (slider, 30)):
        before = html.value
        control.value = value
        assert html.value != before
    assert box.value == 30
    box.value = 15
    assert slider.value == 15
    assert "Depth 100, ir: unit 15, in stage 2" in html.value
