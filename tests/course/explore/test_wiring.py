import asyncio
import time
from dataclasses import dataclass
from threading import Event

import pytest
from matplotlib.figure import Figure

from pspkit import PspkitError
from pspkit.course.explore.wiring import Page, explorer, number, several


@dataclass(frozen=True)
class State:
    value: int = 0


def test_only_the_first_and_the_newest_of_many_states_are_drawn():
    drawn, all_asked = [], Event()

    def slow(state):
        if drawn:
            all_asked.wait(10)
        drawn.append(state.value)
        return f"<p>{state.value}</p>"

    page = Page(slow)
    page.ask(State(0))

    async def run():
        for value in range(1, 31):
            page.ask(State(value))
            await asyncio.sleep(0.001)
        all_asked.set()
        await page._task

    asyncio.run(run())
    assert drawn == [0, 1, 30]
    assert page.value.endswith("<p>30</p>")


def test_the_kernel_takes_messages_while_a_picture_is_drawn():
    beats = []

    def slow(state):
        time.sleep(0.2 if state.value else 0)
        return "<p></p>"

    page = Page(slow)
    page.ask(State(0))

    async def run():
        page.ask(State(1))
        while not page._task.done():
            beats.append(1)
            await asyncio.sleep(0.01)

    asyncio.run(run())
    assert len(beats) > 3


def test_a_preview_comes_first_and_the_whole_is_left_out_where_a_newer_state_waits():
    drawn, asked = [], Event()

    def preview(state):
        drawn.append(("preview", state.value))
        if state.value == 1:
            asked.wait(10)
        return "<p>preview</p>"

    def whole(state):
        drawn.append(("whole", state.value))
        return "<p>whole</p>"

    page = Page(preview, whole)
    page.ask(State(0))

    async def run():
        page.ask(State(1))
        await asyncio.sleep(0.02)
        page.ask(State(2))
        asked.set()
        await page._task

    asyncio.run(run())
    assert drawn == [("whole", 0), ("preview", 1), ("preview", 2), ("whole", 2)]
    assert page.value.endswith("<p>whole</p>")


def test_what_cannot_be_used_is_said_in_the_pictures_place():
    def refuse(state):
        if state.value:
            raise PspkitError("picture: too <small>. Give a larger one.")
        return "<p>fine</p>"

    page = Page(refuse)
    page.ask(State(0))
    page.ask(State(1))
    assert page.value.endswith('<p role="alert">picture: too &lt;small&gt;. Give a larger one.</p>')
    page.ask(State(0))
    assert page.value.endswith("<p>fine</p>")


def test_an_error_of_ours_reaches_the_kernels_log(caplog):
    def fail(state):
        if state.value:
            raise ZeroDivisionError("a slip")
        return "<p>fine</p>"

    page = Page(fail)
    page.ask(State(0))

    async def run():
        page.ask(State(1))
        await asyncio.wait([page._task])
        await asyncio.sleep(0)

    asyncio.run(run())
    assert "a slip" in caplog.text
    assert page.value.endswith("<p>fine</p>")


@pytest.mark.parametrize(("kind", "value"), [("int", 3), ("float", 0.5)])
def test_a_slider_has_a_number_box_of_its_name(kind, value):
    row = number("size", value, 0, 9, 1 if kind == "int" else 0.5)
    slider, box = row.children
    assert (slider.description, box.tooltip) == ("size", "size")
    box.value = 4
    assert row.value_source.value == 4


def test_an_explorer_draws_what_its_controls_say():
    asked = []
    control = several("which", ["a", "b"], ("a",))
    words = ("", "one <b>", "two")

    @dataclass(frozen=True)
    class Chosen:
        which: tuple = ()

    box = explorer(
        lambda state: asked.append(state) or Figure(figsize=(1, 1)),
        lambda state: words[len(state.which)],
        Chosen(),
        {"which": control},
    )
    page = box.children[-1]
    assert 'alt="one &lt;b&gt;"' in page.value
    assert "<figcaption>one &lt;b&gt;</figcaption>" in page.value
    control.value = ("a", "b")
    assert [state.which for state in asked] == [("a",), ("a", "b")]
    assert "<figcaption>two" in page.value


def test_a_number_box_shows_no_noise_of_floating_point():
    slider, box = number("pitch", 1.0, -2.0, 2.0, 0.1).children
    slider.value = 3.6e-15
    assert box.value == 0
