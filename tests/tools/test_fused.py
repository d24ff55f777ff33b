"""The decoder for training on a GPU, its kernels run by an interpreter; dense convolutions for grouped ones."""

import subprocess
import sys
from importlib.util import find_spec

import pytest
import torch
from torch import nn

from tools.faces.fused import dense_groups

COMPARE = """
import torch
from tools.faces.fused import FusedDecoder
from pspkit.models.mobile_stylegan import MobileStyleGAN

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
decoder = MobileStyleGAN(16, 1, (128, 128, 32)).eval().requires_grad_(False)
for block in decoder.blocks:
    for layer in (block.conv1, block.conv2):
        layer.noise.normal_()
        layer.conv[1].bias.normal_()
decoder = decoder.to(device)
codes = torch.randn(2, decoder.n_styles, 16, device=device, requires_grad=True)
fused = FusedDecoder(decoder, 16)
plain = torch.nn.functional.adaptive_avg_pool2d(decoder.synthesis(codes), 16)
weights = torch.randn_like(plain)
(wanted,) = torch.autograd.grad((plain * weights).sum(), codes)
(found,) = torch.autograd.grad((fused(codes) * weights).sum(), codes)
torch.testing.assert_close(fused(codes), plain, atol=1e-4, rtol=1e-4)
torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-4)
"""


@pytest.mark.skipif(find_spec("triton") is None, reason="Triton comes with PyTorch for GPUs alone")
def test_pictures_and_gradients_are_the_decoders(monkeypatch):
    if not torch.cuda.is_available():
        monkeypatch.setenv("TRITON_INTERPRET", "1")
    subprocess.run([sys.executable, "-c", COMPARE], check=True)


def test_dense_groups_compute_the_same():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(8, 12, 3, 2, 1, groups=4), nn.PReLU(), nn.Conv2d(12, 12, 3, 1, 1, groups=12))
    x = torch.randn(2, 8, 6, 6)
    wanted = network(x)
    dense_groups(network)
    assert [layer.groups for layer in network if isinstance(layer, nn.Conv2d)] == [1, 12]
    torch.testing.assert_close(network(x), wanted)
