"""What one batch costs: the same path for training and for validation."""

from typing import Self

import torch.nn.functional as F
from torch import Tensor, nn

from pspkit.losses import PSPLoss
from pspkit.psp import PSP


class Objective(nn.Module):
    """A batch through the whole of pSp to its loss.

        loss(resize(G(E(x) + average)), y)

    Only what has gradients learns; in training mode only the encoder's norms look at the batch.

    Args:
        psp: the model.
        loss: of the task.

    Source: Richardson et al. 2021, section 3.2.
    """

    def __init__(self, psp: PSP, loss: PSPLoss) -> None:
        super().__init__()
        self.psp, self.loss = psp, loss

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        self.psp.decoder.eval()
        return self

    def forward(self, source: Tensor, target: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Compares what the model makes of the sources with the targets.

        Args:
            source: (N, input_nc, input_size, input_size).
            target: (N, 3, H, H) in [-1, 1].

        Returns:
            As `PSPLoss.forward`.
        """
        codes = self.psp.encode(source)
        output = to_side(self.psp.decode(codes), target.shape[-1])
        average = self.psp.latent_avg if self.psp.config.start_from_latent_avg else None
        return self.loss(output, target, codes, average)


def to_side(images: Tensor, side: int) -> Tensor:
    """Pictures (N, C, H, H) at another side: pooled where it is smaller, as the reference does, else bilinear."""
    if side < images.shape[-1]:
        return F.adaptive_avg_pool2d(images, side)
    return images if side == images.shape[-1] else F.interpolate(images, size=side, mode="bilinear")
