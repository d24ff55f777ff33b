"""The losses of the encoder: pictures must agree in pixels, features and identity, and codes lie near the average.

Source: Richardson et al. 2021, section 3.2.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Protocol, Self

import torch.nn.functional as F
from torch import Tensor, nn

from pspkit.errors import PspkitError, check_registered, check_tensor
from pspkit.losses.identity import FACE_BOX, Box, IdentityLoss, MocoLoss
from pspkit.losses.perceptual import SMALLEST_SIDE, load_lpips
from pspkit.models.frozen import freeze


class LossTerm(Protocol):
    """What is asked of a loss term of your own, which is a function or an `nn.Module`."""

    def __call__(self, output: Tensor, target: Tensor, codes: Tensor) -> Tensor:
        """Compares pictures.

        Args:
            output: (N, 3, H, W), about [-1, 1]; gradients flow through it.
            target: (N, 3, H, W) in [-1, 1].
            codes: (N, n_styles, style_dim), from which the output was decoded; gradients flow through them.

        Returns:
            One number, the mean over the pictures. Less is better.
        """


TERMS: dict[str, Callable[[], LossTerm]] = {}  # terms of the user by name, each as a function that makes it


def register_loss(name: str) -> Callable[[LossTerm], LossTerm]:
    """A decorator that registers a loss term under a name, by which `LossWeights` and `Run` give it a weight.

    It decorates a function, which is then called as it is, or a class, which is built without arguments if the term has
    a weight. A term that is a module is moved to the device, and its weights are frozen.

    Args:
        name: the name; none of the losses in `LossWeights`.

    Raises:
        PspkitError: a loss of pspkit has this name.
    """
    if name in OUR_TERMS:
        raise PspkitError(f"name: {name!r} is a loss of pspkit already. Choose another name.")

    def register(term: LossTerm) -> LossTerm:
        TERMS[name] = term if isinstance(term, type) else lambda: term
        return term

    return register


@dataclass(frozen=True)
class LossWeights:
    """The weight of each loss; 0 leaves it out.

    Source: Richardson et al. 2021, section 3.2 and appendix.
    """

    lpips: float = 0.8
    l2: float = 1.0
    identity: float = 0.1
    w_norm: float = 0.005
    lpips_crop: float = 0.0  # of the inner face only, which the domain's face box marks
    l2_crop: float = 0.0  # likewise
    moco: float = 0.0  # instead of identity, if the pictures show no faces
    codes: float = 0.0  # of the codes, if those of the targets are known
    own: Mapping[str, float] = field(default_factory=dict, repr=False)  # of terms that `register_loss` registered

    def counted(self) -> dict[str, float]:
        """The losses whose weight is not 0, with their weights: first those of pspkit, then those of the user."""
        every = {name: getattr(self, name) for name in OUR_TERMS} | dict(self.own)
        return {name: weight for name, weight in every.items() if weight}

    def changed(self, weights: Mapping[str, float]) -> Self:
        """Returns a copy with other weights for some losses, by name.

        Raises:
            UnregisteredError: there is no loss of that name.
        """
        for name in weights:
            check_registered("loss", name, (*OUR_TERMS, *TERMS))
        ours = {name: weight for name, weight in weights.items() if name in OUR_TERMS}
        own = {name: weight for name, weight in weights.items() if name not in OUR_TERMS}
        return replace(self, **ours, own={**self.own, **own})


OUR_TERMS = tuple(entry.name for entry in fields(LossWeights) if entry.name != "own")


def w_norm(codes: Tensor, average: Tensor | None = None) -> Tensor:
    """How far codes lie from the average latent: mean_n ‖codes_n - average‖, with one norm over all styles.

    Args:
        codes: (N, n_styles, style_dim).
        average: (n_styles, style_dim), if the model starts from it; without it, the norm is that of the codes.

    Raises:
        PspkitError: an argument has another shape or is not floating-point.

    Source: Richardson et al. 2021, section 3.2.
    """
    check_tensor("codes", codes, ("N", "n_styles", "style_dim"))
    if average is not None:
        check_tensor("average", average, tuple(codes.shape[1:]))
        codes = codes - average
    return codes.flatten(1).norm(dim=1).mean()


def codes_error(codes: Tensor, known: Tensor, average: Tensor | None = None) -> Tensor:
    """How far codes lie from known ones: ‖codes - known‖² / ‖known - average‖², summed over the whole batch.

    It is 0 for the known codes themselves, and 1 for the average latent.

    Args:
        codes: (N, n_styles, style_dim).
        known: the codes from which the targets were drawn, of the same shape.
        average: as `w_norm` takes it.

    Raises:
        PspkitError: as `w_norm`.
    """
    check_tensor("codes", codes, ("N", "n_styles", "style_dim"))
    check_tensor("known", known, tuple(codes.shape))
    spread = known if average is None else known - average
    return (codes - known).square().sum() / spread.square().sum()


class PSPLoss(nn.Module):
    """The weighted sum of a task's losses: total = sum_i weight_i loss_i. Losses with the weight 0 are not built.

    Every network in it is frozen and stays in evaluation mode. Gradients reach only the output and the codes.

    Args:
        weights: the weights of the task's losses.
        identity_network: as `IdentityLoss` takes it; needed if identity has a weight.
        face_box: the place of the face, for identity and for the losses of the inner face.
        moco_path: as `MocoLoss` takes it; needed if moco has a weight.
        lpips_trunk: as `load_lpips` takes it.

    Raises:
        PspkitError: all weights are 0, both identity and MoCo have one, or a network that is needed is not given.

    Source: Richardson et al. 2021, section 3.2.
    """

    def __init__(
        self,
        weights: LossWeights,
        identity_network: nn.Module | None = None,
        face_box: Box = FACE_BOX,
        moco_path: str | Path | None = None,
        lpips_trunk: str = "alexnet",
    ) -> None:
        super().__init__()
        if not weights.counted():
            raise PspkitError(
                "weights: all of them are 0, so that nothing would be learned. Give at least one loss a weight."
            )
        if weights.identity and weights.moco:
            raise PspkitError(
                f"weights: identity is {weights.identity} and moco {weights.moco}, but one takes the other's place."
                " Set moco=0 for faces, identity=0 for anything else."
            )
        if weights.identity and identity_network is None:
            raise PspkitError(
                f"identity_network: none is given, but identity has the weight {weights.identity}."
                " Give a face-recognition network, or set identity=0."
            )
        if weights.moco and moco_path is None:
            raise PspkitError(
                f"moco_path: none is given, but moco has the weight {weights.moco}."
                " Give the path of MoCo v2's ResNet-50, which is not fetched, or set moco=0."
            )
        self.weights, self.face_box = weights, face_box
        self.lpips = load_lpips(lpips_trunk) if weights.lpips or weights.lpips_crop else None
        self.identity = IdentityLoss(identity_network, face_box) if weights.identity else None
        self.moco = MocoLoss(moco_path) if weights.moco else None
        self._own = {name: self._make_own(name) for name, weight in weights.own.items() if weight}

    def train(self, mode: bool = True) -> Self:
        """Stays in evaluation mode: with the statistics of the batch, the networks would measure something else."""
        return super().train(False)

    def forward(
        self,
        output: Tensor,
        target: Tensor,
        codes: Tensor,
        average: Tensor | None = None,
        known: Tensor | None = None,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Compares pictures.

        Args:
            output: (N, 3, H, W), about [-1, 1].
            target: (N, 3, H, W) in [-1, 1].
            codes: (N, n_styles, style_dim), from which the output was decoded.
            average: (n_styles, style_dim), if the model starts from it; as `w_norm` takes it.
            known: the codes from which the target was drawn; needed if codes have a weight.

        Returns:
            The weighted sum, and each loss before weighting, by its name in `LossWeights.counted`. Detach them before
            you log them.

        Raises:
            PspkitError: an argument has another shape, is not floating-point, is too small for LPIPS, or is missing.
        """
        check_tensor("output", output, ("N", 3, "H", "W"))
        check_tensor("target", target, tuple(output.shape))
        check_tensor("codes", codes, (len(output), "n_styles", "style_dim"))
        target = target.detach()
        if known is None and self.weights.codes:
            raise PspkitError(
                f"codes: their loss has the weight {self.weights.codes}, but the codes of the targets are not known."
                " Set codes=0."
            )
        measures = {
            "lpips": lambda: self._perceptual(output, target),
            "l2": lambda: F.mse_loss(output, target),
            "identity": lambda: self.identity(output, target),
            "w_norm": lambda: w_norm(codes, average),
            "lpips_crop": lambda: self._perceptual(self.face_box.crop(output), self.face_box.crop(target)),
            "l2_crop": lambda: F.mse_loss(self.face_box.crop(output), self.face_box.crop(target)),
            "moco": lambda: self.moco(output, target),
            "codes": lambda: codes_error(codes, known, average),
        }
        weights = self.weights.counted()
        parts = {
            name: measures[name]() if name in measures else self._own[name](output, target, codes) for name in weights
        }
        return sum(weight * parts[name] for name, weight in weights.items()), parts

    def _make_own(self, name: str) -> LossTerm:
        check_registered("loss", name, (*OUR_TERMS, *TERMS))
        term = TERMS[name]()
        if isinstance(term, nn.Module):
            self.add_module(f"own_{name}", freeze(term))
        return term

    def _perceptual(self, output: Tensor, target: Tensor) -> Tensor:
        if min(output.shape[2:]) < SMALLEST_SIDE:
            height, width = output.shape[2:]
            raise PspkitError(
                f"output: LPIPS would see {height}x{width} pixels, and it needs at least {SMALLEST_SIDE} a side."
                " Enlarge the pictures, or set the weights of lpips and lpips_crop to 0."
            )
        return self.lpips(output, target).mean()
