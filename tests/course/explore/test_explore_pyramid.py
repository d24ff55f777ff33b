import pytest
import torch

from pspkit.course.explore.pyramid import PyramidViewer, State
from pspkit.models.encoders import GradualStyleEncoder


@pytest.fixture(scope="module")
def viewer():
    encoder = GradualStyleEncoder(18, n_styles=1, input_size=64, widths=(8, 16, 32, 64), map2style_width=64)
    return PyramidViewer(encoder.eval())


@pytest.mark.parametrize(("level", "channels", "side"), [("c1", 16, 16), ("c2", 32, 8), ("c3", 64, 4), ("p1", 64, 16)])
def test_describe_follows_the_state(viewer, level, channels, side):
    words = viewer.describe(State(level, channel=3, image=2))
    assert f"Face 2: channel 3 of the {channels} of {level}, {side}×{side} cells" in words


def test_a_map_of_fewer_channels_shows_its_last(viewer):
    assert "channel 15 of the 16 of c1" in viewer.describe(State("c1", channel=63))


def test_every_state_has_a_place(viewer):
    fig = viewer.render(State(), State("c1", 15, 7))
    titles = [text.get_text() for text in fig.texts]
    assert len(fig.images) == len(titles) == 30
    assert titles.count("where it is high") == 2
    assert {"p1, channel 0", "c1, channel 15", "face 7"} <= set(titles)


def test_strip_says_what_it_shows(viewer):
    html = viewer.strip().data
    assert html.count("Face ") == 6, "three states, in the alternative text and in the caption"


def test_every_control_changes_the_page(viewer):
    page = viewer.explore()
    level, channel, image, html = page.children
    for control, value in ((level, "c2"), (channel.children[0], 9), (image.children[0], 4)):
        before = html.value
        control.value = value
        assert html.value != before
    assert [box.children[1].value for box in (channel, image)] == [9, 4]
    channel.children[1].value = 5
    assert channel.children[0].value == 5
    assert "Face 4: channel 5 of the 32 of c2" in html.value


def test_any_pictures_can_be_looked_at(viewer):
    pictures = torch.rand(8, 3, 64, 64) * 2 - 1
    own = PyramidViewer(viewer.encoder, pictures)
    with torch.no_grad():
        assert torch.equal(own.levels(3)["c1"], viewer.encoder.stages(pictures[[3]])[1][0])
