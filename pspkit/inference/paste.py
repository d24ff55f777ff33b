"""Back into the photograph: what a model drew of an aligned face takes the face's place in the picture it came from.

The alignment is undone, a soft mask says how much of each pixel is replaced, and the colours are brought to those of
the photograph along the mask's border. Where the mask is 0 the photograph stays as it is, byte for byte.

Source: Shepard 1968 (inverse distance weighting), which spreads the difference of colours from the border inwards as
Poisson blending does (Pérez et al. 2003) but needs no system of equations.
"""

from collections.abc import Collection
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch import Tensor
from torchvision.transforms.v2.functional import gaussian_blur, pil_to_tensor, resize

from pspkit.data.alignment.crop import align_face, align_mask, face_square
from pspkit.data.alignment.finder import Face
from pspkit.data.labels import LABELS, label_maps
from pspkit.errors import AssetError, PspkitError, check_tensor
from pspkit.models.faces.parser import FaceParser, load_face_parser

MASK_SIDE = 448  # pixels at which masks are made: what the parser reads
FACE = ("skin", "nose", "eye_g", "l_eye", "r_eye", "l_brow", "r_brow", "mouth", "u_lip", "l_lip")
HEAD = (*FACE, "l_ear", "r_ear", "ear_r", "hair", "hat", "neck", "neck_l")
# The outline of a face among the 478 points, from the forehead's middle on, clockwise in the picture.
OUTLINE = (
    *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377),
    *(152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
)
FEATHER = 0.02  # of the side: how far inside its border a mask rises to 1
REACH = 0.08  # of the side: how far beyond the landmarks' outline the parser may call something the face
LEAST_CHANGE = 0.05  # of [-1, 1]: smaller changes of an edit are the decoder's noise
COLOUR_SIDE = 64  # pixels at which differences of colour are spread
MOST_SHIFT = 0.3  # of [-1, 1]: a larger difference at the border is of another thing, not of another light


@dataclass(frozen=True)
class Placement:
    """Where an aligned picture lies in its photograph.

    Attributes:
        photo: (3, H, W), uint8, the whole photograph.
        face: the face that was aligned; None where the photograph is taken as aligned.
    """

    photo: Tensor
    face: Face | None = None

    @property
    def square(self) -> Tensor:
        """The corners of the aligned picture (4, 2), as `face_square` gives them; else those of the photograph."""
        if self.face is not None:
            return face_square(self.face.points)
        height, width = self.photo.shape[1:]
        return torch.tensor([[0.0, 0.0], [0.0, height], [width, height], [width, 0.0]]) - 0.5

    @property
    def side(self) -> float:
        """The longer side of the aligned picture, in pixels of the photograph."""
        upper_left, lower_left, _, upper_right = self.square
        return max((upper_right - upper_left).norm().item(), (lower_left - upper_left).norm().item())

    def cut(self, size: int) -> Tensor:
        """The aligned picture (3, size, size), uint8."""
        if self.face is not None:
            return align_face(self.photo, self.face, size)
        return resize(self.photo.as_subclass(Tensor), [size, size], antialias=True)

    def cut_mask(self, mask: Tensor, size: int) -> Tensor:
        """A mask (H, W) of the photograph as one of the aligned picture, (size, size); 0 beyond the photograph."""
        return align_mask(mask, self.square, size)

    def parts(self, points: Tensor) -> Tensor:
        """Points (..., 2) of the photograph in parts of the aligned picture's sides: (0, 0) its upper left corner."""
        upper_left, lower_left, _, upper_right = self.square.to(points)
        axes = torch.stack([upper_right - upper_left, lower_left - upper_left])
        return (points - upper_left) @ (axes / axes.square().sum(1, keepdim=True)).T


