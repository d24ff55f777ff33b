"""Solutions of notebook A2."""

import torch


def tilt(left, right):
    x, y = right - left
    return -torch.rad2deg(torch.atan2(y, x))


def put_back(photo, face, mask):
    mixed = photo.float() * (1 - mask) + face.float() * mask
    return mixed.round().clamp(0, 255).to(torch.uint8)
