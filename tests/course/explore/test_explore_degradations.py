import pytest
import torch

from pspkit.course.explore.degradations import Degrader, State
from pspkit.data.tasks import get_task


@pytest.fixture
def degrader():
    return Degrader(torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1)


def test_sources_are_the_tasks(degrader):
    image = degrader.images[1]
    for task, option in (("super_resolution", 4), ("colorize", None)):
        expected = get_task(task).inference_source(image, 64, option)
        assert torch.equal(degrader.source(State(1, task, factor=4)), expected)


def test_a_mask_follows_from_its_number_and_leaves_the_generator_alone(degrader):
    before = torch.random.get_rng_state()
    first = degrader.source(State(task="inpaint", draw=3))
    assert torch.equal(first, degrader.source(State(task="inpaint", draw=3)))
    assert not torch.equal(first, degrader.source(State(task="inpaint", draw=4)))
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (State(1, factor=16), "Picture 1 at 4×4 px (factor 16), brought back bilinearly."),
        (State(2, "inpaint", mask="half"), "Picture 2 without 50% of its pixels (half, draw 0)."),
        (State(0, "colorize"), "Picture 0 without hue and saturation: three equal channels."),
    ],
)
def test_describe_says_what_is_lost(degrader, state, words):
    assert degrader.describe(state) == words


def test_every_state_has_three_pictures(degrader):
    fig = degrader.render(State(), State(task="inpaint"), State(task="colorize"))
    assert [ax.get_title() for ax in fig.axes] == ["source", "target", "target − source"] * 3


def test_every_control_changes_the_page(degrader):
    picture, task, factor, mask, number, html = degrader.explore().children
    slider, box = number.children
    for control, value in ((picture, 1), (factor, 16), (task, "inpaint"), (mask, "rectangles"), (slider, 7)):
        before = html.value
        control.value = value
        assert html.value != before
    assert box.value == 7
    box.value = 9
    assert slider.value == 9
    assert "(rectangles, draw 9)" in html.value
