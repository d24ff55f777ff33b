"""Pictures of faces as the trainings keep, read and show them."""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from pspkit.config import FACE_ENCODER
from pspkit.data.pictures import save_picture

SIDE = 256  # of the pictures that are kept and compared, pixels
INPUT_SIDE = FACE_ENCODER.input_size  # of those that the encoders read, pixels
SHOWN = 12  # pictures of each kind on a sheet


def to_bytes(pictures: Tensor) -> Tensor:
    """Pictures in [-1, 1] as bytes; values outside are clamped."""
    return ((pictures.clamp(-1, 1) + 1) * 127.5).round().byte()


def from_bytes(pictures: Tensor) -> Tensor:
    """Bytes as pictures in [-1, 1], float32."""
    return pictures.float() / 127.5 - 1


def write_sheet(path: Path, rows: list[Tensor]) -> None:
    """Writes rows of pictures (N, 3, 256, 256) in [-1, 1], at half their side."""
    width = max(map(len, rows))
    padded = [F.pad(F.avg_pool2d(row, 2), (0, 0, 0, 0, 0, 0, 0, width - len(row)), value=1) for row in rows]
    sheet = torch.cat([torch.cat(list(row), 2) for row in padded], 1)
    save_picture(path, sheet.cpu())