def paste_back(
    placement: Placement,
    picture: Tensor,
    *,
    before: Tensor | None = None,
    missing: Tensor | None = None,
    parser: FaceParser | None = None,
) -> Tensor:
    """Puts a picture of an aligned face back into its photograph.

    What is replaced: the face, as the parser sees it in the photograph or in the picture. Where `before` is given,
    only that part of the head which differs from it, so that an edit changes what it was asked to change and nothing
    else. Where `missing` is given, what is missing and nothing else.

    Args:
        placement: where the face was.
        picture: (3, S, S) in [-1, 1], such as a decoder's; values beyond are clamped.
        before: (3, S, S), the decoder's picture of the same face without the edit.
        missing: (M, M) in the aligned picture, 1 where an inpainting model filled it.
        parser: finds the regions of a face; without it, the landmarks' outline is the face.

    Returns:
        The photograph (3, H, W), uint8, on the CPU.

    Raises:
        PspkitError: another shape; both `before` and `missing`; or neither parser nor landmarks to find the face by.

    Source: Pérez et al. 2003 (Poisson image editing), section 3, for what is asked of the colours.
    """
    check_tensor("picture", picture, (3, "S", "S"))
    side = picture.shape[-1]
    picture = picture.detach().cpu().float().clamp(-1, 1)
    source = placement.cut(side) / 127.5 - 1
    if before is not None and missing is not None:
        raise PspkitError("before, missing: got both, and a picture is either edited or filled. Give one of them.")
    if missing is not None:
        check_tensor("missing", missing.float(), ("M", "M"))
        mask = (resize(missing.float()[None].cpu(), [side, side], antialias=False) > 0.5).float()
        grown = F.max_pool2d(mask, 2 * max(1, round(FEATHER * side)) + 1, 1, max(1, round(FEATHER * side)))
        border = grown - mask  # what is seen around the hole
    else:
        if before is not None:
            check_tensor("before", before, (3, side, side))
            before = before.detach().cpu().float().clamp(-1, 1)
        mask = resize(face_mask(placement, source, picture, before, parser), [side, side], antialias=True)
        mask = mask.clamp(0, 1) * _fading_at_the_edge(side)
        border = (mask > 0.02) & (mask < 0.98)
    picture = picture + _colour_shift(source - picture, border.float())
    if before is not None and parser is not None:
        picture = _with_background(source, picture, mask, parser)
    return _replace(placement, picture, mask)


class Paster:
    """`paste_back` with a face parser of its own, or without one where it cannot be had.

    Attributes:
        remarks: what is to be said of every picture.
    """

    def __init__(self) -> None:
        self.parser, self.remarks = None, []
        try:
            self.parser = load_face_parser()
        except AssetError as error:
            self.remarks = [f"pasted along the landmarks' outline, as the face parser cannot be had: {error}"]

    def __call__(self, placement: Placement, picture: Tensor, **options: Tensor | None) -> Tensor:
        """As `paste_back`."""
        return paste_back(placement, picture, parser=self.parser, **options)


def face_mask(
    placement: Placement,
    source: Tensor,
    picture: Tensor,
    before: Tensor | None = None,
    parser: FaceParser | None = None,
) -> Tensor:
    """How much of each pixel of an aligned picture is replaced: (1, 448, 448) in [0, 1], soft inside its border.

    Args:
        placement: where the face was.
        source: (3, S, S) in [-1, 1], the aligned photograph.
        picture: (3, S, S), what replaces it.
        before: as `paste_back`.
        parser: as `paste_back`.

    Raises:
        PspkitError: neither parser nor landmarks to find the face by.
    """
    seen = [_small(x) for x in (source, picture, before) if x is not None]
    near = _outline(placement)
    if parser is not None:
        region = _classes(parser, torch.stack(seen), FACE if before is None else HEAD)
        if near is not None and before is None:  # a neighbour's face is left alone
            region = region * _grow(near, REACH)
    elif near is not None:
        region = near
    else:
        raise PspkitError("parser: none, and the picture was not aligned here, so that nothing says where its face is.")
    if before is not None:  # around the head too, so that nothing of its old outline stays
        change = _blur((seen[1] - seen[2]).abs().amax(0, keepdim=True), 0.01)
        region = _grow(region, 2 * FEATHER) * _grow((change > LEAST_CHANGE).float(), 2 * FEATHER)
    return (2 * _blur(region, FEATHER / 2) - 1).clamp(0, 1)


@torch.no_grad()
def _classes(parser: FaceParser, pictures: Tensor, names: Collection[str]) -> Tensor:
    """Where a picture of several (N, 3, 448, 448) shows one of the classes: (1, 448, 448)."""
    parameter = next(parser.parameters())
    labels = label_maps(parser(pictures.to(parameter))).cpu()
    numbers = torch.tensor([LABELS[name].number for name in names], dtype=torch.uint8)
    return torch.isin(labels, numbers).any(0, keepdim=True).float()


def _outline(placement: Placement) -> Tensor | None:
    """The inside of the landmarks' outline (1, 448, 448), 0 or 1; None where there are no landmarks."""
    if placement.face is None:
        return None
    points = placement.parts(placement.face.points[list(OUTLINE)]) * MASK_SIDE
    image = Image.new("L", (MASK_SIDE, MASK_SIDE))
    ImageDraw.Draw(image).polygon([tuple(point) for point in points.tolist()], fill=1)
    return pil_to_tensor(image).float()


