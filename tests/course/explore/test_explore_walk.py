import pytest
import torch
from matplotlib.patches import Rectangle

from pspkit import PspkitError
from pspkit.course.explore.walk import State, Walker


@pytest.fixture
def psp(make_psp):
    return make_psp("encode")


@pytest.fixture
def pictures():
    return torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.fixture
def walker(psp, pictures):
    ways = torch.randn(2, 6, 64, generator=torch.Generator().manual_seed(2))
    return Walker(psp, pictures, {"yaw": ways[0], "smile": ways[1]})


def test_only_the_chosen_codes_move_and_by_the_step(walker):
    codes, start = walker.codes(State(1, "smile", 0.5, first=2, last=3)), walker.heads[[1]]
    assert torch.equal(codes[:, [0, 1, 4, 5]], start[:, [0, 1, 4, 5]])
    assert torch.allclose(codes[0, 2:4], start[0, 2:4] + 0.5 * walker.directions["smile"][2:4])
    assert torch.equal(walker.codes(State(1, "smile", 0.5, first=4, last=3)), start)


def test_truncation_pulls_the_head_to_the_average_and_not_the_step(walker):
    average, way = walker.psp.latent_avg, walker.directions["yaw"]
    assert torch.allclose(walker.codes(State(0, "yaw", 1.0, last=5, truncation=0.0))[0], average + way)
    halfway = average + 0.5 * (walker.heads[0] - average)
    assert torch.allclose(walker.codes(State(0, "yaw", 0.0, last=5, truncation=0.5))[0], halfway)


def test_directions_of_another_encoder_are_refused(psp, pictures):
    with pytest.raises(PspkitError, match=r"yaw: got .*\(4, 64\).*`pspkit directions`"):
        Walker(psp, pictures, {"yaw": torch.zeros(4, 64)})


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (
            State(0, "yaw", -0.5, last=5),
            "Head 0, 50% of the way towards “turned left” in codes 0 to 5, which",
        ),
        (State(2, "smile", 1.0, 3, 3), "Head 2, 100% of the way towards “smiling” in code 3, which hold"),
        (State(1, "yaw", 0.0, last=5), "Head 1, and no step from there."),
        (State(1, "yaw", 1.0, 4, 3), "Head 1, and no step from there."),
        (State(1, "yaw", 0.0, last=5, truncation=0.75), "Head 1, 25% of the way to the average head, and no step"),
    ],
)
def test_describe_says_where_the_walk_leads(walker, state, words):
    assert walker.describe(state).startswith(words)


def test_every_state_has_three_pictures_and_a_bar_for_each_code(walker):
    fig = walker.render(State(last=5), State(1, "smile", -1.0, 2, 3))
    assert len(fig.images) == 6
    bars = [bar for bar in fig.findobj(Rectangle) if bar is not fig.patch]
    assert [bar.get_alpha() for bar in bars[6:]] == [0.25, 0.25, 1, 1, 0.25, 0.25]
    heights = torch.tensor([bar.get_height() for bar in bars[:6]])
    lengths = walker.directions["yaw"].norm(dim=1)
    assert torch.allclose(heights.float() / heights.max(), lengths / lengths.max())


def test_strip_walks_several_directions(walker):
    html = walker.strip().data
    assert "turned right" in html
    assert "smiling" in html


def test_every_control_changes_the_page(walker):
    head, direction, step, first, last, truncation, html = walker.explore().children
    sliders = [row.children[0] for row in (head, step, first, last, truncation)]
    for control, value in zip((direction, *sliders), ("smile", 2, -1.0, 1, 4, 0.5), strict=True):
        before = html.value
        control.value = value
        assert html.value != before
    assert "Head 2, 50% of the way to the average head, 100% of the way towards “frowning” in codes 1" in html.value
    step.children[1].value = 0.25
    assert sliders[1].value == 0.25
