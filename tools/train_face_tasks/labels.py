"""Label maps of faces, as the encoder of segmentation reads them."""

import torch.nn.functional as F
from torch import Tensor

from pspkit.data.labels import label_maps
from pspkit.data.tasks.transforms import ToOneHot
from pspkit.models.faces.parser import FaceParser
from tools.faces.pictures import INPUT_SIDE

ONE_HOT = ToOneHot()


def find_labels(parser: FaceParser, pictures: Tensor) -> Tensor:
    """Label maps (N, 128, 128) of pictures (N, 3, 256, 256), as bytes."""
    large = F.interpolate(pictures, size=parser.input_size, mode="bilinear", align_corners=False, antialias=False)
    labels = label_maps(parser(large.bfloat16()))[:, None].float()
    return F.interpolate(labels, size=INPUT_SIDE, mode="nearest-exact")[:, 0].byte()
