import pytest
import torch

from pspkit import PspkitError
from pspkit.config import CONFIGS
from pspkit.models.encoders import ENCODERS, Encoder, GradualStyleEncoder
from pspkit.models.fast import fast_encoder
from pspkit.models.stylegan2 import Generator
from pspkit.psp import PSP
from tests.reference import draw, fill, relative_error

SMALL = {"num_layers": 18, "widths": (16, 16, 24, 32), "style_dim": 16, "map2style_width": 24}


def build(kind: type[Encoder] = GradualStyleEncoder, **arguments) -> tuple[Encoder, torch.Tensor]:
    """An encoder whose norms have statistics of their own, and two pictures for it."""
    encoder = fill(kind(**{"input_size": 64, **SMALL, **arguments}), "encoder.")
    side = encoder.config.input_size
    return encoder, draw("x", (2, encoder.config.input_nc, side, side))


@pytest.mark.parametrize(
    "arguments",
    [
        {"kind": kind, "mode": mode, "input_size": side}
        for kind in ENCODERS.values()
        for mode in ("ir", "ir_se")
        for side in (32, 128)
    ]
    + [{"n_styles": 6}, {"n_styles": 2}, {"input_nc": 19}, {"num_layers": 50}],
)
def test_codes_are_the_encoders(arguments):
    encoder, x = build(**arguments)
    assert relative_error(fast_encoder(encoder, torch.float32)(x), encoder(x)) < 1e-5
    codes = fast_encoder(encoder)(x)
    assert codes.dtype == torch.float32
    assert 0 < relative_error(codes, encoder(x)) < 0.03


def test_the_encoder_stays_as_it_was():
    encoder, x = build()
    encoder.train().requires_grad_(True)
    before = {key: value.clone() for key, value in encoder.state_dict().items()}
    fast_encoder(encoder)(x)
    assert encoder.training
    assert all(parameter.requires_grad for parameter in encoder.parameters())
    assert all(torch.equal(value, before[key]) for key, value in encoder.state_dict().items())


def test_it_stands_in_for_the_encoder_of_a_model():
    config = CONFIGS["smoke"]
    encoder = fill(GradualStyleEncoder.from_config(config.encoder), "encoder.")
    decoder = fill(Generator.from_config(config.decoder), "decoder.")
    average, x = draw("average", (64,)), draw("x", (2, 3, 64, 64))
    with torch.no_grad():
        slow = PSP(encoder, decoder, average)(x)
        fast = PSP(fast_encoder(encoder, torch.float32), decoder, average)(x)
    assert relative_error(fast, slow) < 1e-4


def test_it_compiles_without_graph_breaks():
    encoder, x = build()
    fast = fast_encoder(encoder, torch.float32)
    compiled = torch.compile(fast, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(x), fast(x))


def test_refusals():
    encoder, x = build()
    fast = fast_encoder(encoder)
    with pytest.raises(PspkitError, match=r"frozen and cannot be trained\. Train the encoder from which"):
        fast.train()
    with pytest.raises(PspkitError, match="x: it needs a gradient, and the fast copy computes none"):
        fast(x.requires_grad_())
    with pytest.raises(PspkitError, match=r"x: got float32 of shape \(2, 3, 32, 32\), needs .*\(N, 3, 64, 64\)"):
        fast(torch.zeros(2, 3, 32, 32))
    assert not fast.eval().training


def test_codes_are_the_encoders_on_mobile_facenet():
    encoder, x = build(backbone="mobile_facenet", n_styles=10)
    assert relative_error(fast_encoder(encoder, torch.float32)(x), encoder(x)) < 1e-5
