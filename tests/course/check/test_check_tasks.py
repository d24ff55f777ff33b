import pytest
import torch
import torch.nn.functional as F

from pspkit.course import check
from pspkit.course.check.tasks import MIX_UPS

PAIRS = ((4, 5), (6, 7), (8, 9))


def mirror(labels, flip=(-1,)):
    mirrored = labels.flip(flip)
    swapped = mirrored.clone()
    for left, right in PAIRS:
        swapped[mirrored == left] = right
        swapped[mirrored == right] = left
    return swapped


def mirror_overwriting(labels):
    mirrored = labels.flip(-1)
    for left, right in PAIRS:
        mirrored[mirrored == left] = right
        mirrored[mirrored == right] = left
    return mirrored


def mirror_in_place(labels):
    labels[:] = mirror(labels)
    return labels


@pytest.mark.parametrize(
    ("misconception", "answer"),
    [
        ("unanswered", lambda labels: None),
        ("sides not swapped", lambda labels: labels.flip(-1)),
        ("not mirrored", lambda labels: mirror(labels, flip=())),
        ("upside down", lambda labels: mirror(labels, flip=(-2,))),
        ("turned round", lambda labels: mirror(labels, flip=(-2, -1))),
        ("overwritten", mirror_overwriting),
        ("changes its input", mirror_in_place),
        ("", lambda labels: labels),
        ("raises", lambda labels: labels.flip(5)),
    ],
)
def test_mirror_labels_names_what_is_wrong(misconception, answer):
    verdict = check.mirror_labels(answer)
    assert not verdict.right
    assert verdict.misconception == misconception


def test_mirror_labels_accepts_any_whole_type():
    assert check.mirror_labels(mirror).right
    assert check.mirror_labels(lambda labels: mirror(labels.long())).right


def by_people(person, people):
    return torch.isin(person, person.unique()[-people:])


@pytest.mark.parametrize(
    ("misconception", "answer"),
    [
        ("unanswered", lambda person, people: ...),
        ("split by head", lambda person, people: torch.arange(len(person)) < people),
        ("split by head", lambda person, people: torch.arange(len(person)) >= len(person) // 2),
        ("inverted", lambda person, people: ~by_people(person, people)),
        ("wrong count", lambda person, people: by_people(person, 1)),
        ("shape", lambda person, people: person.unique()[:people]),
        ("shape", lambda person, people: by_people(person, people).nonzero()),
    ],
)
def test_split_people_names_what_is_wrong(misconception, answer):
    verdict = check.split_people(answer)
    assert not verdict.right
    assert verdict.misconception == misconception


def test_split_people_accepts_any_choice_of_people():
    assert check.split_people(by_people).right
    assert check.split_people(lambda person, people: torch.isin(person, person.unique()[:people])).right
    assert check.split_people(lambda person, people: by_people(person, people).tolist()).right


def blocks(picture, block, mode="nearest"):
    return F.interpolate(F.avg_pool2d(picture[None], block), scale_factor=block, mode=mode)[0]


@pytest.mark.parametrize(
    ("misconception", "answer"),
    [
        ("unanswered", lambda picture, block: None),
        ("not brought back", lambda picture, block: F.avg_pool2d(picture, block)),
        ("one pixel for all", lambda p, b: F.interpolate(p[None, :, ::b, ::b], scale_factor=b)[0]),
        ("smooth", lambda picture, block: blocks(picture, block, "bilinear")),
        ("shape", lambda picture, block: blocks(picture, block)[None]),
        ("", lambda picture, block: blocks(picture, 4)),
        ("", lambda picture, block: picture),
    ],
)
def test_pixelate_names_what_is_wrong(misconception, answer):
    verdict = check.pixelate(answer)
    assert not verdict.right
    assert verdict.misconception == misconception


def test_pixelate_accepts_means_made_in_any_way():
    assert check.pixelate(blocks).right

    def by_kronecker(picture, block):
        means = picture.unfold(1, block, block).unfold(2, block, block).mean((-2, -1))
        return means.repeat_interleave(block, 1).repeat_interleave(block, 2)

    assert check.pixelate(by_kronecker).right


INVENTS = {"numbers, bilinear": True, "numbers, nearest": False, "channels, bilinear": False}


@pytest.mark.parametrize(
    ("misconception", "answer"),
    [
        ("unanswered", dict.fromkeys(INVENTS, ...)),
        ("names", {"numbers": True}),
        ("choices", INVENTS | {"numbers, nearest": "never"}),
        *((name, INVENTS | {way: not INVENTS[way]}) for way, (name, _) in MIX_UPS.items()),
    ],
)
def test_invented_classes_names_what_is_wrong(misconception, answer):
    verdict = check.invented_classes(answer)
    assert not verdict.right
    assert verdict.misconception == misconception


def test_invented_classes_tells_what_it_measured():
    verdict = check.invented_classes(INVENTS)
    assert verdict.right
    assert "0 by channels, bilinear" in verdict.message
