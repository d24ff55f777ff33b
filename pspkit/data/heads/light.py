"""Light on painted points: soft shadows, occlusion and highlights, or the flat tones of a cartoon."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from pspkit.data.heads.paint import Paint
from pspkit.data.heads.shape import Shape

LOOKS = ("plain", "toon")
NORMAL_STEP = 0.005
NORMAL_WAYS, NORMAL_WEIGHTS = (0.06, 0.15, 0.32), (2.2, 1.6, 1.1)  # steps along the normal
LIGHT_WAYS = (0.09, 0.18, 0.34, 0.60, 1.0)  # steps toward the light


def normals(shape: Shape, points: Tensor, distance: Tensor, face: bool) -> Tensor:
    """Computes unit normals (3, K) of the surface at points whose `distance` to it is known."""
    taps = points[:, None] + NORMAL_STEP * torch.eye(3, device=points.device)[:, :, None]
    slope = shape.distance(taps.view(3, -1), face).view(3, -1) - distance
    return slope / (slope.square().sum(0).sqrt_() + 1e-9)


def shadows(shape: Shape, points: Tensor, normal: Tensor, face: bool) -> tuple[Tensor, Tensor]:
    """How open points (3, K) are to all sides, and to the light: each (K,), 1 if nothing is in the way.

    After each of a few steps along the normal and toward the light, something is in the way if the surface is closer
    than the point from which the step began. This gives soft shadows.
    """
    p, n = points[:, None], normal[:, None]
    to_light = points.new_tensor(_light_direction(shape) @ shape.rotation)[:, None]
    ways = points.new_tensor(NORMAL_WAYS + LIGHT_WAYS)[:, None]
    count = len(NORMAL_WAYS)
    taps = torch.cat([p + n * ways[:count], p + 0.03 * n + to_light[:, None] * ways[count:]], 1)
    near = shape.distance(taps.reshape(3, -1), face).view(len(ways), -1)
    closeness = ((ways - near)[:count].clamp_(min=0) * points.new_tensor(NORMAL_WEIGHTS)[:, None]).sum(0)
    lit = (near[count:] * (5 / ways[count:])).amin(0).clamp_(0, 1)
    lit = lit * lit * (3 - 2 * lit)
    return (1 - closeness).clamp_(0.12, 1), lit


def light(
    shape: Shape, surface: Paint, rays: Tensor, normal: Tensor, openness: Tensor, lit: Tensor, look: str
) -> Tensor:
    """Computes the light (3, K) that painted points send back along `rays`: of sun and sky, or two flat tones."""
    f = shape.f
    to_light, up = (
        normal.new_tensor(v @ shape.rotation)[:, None] for v in (_light_direction(shape), np.array([0.0, 1, 0]))
    )
    nl, nu, view = (normal * to_light).sum(0), (normal * up).sum(0), -(normal * rays).sum(0)
    half = to_light - rays
    nh = ((normal * half).sum(0) / half.square().sum(0).sqrt_()).clamp_(min=0)
    if look == "toon":
        band = ((lit * (3 * nl).clamp(0, 1) - 0.35) * 9).clamp_(0, 1)
        grey = surface.colour.mean(0)
        colour = (grey + (surface.colour - grey) * 1.25).clamp_(0, 1)
        shine = 0.5 * ((nh - 0.965) * 60).clamp_(0, 1) * (surface.gloss > 0.9)
        return (colour * (0.50 + 0.62 * band) + shine).clamp_(0, 1)

    def column(*v: float) -> Tensor:
        return normal.new_tensor(v)[:, None]

    key = column(1.30 + 0.10 * f.light_warmth, 1.24, 1.16 - 0.16 * f.light_warmth)
    sky, ground = column(0.50, 0.53, 0.60), column(0.36, 0.30, 0.28)
    hemi = 0.5 + 0.5 * nu
    soft = surface.soft
    wrap = 0.12 + column(0.22, 0.08, 0.04) * soft
    diffuse = ((nl + wrap) / (1 + wrap)).clamp_(min=0)
    shade = lit + (1 - lit) * soft * column(0.16, 0.05, 0.03)
    ambient = (ground + (sky - ground) * hemi) * (openness * f.light_fill)
    ambient *= 1 + (1 - openness) * soft * column(0.35, 0.0, 0.0)
    rim = (1 - view.clamp(0, 1)).pow(3) * hemi * openness * 0.28
    broad = nh.pow(16)
    wet = surface.gloss > 0.5
    spec = torch.where(wet, 0.0, broad) * surface.gloss * lit * (nl > 0)
    spark = ((broad.pow(4) - 0.30) * 4).clamp_(0, 1) * wet * surface.gloss
    colour = surface.colour * (ambient + 0.8 * diffuse * shade * key)
    return (colour + 0.8 * key * (spec + rim * (0.3 + surface.colour)) + spark).clamp_(0, 1)


def _light_direction(shape: Shape) -> np.ndarray:
    """The direction toward the light, in the camera's frame."""
    a, b = math.radians(shape.f.light_azimuth), math.radians(shape.f.light_elevation)
    return np.array([math.sin(a) * math.cos(b), math.sin(b), math.cos(a) * math.cos(b)])
