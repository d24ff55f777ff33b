import math

import pytest
import torch

from pspkit.course import check


def mixed(photo, face, mask):
    return photo.float() * (1 - mask) + face.float() * mask


def in_place(photo, face, mask):
    photo[:] = mixed(photo, face, mask).round().to(torch.uint8)
    return photo


@pytest.mark.parametrize(
    ("misconception", "answer"),
    [
        ("unanswered", lambda left, right: None),
        ("radians", lambda left, right: -torch.atan2(*(right - left).flip(0))),
        ("y up", lambda left, right: torch.rad2deg(torch.atan2(*(right - left).flip(0)))),
        ("radians, y up", lambda left, right: torch.atan2(*(right - left).flip(0))),
        ("from the vertical", lambda left, right: 90 + torch.rad2deg(torch.atan2(*(right - left).flip(0)))),
        ("vertical, y up", lambda left, right: torch.rad2deg(torch.atan2(*(right - left)))),
        ("raises", lambda left, right: left.nothing),
        ("", lambda left, right: 1000.0),
    ],
)
def test_head_tilt_names_what_is_wrong(misconception, answer):
    verdict = check.head_tilt(answer)
    assert not verdict.right
    assert verdict.misconception == misconception


def test_head_tilt_accepts_a_plain_number():
    assert check.head_tilt(lambda left, right: math.degrees(math.atan2(left[1] - right[1], right[0] - left[0]))).right


@pytest.mark.parametrize(
    ("misconception", "answer"),
    [
        ("unanswered", lambda photo, face, mask: None),
        ("shape", lambda photo, face, mask: mixed(photo, face, mask)[0]),
        ("no bytes", mixed),
        ("in place", in_place),
        ("inverted", lambda photo, face, mask: mixed(face, photo, mask).round().to(torch.uint8)),
        ("hard mask", lambda photo, face, mask: torch.where(mask > 0.5, face, photo)),
        ("hole", lambda photo, face, mask: (face * mask).round().to(torch.uint8)),
        ("nothing kept", lambda photo, face, mask: face),
        ("cut off", lambda photo, face, mask: mixed(photo, face, mask).to(torch.uint8)),
        ("overflow", lambda photo, face, mask: photo + (mask * (face - photo)).to(torch.uint8)),
        ("raises", lambda photo, face, mask: photo[9]),
        ("", lambda photo, face, mask: (mixed(photo, face, mask) + 20).clamp(0, 255).to(torch.uint8)),
    ],
)
def test_put_back_names_what_is_wrong(misconception, answer):
    verdict = check.put_back(answer)
    assert not verdict.right
    assert verdict.misconception == misconception


def test_put_back_accepts_any_way_to_mix():
    assert check.put_back(lambda photo, face, mask: torch.lerp(photo.float(), face.float(), mask).round().byte()).right
    assert check.put_back(lambda photo, face, mask: (mixed(photo, face, mask) + 0.5).floor().byte()).right
