"""What each encoder is given of the pictures that it learns from."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.transforms.v2 import functional

from pspkit.data.faces.augment import CAMERA, augment, light, move
from pspkit.data.faces.sketch import draw_sketch
from pspkit.data.tasks.transforms import low_resolution
from tools.train_face_tasks.faces import Faces
from tools.train_face_tasks.labels import ONE_HOT

FACTORS = (2, 4, 8, 16)  # of super-resolution, at the encoder's 128 px: 64 to 8 px are left

MakeInput = Callable[[Faces, Tensor, Tensor, torch.Generator], Tensor]


def restore_input(faces: Faces, pictures: Tensor, chosen: Tensor, random: torch.Generator) -> Tensor:
    """Small, grey and masked pictures, some of them two of that at once: (N, 4, 128, 128), the mask last."""
    x = augment(F.avg_pool2d(pictures, 2), random, CAMERA)
    order = torch.randperm(len(x), generator=random, device=x.device)
    x, back = x[order], order.argsort()
    half = len(x) // 2
    small = x[half:].chunk(len(FACTORS))
    x = torch.cat(
        [x[:half], *(low_resolution(part / 2 + 0.5, factor) for part, factor in zip(small, FACTORS, strict=True))]
    )
    chance = torch.rand(len(x), 1, 1, 1, generator=random, device=x.device)
    chance[half:] += 1
    # Of the pictures of full size every one is grey or masked or both, of the small ones three tenths are.
    is_grey = (chance < 0.5) | ((chance > 1.7) & (chance < 1.9))
    is_masked = ((chance > 0.4) & (chance < 1)) | (chance > 1.9)
    x = torch.where(is_grey, functional.rgb_to_grayscale(x, num_output_channels=3), x)
    turn = torch.randint(len(faces.masks), (len(x),), generator=random, device=x.device)
    mask = faces.masks[turn] * is_masked
    return torch.cat([x * (1 - mask), mask], 1)[back]


def sketch_input(faces: Faces, pictures: Tensor, chosen: Tensor, random: torch.Generator) -> Tensor:
    """Line drawings (N, 1, 128, 128), of four sorts of pen in a batch."""
    x = augment(pictures, random, (move, light))
    parts = []
    for part in x.chunk(4):
        width, threshold, sharpness = torch.rand(3, generator=random, device=x.device)
        part = draw_sketch(
            part, (1 + 1.2 * width).item(), (0.006 + 0.018 * threshold).item(), (60 + 90 * sharpness).item()
        )
        parts.append(F.avg_pool2d(part, 2))
    return torch.cat(parts)


def segmentation_input(faces: Faces, pictures: Tensor, chosen: Tensor, random: torch.Generator) -> Tensor:
    """Label maps as one channel a class: (N, 19, 128, 128)."""
    return ONE_HOT(faces.labels[chosen])


def encode_input(faces: Faces, pictures: Tensor, chosen: Tensor, random: torch.Generator) -> Tensor:
    """Pictures (N, 3, 128, 128) as a camera takes them."""
    return augment(F.avg_pool2d(pictures, 2), random, CAMERA)


def frontalize_input(faces: Faces, pictures: Tensor, chosen: Tensor, random: torch.Generator) -> Tensor:
    """Pictures (N, 3, 128, 128), half of them mirrored, which their targets are not."""
    x = augment(F.avg_pool2d(pictures, 2), random, CAMERA)
    coin = torch.rand(len(x), 1, 1, 1, generator=random, device=x.device) < 0.5
    return torch.where(coin, x.flip(3), x)


INPUTS: dict[str, MakeInput] = {
    "restore": restore_input,
    "sketch": sketch_input,
    "segmentation": segmentation_input,
    "frontalize": frontalize_input,
    "encode": encode_input,
    "encode_w": encode_input,
}
