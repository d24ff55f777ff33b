"""Finds the faces in a picture, and 478 points of each.

A detector proposes faces in the whole picture and in overlapping parts of it. Each proposal is cropped upright, and the
face mesh finds its points and says whether it is a face at all. In pictures whose faces are large, the points agree
with MediaPipe's to a fraction of a pixel.

Source: MediaPipe's face landmarker (graph of its Tasks library) for the steps and their constants; the search in parts
of the picture is added here.
"""

import itertools
import math
from dataclasses import dataclass
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor

from pspkit.errors import check_tensor
from pspkit.models.faces.landmarks import load_face_landmarks

LARGEST_SIDE = 1024  # pixels; larger pictures are averaged down first, because the networks read 128 and 256 pixels
LEVELS = (1, 2, 4)  # The detector reads squares as large as the picture, half as large, and a quarter as large.
LEAST_TILE = 250  # pixels; in smaller squares the detector would find faces that are too small to be useful
LEAST_SCORE, LEAST_PRESENCE = 0.5, 0.5
SAME_BOX = 0.3  # Proposals are averaged if the intersection over union of their boxes is larger.
MARGIN = 1.5  # The mesh reads a square that is larger than the detector's box by this factor.
# The second look: how much larger than the face the upright square is, how sure the detector must be, and how far its
# keypoints may lie from the mesh's points, in distances between the eyes.
SECOND_MARGIN, SECOND_SCORE, SECOND_DISTANCE = 2.0, 0.75, 0.3
TURNED = math.radians(20)  # Faces that are turned more are cropped again, where the second look sees them.
# The mesh's points for the detector's first four keypoints: the eyes, that on the left in the picture first, then nose
# and mouth.
KEYPOINTS = ((33, 133), (362, 263), (1, 1), (13, 14))


@dataclass(frozen=True)
class Face:
    """One face in a picture.

    Attributes:
        points: (478, 2), x to the right and y down, pixels; (0, 0) is the centre of the first pixel.
        presence: how sure the network is that it is a face, in [0, 1].
    """

    points: Tensor
    presence: float

    @property
    def box(self) -> Tensor:
        """Left, top, right and bottom of the points, (4,)."""
        return torch.cat([self.points.amin(0), self.points.amax(0)])

    @property
    def side(self) -> float:
        """The longer side of the box."""
        return (self.points.amax(0) - self.points.amin(0)).max().item()


