import json

import pytest
from PIL import Image

from pspkit import PspkitError
from pspkit.course.explore.curves import State, TrainingCurves
from pspkit.course.show.training import ROWS


@pytest.fixture
def run(tmp_path):
    """A folder as a training leaves it: three validations, a sheet of the last one."""
    lines = [
        {"step": step, "seconds": 1.0, "training": {"total": total, "l2": total / 2}, "validation": found}
        for step, total, found in (
            (10, 0.8, {"total": 0.9, "l2": 0.3}),
            (20, 0.4, {"total": 0.5, "l2": 0.2}),
            (30, 0.2, {"total": 0.6, "l2": 0.1}),
        )
    ]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (tmp_path / "sheets").mkdir()
    Image.new("RGB", (60, 30), "green").save(tmp_path / "sheets" / "000030.jpg")
    return tmp_path


def words(fig):
    return [text.get_text() for text in fig.texts]


def test_the_chosen_losses_have_a_panel_each_and_the_sheet_stands_below(run):
    curves = TrainingCurves(run)
    fig = curves.render(State(("l2", "total"), step=30))
    assert (words(fig), len(fig.axes), len(fig.images)) == (["step", "l2", "step", "total", *ROWS], 2, 1)
    fig = curves.render(State(("l2",), step=20))
    assert (words(fig), len(fig.images)) == (["step", "l2"], 0), "no sheet of this step"
    fig = curves.render(State((), step=30))
    assert (words(fig), len(fig.axes), len(fig.images)) == ([*ROWS], 0, 1)


def test_a_panel_has_the_chosen_axis_and_a_line_at_the_step(run):
    fig = TrainingCurves(run).render(State(scale="linear", step=20))
    (ax,) = fig.axes
    assert ax.get_yscale() == "linear"
    assert [20, 20] in [list(line.get_xdata()) for line in ax.lines]


def test_describe_says_what_was_found(run):
    curves = TrainingCurves(run)
    assert curves.describe(State(("total",), step=20)) == (
        "Step 20: total 0.4 in training, 0.5 in validation. Lowest total: step 20. No sheet of this step was kept."
    )
    assert curves.describe(State(step=30)).endswith("Below: sources, outputs and targets of this step.")
    Image.new("RGB", (60, 30)).save(run / "sheet.jpg")  # all that ships of a training
    assert curves.describe(State(step=20)).endswith("of the model that was kept.")
    assert curves.describe(State(step=30)).endswith("of this step.")
    assert "no loss is chosen" in curves.describe(State((), step=30))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, r"log\.jsonl: not there, or without a line. Name the folder of a training"),
        ("", "without a line"),
        ('{"step": 1', r"log\.jsonl: it is damaged at line 1"),
        ('{"epoch": 1}\n', r"log\.jsonl: it is damaged at line 1"),
    ],
)
def test_a_folder_without_a_log_is_refused(tmp_path, text, message):
    if text is not None:
        (tmp_path / "log.jsonl").write_text(text)
    with pytest.raises(PspkitError, match=message):
        TrainingCurves(tmp_path)


def test_every_control_changes_the_page(run):
    losses, smoothing, scale, step, html = TrainingCurves(run).explore().children
    assert step.value == 30, "the last validation"
    for control, value in ((losses, ("total", "l2")), (smoothing.children[0], 0.5), (scale, "linear"), (step, 10)):
        before = html.value
        control.value = value
        assert html.value != before
    assert "Step 10: total 0.8 in training, 0.9 in validation; l2 0.4 in training, 0.3 in validation." in html.value
    smoothing.children[1].value = 0.75
    assert smoothing.children[0].value == 0.75


def test_strip_shows_the_first_and_the_last_validation(run):
    html = TrainingCurves(run).strip().data
    assert "Step 10:" in html
    assert "Step 30:" in html
