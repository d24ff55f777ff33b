"""Solutions of notebook 06."""

import torch
import torch.nn.functional as F

invents = {"numbers, bilinear": True, "numbers, nearest": False, "channels, bilinear": False}


def mirror(labels):
    mirrored = labels.flip(-1)
    swapped = mirrored.clone()
    for left, right in ((4, 5), (6, 7), (8, 9)):
        swapped[mirrored == left] = right
        swapped[mirrored == right] = left
    return swapped


def test_heads(person, people):
    return torch.isin(person, person.unique()[:people])


def pixelate(picture, block):
    means = F.avg_pool2d(picture[None], block)
    return F.interpolate(means, scale_factor=block)[0]
