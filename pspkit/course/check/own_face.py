"""Exercises of notebook A2."""

from collections.abc import Callable

import torch
from torch import Tensor

from pspkit.course.check.verdict import Verdict, checker


@checker
def head_tilt(answer: Callable[[Tensor, Tensor], Tensor]) -> Verdict:
    """Exercise 1: the eyes' places (2,), x and y down, to the degrees of a clockwise turn that levels them."""
    cases = ((30.0, -30.0), (10.0, 20.0), (-40.0, 5.0))  # turned by these degrees, y up: the left eye lower
    for degrees in (angle for case in cases for angle in case):
        angle = torch.deg2rad(torch.tensor(degrees))
        across = 80 * torch.stack([angle.cos(), -angle.sin()])
        left = torch.tensor([120.0, 200.0])
        came = float(answer(left, left + across))
        if abs(came - degrees) < 0.1:
            continue
        here = f"The line through the eyes rises to the right by {degrees:.0f} degrees; yours says {came:.1f}. "
        wrong = {
            "radians": (float(angle), "These are radians; ask for degrees."),
            "y up": (-degrees, "The other way round: y counts downwards in a picture."),
            "radians, y up": (-float(angle), "Radians, and the other way round: y counts downwards in a picture."),
            "from the vertical": (90 - degrees, "That is the angle from the vertical. Give `atan2` y first."),
            "vertical, y up": (90 + degrees, "That is the angle from the vertical. Give `atan2` y first, then x."),
        }
        for name, (value, hint) in wrong.items():
            if abs(came - value) < 0.1:
                return Verdict(False, here + hint, name)
        return Verdict(False, here + "`atan2` of the step from eye to eye gives the angle.")
    return Verdict(True, "Turned by this, the eyes are level, whichever of them was higher.")


@checker
def put_back(answer: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Verdict:
    """Exercise 2: bytes (3, H, W), other bytes of that shape and a mask (H, W) in [0, 1] to their mixture."""
    generator = torch.Generator().manual_seed(0)
    photo, face = torch.randint(256, (2, 3, 8, 8), generator=generator, dtype=torch.uint8)
    mask = torch.rand(8, 8, generator=generator).mul(2).sub(0.5).clamp(0, 1)
    mixed = photo.float() * (1 - mask) + face.float() * mask
    given = photo.clone(), face.clone(), mask.clone()
    came = answer(*given)
    if came.shape != photo.shape:
        return Verdict(False, f"Needs {tuple(photo.shape)}; yours is {tuple(came.shape)}.", "shape")
    if came.dtype != torch.uint8:
        return Verdict(False, f"A photograph is bytes, uint8; yours is {came.dtype}. Round, then convert.", "no bytes")
    if not all(torch.equal(old, new) for old, new in zip((photo, face, mask), given, strict=True)):
        return Verdict(False, "An argument was overwritten: `clone` it first.", "in place")
    if (came.float() - mixed).abs().max() <= 0.51:
        return Verdict(True, "Nearest bytes, and where the mask is 0 those of the photograph.")
    wrong = {
        "inverted": (photo * mask + face * (1 - mask), "The other way round: where the mask is 1 the *face* is seen."),
        "hard mask": (torch.where(mask > 0.5, face, photo), "A hard edge. Let the mask say how much of each."),
        "hole": (face * mask, "Outside of the mask the photograph has gone. Add its share, `1 - mask`."),
        "nothing kept": (face, "That is the face alone."),
    }
    for name, (value, hint) in wrong.items():
        if (came.float() - value.float()).abs().max() <= 1:
            return Verdict(False, hint, name)
    if (came.float() - mixed.floor()).abs().max() <= 0.01:
        return Verdict(False, "Half a byte too dark: converting cuts the fraction off. Round before.", "cut off")
    if ((came.float() - mixed).abs() > 100).any():
        return Verdict(False, "Some pixels are far off: sums of bytes run over at 255. Mix in float.", "overflow")
    return Verdict(False, "Mix `photo` by `1 - mask` and `face` by `mask`, then round.")
