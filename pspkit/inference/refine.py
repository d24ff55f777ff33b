"""Refinement: after the encoder, some steps of optimisation bring the codes of a picture nearer to it."""

import time
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from pspkit.errors import PspkitError
from pspkit.inference.projection import PREVIEW_SIDE, Nearness, optimise
from pspkit.losses.identity import IdentityLoss
from pspkit.losses.perceptual import SMALLEST_SIDE, load_lpips
from pspkit.models.registry import AnyDecoder, example_tensor

WEIGHTS = Nearness(l2=1.0, lpips=1.5, identity=0.5, start=0.02)  # chosen on photographs that the encoder was trained on
RATE = 0.03


@dataclass
class Gain:
    """How much nearer refinement or tuning came to its pictures, decoded in full; as a string, the line commands print.

    Attributes:
        steps: of refinement.
        before: values of each picture as the encoder had it, by the measure's name: L2, LPIPS, identity (cosine).
        after: the same of the refined picture.
        seconds: of refinement, all pictures together.
        what: was done to the pictures: "refined", or "tuned".
        about: what else the line says.
    """

    steps: int
    before: dict[str, list[float]] = field(default_factory=dict)
    after: dict[str, list[float]] = field(default_factory=dict)
    seconds: float = 0.0
    what: str = "refined"
    about: str = ""

    @property
    def count(self) -> int:
        """How many pictures were refined."""
        return len(next(iter(self.before.values()), []))

    def add(self, before: dict[str, Tensor], after: dict[str, Tensor]) -> None:
        """Notes the measures (N,) of some more pictures."""
        for mine, others in ((self.before, before), (self.after, after)):
            for name, values in others.items():
                mine.setdefault(name, []).extend(values.tolist())

    def __str__(self) -> str:
        many = f"{self.count} picture{'' if self.count == 1 else 's'}"
        changes = [
            f"{name} {sum(values) / self.count:.3f} -> {sum(self.after[name]) / self.count:.3f}"
            for name, values in self.before.items()
        ]
        about = f" ({self.about})" if self.about else ""
        cost = f"{self.steps} steps, {self.seconds / self.count:.1f} s each{about}"
        return f"{many} {self.what} by {cost}: {', '.join(changes)}"


class Refiner:
    """Brings codes nearer to pictures, through the decoder's preview where it has one.

    Args:
        decoder: draws from the codes; left as it is.
        steps: of `optimise`.
        identity: compares faces, and is brought to the decoder's device; None where the pictures show none.

    Attributes:
        side: of the pictures that are compared, pixels: 256, or the decoder's own where that is smaller.
        gain: of all pictures that were measured.

    Raises:
        AssetError: LPIPS could not be fetched or read.
    """

    def __init__(self, decoder: AnyDecoder, steps: int, identity: IdentityLoss | None = None) -> None:
        device = example_tensor(decoder).device
        self.decoder, self.steps, self.side = decoder, steps, min(PREVIEW_SIDE, decoder.size)
        self.identity = identity.to(device) if identity is not None else None
        self.lpips = load_lpips().to(device) if self.side >= SMALLEST_SIDE else None
        self.gain = Gain(steps)

    def __call__(self, codes: Tensor, pictures: Tensor) -> Tensor:
        """Refines.

        Args:
            codes: (N, n_styles, style_dim), the encoder's.
            pictures: (N, 3, side, side) in [-1, 1].

        Returns:
            Codes alike, on the decoder's device; the arguments stay as they are.
        """
        start = time.perf_counter()
        codes = optimise(self.decoder, pictures, codes, self.steps, RATE, WEIGHTS, self.lpips, self.identity, self.side)
        self.gain.seconds += time.perf_counter() - start
        return codes

    @torch.no_grad()
    def measure(self, outputs: Tensor, pictures: Tensor) -> dict[str, Tensor]:
        """How near outputs (N, 3, size, size) are to pictures (N, 3, side, side): values (N,) by the measure's name."""
        device = example_tensor(self.decoder).device
        outputs = F.adaptive_avg_pool2d(outputs.to(device).float().clamp(-1, 1), self.side)
        pictures = pictures.to(outputs)
        values = {"L2": (outputs - pictures).square().flatten(1).mean(1)}
        if self.lpips is not None:
            values["LPIPS"] = self.lpips(outputs, pictures).flatten()
        if self.identity is not None:
            values["identity"] = F.cosine_similarity(*map(self.identity.embed, (outputs, pictures)))
        return values


def check_refinement(task: str, steps: int, option: str = "refine") -> None:
    """Refuses to fit codes or layers to the input of a task whose input is not the picture that is wanted.

    Args:
        task: what the model was trained for.
        steps: how many.
        option: that asks for them, for the message.

    Raises:
        PspkitError: steps for such a task.
    """
    if steps and task != "encode":
        raise PspkitError(
            f"{option}: got {steps}, but the input of {task} is not the picture that is wanted, and what is fitted to"
            " it would draw its faults again. Only the answers of encode are fitted. Leave it out."
        )
