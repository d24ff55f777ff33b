import pytest
import torch

from pspkit import PspkitError
from pspkit.course.explore.draw import Drawing
from pspkit.course.explore.easel import Easel, Fill, State, Stroke
from pspkit.data.heads import render, sample_factors
from pspkit.data.labels import LABELS
from pspkit.data.tasks import get_task

HAIR, HAT = LABELS["hair"].number, LABELS["hat"].number


@pytest.fixture(scope="module")
def heads():
    return render(sample_factors(2, 0), 64)


@pytest.fixture
def labels(make_psp, heads):
    return Drawing("segmentation", make_psp("segmentation"), heads)


@pytest.fixture
def sketch(make_psp, heads):
    return Drawing("sketch", make_psp("sketch"), heads)


def test_a_drawing_starts_from_a_heads_own_truth(labels, sketch, heads):
    assert torch.equal(labels.sheet(State(1)), heads.labels[1])
    assert (sketch.sheet(State(1)) / 255 - heads.sketch[1, 0]).abs().max() < 1 / 255
    assert labels.sheet(State(None)).eq(0).all()
    assert sketch.sheet(State(None)).eq(255).all()


def test_a_stroke_is_as_wide_as_its_brush_and_changes_nothing_else(labels):
    sheet = labels.sheet(State(None, (Stroke(HAT, 5, ((10, 20), (30, 20))),)))
    ys, xs = torch.nonzero(sheet == HAT, as_tuple=True)
    assert (ys.min(), ys.max()) == (18, 22)
    assert (xs.min(), xs.max()) == (8, 32)
    assert set(sheet.unique().tolist()) == {0, HAT}


@pytest.mark.parametrize("width", [1, 2, 3, 16])
def test_a_dot_shows_whatever_the_width(labels, width):
    sheet = labels.sheet(State(None, (Stroke(HAT, width, ((20, 20),)),)))
    ys, xs = torch.nonzero(sheet == HAT, as_tuple=True)
    assert sheet[20, 20] == HAT
    assert abs(int(xs.max() - xs.min()) + 1 - width) <= 1
    assert ys.max() - ys.min() == xs.max() - xs.min()


def test_a_stroke_may_leave_the_sheet(labels):
    assert labels.sheet(State(None, (Stroke(HAT, 3, ((-20, 5), (100, 5))),)))[5].eq(HAT).all()


def test_fill_takes_what_hangs_together(labels):
    wall = Stroke(HAIR, 1, ((32, 0), (32, 63)))
    sheet = labels.sheet(State(None, (wall, Fill(HAT, (5, 5)))))
    assert sheet[:, :32].eq(HAT).all()
    assert sheet[:, 32].eq(HAIR).all()
    assert sheet[:, 33:].eq(0).all()


def test_the_encoder_gets_what_its_task_gives_it(labels, sketch, heads):
    assert torch.equal(labels.source(State(0)), get_task("segmentation").make_source(heads.labels[0]))
    source = sketch.source(State(0))
    assert source.shape == (1, 64, 64)
    assert 0 <= source.min() < source.max() == 1


def test_the_face_follows_the_drawing(labels):
    before, after = labels.face(State(0)), labels.face(State(0, (Stroke(HAT, 16, ((10, 20), (50, 20))),)))
    assert before.shape == (3, 16, 16)
    assert not torch.equal(before, after)


def test_describe_says_what_is_drawn(labels, sketch):
    words = labels.describe(State(None, (Stroke(HAT, 64, ((0, 31), (63, 31))),)))
    assert words.startswith("A label map that started from an empty sheet, with 1 mark: hat ")
    assert labels.describe(State(1)).startswith("A label map that started from head 1, with 0 marks: ")
    assert sketch.describe(State(None)).startswith("A sketch that started from an empty sheet, with 0 marks: 0% is")


