"""How much the pictures that an encoder gives back are like those that it was given."""

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

from pspkit.inference.evaluation import Judge
from pspkit.losses.identity import IdentityLoss
from tools.faces.decoding import Decode


class Meter:
    """Measures an encoder on pictures; everything is decoded in full."""

    def __init__(self, decode: Decode, average: Tensor, lpips: nn.Module, identity: IdentityLoss, batch: int) -> None:
        self.decode, self.average, self.batch = decode, average, batch
        self.judge = Judge(average.device, {"arcface": identity}, lpips)

    @torch.no_grad()
    def outputs(self, encoder: nn.Module, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Codes (N, n_styles, style_dim) of pictures (N, 3, 256, 256), and what is decoded from them, clamped."""
        codes = torch.cat([encoder(to_input(encoder, part)) for part in pictures.split(self.batch)]) + self.average
        return codes, torch.cat([self.decode(part).clamp(-1, 1) for part in codes.split(self.batch)])

    def compare(self, outputs: Tensor, pictures: Tensor) -> dict[str, float]:
        """Likeness of outputs to pictures, both (N, 3, 256, 256): means over the set."""
        return {name: round(values.mean().item(), 5) for name, values in self.judge(outputs, pictures).items()}


def to_input(encoder: nn.Module, pictures: Tensor) -> Tensor:
    """Pictures (N, 3, S, S), averaged down to the side that the encoder reads."""
    side = encoder.config.input_size
    return pictures if pictures.shape[-1] == side else adaptive_avg_pool2d(pictures, side)


def describe(device: torch.device) -> str:
    """The device's name."""
    return torch.cuda.get_device_name() if device.type == "cuda" else "CPU"
