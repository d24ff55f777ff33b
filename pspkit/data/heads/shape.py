"""The shape of one head as signed distances, in its own frame: negative inside, positive outside.

x points to the person's left, y up, z out of the face; the eyes are near y = 0, the chin near y = -0.9. Almost every
part is symmetric and reads |x|. A face is made as a sculptor would make it: ellipsoids are blended into a skull, and
lips, lids, brows and beard are offsets of its surface, so that they fit every skull.
"""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pspkit.data.heads.distances import AX, MIRRORED, ONE, Solids, X, Y, Z, length, product, smooth_max, smooth_min
from pspkit.data.heads.face import Face, Features
from pspkit.data.heads.factors import Factors
from pspkit.data.heads.hair import COVERS_EARS, STYLES, Ground

PIVOT = np.array([0.0, -0.55, -0.12])  # the point around which the head turns on the neck
BODY_FOLLOWS = 0.35  # share of the head's yaw by which the shoulders turn


def rotation(yaw: float, pitch: float = 0.0, roll: float = 0.0) -> np.ndarray:
    """The matrix (3, 3) that turns the head's frame into the camera's; angles are in degrees."""
    (sy, cy), (sp, cp), (sr, cr) = (
        (math.sin(math.radians(a)), math.cos(math.radians(a))) for a in (yaw, -pitch, -roll)
    )
    turn = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    nod = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    lean = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return lean @ nod @ turn


class Parts(NamedTuple):
    """Distances to the parts of a head, each (K,)."""

    skin: Tensor
    hair: Tensor
    cloth: Tensor
    tie: Tensor | None = None  # of the hair
    beard: Tensor | None = None
    glasses: Tensor | None = None
    eyes: Tensor | None = None
    brows: Tensor | None = None
    teeth: Tensor | None = None


