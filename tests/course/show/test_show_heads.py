import pytest
import torch
from matplotlib.colors import to_rgba

from pspkit.course.show import COLOURS, heads
from pspkit.data.heads import render, sample_factors


@pytest.fixture(scope="module")
def two():
    return render(sample_factors(2, seed=4), 64)


def test_truths_shows_everything_and_the_classes_of_this_head(two):
    fig = heads.truths(two, 1)
    assert [ax.get_title() for ax in fig.axes[:5]] == ["picture", "five landmarks", "label map", "sketch", "depth"]
    marks = torch.tensor(fig.axes[1].lines[0].get_xydata())
    assert torch.allclose(marks.float(), two.landmarks[1] - 0.5)
    assert len(fig.texts) == len(two.labels[1].unique())


def test_splits_frames_the_test_set(two):
    test = torch.tensor([True, False])
    first, second = heads.splits(two.image, {"by coin": test}).axes
    assert first.spines["left"].get_edgecolor() == to_rgba(COLOURS["accent"])
    assert first.spines["left"].get_linewidth() > second.spines["left"].get_linewidth()


def test_crossed_has_a_row_a_person(two):
    fig = heads.crossed(two.image.repeat(3, 1, 1, 1), people=2)
    tops = [round(ax.get_position().y1, 3) for ax in fig.axes]
    assert len(set(tops[:3])) == len(set(tops[3:])) == 1
    assert tops[0] > tops[3]
