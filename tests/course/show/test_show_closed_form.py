import pytest

from pspkit.course.show import closed_form


def names(fig):
    return {text.get_text(): text for text in fig.axes[0].texts}


def test_r2_by_code_has_a_line_for_each_regression_and_the_levels_behind():
    curves = {"ours": [0.5] * 10 + [-0.2] * 6, "theirs": [0.1] * 16}
    ax = closed_form.by_code(curves).axes[0]
    assert [list(line.get_ydata()) for line in ax.lines] == [[0.5] * 10 + [0] * 6, [0.1] * 16]
    spans = sorted((patch.get_x(), patch.get_x() + patch.get_width()) for patch in ax.patches)
    assert spans == [(-0.5, 2.5), (2.5, 6.5), (6.5, 15.5)]
    assert {"ours", "theirs", "coarse", "middle", "fine"} == set(names(ax.figure))


def test_names_at_the_ends_are_moved_apart():
    fig = closed_form.growth({"a": {10: 0.1, 100: 0.30}, "b": {10: 0.1, 100: 0.30}, "c": {10: 0.0, 100: 0.9}})
    places = sorted(text.xyann[1] for text in fig.axes[0].texts)
    assert len(set(places)) >= 2
    assert fig.axes[0].get_xscale() == "log"
    assert [tick.get_text() for tick in fig.axes[0].get_xticklabels()] == ["10", "100"]


def test_growth_draws_the_points_it_is_given():
    line = closed_form.growth({"a": {10: 0.1, 1000: 0.3}}).axes[0].lines[0]
    assert list(line.get_xdata()) == [10, 1000]
    assert list(line.get_ydata()) == pytest.approx([0.1, 0.3])
