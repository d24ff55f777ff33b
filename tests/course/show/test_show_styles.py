import pytest
import torch
import torch.nn.functional as F

from pspkit.course.show import COLOURS, styles
from pspkit.models.mobile_stylegan import MobileStyleGAN


@pytest.fixture(scope="module")
def decoder():
    torch.manual_seed(0)
    return MobileStyleGAN(style_dim=16, n_mlp=1, channels=(16, 16, 16, 16)).eval().requires_grad_(False)


def test_thumbnails_are_the_decoders_pictures_made_small(decoder):
    codes = torch.randn(3, decoder.n_styles, 16)
    small = styles.thumbnails(decoder, codes, side=16)
    whole = decoder.synthesis(codes)
    assert small.dtype == torch.float32
    error = (small - F.avg_pool2d(whole, 4)).abs().max() / whole.abs().max()
    assert error < 0.05, "bfloat16 at worst"
    assert styles.thumbnails(decoder, codes).shape[-1] == 64, "never larger than the decoder's own"


def test_codes_wear_the_colours_of_their_level():
    colours = styles.code_colours(16)
    assert [colours.count(COLOURS[level]) for level in ("coarse", "middle", "fine")] == [3, 4, 9]


def test_mixes_mark_the_codes_that_were_taken():
    fig = styles.mixes(torch.zeros(2, 3, 8, 8), [range(3), None], 8)
    marked, plain = fig.axes
    assert [square.get_alpha() for square in marked.child_axes[0].patches] == [1] * 3 + [0.2] * 5
    assert not plain.child_axes


def test_matrix_has_a_place_for_everyone_and_marks_the_two_margins():
    fig = styles.matrix(torch.zeros(2, 3, 8, 8), torch.zeros(3, 3, 8, 8), torch.zeros(6, 3, 8, 8), 16)
    with_picture = [ax for ax in fig.axes if ax.images]
    assert len(with_picture) == 2 + 3 + 6
    assert sum(bool(ax.child_axes) for ax in with_picture) == 2 + 3


def test_influence_draws_the_mean_of_every_map():
    maps = torch.arange(1.0, 17)[:, None, None].expand(16, 4, 4)
    fig = styles.influence(torch.zeros(3, 8, 8), maps)
    assert [bar.get_height() for bar in fig.axes[-1].patches] == list(range(1, 17))


def test_inversion_draws_input_codes_and_output_of_every_picture():
    inputs, outputs = torch.full((2, 3, 8, 8), -1.0), torch.ones(2, 3, 8, 8)
    codes = torch.randn(2, 10, 32)
    fig = styles.inversion(inputs, codes, outputs, numbers=16)
    drawn = [ax.images[0].get_array() for ax in fig.axes]
    assert len(drawn) == 2 * (1 + 10 + 1)
    stripes = torch.stack([torch.tensor(array) for array in drawn if array.shape == (1, 16)])
    assert torch.allclose(stripes.view(2, 10, 16), codes[:, :, :16])
    assert "10 codes, the first 16 of 32 numbers each" in [text.get_text() for text in fig.texts]
