"""Renders heads: marches rays through signed distances, paints and lights what they hit, and draws edges."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from pspkit.data.heads.factors import Factors
from pspkit.data.heads.light import LOOKS, light, normals, shadows
from pspkit.data.heads.paint import Palette, paint
from pspkit.data.heads.shape import PIVOT, Shape
from pspkit.errors import PspkitError, check_choice

SIZES = (64, 128, 256)
PEN_WIDTH = {64: 1, 128: 2, 256: 4}  # of the sketch, in samples
SAMPLES = 2  # along each side of a pixel
CAMERA = np.array([0.0, -0.11, 7.0])
HALF_VIEW = 1.46  # half the side of the view in the plane z = 0
NEAR, FAR = CAMERA[2] - 1.9, 9.5  # the whole scene lies between them
FACE_CENTRE, FACE_RADIUS = np.array([0.0, -0.22, 0.75]), 0.72  # around the eyes, nose and mouth
CONE, CONE_STEPS = 8, 9  # Rays along each side of a block, which is first marched as one cone; and the steps of cones.
FIRST_STEPS, LAST_STEPS = 9, 24
LEAST_GAIN, LEAVING, CREEP, TOUCH = 0.5, 0.6, 0.008, 0.002  # see _march
TILE = 16384  # rays at once, so many as fit into the cache of a core


@dataclass(frozen=True)
class Render:
    """Pictures of N heads with their truth.

    Attributes:
        image: float32 (N, 3, size, size) in [-1, 1].
        labels: uint8 (N, size, size), numbers of `pspkit.data.labels.LABELS`; left and right are the person's.
        sketch: float32 (N, 1, size, size) in [0, 1]; paper is 1.
        depth: float32 (N, 1, size, size), from the camera, in units of half a head; `FAR` where there is nothing.
        landmarks: float32 (N, 5, 2), x and y in pixels: the eyes, the tip of the nose, the corners of the mouth, each
            pair from left to right in a frontal picture. Hidden ones lie where they would be seen.
        factors: what was rendered.
    """

    image: Tensor
    labels: Tensor
    sketch: Tensor
    depth: Tensor
    landmarks: Tensor
    factors: Factors


def render(
    factors: Factors,
    size: int,
    *,
    look: str = "plain",
    device: torch.device | str = "cpu",
    samples: int = SAMPLES,
) -> Render:
    """Renders heads, one after another; `HeadsDataset` and `export` do so in several processes.

    The bytes of a head do not depend on the other heads. On another machine or device, rays meet the edge of a surface
    a little earlier or later, and single samples differ there: pictures agree to 0.01 on average, and labels in 99 of
    100 pixels.

    Args:
        factors: N heads; see `sample_factors`.
        size: side of the pictures, pixels; one of `SIZES`.
        look: one of `LOOKS`; "toon" draws the same heads with flat colours, two tones of light and outlines.
        device: where to compute; the result is there, too.
        samples: rays along each side of a pixel, 2 or 1. With 1, for previews, rendering is quicker, and edges are
            jagged.

    Raises:
        PspkitError: there is no such size, look or number of samples, or there are no heads.
    """
    check_choice("size", size, SIZES)
    check_choice("look", look, LOOKS)
    check_choice("samples", samples, (1, SAMPLES))
    if not len(factors):
        raise PspkitError("factors: they hold no heads. Draw at least one with sample_factors.")
    device = torch.device(device)

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # Sharing slows such small operations down, and bytes must not depend on it.
    try:
        with torch.no_grad():
            heads = [_Picture(head, size, look, device, samples).render() for head in factors]
    finally:
        torch.set_num_threads(threads)
    image, labels, sketch, depth, landmarks = map(torch.stack, zip(*heads, strict=True))
    return Render(image, labels, sketch, depth, landmarks, factors)


Rays = tuple[Tensor, Tensor, Tensor, Tensor]  # on their way: numbers, length so far, distance measured there, next step


def _plane(side: int, device: torch.device) -> Tensor:
    """The points where the rays of a grid of samples meet the plane z = 0, (2, side * side)."""
    places = (torch.arange(side, device=device, dtype=torch.float32) + 0.5) * (2 * HALF_VIEW / side) - HALF_VIEW
    return torch.stack([places.expand(side, side), -places[:, None].expand(side, side)]).view(2, -1)


def _directions(plane: Tensor, rotation: Tensor) -> Tensor:
    """Unit vectors (3, K) from the camera to points of the plane, in the head's frame."""
    toward = torch.cat([plane, torch.full_like(plane[:1], -CAMERA[2])])
    toward /= toward.square().sum(0).sqrt_()
    return rotation.T @ toward


