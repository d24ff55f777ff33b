"""What the trainings start from."""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from pspkit.data.faces.photographs import read_photographs
from pspkit.domains import WEIGHTS
from pspkit.psp import load_encoder
from tools.faces.pictures import from_bytes


@torch.no_grad()
def find_start(sets: dict[str, Path], most: int | None, average: Tensor) -> dict[str, Tensor]:
    """What the trainings take from the encoder of `encode`, which is too large to carry.

    Returns:
        Its stem and body, by their keys, and "codes" (N, n_styles, style_dim): those of the photographs to learn from
        and then of their mirror images.
    """
    encoder = load_encoder(WEIGHTS / "faces-encode").eval()
    learned = [read_photographs(folder, kept=False)[1][:most] for folder in sets.values()]
    pictures = torch.cat(learned)
    parts = torch.cat([pictures, pictures.flip(3)]).split(16)
    codes = torch.cat([encoder(F.avg_pool2d(from_bytes(part), 2)) for part in parts]) + average.cpu()
    state = {
        name: tensor for name, tensor in encoder.state_dict().items() if name.startswith(("input_layer.", "body."))
    }
    return {name: tensor.half() for name, tensor in state.items()} | {"codes": codes.half()}
