"""Hair styles: caps on the skull with an opening for the face, and the hair that hangs from them.

Every style declares its solids, and returns the function that combines their values.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from pspkit.data.heads.distances import AX, MIRRORED, ONE, WHOLE, Solids, X, Y, Z, length, smooth_max, smooth_min

if TYPE_CHECKING:
    from pspkit.data.heads.shape import Shape


class Ground(NamedTuple):
    """What hair grows on, at K points."""

    skull: Tensor  # distance to the head without ears and features
    points: Tensor  # (3, K)
    values: list[Tensor]  # of the declared solids


Style = Callable[[Ground], tuple[Tensor, Tensor | None]]  # distances to the hair, and to a tie


def _opening(s: Shape, solids: Solids, top: float, width: float = 0.69, back: float = 0.10, aside: float = 0.0):
    """Distance to the space in front of the face; hair begins at the height `top` above the forehead."""
    centre = -0.42
    rise = (top + s.f.hairline) * s.f.head_height - centre
    hole = solids.ellipsoid((X, Y), (aside, centre), (width * s.f.head_width, rise))
    wall = solids.form(back * ONE - Z)
    return lambda v: smooth_max(v[hole], v[wall], 0.10)


def _nape(solids: Solids, front: float = -0.10, slope: float = 0.45) -> int:
    """A plane: positive below the line where short hair ends, from the sideburns down to the back."""
    return solids.form((front * ONE + slope * Z - Y) * 0.9)


def _bald(s: Shape, solids: Solids) -> Style:
    return lambda g: (g.skull + 9, None)


def _receding(s: Shape, solids: Solids) -> Style:
    top, nape = solids.form((Y - 0.50 * ONE + 0.45 * Z) * 0.9), _nape(solids, -0.06)
    front = solids.form(Z - 0.30 * ONE)
    depth = 0.05 + 0.05 * s.f.hair_volume

    def combine(g: Ground):
        v = g.values
        edge = torch.maximum(torch.maximum(v[top], v[nape]), v[front])
        return smooth_max(g.skull - depth + 0.010 * torch.sin(30 * g.points[1]), edge, 0.07), None

    return combine


def _buzz(s: Shape, solids: Solids) -> Style:
    hole, nape = _opening(s, solids, 0.66), _nape(solids)
    return lambda g: (smooth_max(smooth_max(g.skull - 0.035, -hole(g.values), 0.03), g.values[nape], 0.04), None)


def _side_part(s: Shape, solids: Solids) -> Style:
    f, side = s.f, s.side
    sweep = solids.ellipsoid(WHOLE, (-0.14 * side, 0.84 * f.head_height, 0.44), (0.60 * f.head_width, 0.24, 0.40))
    part = solids.form(14 * (X * side - 0.36 * ONE))
    strands = solids.form(26 * (Z + 0.55 * side * X - 0.3 * Y))
    hole, nape = _opening(s, solids, 0.60, aside=0.10 * side), _nape(solids)
    depth = 0.07 + 0.05 * f.hair_volume

    def combine(g: Ground):
        v = g.values
        hair = smooth_min(g.skull - depth, v[sweep], 0.12)
        furrow = (1 - v[part].abs()).clamp_(min=0) * (g.points[2] > -0.3)
        hair = hair + 0.05 * furrow + 0.014 * torch.sin(v[strands])
        return smooth_max(smooth_max(hair, -hole(v), 0.05), v[nape], 0.06), None

    return combine


def _quiff(s: Shape, solids: Solids) -> Style:
    f = s.f
    lift = 0.16 * f.hair_volume
    frame = (X, Y + 0.35 * (Z - 0.4 * ONE), Z)
    top = solids.ellipsoid(
        frame, (0, (1.0 + 0.6 * lift) * f.head_height, 0.28), (0.50 * f.head_width, 0.24 + lift, 0.58)
    )
    hole, nape = _opening(s, solids, 0.62), _nape(solids, -0.02)

    def combine(g: Ground):
        sides = smooth_max(smooth_max(g.skull - 0.045, -hole(g.values), 0.05), g.values[nape], 0.05)
        return smooth_min(sides, g.values[top] + 0.016 * torch.sin(24 * g.points[0]), 0.08), None

    return combine


def _around(g: Ground, waves: int) -> Tensor:
    """A wave around the vertical axis."""
    return torch.sin(waves * torch.atan2(g.points[0], g.points[2] + 0.1))


def _bangs(s: Shape, solids: Solids, end: float, width: float):
    """Distance to an opening with straight edges under bangs."""
    below, beside, behind = (
        solids.form(form) for form in (Y - end * ONE, AX - width * s.f.head_width * ONE, 0.05 * ONE - Z)
    )
    return lambda v: torch.maximum(torch.maximum(v[below], v[beside]), v[behind])


def _fringe(s: Shape, solids: Solids) -> Style:
    hole, nape = _bangs(s, solids, 0.42 + 0.5 * s.f.hairline, 0.60), _nape(solids, -0.22, 0.35)
    depth = 0.11 + 0.06 * s.f.hair_volume

    def combine(g: Ground):
        hair = g.skull - depth + 0.014 * _around(g, 22)
        return smooth_max(smooth_max(hair, -hole(g.values), 0.06), g.values[nape], 0.08), None

    return combine


def _lumps(g: Ground, size: float) -> Tensor:
    waves = torch.sin(g.points * size)
    return waves[0] * waves[1] * waves[2]


def _curls(s: Shape, solids: Solids) -> Style:
    hole, nape = _opening(s, solids, 0.58), _nape(solids, -0.05)
    depth = 0.12 + 0.10 * s.f.hair_volume

    def combine(g: Ground):
        hair = smooth_max(smooth_max(g.skull - depth, -hole(g.values), 0.06), g.values[nape], 0.06)
        return (hair + 0.075 * _lumps(g, 11)) * 0.75, None

    return combine


def _afro(s: Shape, solids: Solids) -> Style:
    r = 0.96 + 0.18 * s.f.hair_volume
    ball = solids.ellipsoid(MIRRORED, (0, 0.40, -0.16), (r * s.f.head_width, r, r))
    hole, nape = _opening(s, solids, 0.62, 0.66, 0.16), _nape(solids, -0.25, 0.3)

    def combine(g: Ground):
        v = g.values
        return smooth_max(smooth_max(v[ball], -hole(v), 0.06), v[nape], 0.10) + 0.03 * _lumps(g, 17), None

    return combine


def _curtain(s: Shape, solids: Solids, end: float, flare: float):
    """Hair that covers head and neck from behind and from the sides, down to `end`."""
    f = s.f
    depth = 0.08 + 0.07 * f.hair_volume
    axis = solids.ellipsoid((AX, Z), (0, -0.14), (0.80 * f.head_width, 0.84))
    top = solids.form(Y - 0.30 * f.head_height * ONE)
    bottom = solids.form((end * ONE - Y) * 0.9)
    neck = solids.sphere((X, Z), (0, -0.10), 0.48)
    chin = solids.form(Y + 0.6 * ONE)

    def combine(g: Ground) -> Tensor:
        v = g.values
        wall = v[axis] - depth + flare * v[top].clamp(-1.4, 0)
        hair = smooth_min(g.skull - depth, smooth_max(wall, v[top], 0.25), 0.10)
        hair = smooth_max(hair, v[bottom], 0.16)
        return smooth_max(hair, -torch.maximum(v[neck], v[chin]), 0.05)

    return combine


def _bob(s: Shape, solids: Solids) -> Style:
    curtain = _curtain(s, solids, -0.55 - 0.2 * s.f.hair_length, 0.07)
    lower = _opening(s, solids, 0.20, 0.58)
    upper = _bangs(s, solids, 0.40, 0.56) if s.f.parting == "left" else _opening(s, solids, 0.60, 0.60)

    def combine(g: Ground):
        hole = torch.minimum(upper(g.values), lower(g.values))
        return smooth_max(curtain(g) + 0.012 * _around(g, 24), -hole, 0.06), None

    return combine


def _long(s: Shape, solids: Solids) -> Style:
    curtain = _curtain(s, solids, -1.05 - 0.5 * s.f.hair_length, 0.02)
    hole = _opening(s, solids, 0.64, 0.60, 0.12)

    def combine(g: Ground):
        furrow = (1 - 16 * g.points[0].abs()).clamp_(min=0) * (g.points[1] > 0.3)
        return smooth_max(curtain(g) + 0.012 * _around(g, 26) + 0.04 * furrow, -hole(g.values), 0.06), None

    return combine


def _wavy(s: Shape, solids: Solids) -> Style:
    curtain = _curtain(s, solids, -0.85 - 0.5 * s.f.hair_length, 0.12)
    phase = solids.form(7 * Y + 1.5 * Z)
    hole = _opening(s, solids, 0.62, 0.58, 0.12, aside=0.14 * s.side)

    def combine(g: Ground):
        x, y, z = g.points
        swing = torch.sin(g.values[phase])
        strands = torch.sin(18 * torch.atan2(x, z + 0.1) + 4 * y)
        hair = curtain(g) + 0.035 * swing * (2 - 3 * y).clamp_(0, 1) + 0.020 * strands
        return smooth_max(hair, -hole(g.values), 0.06) * 0.85, None

    return combine


def _combed_back(s: Shape, solids: Solids):
    hole, nape = _opening(s, solids, 0.64), _nape(solids, -0.12)
    depth = 0.055 + 0.03 * s.f.hair_volume

    def combine(g: Ground) -> Tensor:
        hair = g.skull - depth + 0.010 * torch.sin(26 * g.points[0])
        return smooth_max(smooth_max(hair, -hole(g.values), 0.05), g.values[nape], 0.06)

    return combine


def _bun(s: Shape, solids: Solids) -> Style:
    back = _combed_back(s, solids)
    r = 0.22 + 0.08 * s.f.hair_volume
    y, z = 1.06 * s.f.head_height + 0.3 * r, -0.26
    ball = solids.sphere(WHOLE, (0, y, z), r)
    strands = solids.form(22 * (Y - 0.6 * X))
    ring, height = solids.sphere((X, Z), (0, z + 0.05), 0.6 * r), solids.form(Y - (y - 0.72 * r) * ONE)

    def combine(g: Ground):
        v = g.values
        return smooth_min(back(g), v[ball] + 0.014 * torch.sin(v[strands]), 0.03), length(v[ring], v[height]) - 0.05

    return combine


def _ponytail(s: Shape, solids: Solids) -> Style:
    back, side = _combed_back(s, solids), s.side
    root, bend, end = (0.44 * side, 0.78, -0.62), (0.80 * side, 0.66, -0.84), -0.30 - 0.6 * s.f.hair_length
    middle = (0.98 * side, 0.5 * end, -0.74)
    upper = solids.capsule(WHOLE, root, bend, 0.10)
    middle, lower = (
        solids.capsule(WHOLE, bend, middle, 0.15),
        solids.capsule(WHOLE, middle, (0.90 * side, end, -0.60), 0.08),
    )
    tie = solids.sphere(WHOLE, root, 0.16)
    strands = solids.form(28 * X + 6 * Z)

    def combine(g: Ground):
        v = g.values
        tail = smooth_min(smooth_min(v[upper], v[middle], 0.10), v[lower], 0.25) + 0.012 * torch.sin(v[strands])
        return smooth_min(back(g), 0.8 * tail, 0.03), v[tie]

    return combine


def _braids(s: Shape, solids: Solids) -> Style:
    back = _combed_back(s, solids)
    x, end = 0.74 * s.f.head_width, -0.95 - 0.35 * s.f.hair_length
    rope = solids.capsule(MIRRORED, (x, -0.28, -0.20), (x, end, 0.02), 0.10)
    ring, height = solids.sphere((AX, Z), (x, 0.0), 0.08), solids.form(Y - end * ONE)

    def combine(g: Ground):
        v = g.values
        furrow = (1 - 16 * g.points[0].abs()).clamp_(min=0) * (g.points[1] > 0.2)
        knots = v[rope] - 0.03 * torch.sin(22 * g.points[1]).abs_()
        return smooth_min(back(g) + 0.03 * furrow, knots * 0.85, 0.04), length(v[ring], v[height]) - 0.04

    return combine


COVERS_EARS = ("fringe", "afro", "bob", "long", "wavy")
STYLES: dict[str, Callable[[Shape, Solids], Style]] = {
    "bald": _bald,
    "receding": _receding,
    "buzz": _buzz,
    "side part": _side_part,
    "quiff": _quiff,
    "fringe": _fringe,
    "curls": _curls,
    "afro": _afro,
    "bob": _bob,
    "long": _long,
    "wavy": _wavy,
    "bun": _bun,
    "ponytail": _ponytail,
    "braids": _braids,
}
