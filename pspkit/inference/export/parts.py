"""What can be exported of a model: which function of it, and the names of what goes in and comes out."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pspkit.models.encoders import Encoder
from pspkit.models.fast import fast_encoder
from pspkit.models.frozen import freeze
from pspkit.psp import PSP


@dataclass(frozen=True)
class Part:
    """A function of a model.

    Attributes:
        takes: name of the input: "x", what the encoder takes, or "w_plus".
        gives: names of the outputs.
        run: from the model and the input to the outputs.
    """

    takes: str
    gives: tuple[str, ...]
    run: Callable[[PSP, Tensor], tuple[Tensor, ...]]


class PartModule(nn.Module):
    """A part of a model as a module of its own, as the exporter takes it."""

    def __init__(self, psp: nn.Module, run: Callable[[PSP, Tensor], tuple[Tensor, ...]]):
        super().__init__()
        self.psp, self.run = psp, run

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return self.run(self.psp, x)


def frozen(psp: PSP) -> PSP:
    """The same model with the encoder's fast copy where there is one: its norms are part of the convolutions."""
    encoder = fast_encoder(psp.encoder, torch.float32) if isinstance(psp.encoder, Encoder) else psp.encoder
    return freeze(PSP(encoder, psp.decoder, psp.latent_avg, psp.start_from_latent_avg))


def preview_side(psp: PSP) -> int | None:
    """Side of the largest preview that the decoder draws, pixels; None where it draws none."""
    return max(getattr(psp.decoder, "preview_sides", ()), default=None)


def _whole(psp: PSP, x: Tensor) -> tuple[Tensor, ...]:
    w_plus = psp.encode(x)
    return w_plus, psp.decode(w_plus)


PARTS = {
    "psp": Part("x", ("w_plus", "picture"), _whole),
    "encoder": Part("x", ("w_plus",), lambda psp, x: (psp.encode(x),)),
    "decoder": Part("w_plus", ("picture",), lambda psp, w_plus: (psp.decode(w_plus),)),
    "preview": Part("w_plus", ("picture",), lambda psp, w_plus: (psp.decoder.preview(w_plus, preview_side(psp)),)),
}
