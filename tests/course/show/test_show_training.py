import math

import pytest
import torch
from matplotlib.figure import Figure

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
