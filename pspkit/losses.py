"""What the encoder is trained on: likeness in pixels, in features and as a person, and codes near the average.

Source: Richardson et al. 2021, section 3.2.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import resnet50

from pspkit.checkpoints import compare
from pspkit.checkpoints.files import read_file
from pspkit.checkpoints.layouts import part_of
from pspkit.errors import CheckpointError, PspkitError, check_tensor
from pspkit.perceptual import SMALLEST_SIDE, load_lpips
from pspkit.tasks.registry import LossWeights

MOCO_SIDE = 224


class Box(NamedTuple):
    """A part of a picture, as fractions of its height and width."""

    top: float
    bottom: float
    left: float
    right: float

    def crop(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) to the part of it in the box."""
        height, width = images.shape[2:]
        rows = slice(round(self.top * height), round(self.bottom * height))
        return images[:, :, rows, round(self.left * width) : round(self.right * width)]

    def pool(self, images: Tensor, side: int) -> Tensor:
        """(N, 3, H, W) to the part of it in the box, brought to (N, 3, side, side)."""
        return F.adaptive_avg_pool2d(self.crop(images), side)


FACE_BOX = Box(35 / 256, 223 / 256, 32 / 256, 220 / 256)  # the inner face of a picture aligned as FFHQ's are


def w_norm(codes: Tensor, average: Tensor | None = None) -> Tensor:
    """How far codes lie from the average latent: mean_n ‖codes_n - average‖, the norm over all styles together.

    Args:
        codes: (N, n_styles, style_dim).
        average: (n_styles, style_dim), where the model starts from it; else the norm of the codes themselves.

    Raises:
        PspkitError: an argument has another shape or is not floating-point.

    Source: Richardson et al. 2021, section 3.2.
    """
    check_tensor("codes", codes, ("N", "n_styles", "style_dim"))
    if average is not None:
        check_tensor("average", average, tuple(codes.shape[1:]))
        codes = codes - average
    return codes.flatten(1).norm(dim=1).mean()


class IdentityLoss(nn.Module):
    """Whether two pictures show one person: 1 - cos(R(box of output), R(box of target)), R a face-recognition network.

    Args:
        network: `backbone.Backbone`, `mobile_facenet.MobileFaceNet`, or any module with an `input_size` that maps
            (N, 3, input_size, input_size) to (N, D). It is frozen in place.
        box: where the face lies.

    Source: Richardson et al. 2021, section 3.2.
    """

    def __init__(self, network: nn.Module, box: Box = FACE_BOX) -> None:
        super().__init__()
        self.network, self.box = _freeze(network), box

    def embed(self, images: Tensor) -> Tensor:
        """Pictures (N, 3, H, W) in [-1, 1] to embeddings (N, D)."""
        return self.network(self.box.pool(images, self.network.input_size))

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        return _dissimilarity(self.embed, output, target)


