"""Paints the surface of a head: the colour of each point before light, its gloss and its label."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from pspkit.data.heads import factors as tables
from pspkit.data.heads.face import Features
from pspkit.data.heads.shape import Shape
from pspkit.data.labels import LABELS

LABEL = {name: label.number for name, label in LABELS.items()}

Colour = tuple[float, float, float]


def linear(code: str) -> Colour:
    """Turns a colour of the screen into amounts of light: its square, which is close to a screen's curve."""
    return tuple((int(code[i : i + 2], 16) / 255) ** 2 for i in (0, 2, 4))


def mix(a: Colour, b: Colour, share: float) -> Colour:
    return tuple(p + (q - p) * share for p, q in zip(a, b, strict=True))


def scale(a: Colour, *by: float) -> Colour:
    return tuple(min(p * q, 1.0) for p, q in zip(a, by * 3 if len(by) == 1 else by, strict=True))


class Paint(NamedTuple):
    """The surface at K points."""

    colour: Tensor  # (3, K), amounts of light in [0, 1]
    gloss: Tensor  # (K,)
    distance: Tensor  # (K,), to the nearest part; almost zero
    label: Tensor  # uint8 (K,), numbers of `pspkit.data.labels.LABELS`
    line: Tensor  # uint8 (K,), areas whose borders an artist would draw
    soft: Tensor  # (K,), 1 on skin, where light enters and comes out redder


class Palette:
    """The colours of one head."""

    def __init__(self, shape: Shape) -> None:
        f = shape.f
        tones = [linear(code) for code in tables.SKIN_TONES]
        place = f.skin_tone * (len(tones) - 1.001)
        tone = mix(tones[int(place)], tones[int(place) + 1], place % 1)
        self.skin = scale(tone, 1 + 0.04 * f.skin_warmth, 1.0, 1 - 0.10 * f.skin_warmth)
        self.lips = scale(self.skin, 0.80, 0.42, 0.44)
        self.blush = scale(self.skin, 1.02, 0.62, 0.60)
        self.hair = scale(linear(tables.HAIR_COLOURS[f.hair_colour]), f.hair_shade)
        natural = f.hair_colour if f.hair_colour not in ("rose", "teal", "violet") else "espresso"
        self.brows = scale(mix(linear(tables.HAIR_COLOURS[natural]), linear("2a1c16"), 0.45), 0.9)
        self.beard = scale(mix(linear(tables.HAIR_COLOURS[natural]), linear("2a1c16"), 0.12), 0.92)
        self.iris = linear(tables.IRIS_COLOURS[f.iris_colour])
        self.frame = linear(tables.FRAME_COLOURS[f.glasses_colour])
        self.cloth = scale(linear(tables.CLOTH_COLOURS[f.clothes_colour]), f.clothes_shade)
        self.tie = linear(tables.CLOTH_COLOURS[f.clothes_colour])
        self.background = scale(linear(tables.BACKGROUNDS[f.background]), f.background_shade)


class _Canvas:
    """Colour, gloss, label and drawn area of K points, which are painted over again and again."""

    def __init__(self, points: Tensor) -> None:
        self.colour = points.new_zeros(3, len(points))
        self.gloss, self.soft = torch.zeros_like(points), torch.zeros_like(points)
        self.label = torch.zeros_like(points, dtype=torch.uint8)
        self.line = torch.zeros_like(points, dtype=torch.uint8)

    def put(self, where: Tensor, colour: Colour, share: float | Tensor = 1.0) -> None:
        amount = where * share
        for channel, value in zip(self.colour, colour, strict=True):
            channel += amount * (value - channel)

    def mark(self, where: Tensor, x: Tensor, labels: tuple[str, str], line: int) -> None:
        """Labels points: with the person's right label where x is below zero, else with the left one."""
        right, left = labels
        self.label.masked_fill_(where, LABEL[right])
        if left != right:
            self.label.masked_fill_(where & (x > 0), LABEL[left])
        self.line.masked_fill_(where, line)


PEN = {"skin": 1, "ear": 2, "lash": 3, "upper lip": 4, "lower lip": 5, "mouth": 6, "eye": 7, "iris": 8, "pupil": 9}


def paint(s: Shape, palette: Palette, points: Tensor, face: bool) -> Paint:
    """Paints points (3, K) on the surface; `face` says whether features of the face may be among them."""
    parts, regions, features = s.parts(points, face)
    names, distances = zip(*((name, part) for name, part in parts._asdict().items() if part is not None), strict=True)
    distance, nearest = torch.stack(distances).min(0)
    canvas = _Canvas(points[0])
    for number, name in enumerate(names):
        on = nearest == number
        if name == "skin":
            _skin(canvas, s, palette, on, points, regions)
            if features:
                _features(canvas, s, palette, on, points, features)
            if "beard" in regions:
                grows = (regions["beard"] * -14).clamp_(0, 1) * (0.42 if s.f.beard == "stubble" else 0.6)
                canvas.put(on & (canvas.line < PEN["ear"]), palette.beard, grows)
        elif name == "eyes":
            _eyes(canvas, s, palette, on, points, features)
        else:
            colour, gloss, labels = {
                "hair": (palette.hair, 0.30, ("hair", "hair")),
                "cloth": (palette.cloth, 0.03, ("cloth", "cloth")),
                "tie": (palette.tie, 0.10, ("hair", "hair")),
                "beard": (palette.beard, 0.08, ("skin", "skin")),
                "glasses": (palette.frame, 0.60, ("eye_g", "eye_g")),
                "brows": (palette.brows, 0.0, ("r_brow", "l_brow")),
                "teeth": (linear("f2eee6"), 0.2, ("mouth", "mouth")),
            }[name]
            canvas.put(on, colour)
            canvas.gloss.masked_fill_(on, gloss)
            canvas.mark(on, points[0], labels, 10 + number)
    return Paint(canvas.colour, canvas.gloss, distance, canvas.label, canvas.line, canvas.soft)


