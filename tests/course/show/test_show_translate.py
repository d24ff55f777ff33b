import pytest
import torch

from pspkit import PspkitError
from pspkit.course.show import course_map, translate
from pspkit.data.tasks import TASKS


def test_rows_have_their_names_and_keep_their_order():
    fig = translate.rows({"small": torch.full((3, 3, 8, 8), -1.0), "large": torch.ones(3, 3, 16, 16)}, ["a", "b", "c"])
    assert [text.get_text() for text in fig.texts] == ["small", "large"]
    assert [ax.get_title() for ax in fig.axes] == ["a", "b", "c", "", "", ""]
    assert [ax.images[0].get_size() for ax in fig.axes] == [(8, 8)] * 3 + [(16, 16)] * 3
    assert [ax.images[0].get_array().max() for ax in fig.axes] == [0] * 3 + [255] * 3


def test_rows_fit_the_page_however_many_there_are():
    for count in (1, 4, 12):
        fig = translate.rows({"source": torch.zeros(count, 3, 4, 4)})
        assert fig.get_size_inches()[0] <= translate.WIDTH + 0.01


def test_rows_of_different_lengths_are_refused():
    with pytest.raises(PspkitError, match=r"different lengths \(one 2, two 3\)"):
        translate.rows({"one": torch.zeros(2, 3, 4, 4), "two": torch.zeros(3, 3, 4, 4)})


@pytest.mark.parametrize("name", TASKS)
def test_results_show_the_source_as_the_task_does(name):
    task = TASKS[name]
    source = torch.zeros(2, task.input_nc, 8, 8)
    fig = translate.results(task, source, torch.zeros(2, 3, 8, 8), torch.zeros(2, 3, 8, 8))
    assert [text.get_text() for text in fig.texts] == ["source", "result", "truth"]
    shown = fig.axes[0].images[0].get_array() / 127.5 - 1
    assert abs(shown - task.show_source(source)[0].permute(1, 2, 0).numpy()).max() < 0.01


def test_a_map_without_a_place_marks_the_whole_way():
    assert "You are here: the whole way." in course_map().data
    assert "You are here: pyramid" not in course_map("decoder").data