class FaceFinder:
    """Finds faces that measure at least 40 pixels, and in a large picture a twentieth of its longer side.

    It loads its networks once.

    Raises:
        AssetError: the networks could not be fetched or read.
    """

    def __init__(self) -> None:
        self.detector, self.mesh = load_face_landmarks()

    @torch.no_grad()
    def __call__(self, picture: Tensor) -> list[Face]:
        """Finds the faces in a picture. If there are none, the picture is also searched on its sides and upside down.

        Args:
            picture: (3, H, W), uint8, RGB.

        Returns:
            The faces, the largest first; an empty list if there are none.

        Raises:
            PspkitError: the picture has another shape.
        """
        if picture.dtype != torch.uint8 or picture.ndim != 3 or len(picture) != 3:
            check_tensor("picture", picture.float()[None], (1, 3, "H", "W"))
        image = _shrunk(picture)
        scale = torch.tensor(picture.shape[:0:-1]) / torch.tensor(image.shape[:1:-1])  # of x and y
        for turns in range(4):
            faces = self._search(torch.rot90(image, turns, (2, 3)))
            if faces:
                break
        placed = [_turned_back(face.points, turns, *image.shape[2:]) for face in faces]
        faces = [Face((points + 0.5) * scale - 0.5, face.presence) for points, face in zip(placed, faces, strict=True)]
        return sorted(faces, key=lambda face: _area(face.box).item(), reverse=True)

    @torch.no_grad()
    def why_none(self, picture: Tensor) -> str:
        """Says in at most two sentences why no face was found in a picture (3, H, W), uint8, and what to do."""
        height, width = picture.shape[1:]
        if max(height, width) < 64:
            return f"It is only {width}x{height} pixels. Use a larger picture."
        image = _shrunk(picture)
        values = (image + 1) * 127.5
        if values.std() < 8:
            return "It has nearly one colour. Is it the right file?"
        if values.mean() < 32:
            return "It is very dark. Brighten it."
        if image.shape[2:] != picture.shape[1:]:  # In a part with half the sides, a face is twice as large.
            tops, lefts = ([step * side // 4 for step in range(3)] for side in (height, width))
            for top, left in itertools.product(tops, lefts):
                if faces := self(picture[:, top : top + height // 2, left : left + width // 2]):
                    seen = f"In a part of it there is a face of {faces[0].side:.0f} pixels, too small in the whole"
                    return f"{seen}. Crop the picture closer to the face."
        if any(self._propose(torch.rot90(image, turns, (2, 3)), 1) for turns in range(4)):
            return (
                "It shows something like a face, but turned away, covered, cut off or too small. Use a picture that"
                " shows both eyes and the mouth."
            )
        return (
            "A face must be seen from the front or at three quarters, with both eyes and the mouth, and measure at"
            " least 40 pixels and a twentieth of the picture's longer side. Crop the picture closer to the face."
        )

    def _search(self, image: Tensor) -> list[Face]:
        """Finds the faces in an image (1, 3, H, W), in the largest squares first.

        If a face is as large as a square, smaller squares would show only background, and are not searched.
        """
        faces = []
        for level in LEVELS:
            side = max(image.shape[2:]) / level
            if level > 1 and (side < LEAST_TILE or any(face.side >= side for face in faces)):
                break
            for square in self._propose(image, level):
                if not _is_among(torch.tensor([square.x, square.y]), faces):
                    face = self._look_again(image, self._look(image, square))
                    if face and not _is_among(face.points.mean(0), faces):
                        faces.append(face)
        return faces

    def _propose(self, image: Tensor, level: int) -> list["_Square"]:
        """Proposes squares for the mesh, the surest first. They are found in squares that overlap by half."""
        height, width = image.shape[2:]
        side, steps = max(height, width) / level, range(1 - level, level)
        tiles = [
            (column / 2, row / 2)
            for row in steps
            for column in steps
            if abs(row) * side < height and abs(column) * side < width
        ]
        squares = [_Square(width / 2 + x * side, height / 2 + y * side, side) for x, y in tiles]
        cuts = torch.cat([_cut(image, square, self.detector.input_size, "zeros") for square in squares])
        scores, boxes, keypoints = self.detector(cuts)
        shift = torch.tensor(tiles)[:, None]  # from the frame of each square to that of the middle one
        boxes, keypoints = boxes + shift.repeat(1, 1, 2), keypoints + shift[:, None]
        middle = _Square(width / 2, height / 2, side)
        merged = _merge(scores.flatten(), boxes.flatten(0, 1), keypoints.flatten(0, 1))
        return [middle.around(*proposal) for proposal in merged]

    def _look(self, image: Tensor, square: "_Square") -> Face:
        points, presence = self.mesh(_cut(image, square, self.mesh.input_size, "border"))
        return Face(square.place(points[0, :, :2]), presence.item())

    def _look_again(self, image: Tensor, face: Face) -> Face | None:
        """Returns the face if the detector finds it again; the mesh alone takes clocks for faces, too."""
        if face.presence < LEAST_PRESENCE:
            return None
        wanted = face.points[torch.tensor(KEYPOINTS)].mean(1)
        across = wanted[1] - wanted[0]
        x, y = ((face.box[:2] + face.box[2:]) / 2).tolist()
        square = _Square(x, y, SECOND_MARGIN * face.side, _angle(across))
        scores, boxes, keypoints = self.detector(_cut(image, square, self.detector.input_size, "zeros"))
        score, best = scores[0].max(0)
        distance = (square.place(keypoints[0, best, : len(wanted)]) - wanted).norm(dim=1).max() / across.norm()
        if not (score >= SECOND_SCORE and distance <= SECOND_DISTANCE):
            return None
        if abs(square.angle) <= TURNED:
            return face
        return self._look(image, square.around(boxes[0, best], keypoints[0, best]))


@dataclass(frozen=True)
class _Square:
    """A square in a picture: its centre and side in pixels, and its clockwise angle in radians."""

    x: float
    y: float
    side: float
    angle: float = 0.0

    def place(self, points: Tensor) -> Tensor:
        """Turns points (..., 2), as fractions of the side from the upper left corner, into pixels of the picture."""
        cos, sin = self.side * math.cos(self.angle), self.side * math.sin(self.angle)
        return (points - 0.5) @ torch.tensor([[cos, sin], [-sin, cos]]) + torch.tensor([self.x, self.y])

    def around(self, box: Tensor, keypoints: Tensor) -> Self:
        """Places an upright square for the mesh around a face that the detector found in this square.

        Args:
            box: the box of the face (4,), as fractions of this square.
            keypoints: its keypoints (6, 2), likewise.
        """
        x, y = self.place((box[:2] + box[2:]) / 2).tolist()
        left, right = self.place(keypoints[:2])
        return _Square(x, y, MARGIN * self.side * (box[2:] - box[:2]).max().item(), _angle(right - left))


def _shrunk(picture: Tensor) -> Tensor:
    """Turns a picture uint8 (3, H, W) into an image (1, 3, h, w) in [-1, 1], averaged to at most `LARGEST_SIDE`."""
    shrink = max(1.0, max(picture.shape[1:]) / LARGEST_SIDE)
    size = [max(1, round(side / shrink)) for side in picture.shape[1:]]
    channels = []
    for channel in picture.as_subclass(Tensor):  # one by one, because a large picture takes much memory
        image = channel[None, None].float() / 127.5 - 1
        channels.append(F.interpolate(image, size, mode="area") if shrink > 1 else image)
    return torch.cat(channels, 1)


def _cut(image: Tensor, square: _Square, size: int, outside: str) -> Tensor:
    """Crops a square (1, 3, size, size) out of an image (1, 3, H, W).

    It samples at the corners of pixels, without averaging, as MediaPipe does: its networks have learned that.

    Args:
        image: in [-1, 1].
        square: the square.
        size: side of the result, pixels.
        outside: what lies beyond the image: black ("zeros"), or its edge continued ("border").
    """
    places = torch.arange(size) / size
    y, x = torch.meshgrid(places, places, indexing="ij")
    width_height = torch.tensor(image.shape[:1:-1])
    grid = (2 * square.place(torch.stack([x, y], -1)) + 1) / width_height - 1
    return F.grid_sample(image + 1, grid[None], padding_mode=outside, align_corners=False) - 1


def _merge(scores: Tensor, boxes: Tensor, keypoints: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Averages proposals (N) of the same face, weighted by their scores.

    Source: Bazarevsky et al. 2019, section 3.4.
    """
    order = scores.argsort(descending=True)
    order = order[scores[order] >= LEAST_SCORE]
    scores, boxes, keypoints = scores[order], boxes[order], keypoints[order]
    merged = []
    while len(scores):
        low, high = torch.maximum(boxes[0, :2], boxes[:, :2]), torch.minimum(boxes[0, 2:], boxes[:, 2:])
        shared = (high - low).clamp(min=0).prod(1)
        same = shared / (_area(boxes[0]) + _area(boxes) - shared) > SAME_BOX
        same[0] = True  # even if the box has no area
        weights = scores[same] / scores[same].sum()
        box, points = torch.einsum("n,nc->c", weights, boxes[same]), torch.einsum("n,nkc->kc", weights, keypoints[same])
        merged.append((box, points))
        scores, boxes, keypoints = scores[~same], boxes[~same], keypoints[~same]
    return merged


def _is_among(point: Tensor, faces: list[Face]) -> bool:
    """Whether a point (2,) lies on one of the faces."""
    return any(bool((face.box[:2] <= point).all() and (point <= face.box[2:]).all()) for face in faces)


def _turned_back(points: Tensor, turns: int, height: int, width: int) -> Tensor:
    """Takes points (N, 2) of an image, which `torch.rot90` turned so many times, back to the image of this size."""
    for turn in range(turns, 0, -1):
        extent = width if turn % 2 else height
        points = torch.stack([extent - 1 - points[:, 1], points[:, 0]], 1)
    return points


def _angle(across: Tensor) -> float:
    return math.atan2(across[1].item(), across[0].item())


def _area(box: Tensor) -> Tensor:
    return (box[..., 2:] - box[..., :2]).prod(-1)
