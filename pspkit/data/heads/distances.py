"""Signed distances to many solids at once, and how they are blended.

The squared distance of a point to the centre of an ellipsoid, measured in its radii, is a sum of monomials of the
coordinates. So are planes, and the two numbers that the distance to a straight line needs. All solids of a head are
rows of one matrix, whose product with the monomials of all points gives all their values.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

Form = np.ndarray  # (5,): weights of 1, x, |x|, y, z
Point = Sequence[float]

ONE, X, AX, Y, Z = np.eye(5)
WHOLE, MIRRORED = (X, Y, Z), (AX, Y, Z)  # frames: three forms each

_MONOMIALS = 13  # 1, x, |x|, y, z, x², y², z², |x|y, |x|z, yz, xy, xz
_PRODUCTS = np.array(  # The monomial that is the product of two of 1, x, |x|, y, z; there is none for x|x|.
    [[0, 1, 2, 3, 4], [1, 5, 13, 11, 12], [2, 13, 5, 8, 9], [3, 11, 8, 6, 10], [4, 12, 9, 10, 7]]
)


def _monomials(points: Tensor) -> Tensor:
    values = points.new_empty(_MONOMIALS, points.shape[1])
    x, yz = points[0], points[1:]
    values[0] = 1
    values[1] = x
    torch.abs(x, out=values[2])
    values[3:5] = yz
    torch.mul(points, points, out=values[5:8])
    torch.mul(yz, values[2], out=values[8:10])
    torch.mul(yz[0], yz[1], out=values[10])
    torch.mul(yz, x, out=values[11:13])
    return values


def product(a: Form, b: Form) -> np.ndarray:
    """The product of two forms, as weights of the monomials; x must not be multiplied by |x|."""
    return np.bincount(_PRODUCTS.ravel(), np.outer(a, b).ravel())[:_MONOMIALS]


class Solids:
    """Solids that are first declared, each with a number; `values` then gives the value of each number."""

    def __init__(self) -> None:
        self._rows: dict[str, list[np.ndarray]] = {"root": [], "along": [], "apart": [], "raw": []}
        self._root_scale: list[float] = []
        self._root_radius: list[float] = []
        self._length: list[float] = []
        self._radius: list[float] = []
        self._declared: list[tuple[str, int]] = []

    def _declare(self, kind: str) -> int:
        self._declared.append((kind, len(self._rows[kind]) - 1))
        return len(self._declared) - 1

    def ellipsoid(self, frame: Sequence[Form], centre: Point, radii: Point) -> int:
        """Declares a lower bound of the distance to an ellipsoid (a cylinder with two forms), exact on its surface."""
        forms = [(form - c * ONE) / r for form, c, r in zip(frame, centre, radii, strict=True)]
        self._rows["root"].append(sum(product(form, form) for form in forms))
        self._root_scale.append(min(radii))
        self._root_radius.append(min(radii))
        return self._declare("root")

    def sphere(self, frame: Sequence[Form], centre: Point, r: float) -> int:
        """Declares the distance to a sphere (a cylinder with two forms), or with r = 0 to its centre or axis."""
        number = self.ellipsoid(frame, centre, [1.0] * len(frame))
        self._root_radius[-1] = r
        return number

    def capsule(self, frame: Sequence[Form], a: Point, b: Point, r: float) -> int:
        """Declares the distance to all points within r of the straight line from a to b."""
        to = [q - p for p, q in zip(a, b, strict=True)]
        square = sum(c * c for c in to)
        forms = [form - p * ONE for form, p in zip(frame, a, strict=True)]
        along = sum(form * c for form, c in zip(forms, to, strict=True)) / square
        self._rows["along"].append(product(ONE, along))
        self._rows["apart"].append(sum(product(form, form) for form in forms))
        self._length.append(square)
        self._radius.append(r)
        return self._declare("apart")

    def form(self, form: Form) -> int:
        """Declares the value of a form: a plane, a height, a phase."""
        return self.polynomial(product(ONE, form))

    def polynomial(self, row: np.ndarray) -> int:
        self._rows["raw"].append(row)
        return self._declare("raw")

    def close(self, device: torch.device) -> None:
        """Ends the declarations and moves the matrix to a device."""

        def column(values: list[float]) -> Tensor:
            return torch.tensor(values, dtype=torch.float32, device=device)[:, None]

        rows = [row for kind in self._rows.values() for row in kind]
        self._matrix = torch.tensor(np.array(rows), dtype=torch.float32, device=device)
        self._sizes = [len(kind) for kind in self._rows.values()]
        self._columns = [column(v) for v in (self._root_scale, self._root_radius, self._length, self._radius)]
        starts = {"root": 0, "apart": self._sizes[0], "raw": self._sizes[0] + self._sizes[2]}
        self._places = [starts[kind] + number for kind, number in self._declared]

    def values(self, points: Tensor) -> list[Tensor]:
        """The value of each number, (K,), at points (3, K)."""
        root, along, apart, raw = (self._matrix @ _monomials(points)).split(self._sizes)
        scale, root_radius, length, radius = self._columns
        root.clamp_(min=0).sqrt_().mul_(scale).sub_(root_radius)
        if len(along):
            within = along.clamp(0, 1)
            apart.addcmul_(within * length, within.sub(along, alpha=2)).clamp_(min=0).sqrt_().sub_(radius)
        rows = (*root.unbind(), *apart.unbind(), *raw.unbind())
        return [rows[place] for place in self._places]


def smooth_min(a: Tensor, b: Tensor, k: float) -> Tensor:
    """The union of two solids, rounded over a width of k."""
    h = (a - b).abs_().clamp_(max=k).add_(-k)
    return torch.minimum(a, b).addcmul_(h, h, value=-0.25 / k)


def smooth_max(a: Tensor, b: Tensor, k: float) -> Tensor:
    """The intersection of two solids, rounded over a width of k."""
    h = (a - b).abs_().clamp_(max=k).add_(-k)
    return torch.maximum(a, b).addcmul_(h, h, value=0.25 / k)


def length(x: Tensor, y: Tensor) -> Tensor:
    return torch.addcmul(x * x, y, y).sqrt_()
