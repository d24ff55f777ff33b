import pytest
import torch

from pspkit.data.faces.sketch import draw_sketch
from pspkit.errors import PspkitError


def test_dark_lines_are_drawn_where_the_picture_is_darker_than_around():
    pictures = torch.full((2, 3, 64, 64), 0.8)
    pictures[1, :, 31:33] = -0.8  # a dark line across the second picture
    sketches = draw_sketch(pictures)
    assert sketches.shape == (2, 1, 64, 64)
    assert sketches[0].eq(1).all()
    assert sketches[1, 0, 31:33].max() < 0.1 and sketches[1, 0, :20].min() == 1


def test_less_is_drawn_above_a_higher_threshold():
    picture = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    ink = [1 - draw_sketch(picture, threshold=threshold).mean() for threshold in (0.005, 0.02, 0.5)]
    assert ink[0] > ink[1] > ink[2] == 0


def test_a_larger_picture_gets_wider_lines():
    small = torch.full((1, 3, 64, 64), 0.8)
    small[:, :, :, 28:36] = -0.8
    large = small.repeat_interleave(4, 2).repeat_interleave(4, 3)
    from_large = torch.nn.functional.avg_pool2d(draw_sketch(large), 4)
    assert (from_large - draw_sketch(small)).abs().mean() < 0.05


@pytest.mark.parametrize("pictures", [torch.zeros(3, 64, 64), torch.zeros(1, 1, 64, 64), torch.zeros(1, 3, 8, 8).int()])
def test_other_shapes_are_refused(pictures):
    with pytest.raises(PspkitError, match="pictures"):
        draw_sketch(pictures)
