"""What is measured on pictures of faces: ten attributes that can be edited, and what an edit should leave alone.

A mesh of 478 points gives the pose, the mouth and the eyes; the face parser glasses, hair and light; a small network
the age.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from pspkit.data.faces.augment import LUMA
from pspkit.data.labels import LABELS
from pspkit.device import native_precision
from pspkit.losses.identity import FACE_BOX, IdentityLoss
from pspkit.models.faces.age import load_face_age
from pspkit.models.faces.landmarks import load_face_landmarks
from pspkit.models.faces.parser import load_face_parser
from pspkit.models.mobile_facenet import load_mobile_facenet

SIDE = 256  # of the pictures that are measured, pixels
PARSED_SIDE = 320  # that the parser gets: in half the time, 99 of 100 pixels of hair are those that it sees at 448
BATCH = 4  # pictures at once
# The square that the mesh reads of a picture aligned as FFHQ's are: its centre and its side, in parts of the picture's.
MESH_CENTRE, MESH_SIDE = (0.497, 0.597), 0.975
# Points of the mesh; of two, the left one as seen in the picture comes first.
CHEEKS, FOREHEAD, CHIN, NOSE_BRIDGE = (234, 454), 10, 152, 6
EYE_CORNERS = (33, 133, 362, 263)
UPPER_LIDS, LOWER_LIDS = (159, 386), (145, 374)
MOUTH_CORNERS, UPPER_LIP, LOWER_LIP = (61, 291), 13, 14
GLASSES = 0.004  # part of the picture's pixels from which on a face wears glasses


class Ends(NamedTuple):
    """Both ends of an attribute in words: where steps backwards lead, and where steps forwards do."""

    low: str
    high: str


ATTRIBUTES = {
    "yaw": Ends("turned left", "turned right"),
    "pitch": Ends("looking down", "looking up"),
    "smile": Ends("serious", "smiling"),
    "mouth": Ends("mouth closed", "mouth open"),
    "eyes": Ends("eyes narrowed", "eyes wide open"),
    "glasses": Ends("no glasses", "glasses"),
    "age": Ends("younger", "older"),
    "hair length": Ends("short hair", "long hair"),
    "hair colour": Ends("dark hair", "fair hair"),
    "light": Ends("lit from the left", "lit from the right"),
}
GUARDS = ("skin", "background")  # brightness of both: measured so that no direction changes it by the way


@dataclass(frozen=True)
class Measured:
    """What was measured on N pictures.

    Attributes:
        values: (N, 12), `ATTRIBUTES` and then `GUARDS`: yaw and pitch in degrees; smile, mouth and eyes in distances
            between the eyes; glasses 0 or 1; age in years; hair length as a part of the picture's pixels; light as the
            difference between the halves of the face by their sum; brightness of hair, skin and background in [-1, 1].
            NaN where there is nothing to measure.
        background: (N, SIDE, SIDE), true where neither a person nor anything on them is seen.
    """

    values: Tensor
    background: Tensor


class FaceMeter:
    """Measures faces that are aligned as FFHQ's are; loads its networks once.

    Raises:
        AssetError: one of the four networks could not be fetched or read.
    """

    def __init__(self) -> None:
        self.identity = IdentityLoss(load_mobile_facenet())
        self.mesh, self.age = load_face_landmarks()[1], load_face_age()
        self.parser = load_face_parser().to(memory_format=torch.channels_last)  # on a CPU faster by a third

    @torch.no_grad()
    def recognise(self, pictures: Tensor) -> Tensor:
        """ArcFace's embeddings (N, 512) of the people in pictures alike."""
        return torch.cat([self.identity.embed(part.clamp(-1, 1)) for part in pictures.split(BATCH)])

    @torch.no_grad()
    def __call__(self, pictures: Tensor) -> Measured:
        """Measures pictures (N, 3, SIDE, SIDE), about [-1, 1]."""
        parts = [self._measure(part.clamp(-1, 1)) for part in pictures.split(BATCH)]
        return Measured(*map(torch.cat, zip(*parts, strict=True)))

    def _measure(self, x: Tensor) -> tuple[Tensor, Tensor]:
        points = self._points(x)
        larger = F.interpolate(x, [PARSED_SIDE] * 2, mode="bilinear").contiguous(memory_format=torch.channels_last)
        with torch.autocast(x.device.type, torch.bfloat16, enabled=native_precision(x.device) == "bfloat16"):
            scores = self.parser(larger).float()
        labels = F.interpolate(scores, [SIDE] * 2, mode="bilinear", antialias=True).argmax(1)
        seen = {name: labels == LABELS[name].number for name in ("background", "skin", "eye_g", "hair")}
        bright = torch.einsum("c,nchw->nhw", torch.tensor(LUMA), x)

        eyes = points[:, EYE_CORNERS].unflatten(1, (2, 2)).mean(2)
        unit = (eyes[:, 1] - eyes[:, 0]).norm(dim=1)
        across, down = points[:, CHEEKS[1]] - points[:, CHEEKS[0]], points[:, CHIN] - points[:, FOREHEAD]
        corners = points[:, MOUTH_CORNERS]
        lift = points[:, UPPER_LIP, 1] - corners[..., 1].mean(1)
        opening = points[:, LOWER_LIDS, 1] - points[:, UPPER_LIDS, 1]
        place = torch.arange(SIDE) / SIDE
        below = place[None, :, None] > points[:, LOWER_LIP, 1, None, None]
        left = place[None, None] < points[:, NOSE_BRIDGE, 0, None, None]
        halves = [_mean((bright + 1) / 2, seen["skin"] & half) for half in (left, ~left)]
        values = {
            "yaw": torch.atan2(across[:, 2], across[:, 0]).rad2deg(),
            "pitch": torch.atan2(-down[:, 2], down[:, 1]).rad2deg(),  # the mesh's depth grows away from us
            "smile": ((corners[:, 1] - corners[:, 0]).norm(dim=1) + 2 * lift) / unit,
            "mouth": (points[:, LOWER_LIP] - points[:, UPPER_LIP]).norm(dim=1) / unit,
            "eyes": opening.mean(1) / unit,
            "glasses": (_share(seen["eye_g"]) > GLASSES).float(),
            "age": self.age(FACE_BOX.pool(x, self.age.input_size)),
            "hair length": _share(seen["hair"] & below),
            "hair colour": _mean(bright, seen["hair"]),
            "light": (halves[1] - halves[0]) / (halves[1] + halves[0]),
            "skin": _mean(bright, seen["skin"]),
            "background": _mean(bright, seen["background"]),
        }
        values = torch.stack([values[name] for name in (*ATTRIBUTES, *GUARDS)], 1)
        return values, seen["background"]

    def _points(self, x: Tensor) -> Tensor:
        """The mesh's points (N, 478, 3): x to the right, y down and depth, in parts of the picture's side."""
        places = MESH_SIDE * (torch.arange(self.mesh.input_size) / self.mesh.input_size - 0.5)
        y, x_ = torch.meshgrid(places + MESH_CENTRE[1], places + MESH_CENTRE[0], indexing="ij")
        grid = (2 * torch.stack([x_, y], -1) - 1).expand(len(x), -1, -1, -1)
        points, _ = self.mesh(F.grid_sample(x, grid, padding_mode="border", align_corners=False))
        centre = torch.tensor([*MESH_CENTRE, 0.0])
        return (points - torch.tensor([0.5, 0.5, 0.0])) * MESH_SIDE + centre


def _share(mask: Tensor) -> Tensor:
    """The part of the pixels (N, H, W) that is true, (N,)."""
    return mask.float().mean((1, 2))


def _mean(x: Tensor, mask: Tensor) -> Tensor:
    """The mean of x (N, H, W) where the mask is true, (N,); NaN where less than a thousandth of it is."""
    count = mask.sum((1, 2))
    return torch.where(count > mask[0].numel() / 1000, (x * mask).sum((1, 2)) / count.clamp(min=1), torch.nan)
