import pytest

from pspkit.encoders import GradualStyleEncoder
from pspkit.explore import pyramid
from pspkit.explore.pyramid import State


@pytest.fixture(scope="module")
def encoder():
    return GradualStyleEncoder(18, n_styles=1, input_size=64, widths=(8, 16, 32, 64), head_width=64).eval()


@pytest.mark.parametrize(("level", "channels", "side"), [("c1", 16, 16), ("c2", 32, 8), ("c3", 64, 4), ("p1", 64, 16)])
def test_describe_follows_the_state(encoder, level, channels, side):
    words = pyramid.describe(encoder, State(level, channel=3, image=2))
    assert f"Face 2: channel 3 of the {channels} of {level}, {side}×{side} cells" in words


def test_a_map_of_fewer_channels_shows_its_last(encoder):
    assert "channel 15 of the 16 of c1" in pyramid.describe(encoder, State("c1", channel=63))


def test_every_state_has_a_place(encoder):
    fig = pyramid.render(encoder, State(), State("c1", 15, 7))
    titles = [ax.get_title() for ax in fig.axes]
    assert titles.count("where it is high") == 2
    assert {"p1, channel 0", "c1, channel 15", "face 7"} <= set(titles)


def test_strip_says_what_it_shows(encoder):
    html = pyramid.strip(encoder).data
    assert html.count("Face ") == 6, "three states, in the alternative text and in the caption"


def test_every_control_changes_the_page(encoder):
    page = pyramid.explore(encoder)
    level, channel, image, html = page.children
    for control, value in ((level, "c2"), (channel.children[0], 9), (image.children[0], 4)):
        before = html.value
        control.value = value
        assert html.value != before
    assert [box.children[1].value for box in (channel, image)] == [9, 4]
    channel.children[1].value = 5
    assert channel.children[0].value == 5
    assert "Face 4: channel 5 of the 32 of c2" in html.value