def _project(points: np.ndarray) -> np.ndarray:
    """Projects points (N, 3) of the camera's frame to the plane z = 0, (N, 2), relative to the camera's height."""
    return (points - CAMERA)[:, :2] * CAMERA[2] / (CAMERA[2] - points[:, 2:])


class _Picture:
    """One picture while it is made: its rays, and what is known of every sample."""

    def __init__(self, factors: Factors, size: int, look: str, device: torch.device, samples: int) -> None:
        self.shape = shape = Shape(factors, device)
        self.size, self.side, self.look, self.samples = size, size * samples, look, samples
        self.palette = Palette(shape)
        rotation = torch.tensor(shape.rotation, dtype=torch.float32, device=device)
        camera = (CAMERA - PIVOT) @ shape.rotation + PIVOT  # in the head's frame, like all rays and points
        self.camera = torch.tensor(camera, dtype=torch.float32, device=device)[:, None]
        plane = _plane(self.side, device)
        self.rays = _directions(plane, rotation)
        self.block_rays = _directions(_plane(self.side // CONE, device), rotation)
        centre, reach = _project(shape.to_camera(FACE_CENTRE[None]))[0], FACE_RADIUS**2
        self.face = (plane[0] - centre[0]).square() + (plane[1] - centre[1]).square() < reach
        self.image = self._backdrop(plane)
        self.normal = torch.zeros_like(self.image)
        self.depth = torch.full_like(plane[0], FAR)
        self.label = torch.zeros_like(plane[0], dtype=torch.uint8)
        self.line = torch.zeros_like(self.label)

    def render(self) -> tuple[Tensor, ...]:
        """Image, labels, sketch, depth and landmarks, as `Render` describes them, without the batch axis."""
        self.depth = self._trace(self._cones())
        for face, chosen in ((True, self.face), (False, ~self.face)):
            for ids in torch.nonzero(chosen & (self.depth < FAR)).squeeze(1).split(TILE):
                self._draw(ids, face)
        return self._finish()

    def _backdrop(self, plane: Tensor) -> Tensor:
        u, v = plane
        colour = plane.new_tensor(self.palette.background)[:, None]
        if self.look == "toon":
            return colour.expand(3, len(u)).contiguous()
        return (colour * (1.12 - 0.08 * (u * u + (v - 0.1).square()) + 0.10 * v)).clamp_(0, 1)

    def _cones(self) -> Tensor:
        """How far each ray can go at least: blocks of CONE x CONE rays go on until one of them may meet something."""
        widening = 1.05 * 0.5**0.5 * CONE * (2 * HALF_VIEW / self.side) / CAMERA[2]
        t = torch.full_like(self.block_rays[0], NEAR)
        for _ in range(CONE_STEPS):
            distance = self.shape.distance(torch.addcmul(self.camera, self.block_rays, t), face=True)
            t += (distance - t * widening).clamp_(min=0)
        blocks = self.side // CONE
        return t.view(blocks, 1, blocks, 1).expand(-1, CONE, -1, CONE).reshape(-1)

    def _trace(self, start: Tensor) -> Tensor:
        """The distances at which the rays meet the head; FAR for those that do not."""
        met, under_way = torch.full_like(start, FAR), []
        for face, chosen in ((True, self.face), (False, ~self.face)):
            for ids in torch.nonzero(chosen & (start < FAR)).squeeze(1).split(TILE):
                t = start[ids]
                rays = (ids, t, torch.ones_like(t), torch.zeros_like(t))
                under_way.append(self._march(met, rays, face, FIRST_STEPS))
        if under_way:  # The few rays that graze something take long; they go on together.
            rays = tuple(torch.cat(values) for values in zip(*under_way, strict=True))
            ids, t, last, _ = self._march(met, rays, True, LAST_STEPS)
            met[ids] = torch.where(last < 0.01, t, FAR)
        return met

    def _march(self, met: Tensor, rays: Rays, face: bool, steps: int) -> Rays:
        """Goes on along rays, writes to `met` where they arrive, and returns those that are still on their way.

        Source: Hart 1996, "Sphere tracing".
        """
        ids, t, last, step = rays
        ways = self.rays[:, ids]
        for _ in range(steps):
            if not len(ids):
                break
            distance = self.shape.distance(torch.addcmul(self.camera, ways, t), face)
            # A ray that approaches at an angle may go further than the distance, as far as the gain of the last step
            # suggests. Each ray goes a little further still, so that it does not creep along what it grazes.
            gain = (last - distance) / step
            step = distance / gain.clamp_(LEAST_GAIN, 1.1).masked_fill_(distance > last, LEAVING)
            t = t + step.add_(distance > TOUCH, alpha=CREEP)
            arrived = distance.abs() < TOUCH
            met[ids] = torch.where(arrived, t, FAR)
            going = torch.nonzero(~arrived & (t < FAR)).squeeze(1)
            ids, t, last, step, ways = ids[going], t[going], distance[going], step[going], ways[:, going]
        return ids, t, last, step

    def _draw(self, ids: Tensor, face: bool) -> None:
        """Paints and lights the samples `ids`, which all meet the head."""
        rays = self.rays[:, ids]
        points = torch.addcmul(self.camera, rays, self.depth[ids])
        surface = paint(self.shape, self.palette, points, face)
        normal = normals(self.shape, points, surface.distance, face)
        # Shadows are soft: one computation for each pixel is enough, at the first of its samples.
        pixels = ids // (self.side * self.samples) * self.size + ids % self.side // self.samples
        order = torch.arange(len(ids), device=ids.device)
        first = order.new_full((self.size**2,), len(ids)).scatter_reduce_(0, pixels, order, "amin")
        seen = first < len(ids)
        chosen, of_sample = first[seen], seen.cumsum(0)[pixels] - 1
        openness, lit = shadows(self.shape, points[:, chosen], normal[:, chosen], face)
        self.image[:, ids] = light(self.shape, surface, rays, normal, openness[of_sample], lit[of_sample], self.look)
        self.normal[:, ids] = normal
        self.label[ids], self.line[ids] = surface.label, surface.line

    def _finish(self) -> tuple[Tensor, ...]:
        side = self.side
        ink = self._edges(PEN_WIDTH[self.size])
        image = self.image.view(3, side, side)
        if self.look == "toon":
            image = image * (1 - 0.85 * ink)
        image = F.avg_pool2d(image.sqrt(), self.samples) * 2 - 1
        sketch = 1 - F.avg_pool2d(ink, self.samples)
        labels = self.label.view(side, side)
        if self.samples == 2:
            a, b, c, d = (labels[i::2, j::2] for i in (0, 1) for j in (0, 1))
            labels = torch.where((b == c) | (b == d), b, torch.where(c == d, c, a))  # the label of most samples
        depth = -F.max_pool2d(-self.depth.view(1, side, side), self.samples)
        marks = _project(self.shape.to_camera(self.shape.landmarks()))
        marks = (marks * [1, -1] / HALF_VIEW + 1) * (self.size / 2)
        return image, labels, sketch, depth, torch.tensor(marks, dtype=torch.float32, device=image.device)

    def _edges(self, width: int) -> Tensor:
        """Draws ink in [0, 1], (1, side, side), where drawn areas end, depth jumps, or the surface bends sharply."""
        side = self.side
        line, depth, normal = self.line.view(side, side), self.depth.view(side, side), self.normal.view(3, side, side)
        ink = torch.zeros_like(depth)
        for axis in (0, 1):

            def pair(values: Tensor, axis: int = axis) -> tuple[Tensor, Tensor]:
                return values.narrow(axis - 2, 0, side - 1), values.narrow(axis - 2, 1, side - 1)

            (line_a, line_b), (depth_a, depth_b), (a, b) = pair(line), pair(depth), pair(normal)
            edge = (line_a != line_b) | ((depth_a - depth_b).abs() > 0.10)
            bend = ((1 - (a * b).sum(0) - 0.22) * 2.5).clamp_(0, 0.8)
            bend *= (line_a > 0) & (line_b > 0)
            ink.narrow(axis, 0, side - 1).copy_(torch.maximum(pair(ink)[0], torch.where(edge, 1.0, bend)))
        return F.max_pool2d(ink[None], width, 1, width // 2)[:, :side, :side]
