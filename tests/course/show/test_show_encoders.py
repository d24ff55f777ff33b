import pytest
import torch
from matplotlib.colors import to_rgba

from pspkit.course.show import COLOURS, encoders
from pspkit.models.encoders import ENCODERS


@pytest.mark.parametrize("kind", ENCODERS)
def test_blocks_hold_nearly_all_weights(kind):
    with torch.device("meta"):
        encoder = ENCODERS[kind]()
    held = sum(sum(map(sum, rows)) for _, _, rows in encoders.blocks(encoder))
    assert 0.999 * encoders.size(encoder) < held <= encoders.size(encoder), "only stem and laterals are left out"


def test_blocks_of_the_gradual_encoder_are_its_map2style_blocks():
    with torch.device("meta"):
        _, coarse, middle, fine = encoders.blocks(ENCODERS["gradual"]())
    assert [len(rows) for _, _, rows in (coarse, middle, fine)] == [3, 4, 11]
    assert [len(rows[0]) for _, _, rows in (coarse, middle, fine)] == [5, 6, 7], "convolutions and the linear layer"


def test_reactions_draw_a_bar_for_each_style_on_one_scale():
    distance = torch.linspace(0.1, 1, 10)
    fig = encoders.reactions({"untrained": {"turned": distance / 2}, "trained": {"turned": distance}})
    above, below = fig.axes
    assert above.get_title() == "turned"
    assert [bar.get_height() for bar in below.patches] == pytest.approx(distance.tolist())
    assert below.patches[0].get_facecolor() == to_rgba(COLOURS["coarse"])
    assert below.patches[9].get_facecolor() == to_rgba(COLOURS["fine"])
    assert above.get_ylim() == below.get_ylim()