def _small(picture: Tensor) -> Tensor:
    return resize(picture, [MASK_SIDE, MASK_SIDE], antialias=True)


def _blur(x: Tensor, part: float) -> Tensor:
    """A map (1, S, S) blurred by a Gaussian whose deviation is this part of the side."""
    sigma = part * x.shape[-1]
    return gaussian_blur(x, [2 * round(3 * sigma) + 1] * 2, [sigma, sigma])


def _grow(x: Tensor, part: float) -> Tensor:
    """A map (1, S, S), its regions grown by this part of the side."""
    reach = round(part * x.shape[-1])
    return F.max_pool2d(x, 2 * reach + 1, 1, reach)


def _fading_at_the_edge(side: int) -> Tensor:
    """1 inside a square and 0 at its edge: (side, side)."""
    places = torch.arange(side)
    inside = torch.minimum(places, side - 1 - places) / max(1.0, FEATHER * side)
    return torch.minimum(inside[:, None], inside[None]).clamp(max=1)


def _colour_shift(difference: Tensor, border: Tensor) -> Tensor:
    """Spreads a difference of colours (3, S, S) from the border (1, S, S) to every pixel, by inverse distances."""
    weight = F.adaptive_avg_pool2d(border, COLOUR_SIDE)
    shift = F.adaptive_avg_pool2d(difference * border, COLOUR_SIDE)
    alike = (shift.abs() <= MOST_SHIFT * weight).all(0)
    return _spread(shift * alike, weight * alike, difference.shape[-1])


def _with_background(source: Tensor, picture: Tensor, mask: Tensor, parser: FaceParser) -> Tensor:
    """A picture (3, S, S) in which the photograph's background goes on where a head that has moved left it free.

    Else the old outline would stay, as the border between the photograph's background and the decoder's.
    """
    side = picture.shape[-1]
    seen, free = (_classes(parser, _small(x)[None], ("background",)) for x in (source, picture))
    free = resize(_blur(free, FEATHER / 2), [side, side], antialias=True)
    around = resize(seen, [side, side], antialias=True) * (mask == 0)
    weight = F.adaptive_avg_pool2d(around, COLOUR_SIDE)
    if not weight.any():
        return picture
    continued = _spread(F.adaptive_avg_pool2d(source * around, COLOUR_SIDE), weight, side)
    return picture + free * (continued - picture)


def _spread(values: Tensor, weight: Tensor, side: int) -> Tensor:
    """Spreads weighted values (3, s, s) from where their weight (1, s, s) is above 0: (3, side, side)."""
    known = weight[0] > 0
    if not known.any():
        return values.new_zeros(len(values), side, side)
    places = torch.stack(torch.meshgrid(*[torch.arange(COLOUR_SIDE, dtype=torch.float32)] * 2, indexing="ij"), -1).view(
        -1, 2
    )
    kernel = (torch.cdist(places, places[known.flatten()]).square() + 0.5) ** -1.5
    spread = values[:, known] @ kernel.T / (kernel @ weight[0, known])
    return resize(spread.view(-1, COLOUR_SIDE, COLOUR_SIDE), [side, side])


def _replace(placement: Placement, picture: Tensor, mask: Tensor) -> Tensor:
    """Undoes the alignment, and blends."""
    photo, square = placement.photo.as_subclass(Tensor), placement.square
    height, width = photo.shape[1:]
    left, top = square.amin(0).floor().int().clamp(min=0).tolist()
    right, bottom = (min(int(high) + 2, most) for high, most in zip(square.amax(0), (width, height), strict=True))
    if left >= right or top >= bottom:
        return photo.clone()
    layers = torch.cat([picture, mask])
    shrunk = round(placement.side)
    if 1 <= shrunk < layers.shape[-1]:  # else the transform would skip pixels
        layers = resize(layers, [shrunk, shrunk], antialias=True)
    y, x = torch.meshgrid(torch.arange(top, bottom), torch.arange(left, right), indexing="ij")
    grid = placement.parts(torch.stack([x, y], -1).float()) * 2 - 1
    layers = F.grid_sample(layers[None], grid[None], padding_mode="border", align_corners=False)[0]
    inside = (grid.abs() <= 1).all(-1)
    new, weight = (layers[:3].clamp(-1, 1) + 1) * 127.5, layers[3] * inside
    pasted, part = photo.clone(), photo[:, top:bottom, left:right]
    blended = (part + weight * (new - part)).round().clamp(0, 255).to(torch.uint8)
    pasted[:, top:bottom, left:right] = torch.where(weight > 0, blended, part)
    return pasted