def _skin(canvas: _Canvas, s: Shape, palette: Palette, on: Tensor, points: Tensor, regions: dict[str, Tensor]) -> None:
    skull, ears, neck = regions["skull"], regions["ears"], regions["neck"]
    canvas.put(on, palette.skin)
    canvas.soft.masked_fill_(on, 1)
    canvas.gloss.masked_fill_(on, 0.10)
    canvas.mark(on, points[0], ("skin", "skin"), PEN["skin"])
    ear = on & (ears < 0.02) & (ears < skull)
    canvas.put(ear, palette.blush, 0.5)
    canvas.mark(ear, points[0], ("r_ear", "l_ear"), PEN["ear"])
    canvas.mark(on & (neck < 0.03) & (neck < skull), points[0], ("neck", "neck"), PEN["skin"])


def _features(canvas: _Canvas, s: Shape, palette: Palette, on: Tensor, points: Tensor, at: Features) -> None:
    f, (x, _, z) = s.f, points
    on = on & (z > 0.2)
    for distance, reach, strength in ((at.cheek, 0.30, 0.75), (at.nose.clamp(min=0), 0.16, 0.35)):
        canvas.put(on, palette.blush, (1 - (distance * (1 / reach)).square_()).clamp_(min=0) * strength)
    canvas.mark(on & (at.nose < 0.018), x, ("nose", "nose"), PEN["skin"])
    canvas.put(on & (at.nostrils < 0), scale(palette.skin, 0.30, 0.18, 0.16), 0.85)
    # lids and lashes
    canvas.put(on & (at.lid < 0.03), scale(palette.skin, 0.86, 0.74, 0.72), 0.6)
    lash = on & (at.ball < 0.45 * f.eye_size) & (at.opening < 0.03)
    if f.blink < 0.6:
        lash &= at.height > -0.08 * f.eye_size
    canvas.put(lash, linear("20161a"), 0.92)
    canvas.line.masked_fill_(lash, PEN["lash"])
    # mouth
    on = on & (x.abs() < 1.02 * s.mouth_width)
    upper = on & (at.above > 0) & (at.above < at.upper_lip)
    lower = on & (at.below > 0) & (at.below < at.lower_lip)
    inside = on & (at.above <= 0) & (at.below <= 0)
    seam = on & (at.above.abs() < 0.010) & (at.below.abs() < 0.010)
    canvas.put(upper, palette.lips)
    canvas.put(lower, scale(palette.lips, 1.06, 1.08, 1.08))
    canvas.put(inside, linear("4a1418"))
    canvas.put(seam, scale(palette.lips, 0.25), 0.85)
    canvas.mark(upper, x, ("u_lip", "u_lip"), PEN["upper lip"])
    canvas.mark(lower, x, ("l_lip", "l_lip"), PEN["lower lip"])
    canvas.mark(inside, x, ("mouth", "mouth"), PEN["mouth"])
    canvas.line.masked_fill_(seam, PEN["mouth"])
    canvas.gloss.masked_fill_(upper | lower, 0.25)


def _eyes(canvas: _Canvas, s: Shape, palette: Palette, on: Tensor, points: Tensor, at: Features) -> None:
    f, x = s.f, points[0]
    yaw, pitch = math.radians(f.gaze_yaw), math.radians(f.gaze_pitch)
    gaze = (math.sin(yaw) * math.cos(pitch), math.sin(pitch), math.cos(yaw) * math.cos(pitch))
    centre = (s.eye_x * x.sign(), f.eye_height, s.eye_z)
    q = [(p - c) * (1 / f.eye_size) - g for p, c, g in zip(points, centre, gaze, strict=True)]
    r = (q[0] * q[0] + q[1] * q[1] + q[2] * q[2]).sqrt_() * (1 / f.iris_size)
    glow = (0.75 - 1.1 * (q[1] + gaze[1])).clamp_(0.2, 1)
    canvas.put(on, linear("f7f4ef"))
    canvas.put(on & (r < 1), scale(palette.iris, 0.30))
    canvas.put(on & (r < 0.88), scale(palette.iris, 1.5), glow)
    canvas.put(on & (r < 0.50), linear("0d0b0c"))
    canvas.put(
        on, linear("3a2a2c"), (0.55 + at.opening * (1 / (0.30 * f.eye_size))).clamp_(0, 0.6)
    )  # the shadow of the lids
    canvas.gloss.masked_fill_(on, 1)
    canvas.mark(on, x, ("r_eye", "l_eye"), PEN["eye"])
    canvas.line.masked_fill_(on & (r < 1), PEN["iris"])
    canvas.line.masked_fill_(on & (r < 0.50), PEN["pupil"])
