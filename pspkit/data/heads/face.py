"""The features of a face: nose, eyes, mouth and brows, worked into the surface of the head.

Each feature declares its solids once for each head. Its methods then read their values from the list `v` that
`Solids.values` gives at K points. Every tensor is (K,), and a distance or an area is negative inside. `Face` puts the
features together in the order of a sculptor: lids, nose, lips, brows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from pspkit.data.heads.distances import AX, MIRRORED, ONE, Solids, X, Y, Z, product, smooth_max, smooth_min

if TYPE_CHECKING:
    from pspkit.data.heads.shape import Shape


@dataclass
class Features:
    """What the painter needs to know of points near the face, each (K,); areas are negative inside."""

    nose: Tensor
    nostrils: Tensor
    cheek: Tensor
    ball: Tensor
    lid: Tensor
    opening: Tensor
    height: Tensor
    above: Tensor
    below: Tensor
    upper_lip: Tensor
    lower_lip: Tensor


class Nose:
    """A bridge, a tip and two wings that are blended; the nostrils are only painted."""

    def __init__(self, s: Shape, solids: Solids) -> None:
        f, r = s.f, s.f.nose_tip
        root, end = (0, 0.06, s.nose_root), (0, f.nose_height, s.nose_z - 0.03)
        wing_at = (0.95 * r * f.nose_width, f.nose_height - 0.02, s.nose_z - 0.75 * r)
        nostril_at = (0.55 * r * f.nose_width, f.nose_height - 0.80 * r, s.nose_z - 0.22 * r)
        self._bridge = solids.capsule(MIRRORED, root, end, 0.065 * f.nose_width)
        self._tip = solids.ellipsoid(MIRRORED, (0, f.nose_height, s.nose_z), (r * f.nose_width**0.5, r, r))
        self._wing = solids.sphere(MIRRORED, wing_at, 0.62 * r)
        self._nostril = solids.sphere(MIRRORED, nostril_at, 0.30 * r)

    def distance(self, v: list[Tensor]) -> Tensor:
        return smooth_min(smooth_min(v[self._bridge], v[self._tip], 0.08), v[self._wing], 0.05)

    def nostrils(self, v: list[Tensor]) -> Tensor:
        return v[self._nostril]


class Eyes:
    """Two balls under lids, which are open between two arcs."""

    def __init__(self, s: Shape, solids: Solids) -> None:
        f, size = s.f, s.f.eye_size
        across, up = AX - s.eye_x * ONE, Y - f.eye_height * ONE  # from the middle of the eye
        self._ball = solids.sphere(MIRRORED, (s.eye_x, f.eye_height, s.eye_z), size)
        self._bow = solids.polynomial(product(ONE, ONE) - product(across, across) / (0.93 * size) ** 2)
        self._height = solids.form(up - f.eye_tilt * across)
        self._front = solids.form(0.8 * (Z - s.eye_z * ONE))
        self._lid_depth = 0.09 * size
        shut = f.blink if f.blink > 0 else 0.5 * f.blink
        self._upper = (f.eye_opening * (1 - shut) - 0.45 * max(f.blink, 0.0)) * size
        self._lower = (0.45 - 0.18 * max(f.smile, 0.0)) * size

    def ball(self, v: list[Tensor]) -> Tensor:
        return v[self._ball]

    def lid(self, v: list[Tensor]) -> Tensor:
        return v[self._ball] - self._lid_depth

    def height(self, v: list[Tensor]) -> Tensor:
        """Height above the line from corner to corner of the eye."""
        return v[self._height]

    def opening(self, v: list[Tensor]) -> Tensor:
        """The area between the lids, seen from the front."""
        upper, lower = v[self._bow] * self._upper, v[self._bow] * -self._lower
        return torch.maximum(v[self._height] - upper, lower - v[self._height])

    def carve(self, skin: Tensor, v: list[Tensor], lid: Tensor, opening: Tensor) -> Tensor:
        """Lays the lids over the balls and cuts them open."""
        skin = smooth_min(skin, lid, 0.07)
        return smooth_max(skin, torch.minimum(-0.8 * opening, v[self._front]), 0.02)


class Lips(NamedTuple):
    """The places of points between the lips, each (K,)."""

    across: Tensor  # 0 in the middle of the mouth, 1 in its corners
    above: Tensor  # height above the lower edge of the upper lip
    below: Tensor  # depth below the upper edge of the lower lip
    upper: Tensor  # thickness of the upper lip
    lower: Tensor  # thickness of the lower lip
    gap: Tensor | None  # distance between the lips; None if the mouth is closed


class Mouth:
    """Lips that swell out of the skin, and between them, if they part, a cavity with a row of teeth.

    Attributes:
        front: number of the plane in front of which the mouth lies; the back of the head must not have one.
    """

    def __init__(self, s: Shape, solids: Solids) -> None:
        self._f, self._gap, self._margin = s.f, s.gap, 0.1 * s.mouth_width
        self._across = solids.polynomial(product(X, X) / s.mouth_width**2)
        self._level = solids.form(Y - s.mouth_y * ONE)
        self.front = solids.form(Z - 0.2 * ONE)
        self._cavity = solids.form((s.mouth_z - 0.30) * ONE - Z)
        teeth = product(ONE, Z - (s.mouth_z - 0.07) * ONE) + 0.8 * product(X, X)  # bent around the jaw
        self._teeth = solids.polynomial(teeth)
        self._side = solids.form(AX - 0.85 * s.mouth_width * ONE)

    def lips(self, v: list[Tensor]) -> Lips:
        f, u = self._f, v[self._across]
        full = (1 - u * u).clamp_(min=0)
        upper = f.upper_lip * (full - 0.35 * (1 - 9 * u).clamp_(min=0))  # with a dip in its middle
        lower = f.lower_lip * full
        above = v[self._level] - 0.11 * f.smile * u.clamp(max=1.2)
        if not self._gap:
            return Lips(u, above, -above, upper, lower, None)
        gap = (1 - u).clamp_(min=0) * self._gap
        return Lips(u, above - 0.35 * gap, -above - gap, upper, lower, gap)

    def carve(self, skin: Tensor, v: list[Tensor], lips: Lips) -> Tensor:
        """Lets the lips swell and opens the mouth between them."""
        upper = (lips.above * (lips.upper - lips.above)).clamp_(min=0) * (1.5 / self._f.upper_lip)
        lower = (lips.below * (lips.lower - lips.below)).clamp_(min=0) * (1.8 / self._f.lower_lip)
        skin = skin - (upper + lower) * (v[self.front] > 0)
        if lips.gap is None:
            return skin
        between = torch.maximum(lips.above, lips.below)
        hole = torch.maximum(between, torch.maximum(v[self._cavity], v[self._side] - self._margin))
        return smooth_max(skin, -hole, 0.02)

    def teeth(self, v: list[Tensor], lips: Lips) -> Tensor | None:
        """Distance to the upper teeth; None behind closed lips."""
        if lips.gap is None:
            return None
        row = torch.maximum(-0.02 - lips.above - 0.55 * lips.gap, lips.above - 0.06)
        return torch.maximum(torch.maximum(v[self._teeth], row), v[self._side])


class Brows:
    """Strokes of two straight pieces, from the inner end over the arch to the outer end, raised from the skull."""

    def __init__(self, s: Shape, solids: Solids) -> None:
        f = s.f
        y = f.eye_height + f.brow_height + 0.05 * f.brow_raise
        inner = (s.eye_x - 0.17, y - 0.6 * f.brow_tilt - 0.05 * f.frown + 0.03 * f.brow_raise)
        arch = (s.eye_x + 0.06, y + f.brow_arch + 0.04 * f.brow_raise)
        outer = (s.eye_x + 0.22, y - 0.02 + f.brow_tilt)
        self._inner, self._outer = (solids.capsule((AX, Y), *ends, 0.0) for ends in ((inner, arch), (arch, outer)))
        self._thickness = solids.form(f.brow_thickness * ((1.15 + 0.9 * s.eye_x) * ONE - 0.9 * AX))
        self._thinnest, self._thickest = 0.5 * f.brow_thickness, 1.5 * f.brow_thickness

    def distance(self, v: list[Tensor], skull: Tensor, front: Tensor) -> Tensor:
        """Distance to the brows, which lie only in front of the plane where `front` is 0."""
        thickness = v[self._thickness].clamp(self._thinnest, self._thickest)
        stroke = 0.9 * (torch.minimum(v[self._inner], v[self._outer]) - thickness)
        return smooth_max(torch.maximum(stroke, -front), skull - 0.03, 0.03)


class Worked(NamedTuple):
    """The skin with all features, the parts that are not skin, and what the painter needs to know."""

    skin: Tensor
    eyes: Tensor
    brows: Tensor
    teeth: Tensor | None
    features: Features


class Face:
    """All features of one head."""

    def __init__(self, s: Shape, solids: Solids) -> None:
        self.nose = Nose(s, solids)
        self._cheek = solids.sphere(MIRRORED, (0.44 * s.f.head_width, -0.27, 0.55), 0.0)
        self.eyes = Eyes(s, solids)
        self.mouth = Mouth(s, solids)
        self.brows = Brows(s, solids)

    def work(self, v: list[Tensor], skull: Tensor, skin: Tensor) -> Worked:
        """Works the features into the skin.

        Args:
            v: values of the declared solids at K points.
            skull: distance to the head without ears and features, (K,).
            skin: distance to the head with its ears, (K,).
        """
        lid, opening = self.eyes.lid(v), self.eyes.opening(v)
        nose, lips = self.nose.distance(v), self.mouth.lips(v)
        skin = self.eyes.carve(skin, v, lid, opening)
        skin = smooth_min(skin, nose, 0.09)
        skin = self.mouth.carve(skin, v, lips)
        features = Features(
            nose=nose,
            nostrils=self.nose.nostrils(v),
            cheek=v[self._cheek],
            ball=self.eyes.ball(v),
            lid=lid,
            opening=opening,
            height=self.eyes.height(v),
            above=lips.above,
            below=lips.below,
            upper_lip=lips.upper,
            lower_lip=lips.lower,
        )
        brows = self.brows.distance(v, skull, v[self.mouth.front])
        return Worked(skin, self.eyes.ball(v), brows, self.mouth.teeth(v, lips), features)
