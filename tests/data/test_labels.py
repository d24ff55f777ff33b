"""Label maps: numbers, order, sides and colours."""

import numpy as np
import pytest
import torch
from torchvision import tv_tensors
from torchvision.transforms import v2

from pspkit import PspkitError
from pspkit.data.labels import FACE_PARSER_ORDER, LABELS, LabelMap, check_labels, from_face_parser, palette, swap_sides

# How the colours of a screen look to the three kinds of dichromats, in linear RGB (Machado et al. 2009, severity 1).
VISIONS = {
    "usual": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}
RGB_TO_XYZ = np.array([[0.4339, 0.3762, 0.1899], [0.2126, 0.7152, 0.0722], [0.0177, 0.1095, 0.8728]])  # white: 1, 1, 1


def lab(rgb, vision):
    screen = rgb / 255
    linear = np.where(screen <= 0.04045, screen / 12.92, ((screen + 0.055) / 1.055) ** 2.4)
    xyz = np.clip(linear @ np.array(vision).T, 0, 1) @ RGB_TO_XYZ.T
    x, y, z = np.moveaxis(np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116), -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)


def test_numbers_are_the_rows_of_celebamask_hq():
    names = "background skin nose eye_g l_eye r_eye l_brow r_brow l_ear r_ear mouth u_lip l_lip hair hat ear_r neck_l"
    assert list(LABELS) == [*names.split(), "neck", "cloth"]
    assert [label.number for label in LABELS.values()] == list(range(19))


@pytest.mark.parametrize("vision", VISIONS)
def test_any_two_colours_stay_apart(vision):
    colours = lab(palette().numpy().astype(float), VISIONS[vision])
    apart = np.linalg.norm(colours[:, None] - colours[None], axis=-1) + 1e9 * np.eye(19)
    assert apart.min() > 20  # a difference of 2 can just be seen


def test_face_parser_order_is_converted():
    assert sorted(FACE_PARSER_ORDER) == sorted(LABELS)
    parsed = torch.arange(19, dtype=torch.uint8).reshape(1, 19)
    named = [FACE_PARSER_ORDER[i] for i in range(19)]
    assert from_face_parser(parsed).tolist() == [[LABELS[name].number for name in named]]
    with pytest.raises(PspkitError, match="value 19"):
        from_face_parser(torch.tensor([19]))


def test_sides_are_swapped_and_swapped_back():
    numbers = torch.arange(19, dtype=torch.uint8)
    swapped = swap_sides(numbers)
    assert swapped[LABELS["l_eye"].number] == LABELS["r_eye"].number
    assert swapped[LABELS["hair"].number] == LABELS["hair"].number
    assert (swapped != numbers).sum() == 6
    assert torch.equal(swap_sides(swapped), numbers)


def test_numbers_outside_the_range_are_named():
    check_labels("map", torch.tensor([[0, 18]], dtype=torch.uint8))
    with pytest.raises(PspkitError, match=r"face\.png: has values 19, 255; 19 classes are numbered 0 to 18"):
        check_labels("face.png", torch.tensor([[0, 19, 255]], dtype=torch.uint8))
    with pytest.raises(PspkitError, match="whole"):
        check_labels("map", torch.tensor([0.5]))


def test_a_map_is_resized_by_the_nearest_pixel_in_step_with_its_picture():
    labels = torch.zeros(64, 64, dtype=torch.uint8)
    labels[:, 20:] = 18
    small = v2.functional.resize(LabelMap(labels), [16, 16])
    assert isinstance(small, LabelMap)
    assert small.unique().tolist() == [0, 18]  # a mean would invent classes between
    picture = v2.functional.resize(tv_tensors.Image(labels[None].float() / 18), [16, 16], antialias=True)
    assert torch.equal(small == 18, picture[0] > 0.5)


def test_mirroring_a_map_swaps_its_sides():
    labels = LabelMap(torch.tensor([[4, 13, 0]], dtype=torch.uint8))
    mirrored = v2.RandomHorizontalFlip(p=1)(labels)
    assert isinstance(mirrored, LabelMap)
    assert mirrored.tolist() == [[0, 13, 5]]
