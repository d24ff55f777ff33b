"""How far two pictures are from showing the same person, or the same thing: cosines in a frozen network's features."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import resnet50

from pspkit.errors import CheckpointError
from pspkit.models.frozen import freeze, outline
from pspkit.storage.checkpoints import compare
from pspkit.storage.checkpoints.files import read_file
from pspkit.storage.checkpoints.layouts import part_of

MOCO_SIDE = 224


class Box(NamedTuple):
    """A part of a picture, as fractions of its height and width."""

    top: float
    bottom: float
    left: float
    right: float

    def crop(self, images: Tensor) -> Tensor:
        """Cuts the box out of pictures (N, 3, H, W)."""
        height, width = images.shape[2:]
        rows = slice(round(self.top * height), round(self.bottom * height))
        return images[:, :, rows, round(self.left * width) : round(self.right * width)]

    def pool(self, images: Tensor, side: int) -> Tensor:
        """Cuts the box out of pictures (N, 3, H, W), and scales it to (N, 3, side, side)."""
        return F.adaptive_avg_pool2d(self.crop(images), side)


FACE_BOX = Box(35 / 256, 223 / 256, 32 / 256, 220 / 256)  # the inner face of a picture aligned as FFHQ's are


class IdentityLoss(nn.Module):
    """Compares the people in two pictures: 1 - cos(R(box of output), R(box of target)).

    R is a face-recognition network.

    Args:
        network: `backbone.Backbone`, `mobile_facenet.MobileFaceNet`, or any module with an `input_size` that maps
            (N, 3, input_size, input_size) to (N, D). It is frozen in place.
        box: the part of the picture that the network sees.

    Source: Richardson et al. 2021, section 3.2.
    """

    def __init__(self, network: nn.Module, box: Box = FACE_BOX) -> None:
        super().__init__()
        self.network, self.box = freeze(network), box

    def embed(self, images: Tensor) -> Tensor:
        """Embeds pictures (N, 3, H, W) in [-1, 1]: (N, D)."""
        return self.network(self.box.pool(images, self.network.input_size))

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        return _dissimilarity(self.embed, output, target)


class MocoLoss(nn.Module):
    """Compares the things in two pictures, for domains without faces: 1 - cos of MoCo's features.

    Args:
        path: the file of a ResNet-50 trained by MoCo v2, as its authors publish it.

    Raises:
        CheckpointError: the file cannot be read, would run code, or holds another network.

    Source: He et al. 2020 (MoCo) for the network. In place of the identity loss: Tov et al. 2021 (e4e).
    """

    def __init__(self, path: str | Path) -> None:
        super().__init__()
        content, _ = read_file(Path(path))
        state = content.get("state_dict") if isinstance(content, dict) else None
        tensors = part_of(state, "module.encoder_q") if isinstance(state, dict) else {}
        tensors = {key: tensor for key, tensor in tensors.items() if not key.startswith("fc.")}
        network = outline(resnet50)
        network.fc = nn.Identity()
        differences = compare(network, tensors)
        if differences.fatal:
            raise CheckpointError(
                f"{path}: it holds no ResNet-50 of MoCo v2: {differences}. Get the file that MoCo's authors publish."
            )
        network.load_state_dict({key: tensor.clone() for key, tensor in tensors.items()}, assign=True)
        self.network = freeze(network)

    def embed(self, images: Tensor) -> Tensor:
        """Computes features (N, 2048) of pictures (N, 3, H, W) in [-1, 1]."""
        return self.network(F.interpolate(images, size=MOCO_SIDE))  # Side and range are the reference's.

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        return _dissimilarity(self.embed, output, target)


def _dissimilarity(embed: Callable[[Tensor], Tensor], output: Tensor, target: Tensor) -> Tensor:
    with torch.no_grad():
        wanted = embed(target)
    # In float32 even under autocast: a cosine near 1 has only three digits in bfloat16.
    return 1 - F.cosine_similarity(embed(output).float(), wanted.float()).mean()
