import torch

from pspkit.course.show import heads, tasks
from pspkit.data.labels import LABELS, palette
from pspkit.data.tasks import TASKS


def test_pairs_show_every_task_with_its_words():
    made = [(torch.zeros(task.input_nc, 16, 16), torch.zeros(3, 16, 16)) for task in TASKS.values()]
    fig = tasks.pairs(list(TASKS.values()), made)
    page, pictures = fig.axes[0], fig.axes[1:]
    assert len(pictures) == 2 * len(TASKS)
    words = " ".join(text.get_text().replace("\n", " ") for text in page.texts)
    for task in TASKS.values():
        assert task.title in words
        assert task.invents in words


def test_cells_write_and_colour_what_they_hold():
    values = torch.tensor([[13.0, 7.25], [1.0, 0.0]])
    ax = tasks.cells({"a patch": values}).axes[0]
    assert [text.get_text() for text in ax.texts] == ["13", "7.25", "1", "0"]
    shown = [torch.tensor(patch.get_facecolor()[:3]) * 255 for patch in ax.patches]
    assert torch.allclose(torch.stack(shown), palette()[[13, 7, 1, 0]].float(), atol=0.5)


def test_marked_pixels_keep_their_colour_and_others_turn_pale():
    labels = torch.tensor([[13, 13], [1, 1]], dtype=torch.uint8)
    marked = torch.tensor([[True, False], [False, False]])
    plain, pale = tasks.label_maps({"all": labels, "some": labels}, {"some": marked}).axes[:2]
    hair = palette()[13] / 255
    assert torch.allclose(torch.tensor(plain.images[0].get_array() / 255.0)[0, 1].float(), hair, atol=1e-2)
    shown = torch.tensor(pale.images[0].get_array()).float()
    assert torch.allclose(shown[0, 0], hair, atol=1e-2)
    assert shown[0, 1].min() > 0.85


def test_the_legend_names_the_classes_there_are():
    labels = torch.tensor([[0, 10], [18, 18]], dtype=torch.uint8)
    legend = tasks.label_maps({"map": labels}).texts[-3:]
    assert [text.get_text() for text in legend] == ["0  background", "10  mouth", "18  clothing"]
    assert heads.legend_height(range(len(LABELS))) == 4 * heads.legend_height([1])


def test_changes_strengthen_the_difference():
    before, after = torch.zeros(3, 4, 4), torch.full((3, 4, 4), 0.125)
    panel = tasks.changes({"row": (before, after)}, gain=4).axes[2].images[0].get_array()
    assert abs(panel.mean() / 255 - 0.25) < 0.01
