"""Exercises of notebook 06."""

from collections.abc import Callable, Mapping
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from pspkit.course.check.verdict import Verdict, check_choices, checker
from pspkit.data import heads
from pspkit.data.labels import LABELS, SIDES, swap_sides
from pspkit.data.tasks import ToOneHot

WAYS = ("numbers, bilinear", "numbers, nearest", "channels, bilinear")
MIX_UPS = {
    "numbers, bilinear": ("no arithmetic", "Between hair (13) and skin (1) lie eleven other classes."),
    "numbers, nearest": ("nearest mixes", "Nearest copies one of the old numbers to every new pixel."),
    "channels, bilinear": (
        "channels mix",
        "Each channel is averaged with itself alone: where a class is nowhere, its channel stays 0.",
    ),
}


@cache
def invented() -> dict[str, int]:
    """For each way of resizing, how many classes appear that a map did not have, summed over 24 heads."""
    found = dict.fromkeys(WAYS, 0)
    for labels in heads.render(heads.sample_factors(24, seed=4), 128).labels:
        numbers, channels = labels[None, None].float(), ToOneHot()(labels)[None]
        resized = (
            F.interpolate(numbers, size=512, mode="bilinear")[0, 0].round(),
            F.interpolate(numbers, size=512, mode="nearest-exact")[0, 0],
            F.interpolate(channels, size=512, mode="bilinear")[0].argmax(0),
        )
        for way, large in zip(WAYS, resized, strict=True):
            found[way] += len(set(large.unique().tolist()) - set(labels.unique().tolist()))
    return found


@checker
def invented_classes(answer: Mapping[str, bool]) -> Verdict:
    """Exercise 1: for each way of resizing a label map whether classes can appear that it did not have."""
    if problem := check_choices(answer, WAYS, (True, False)):
        return problem
    measured = invented()
    for way, count in measured.items():
        if answer[way] != (count > 0):
            name, hint = MIX_UPS[way]
            return Verdict(False, f"{way}: {hint}", name)
    counts = ", ".join(f"{count} by {way}" for way, count in measured.items())
    return Verdict(True, f"Measured on 24 maps, new classes: {counts}.")


def _overwritten(labels: Tensor) -> Tensor:
    """Swapped one after the other in the same map: the second step undoes the first, and a side is lost."""
    labels = labels.clone()
    for left, right in SIDES:
        labels[labels == LABELS[left].number] = LABELS[right].number
        labels[labels == LABELS[right].number] = LABELS[left].number
    return labels


@checker
def mirror_labels(answer: Callable[[Tensor], Tensor]) -> Verdict:
    """Exercise 2: a label map (H, W) to the map of the mirrored face."""
    labels = torch.arange(19, dtype=torch.uint8).repeat(3, 1)
    labels[0, :5] = 0
    given = labels.clone()
    came = answer(given)
    if not torch.equal(given, labels):
        return Verdict(False, "The map you were given has changed; write into a copy of it.", "changes its input")
    if came.shape == labels.shape and torch.equal(came.long(), swap_sides(labels).flip(-1).long()):
        return Verdict(True, "Pixels change places, and left and right change names.")
    wrong = {
        "sides not swapped": (
            labels.flip(-1),
            "The pixels are mirrored, but the left eye is now on the other side and still called left.",
        ),
        "not mirrored": (swap_sides(labels), "The names are swapped, but every pixel is where it was."),
        "upside down": (swap_sides(labels).flip(-2), "That axis is the rows: the face stands on its head."),
        "turned round": (swap_sides(labels).flip(-2, -1), "Both axes are flipped: the face stands on its head."),
        "overwritten": (
            _overwritten(labels).flip(-1),
            "You wrote over the map while reading it, so that one side took both: read from the original.",
        ),
    }
    for name, (value, hint) in wrong.items():
        if came.shape == value.shape and torch.equal(came.long(), value.long()):
            return Verdict(False, hint, name)
    return Verdict(False, "The map differs. Flip the last axis, then exchange 4 with 5, 6 with 7 and 8 with 9.")


@checker
def split_people(answer: Callable[[Tensor, int], Tensor | list[bool]]) -> Verdict:
    """Exercise 3: each head's person (N,), and how many people to test on, to a mask (N,) of the test heads."""
    person = torch.tensor([3, 3, 3, 8, 8, 5, 5, 5, 5, 1, 1, 9, 9, 9, 9, 9])
    person = person[torch.randperm(len(person), generator=torch.Generator().manual_seed(0))]
    for people in (2, 3):
        came = torch.as_tensor(answer(person, people))
        if came.dtype != torch.bool or came.shape != person.shape:
            return Verdict(False, f"Give one True or False a head, bool {tuple(person.shape)}; yours is {came.dtype} "
                           f"{tuple(came.shape)}.", "shape")  # fmt: skip
        test, train = set(person[came].tolist()), set(person[~came].tolist())
        if test & train:
            both = ", ".join(map(str, sorted(test & train)))
            return Verdict(False, f"Heads were divided, not people: {both} can be met in both sets.", "split by head")
        if len(train) == people != len(test):
            return Verdict(False, "True marks the test set; yours marks the training set.", "inverted")
        if len(test) != people:
            return Verdict(False, f"The test set has {len(test)} people, wanted are {people}.", "wrong count")
    return Verdict(True, "Nobody is in both sets, however many pictures there are of a person.")


@checker
def pixelate(answer: Callable[[Tensor, int], Tensor]) -> Verdict:
    """Exercise 4: a picture (3, H, W) and the side of a block to the picture in blocks of one colour each."""
    picture = torch.rand(3, 12, 12, generator=torch.Generator().manual_seed(0)) * 2 - 1
    for block in (4, 3):
        came, small = answer(picture, block), F.avg_pool2d(picture, block)
        if came.shape == small.shape:
            return Verdict(False, f"The picture has become {tuple(small.shape)}. An encoder takes one size: repeat "
                           "each mean over its block.", "not brought back")  # fmt: skip
        if came.shape != picture.shape:
            return Verdict(
                False, f"Needs {tuple(picture.shape)}, as it was given; yours is {tuple(came.shape)}.", "shape"
            )
        if torch.allclose(came, F.interpolate(small[None], scale_factor=block)[0], atol=1e-5):
            continue
        corner = F.interpolate(picture[None, :, ::block, ::block], scale_factor=block)[0]
        if torch.allclose(came, corner, atol=1e-5):
            return Verdict(False, "Each block took the colour of one of its pixels; take the mean of them all.",
                           "one pixel for all")  # fmt: skip
        if torch.allclose(came, F.interpolate(small[None], scale_factor=block, mode="bilinear")[0], atol=1e-5):
            return Verdict(
                False, "The blocks flow into one another: bring them back by nearest, not bilinearly.", "smooth"
            )
        return Verdict(False, "The blocks differ. Average each block of pixels, then repeat the mean over the block.")
    return Verdict(True, "One line of make_source, and a task for the registry.")
