import pytest
import torch

from pspkit.encoders import ENCODERS
from pspkit.show import encoders


@pytest.mark.parametrize("kind", ENCODERS)
def test_blocks_hold_nearly_all_weights(kind):
    with torch.device("meta"):
        encoder = ENCODERS[kind]()
    held = sum(sum(map(sum, rows)) for _, _, rows in encoders.blocks(encoder))
    assert 0.999 * encoders.size(encoder) < held <= encoders.size(encoder), "only stem and laterals are left out"


def test_blocks_of_the_gradual_encoder_are_its_heads():
    with torch.device("meta"):
        _, coarse, middle, fine = encoders.blocks(ENCODERS["gradual"]())
    assert [len(rows) for _, _, rows in (coarse, middle, fine)] == [3, 4, 11]
    assert [len(rows[0]) for _, _, rows in (coarse, middle, fine)] == [5, 6, 7], "convolutions and the linear layer"