class MocoLoss(nn.Module):
    """Whether two pictures show one thing, for domains without faces: 1 - cos of MoCo's features.

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
        with torch.device("meta"):
            network = resnet50()
        network.fc = nn.Identity()
        differences = compare(network, tensors)
        if differences.fatal:
            raise CheckpointError(
                f"{path}: holds no ResNet-50 of MoCo v2: {differences}. Get the file that MoCo's authors publish."
            )
        network.load_state_dict({key: tensor.clone() for key, tensor in tensors.items()}, assign=True)
        self.network = _freeze(network)

    def embed(self, images: Tensor) -> Tensor:
        """Pictures (N, 3, H, W) in [-1, 1] to features (N, 2048)."""
        return self.network(F.interpolate(images, size=MOCO_SIDE))  # resized and scaled as the reference does

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        return _dissimilarity(self.embed, output, target)


class PSPLoss(nn.Module):
    """The weighted sum of a task's losses: total = sum_i weight_i loss_i. Weight 0: neither built nor computed.

    Every network in it is frozen and stays in evaluation mode; gradients reach the output and the codes alone.

    Args:
        weights: of the task.
        identity_network: as `IdentityLoss` takes it; needed where identity has a weight.
        face_box: where the face lies, for identity and for the losses on the inner face.
        moco_path: as `MocoLoss` takes it; needed where moco has a weight.
        lpips_trunk: as `load_lpips` takes it.

    Raises:
        PspkitError: no weight at all, weights for both identity and MoCo, or a network that is needed is not given.

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
        if not any(vars(weights).values()):
            raise PspkitError("weights: every one is 0, so nothing would be learned. Give at least one loss a weight.")
        if weights.identity and weights.moco:
            raise PspkitError(
                f"weights: identity is {weights.identity} and moco {weights.moco}, but one takes the other's place."
                " Set moco=0 for faces, identity=0 for anything else."
            )
        if weights.identity and identity_network is None:
            raise PspkitError(
                f"identity_network: none, but identity has the weight {weights.identity}."
                " Give a face-recognition network, or set identity=0."
            )
        if weights.moco and moco_path is None:
            raise PspkitError(
                f"moco_path: none, but moco has the weight {weights.moco}."
                " Give the path of MoCo v2's ResNet-50, which is not fetched, or set moco=0."
            )
        self.weights, self.face_box = weights, face_box
        self.lpips = load_lpips(lpips_trunk) if weights.lpips or weights.lpips_crop else None
        self.identity = IdentityLoss(identity_network, face_box) if weights.identity else None
        self.moco = MocoLoss(moco_path) if weights.moco else None

    def train(self, mode: bool = True) -> Self:
        """Stays in evaluation mode: with the batch's statistics the networks would measure something else."""
        return super().train(False)

    def forward(
        self, output: Tensor, target: Tensor, codes: Tensor, average: Tensor | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Compares pictures.

        Args:
            output: (N, 3, H, W), about [-1, 1].
            target: (N, 3, H, W) in [-1, 1].
            codes: (N, n_styles, style_dim), those that gave the output.
            average: (n_styles, style_dim), where the model starts from it; as `w_norm` takes it.

        Returns:
            The weighted sum, and each loss by its name in `LossWeights`, before weighting; detach them to log them.

        Raises:
            PspkitError: an argument has another shape, is not floating-point, or is too small for LPIPS.
        """
        check_tensor("output", output, ("N", 3, "H", "W"))
        check_tensor("target", target, tuple(output.shape))
        check_tensor("codes", codes, (len(output), "n_styles", "style_dim"))
        target = target.detach()
        measures = {
            "lpips": lambda: self._perceptual(output, target),
            "l2": lambda: F.mse_loss(output, target),
            "identity": lambda: self.identity(output, target),
            "w_norm": lambda: w_norm(codes, average),
            "lpips_crop": lambda: self._perceptual(self.face_box.crop(output), self.face_box.crop(target)),
            "l2_crop": lambda: F.mse_loss(self.face_box.crop(output), self.face_box.crop(target)),
            "moco": lambda: self.moco(output, target),
        }
        parts = {name: measures[name]() for name, weight in vars(self.weights).items() if weight}
        return sum(getattr(self.weights, name) * part for name, part in parts.items()), parts

    def _perceptual(self, output: Tensor, target: Tensor) -> Tensor:
        if min(output.shape[2:]) < SMALLEST_SIDE:
            height, width = output.shape[2:]
            raise PspkitError(
                f"output: LPIPS would see {height}x{width} pixels, and needs {SMALLEST_SIDE} a side."
                " Enlarge the pictures, or set the weights of lpips and lpips_crop to 0."
            )
        return self.lpips(output, target).mean()


def _dissimilarity(embed: Callable[[Tensor], Tensor], output: Tensor, target: Tensor) -> Tensor:
    with torch.no_grad():
        wanted = embed(target)
    # In float32 under autocast too: in bfloat16 a cosine near 1 has three digits.
    return 1 - F.cosine_similarity(embed(output).float(), wanted.float()).mean()


def _freeze(network: nn.Module) -> nn.Module:
    return network.eval().requires_grad_(False)
