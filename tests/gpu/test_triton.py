"""The compiler's own kernels. They take long to build, so that this module comes last."""

import pytest
import torch

from pspkit.models.stylegan2 import Generator
from tests.gpu.conftest import error
from tests.reference import draw, fill


def test_a_compiled_generator_draws_the_same(device, record):
    if device.type == "cpu":
        pytest.skip("on a CPU the compiler needs C++")
    small = fill(Generator(8, style_dim=16, n_mlp=1, max_channels=16), "decoder.").to(device)
    codes = draw("w", (2, small.n_styles, 16)).to(device)
    with torch.no_grad():
        found = error(torch.compile(small.synthesis, fullgraph=True)(codes), small.synthesis(codes))
    record(compiled=found)
    assert found < 1e-3