class Shape:
    """The numbers of one head, and the distances that follow from them."""

    def __init__(self, factors: Factors, device: torch.device) -> None:
        self.f = f = SimpleNamespace(**factors.identity.as_dict(0), **factors.scene.as_dict(0))
        self.rotation = rotation(f.yaw, f.pitch, f.roll)
        self.side = 1.0 if f.parting == "left" else -1.0
        self.chin_y = -0.70 * f.head_height - f.jaw_length
        self.mouth_y = f.mouth_height - 0.6 * f.jaw_length
        self.mouth_width = f.mouth_width * (1 + 0.22 * f.smile)
        self.gap = 0.15 * max(f.mouth_open, 0.0)
        self.eye_x = f.eye_spacing * f.head_width
        self._place_features()
        self._outer, self._inner = Solids(), Solids()
        self._skull = self._declare_skull(self._outer)
        self._ears = self._declare_ears(self._outer)
        self._beard = self._declare_beard(self._outer)
        self._glasses = self._declare_glasses(self._outer)
        self._hair = STYLES[f.hair_style](self, self._outer)
        self._neck, self._cloth = self._declare_body(self._outer)
        self._face = Face(self, self._inner)
        self._outer.close(device)
        self._inner.close(device)

    def to_camera(self, points: np.ndarray) -> np.ndarray:
        """Takes points (N, 3) from the head's frame to the camera's."""
        return (points - PIVOT) @ self.rotation.T + PIVOT

    def landmarks(self) -> np.ndarray:
        """(5, 3): right eye, left eye, tip of the nose, right and left corner of the mouth."""
        f = self.f
        corner_x, corner_y = 0.9 * self.mouth_width, self.mouth_y + 0.09 * f.smile
        eye_z, tip_z = self.eye_z + f.eye_size, self.nose_z + f.nose_tip
        eyes = [[sign * self.eye_x, f.eye_height, eye_z] for sign in (-1, 1)]
        corners = [[sign * corner_x, corner_y, self.corner_z] for sign in (-1, 1)]
        return np.array([*eyes, [0, f.nose_height, tip_z], *corners])

    def distance(self, points: Tensor, face: bool) -> Tensor:
        """Distance (K,) from points (3, K) to the nearest part; without `face`, fine parts are left out."""
        near, *parts = (part for part in self.parts(points, face)[0] if part is not None)
        for part in parts:
            near = torch.minimum(near, part)
        return near

    def parts(self, points: Tensor, face: bool) -> tuple[Parts, dict[str, Tensor], Features | None]:
        """Distances to all parts, to regions that the painter needs, and with `face` to the features."""
        v = self._outer.values(points)
        skull, ears, neck = self._skull(v), self._ears(v), v[self._neck]
        hair, tie = self._hair(Ground(skull, points, v))
        regions = {"skull": skull, "ears": ears, "neck": neck}
        beard = glasses = eyes = brows = teeth = features = None
        if self._beard:
            area, beard = self._beard(v, skull, points)
            regions["beard"] = area
        if self._glasses:
            glasses = self._glasses(v)
        skin = smooth_min(skull, ears, 0.05)
        if face:
            skin, eyes, brows, teeth, features = self._face.work(self._inner.values(points), skull, skin)
        skin = smooth_min(skin, neck, 0.10)
        return Parts(skin, hair, self._cloth(v), tie, beard, glasses, eyes, brows, teeth), regions, features

    def _place_features(self) -> None:
        f = self.f
        bare = Solids()
        skull = self._declare_skull(bare)
        bare.close(torch.device("cpu"))
        x = [self.eye_x, 0.0, 0.9 * self.mouth_width, 0.0, 0.0]
        y = [f.eye_height, self.mouth_y, self.mouth_y, 0.05, f.nose_height]
        points = torch.tensor([x, y, [1.2] * 5], device="cpu")
        for _ in range(9):
            points[2] -= skull(bare.values(points))
        eye, self.mouth_z, self.corner_z, root, tip = points[2].tolist()
        self.eye_z = eye - 0.78 * f.eye_size
        self.nose_root = root - 0.12 + f.nose_bridge
        self.nose_z = tip + f.nose_length - f.nose_tip

    def _declare_skull(self, solids: Solids):
        f = self.f
        w, h = f.head_width, f.head_height
        case = solids.ellipsoid(MIRRORED, (0, 0.26 * h, -0.06), (0.80 * w, 0.80 * h, 0.83))
        low = 0.4 * f.jaw_length
        jaw = solids.ellipsoid(MIRRORED, (0, -0.34 * h - low, 0.10), (0.57 * f.jaw_width, 0.50 + low, 0.58))
        chin = solids.sphere(MIRRORED, (0, self.chin_y, 0.44), f.chin_size)
        cheek_r = 0.20 + 0.07 * f.cheeks + 0.03 * f.smile
        cheek = solids.sphere(MIRRORED, (0.35 * w, 0.03 * f.smile - 0.24, 0.42), cheek_r)

        def combine(v: list[Tensor]) -> Tensor:
            return smooth_min(smooth_min(smooth_min(v[case], v[jaw], 0.32), v[chin], 0.22), v[cheek], 0.20)

        return combine

    def _declare_ears(self, solids: Solids):
        f = self.f
        covered = f.hair_style in COVERS_EARS  # Then the ears lie close to the head.
        lean, size, off = (0.1, 0.8 * f.ear_size, -0.06) if covered else (0.15 + 0.5 * f.ear_angle, f.ear_size, 0.02)
        x, z = AX - (0.80 * f.head_width + off) * ONE, Z + 0.02 * ONE
        frame = (x + lean * z, Y + 0.08 * ONE, z - lean * x)  # Their plane opens to the front.
        shell = solids.ellipsoid(frame, (0, 0, -0.07), (0.075, 0.21 * size, 0.15 * size))
        bowl = solids.ellipsoid(frame, (0.075, 0.02, -0.05), (0.06, 0.13 * size, 0.085 * size))
        return lambda v: smooth_max(v[shell], -v[bowl], 0.03)

    def _declare_beard(self, solids: Solids):
        f, mouth = self.f, self.mouth_y
        if f.beard == "none":
            return None
        lips = solids.ellipsoid(
            (AX, 2.2 * (Y - (mouth - 0.04) * ONE)), (0, 0), [0.95 * self.mouth_width + 0.3 * self.gap] * 2
        )
        tips = (0.85 * self.mouth_width, mouth + 0.03)
        moustache = solids.capsule((AX, Y), (0.0, mouth + 0.115), tips, 0.055)
        front = solids.form(0.2 * ONE - Z)
        chin = solids.ellipsoid((AX, Y), (0, mouth - 0.22), (0.24, 0.26))
        cheek, outer = solids.form(Y - (mouth + 0.10) * ONE), solids.form(0.9 * (AX - 0.36 * ONE))
        back, top = solids.form(-0.14 * ONE - Z - 0.25 * Y), solids.form(Y - 0.05 * ONE)
        widest = (
            0.48 * f.head_width if f.hair_style in COVERS_EARS else 2.0
        )  # no sideburns that would show through long hair
        side = solids.form(AX - widest * ONE)
        strands = solids.form(34 * X + 5 * Y)
        depth = 0.05 + (0.12 if f.beard == "full" else 0.05) * f.beard_length

        def combine(v: list[Tensor], skull: Tensor, points: Tensor) -> tuple[Tensor, Tensor | None]:
            area = torch.maximum(v[moustache], v[front])
            if f.beard != "moustache":
                if f.beard == "goatee":
                    lower = torch.maximum(v[chin], v[front])
                else:
                    ends = torch.maximum(torch.maximum(v[back], v[top]), v[side])
                    lower = torch.maximum(v[cheek] - v[outer].clamp(min=0), ends)
                area = smooth_max(smooth_min(area, lower, 0.05), -v[lips], 0.03)
            if f.beard == "stubble":
                return area, None
            return area, smooth_max(skull - depth, area * 0.9, 0.10) + 0.012 * torch.sin(v[strands])

        return combine

    def _declare_glasses(self, solids: Solids):
        f = self.f
        if f.glasses == "none":
            return None
        size, start = 0.26 * f.glasses_size, self.eye_z + 1.22 * f.eye_size + 0.04
        centre = (self.eye_x + 0.01, f.eye_height - 0.02)
        depth = product(ONE, Z - start * ONE) + 0.16 * product(AX, AX)  # bent around the face
        depth = solids.polynomial(depth)
        lens = solids.sphere((AX, Y), centre, size)
        wide, high = (solids.form(form - c * ONE) for form, c in zip((AX, Y), centre, strict=True))
        bridge_y, inner, hinge = f.eye_height + 0.06, self.eye_x - size, self.eye_x + size
        flat = start - 0.16 * inner**2
        bridge = solids.capsule(MIRRORED, (0, bridge_y, start), (inner + 0.02, bridge_y - 0.02, flat), 0.02)
        arm_end = (0.81 * f.head_width + 0.03, 0.06, 0.0)
        arm = solids.capsule(MIRRORED, (hinge, bridge_y, start - 0.16 * hinge**2), arm_end, 0.02)

        def outline(v: list[Tensor]) -> Tensor:
            if f.glasses == "round":
                return v[lens]
            qx, qy = v[wide].abs() - 0.66 * size, v[high].abs() - 0.42 * size
            corner = length(qx.clamp(min=0), qy.clamp(min=0)) + torch.maximum(qx, qy).clamp_(max=0)
            return corner - 0.40 * size

        def combine(v: list[Tensor]) -> Tensor:
            rim = length(outline(v), v[depth]) - 0.024
            return 0.7 * torch.minimum(
                torch.minimum(rim, v[bridge]), v[arm]
            )  # It is thin, and rays must not leap over it.

        return combine

    def _declare_body(self, solids: Solids):
        f = self.f
        turn = rotation(BODY_FOLLOWS * f.yaw).T @ self.rotation
        head = [form - c * ONE for form, c in zip((X, Y, Z), PIVOT, strict=True)]
        frame = [
            sum(m * form for m, form in zip(row, head, strict=True)) + c * ONE
            for row, c in zip(turn, PIVOT, strict=True)
        ]
        x, y, z = frame
        r = f.neck_width
        neck = solids.capsule(frame, (0, -0.55, -0.12), (0, -1.6, -0.22), r)
        shoulders = solids.ellipsoid(frame, (0, -1.86, -0.16), (1.02, 0.62, 0.56))
        if f.clothes == "turtleneck":
            tube, level = solids.sphere((x, z), (0, -0.18), r + 0.03), solids.form(y + 1.2 * ONE)

            def collar(v):
                return torch.maximum(v[tube].abs() - 0.045, v[level].abs() - 0.16) - 0.03
        elif f.clothes == "cowl":
            tube, level = solids.sphere((x, z), (0, -0.18), r + 0.24), solids.form(y + 1.25 * ONE + 0.28 * z)

            def collar(v):
                return length(0.8 * v[tube], v[level]) - 0.14
        elif f.clothes == "collar":
            tube, level = solids.sphere((x, z), (0, -0.18), r + 0.09), solids.form(y + 1.2 * ONE)
            sideways, front = solids.form(x), solids.form(z + 0.1 * ONE)

            def collar(v):
                cone = (v[tube] + 0.45 * v[level] + 0.05).abs() - 0.085
                cone = torch.maximum(cone, (v[level] + 0.10).abs() - 0.26)
                slit = torch.minimum(0.14 + 1.1 * v[level] - v[sideways].abs(), v[front])
                return torch.maximum(cone, slit) - 0.012
        else:
            tube, level = solids.sphere((x, z), (0, -0.18), r + 0.04), solids.form(y + 1.22 * ONE - 0.25 * z)

            def collar(v):
                return length(v[tube], v[level]) - 0.065

        return neck, lambda v: smooth_min(v[shoulders], collar(v), 0.05)
