"""Crops faces out of photographs as FFHQ does: upright, centred, at one size. Networks of faces need this.

Source: Karras et al. 2019 (StyleGAN), appendix A, and Karras et al. 2018 (Progressive GAN), appendix C, for the crop;
FFHQ's own script for its constants.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageFilter
from torch import Tensor
from torchvision.transforms.v2.functional import pil_to_tensor, to_pil_image

from pspkit.data.alignment.finder import Face
from pspkit.errors import PspkitError, check_tensor

SIZE, LARGEST_SIZE = 512, 2048  # side of an aligned picture unless asked otherwise, and at most, pixels
# Points of the face mesh, as seen in the picture: the contour of each eye (as in the 68 points that FFHQ uses), and the
# corners of the mouth.
LEFT_EYE, RIGHT_EYE = (33, 160, 158, 133, 153, 144), (362, 385, 387, 263, 373, 380)
LEFT_MOUTH, RIGHT_MOUTH = 61, 291
# Half the side of the square, in distances between the eyes or from eyes to mouth, whichever gives more. And how far
# its centre lies from the eyes towards the mouth.
EYES_SCALE, MOUTH_SCALE, CENTRE_SHIFT = 2.0, 1.8, 0.1
MESH_SCALE = 1.015  # The mesh's points are a little closer together than FFHQ's 68, as measured on drawn faces.
BORDER, PADDING, BLUR = (
    0.1,
    0.3,
    0.02,
)  # widths of what is kept around it, is made up, and is blurred, as fractions of its side


def face_square(points: Tensor) -> Tensor:
    """Finds the square of the aligned picture of a face in its photograph.

        x ∥ eyes + (mouth turned by -90°),  |x| = max(2 |eyes|, 1.8 |mouth|),  centre = middle + 0.1 mouth

    `eyes` reaches from the left eye to the right one, `mouth` from their middle to that of the mouth, and x from the
    square's centre to its right side.

    Args:
        points: (478, 2), as `Face.points` has them.

    Returns:
        The square's corners (4, 2), x and y in pixels: upper left, lower left, lower right, upper right.

    Raises:
        PspkitError: the points have another shape, or eyes and mouth lie in one place.

    Source: Karras et al. 2018 (Progressive GAN), appendix C.
    """
    check_tensor("points", points, (478, 2))
    left, right = points[list(LEFT_EYE)].mean(0), points[list(RIGHT_EYE)].mean(0)
    middle = (left + right) / 2
    eyes, mouth = right - left, (points[LEFT_MOUTH] + points[RIGHT_MOUTH]) / 2 - middle
    x = eyes - mouth.flip(0) * torch.tensor([-1.0, 1.0])
    if not x.norm() > 0:
        raise PspkitError(
            "points: eyes and mouth lie in one place, so that they are not those of a face. Use another face."
        )
    x = x / x.norm() * MESH_SCALE * torch.maximum(EYES_SCALE * eyes.norm(), MOUTH_SCALE * mouth.norm())
    y = x.flip(0) * torch.tensor([-1.0, 1.0])
    centre = middle + CENTRE_SHIFT * mouth
    return torch.stack([centre - x - y, centre - x + y, centre + x + y, centre + x - y])


def align_face(picture: Tensor, face: Face, size: int = SIZE) -> Tensor:
    """Crops one face out of a picture as FFHQ does.

    Where the square reaches beyond the picture, it is filled with the mirrored and blurred picture, which fades to its
    median colour.

    Args:
        picture: (3, H, W), uint8, upright RGB.
        face: one that `FaceFinder` found in it.
        size: side of the result, pixels.

    Returns:
        The aligned picture (3, size, size), uint8.

    Raises:
        PspkitError: the size is out of range; or as `face_square`.

    Source: Karras et al. 2018 (Progressive GAN), appendix C, figure 8.
    """
    check_size(size)
    image, square = to_pil_image(picture), face_square(face.points).double().numpy()
    length = float(np.hypot(*(square[3] - square[0])))
    shrink = int(length / size / 2)
    if shrink > 1:  # Otherwise the transform would skip pixels.
        small = round(image.width / shrink), round(image.height / shrink)
        square = (square + 0.5) * (np.array(small) / image.size) - 0.5
        image, length = image.resize(small, Image.Resampling.LANCZOS), length / shrink
    image, square = _crop(image, square, length)
    image, square = _pad(image, square, length)
    finer = min(4, max(1, math.ceil(length / size)))
    corners = (square + 0.5).flatten().tolist()  # In Pillow, the centres of pixels lie at halves.
    image = image.transform([size * finer] * 2, Image.Transform.QUAD, corners, Image.Resampling.BILINEAR)
    return pil_to_tensor(image.reduce(finer))


def align_mask(mask: Tensor, square: Tensor, size: int) -> Tensor:
    """Crops a mask of a photograph like its face; beyond the photograph the mask is 0.

    Args:
        mask: (H, W), any numbers.
        square: the corners of the aligned picture, as `face_square` gives them.
        size: side of the result, pixels.

    Returns:
        (size, size), float32; each pixel has the number of the nearest one.

    Raises:
        PspkitError: the size is out of range.
    """
    check_size(size)
    upper_left, lower_left, _, upper_right = square
    places = (torch.arange(size) + 0.5) / size
    across, down = places[None, :, None] * (upper_right - upper_left), places[:, None, None] * (lower_left - upper_left)
    grid = 2 * (upper_left + across + down + 0.5) / torch.tensor(mask.shape[::-1]) - 1
    mask = mask.as_subclass(Tensor).float()[None, None]
    return F.grid_sample(mask, grid[None], mode="nearest", align_corners=False)[0, 0]


def check_size(size: int) -> None:
    """Refuses a size that aligned pictures cannot have.

    Raises:
        PspkitError: the size is out of range.
    """
    if not 1 <= size <= LARGEST_SIZE:
        raise PspkitError(f"size: got {size}, needs 1 to {LARGEST_SIZE} pixels.")


def _crop(image: Image.Image, square: np.ndarray, length: float) -> tuple[Image.Image, np.ndarray]:
    """Keeps only the square and a border around it, so that less has to be padded and blurred."""
    border = max(round(length * BORDER), 3)
    low = np.maximum(np.floor(square.min(0)).astype(int) - border, 0)
    high = np.minimum(np.ceil(square.max(0)).astype(int) + border, image.size)
    return image.crop((*low.tolist(), *high.tolist())), square - low


def _pad(image: Image.Image, square: np.ndarray, length: float) -> tuple[Image.Image, np.ndarray]:
    """Continues the picture if the square reaches beyond it."""
    border = max(round(length * BORDER), 3)
    before = np.maximum(border - np.floor(square.min(0)).astype(int), 0)  # left, above
    after = np.maximum(np.ceil(square.max(0)).astype(int) - image.size + border, 0)  # right, below
    if max(*before, *after) <= border - 4:
        return image, square
    before, after = (np.maximum(part, round(length * PADDING)) for part in (before, after))
    pixels = np.pad(np.float32(image), ((before[1], after[1]), (before[0], after[0]), (0, 0)), "reflect")
    height, width = pixels.shape[:2]
    x, y = np.arange(width, dtype=np.float32)[None], np.arange(height, dtype=np.float32)[:, None]
    across, down = (
        np.minimum(place / first, (extent - 1 - place) / last)
        for place, extent, first, last in zip((x, y), (width, height), before, after, strict=True)
    )
    outside = 1 - np.minimum(across, down)[..., None]  # negative in the picture, 0 at its border, 1 at the outer edge
    blurred = Image.fromarray(np.uint8(pixels)).filter(ImageFilter.GaussianBlur(length * BLUR))
    pixels += (np.float32(blurred) - pixels) * np.clip(3 * outside + 1, 0, 1)
    pixels += (np.median(pixels, axis=(0, 1)) - pixels) * np.clip(outside, 0, 1)
    return Image.fromarray(np.uint8(pixels.round().clip(0, 255))), square + before
