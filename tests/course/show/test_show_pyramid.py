import torch

from pspkit.course.show import COLOURS, pyramid


def test_lively_prefers_variation_and_avoids_copies():
    generator = torch.Generator().manual_seed(0)
    feature = torch.randn(6, 8, 8, generator=generator) * torch.arange(1.0, 7)[:, None, None]
    feature[4] = -0.9 * feature[5]  # the same map upside down
    assert pyramid.lively(feature, 3) == [5, 3, 2]


def test_between_ignores_a_single_extreme_cell():
    feature = torch.linspace(0, 1, 400).view(20, 20)
    feature[0, 0] = -50
    low, high = pyramid.between(feature)
    assert -0.1 < low < high < 1


def test_lit_fades_to_white():
    image = torch.full((3, 2, 2), -1.0)
    light = torch.tensor([[1.0, 0.5], [0.25, 0.0]])
    shown = pyramid.lit(image, light)[0]
    assert torch.allclose(shown[0, 0], torch.tensor(-1.0))
    assert shown[0, 0] < shown[0, 1] < shown[1, 0] < shown[1, 1] < 1


def test_gallery_tells_rows_of_the_same_map_apart_in_the_colour_of_their_level():
    feature = torch.randn(4, 8, 8, generator=torch.Generator().manual_seed(0))
    fig = pyramid.gallery(torch.zeros(3, 8, 8), {"c3 untrained": feature, "c3 trained": feature}, columns=3)
    assert [text.get_text() for text in fig.texts] == ["c3\nuntrained\n8×8", "c3\ntrained\n8×8"]
    assert {text.get_color() for text in fig.texts} == {COLOURS["coarse"]}
    assert len(fig.axes) == 1 + 2 * 3