def test_the_legend_names_every_class_of_the_drawings(labels):
    fig = labels.render(State(0), State(None, (Stroke(HAT, 3, ((5, 5),)),)))
    words = [text.get_text() for text in fig.texts]
    assert (words[:4], len(fig.images)) == (["drawing", "face"] * 2, 4)
    named = {text.split("  ")[0] for text in words[4:]}
    assert named == {str(number) for number in [*labels.sheets[0].unique().tolist(), HAT]}
    assert [text.get_text() for text in labels.preview(State(0)).texts] == ["drawing", "face"], "names come after it"


@pytest.mark.parametrize("kind", ["labels", "sketch"])
def test_strip_shows_a_drawing_and_what_a_stroke_makes_of_it(kind, request):
    html = request.getfixturevalue(kind).strip().data
    assert "with 0 marks" in html
    assert "with 1 mark" in html


def test_a_task_without_drawings_is_refused(make_psp, heads):
    with pytest.raises(PspkitError, match="task: got 'encode', needs one of 'segmentation', 'sketch'"):
        Drawing("encode", make_psp("encode"), heads)


def test_the_mouse_draws_one_stroke_from_press_to_release(labels):
    easel = Easel(labels)
    easel.brush.value = HAT
    before = easel.page.value
    easel._begin(10.4, 20.6)
    easel._go_on(15, 20)
    easel._go_on(20, 20)
    easel._end(20, 20)
    easel._go_on(40, 40)
    assert easel.state.marks == (Stroke(HAT, 3, ((10, 20), (15, 20), (20, 20))),)
    assert easel.page.value != before
    assert "with 1 mark" in easel.page.value
    assert (easel.x.value_source.value, easel.y.value_source.value) == (10, 20)


def test_a_click_fills_where_the_tool_is_fill(labels):
    easel = Easel(labels)
    easel.tool.value, easel.brush.value = "fill", HAT
    easel._begin(1, 1)
    easel._go_on(30, 30)
    assert easel.state.marks == (Fill(HAT, (1, 1)),)


def test_everything_can_be_done_by_keyboard(labels):
    easel = Easel(labels)
    easel.brush.value = HAT
    for key, shift in (("ArrowRight", False), ("ArrowUp", True), (" ", False), ("x", False), ("Enter", False)):
        easel._key(key, shift, False, False)
    assert easel.state.marks == (Stroke(HAT, 3, ((33, 24),)),) * 2
    for _ in range(70):
        easel._key("ArrowLeft", False, False, False)
    assert easel.x.value_source.value == 0
    apply, undo, clear = easel.buttons
    apply.click()
    assert easel.state.marks[-1] == Stroke(HAT, 3, ((0, 24),))
    undo.click()
    assert len(easel.state.marks) == 2
    clear.click()
    assert easel.state == State(0)
    undo.click()
    assert easel.state == State(0)


def test_tab_leaves_the_canvas(labels, monkeypatch):
    easel, focused = Easel(labels), []
    for widget in (easel.y.children[1], easel.buttons[0]):
        monkeypatch.setattr(type(widget), "focus", lambda self: focused.append(self), raising=False)
    easel._key("Tab", False, False, False)
    easel._key("Tab", True, False, False)
    assert focused == [easel.buttons[0], easel.y.children[1]]


def test_another_start_begins_anew(labels):
    easel = Easel(labels)
    easel.buttons[0].click()
    easel.start.value = None
    assert easel.state == State(None)
    assert "an empty sheet, with 0 marks" in easel.page.value


def test_the_cursor_shows_on_the_canvas(labels, monkeypatch):
    easel, shown = Easel(labels), []
    monkeypatch.setattr(easel.canvas, "put_image_data", shown.append)
    easel.x.value_source.value = 5
    assert shown[0].shape == (64, 64, 4), "with opacity, or the canvas packs it as a JPEG"
    assert (shown[0][..., 3] == 255).all()
    pixels = shown[0][..., :3]
    assert (pixels != labels.colours(State(0))).any()
    assert (pixels == labels.colours(State(0))).mean() > 0.95
