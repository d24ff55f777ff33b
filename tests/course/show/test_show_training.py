import math

import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image

from pspkit import PspkitError
from pspkit.course.show import training
from pspkit.training import Report


def report(step, trained=0.5, validated=0.4):
    losses = ({"total": value, "l2": value / 2} for value in (trained, validated))
    return Report(step, 1.0, *losses, True, torch.zeros(3, 4, 3, 8, 8))


LOG = [report(10, 0.8, 0.9), report(20, 0.4, 0.3), report(30, 0.2, 0.35)]


@pytest.fixture
def page(monkeypatch):
    """What a notebook would show: the newest state in place, and what stays."""
    shown = []

    class Place:
        update = staticmethod(shown.append)

    def display(what, display_id=False):
        if display_id:
            return Place
        shown.append(what)

    monkeypatch.setattr(training, "display", display)
    monkeypatch.setattr(training, "clear_output", shown.clear)
    return shown


def test_curves_are_those_of_the_log_and_named_at_their_ends():
    (ax,) = training.curves(LOG).axes
    trained, validated, best = (list(line.get_ydata()) for line in ax.lines)
    assert trained == [0.8, 0.4, 0.2]
    assert validated == [0.9, 0.3, 0.35]
    assert best == [0.3]
    assert ax.get_yscale() == "log"
    assert [(text.get_text(), text.get_va()) for text in ax.texts] == [("training", "top"), ("validation", "bottom")]


def test_curves_take_the_lines_of_a_log_file_and_any_loss():
    lines = [{"step": 5, "seconds": 1.0, "training": {}, "validation": {"l2": 0.25}}]  # resumed right before
    (ax,) = training.curves(lines, "l2").axes
    assert list(ax.lines[1].get_ydata()) == [0.25]


def test_panels_share_their_scale():
    axes = training.panels({"one": LOG, "two": LOG[:2], "three": LOG[:1]}).axes
    assert [ax.get_title(loc="left") for ax in axes] == ["one", "two", "three"]
    assert len({ax.get_ylim() for ax in axes}) == 1


def test_the_sheet_has_a_row_for_each_side():
    fig = training.sheet(LOG[-1])
    assert len(fig.axes) == 3 * 4
    assert [text.get_text() for text in fig.texts] == ["source", "output", "target"]


def test_the_live_figure_passes_reports_on_and_alone_remains(page):
    for number, passed in enumerate(training.live(iter(LOG))):
        assert passed is LOG[number]
        assert len(page) == number + 1
        assert f"Step {passed.step}: training {passed.training['total']:.3g}" in page[-1].data
    assert len(page) == 1
    assert "Step 30" in page[0].data
    assert "<figcaption>" in page[0].data


def test_the_live_figure_remains_when_the_training_stops_with_an_error(page):
    def stops():
        yield LOG[0]
        raise ValueError("no number any more")

    with pytest.raises(ValueError, match="no number"):
        list(training.live(stops()))
    assert len(page) == 1
    assert "Step 10" in page[0].data


def test_nothing_remains_of_a_training_without_a_report(page):
    assert list(training.live(iter([]))) == []
    assert page == []


def test_smoothing_keeps_the_raw_curves_and_the_best_where_it_was():
    ax = Figure().add_subplot()
    training.draw_curves(ax, LOG, "total", scale="linear", smoothing=0.5)
    assert ax.get_yscale() == "linear"
    drawn = [list(line.get_ydata()) for line in ax.lines]
    assert [0.8, 0.4, 0.2] in drawn
    assert drawn[-1] == [0.3]
    assert training.smooth([0.8, 0.4, 0.2], 0.5) in drawn


def test_smoothed_values_are_weighted_means_of_those_before():
    assert training.smooth([4.0, 1.0], 0.5) == [4.0, 2.0]
    assert training.smooth([4.0, 1.0], 0.0) == [4.0, 1.0]
    missing = training.smooth([math.nan, 4.0, math.nan, 1.0], 0.5)
    assert math.isnan(missing[0])
    assert missing[1:] == [4.0, 4.0, 2.0]


def write_sheet(path, shades, columns=2, side=8, border=2):
    """A sheet as a training keeps it, each row of its own grey."""
    path.parent.mkdir(parents=True, exist_ok=True)
    size = columns * (side + border) + border, len(shades) * (side + border) + border
    picture = Image.new("L", size, 0)
    for row, shade in enumerate(shades):
        for column in range(columns):
            left, top = (border + place * (side + border) for place in (column, row))
            picture.paste(shade, (left, top, left + side, top + side))
    picture.convert("RGB").save(path, quality=100)


def greys(rows):
    return {name: round((row.mean().item() + 1) * 127.5, -1) for name, row in rows.items()}


def test_every_sheet_of_a_training_gives_a_row(tmp_path):
    for step, shade in ((40, 50), (80, 100), (1200, 150)):
        write_sheet(tmp_path / "sheets" / f"{step:06}.jpg", (250, shade, 200))
    rows = training.stored_sheets(tmp_path)
    assert greys(rows) == {"source": 250, "step 40": 50, "step 80": 100, "step 1,200": 150}
    assert {tuple(row.shape) for row in rows.values()} == {(2, 3, 8, 8)}
    assert list(training.stored_sheets(tmp_path, most=2)) == ["source", "step 40", "step 1,200"]


@pytest.mark.parametrize("border", [0, 2])
def test_weights_that_ship_have_one_sheet(tmp_path, border):
    write_sheet(tmp_path / "sheet.jpg", (250, 100, 200), columns=3, border=border)
    rows = training.stored_sheets(tmp_path, columns=2)
    assert greys(rows) == {"source": 250, "output": 100}
    assert {tuple(row.shape) for row in rows.values()} == {(2, 3, 8, 8)}


def test_a_folder_without_a_sheet_is_named(tmp_path):
    with pytest.raises(PspkitError, match="holds no sheet"):
        training.stored_sheets(tmp_path)
    Image.new("RGB", (17, 13)).save(tmp_path / "sheet.jpg")
    with pytest.raises(PspkitError, match=r"sheet\.jpg: no sheet of a training"):
        training.stored_sheets(tmp_path)


def test_measures_over_time_are_drawn_and_named():
    (ax,) = training.over_time({"a": [(1, 0.2), (2, 0.5)], "b": [(2, 0.9)]}, "likeness").axes
    assert [list(line.get_ydata()) for line in ax.lines] == [[0.2, 0.5], [0.9]]
    assert {text.get_text() for text in ax.texts} == {"a", "b"}
    assert ax.get_ylabel() == "likeness"
