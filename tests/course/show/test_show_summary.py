import pytest
import torch
from torch import nn

from pspkit.config import EncoderConfig
from pspkit.course.show import summary
from pspkit.models.encoders import GradualStyleEncoder
from pspkit.models.mobile_stylegan import MobileStyleGAN
from pspkit.psp import PSP


@pytest.fixture(scope="module")
def psp():
    torch.manual_seed(0)
    decoder = MobileStyleGAN(style_dim=16, n_mlp=1, channels=(8,) * 8).eval().requires_grad_(False)
    config = EncoderConfig(
        num_layers=18, n_styles=16, input_size=64, style_dim=16, widths=(8, 8, 8, 8), map2style_width=8
    )
    for module in decoder.modules():
        if isinstance(module, nn.Conv2d) and module.bias is not None:
            nn.init.normal_(module.bias)
    return PSP(GradualStyleEncoder.from_config(config), decoder, torch.zeros(16, 16)).eval()


def test_the_whole_way_shows_every_map_and_every_code(psp):
    fig = summary.whole_way(psp, torch.rand(3, 100, 100) * 2 - 1, torch.zeros(16, 16))
    sides = [ax.images[0].get_array().shape[:2] for ax in fig.axes if ax.images]
    stripes = [shape for shape in sides if shape[0] == 1]
    maps = sorted(shape[0] for shape in sides if 1 < shape[0] <= 16)
    assert len(stripes) == 16
    assert maps == [4, 4, 8, 8, 8, 16, 16], "c3, c3 again, c2, p2, the decoder's 8 px, c1, p1"
    words = " ".join(text.get_text() for text in fig.axes[0].texts)
    assert "16 codes" in words
    assert "64 × 64 px in" in words
