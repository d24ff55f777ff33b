"""Makes the sources of the tasks `sketch` and `segmentation` from photographs: line drawings and label maps."""

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms.v2 import functional

from pspkit.data.faces.sketch import draw_sketch
from pspkit.data.labels import LabelMap, label_maps
from pspkit.models.faces.parser import FaceParser, load_face_parser

SIDE = 256  # of the pictures in which lines are drawn, and of the label maps that are kept, pixels


def sketch_of(picture: Tensor) -> tv_tensors.Image:
    """Makes the line drawing of an aligned face.

    Args:
        picture: (3, H, W), uint8 or float in [0, 1]; it is resized to a square of 256 px.

    Returns:
        float32 (1, 256, 256) in [0, 1], dark lines on white.
    """
    return tv_tensors.Image(draw_sketch(_square(picture, SIDE))[0])


@torch.no_grad()
def labels_of(picture: Tensor) -> LabelMap:
    """Makes the label map of an aligned face, with a network that learned from CelebAMask-HQ.

    Args:
        picture: (3, H, W), uint8 or float in [0, 1]; it is resized to a square.

    Returns:
        uint8 (256, 256), with numbers of `LABELS`.

    Raises:
        AssetError: the network could not be fetched or read.
    """
    parser = _parser()
    scores = parser(_square(picture, parser.input_size))
    return LabelMap(label_maps(F.interpolate(scores, (SIDE, SIDE), mode="bilinear", antialias=True))[0])


def _square(picture: Tensor, side: int) -> Tensor:
    """Resizes a picture (3, H, W) to (1, 3, side, side) in [-1, 1]."""
    picture = functional.to_dtype(picture, torch.float32, scale=True).as_subclass(Tensor)
    return functional.resize(picture[None], [side, side]) * 2 - 1


@cache
def _parser() -> FaceParser:
    return load_face_parser()
