"""How good a trained model is, on rendered heads that no training has seen.

Source: Richardson et al. 2021, section 4.1 (identity similarity, LPIPS and MSE).
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader

from pspkit.data.heads import HeadsDataset
from pspkit.data.heads.dataset import EXTRAS
from pspkit.data.tasks import HeadPairs, PairDataset, get_task
from pspkit.losses.identity import IdentityLoss
from pspkit.psp import PSP

BATCH = 32
RIDGE = 1e-2  # of the yaw's regression, relative to the features' variance


@dataclass(frozen=True)
class Likeness:
    """How outputs resemble their targets; means over all pairs.

    Attributes:
        l2: mean squared error.
        lpips: distance in AlexNet's features.
        identity: cosine of the identity network's embeddings.
        random_identity: the same between each target and another person's.
        mean_head_lpips: LPIPS where every output is the decoder's average head.
    """

    l2: float
    lpips: float
    identity: float
    random_identity: float
    mean_head_lpips: float


def unseen_pairs(task: str, count: int = 256, size: int = 64) -> HeadPairs:
    """Pairs of a task from heads of the split "test", each of another person."""
    heads = HeadsDataset("test", count, size, extras=tuple({get_task(task).heads.target} & EXTRAS))
    return HeadPairs(heads, task, size, training=False)


@torch.no_grad()
def translate_pairs(psp: PSP, pairs: PairDataset) -> tuple[Tensor, Tensor, Tensor]:
    """Sources (N, input_nc, S, S), outputs (N, 3, S, S) clamped to [-1, 1], and targets of all pairs, on the CPU."""
    device = psp.latent_avg.device
    batches = [
        (source, psp(source.to(device)).clamp(-1, 1).cpu(), target)
        for source, target in DataLoader(pairs, batch_size=BATCH)
    ]
    return tuple(torch.cat(side) for side in zip(*batches, strict=True))


@torch.no_grad()
def likeness(output: Tensor, target: Tensor, identity: IdentityLoss, lpips: nn.Module, mean_head: Tensor) -> Likeness:
    """Compares outputs (N, 3, H, W) with targets alike, in [-1, 1]; neighbours have to be different people.

    Args:
        output: of a model, on any device.
        target: what it should have been, on the same device.
        identity: embeds them.
        lpips: as `perceptual.load_lpips` gives it.
        mean_head: (1, 3, H, W), the decoder's picture of the average latent. It is on the device of both networks,
            to which the pictures are brought batch by batch.
    """
    device = mean_head.device
    means = in_batches(lambda x, y: lpips(x, y).flatten(), output, target, device=device)
    of_mean = in_batches(lambda y: lpips(mean_head.expand_as(y), y).flatten(), target, device=device)
    ours, theirs = (in_batches(identity.embed, pictures, device=device) for pictures in (output, target))
    return Likeness(
        F.mse_loss(output, target).item(),
        means.mean().item(),
        F.cosine_similarity(ours, theirs).mean().item(),
        F.cosine_similarity(theirs.roll(1, 0), theirs).mean().item(),
        of_mean.mean().item(),
    )


@torch.no_grad()
def mean_head(psp: PSP) -> Tensor:
    """The picture (1, 3, size, size) of a model's average latent, clamped to [-1, 1]."""
    return psp.decode(psp.latent_avg[None]).clamp(-1, 1)


def in_batches(function: Callable[..., Tensor], *tensors: Tensor, device: torch.device | None = None) -> Tensor:
    """A function's results for tensors of one length, a batch at a time; each is brought to `device` first."""
    batches = zip(*(tensor.split(BATCH) for tensor in tensors), strict=True)
    return torch.cat([function(*(part if device is None else part.to(device) for part in batch)) for batch in batches])


class YawMeter:
    """Reads from a picture how far a head is turned: a ridge regression on the codes that an encoder gives it.

    The codes are made on the model's device. The regression is done on the CPU in float64, which not every GPU has.

    Args:
        psp: inverts heads.
        heads: whose yaw is known; one half is regressed on, the other tells how well that went.

    Attributes:
        error: mean absolute error on the second half, degrees.
    """

    def __init__(self, psp: PSP, heads: HeadsDataset) -> None:
        self.psp = psp
        features = self._features(torch.stack([heads[index]["image"] for index in range(len(heads))]))
        yaw, half = heads.factors.scene.yaw.double()[:, None], len(heads) // 2
        self.mean, self.scale = features[:half].mean(0), features[:half].std(0) + 1e-8
        known = self._standard(features[:half])
        damped = known.T @ known
        damped.diagonal().add_(RIDGE * len(known))
        self.weight = torch.linalg.solve(damped, known.T @ yaw[:half])
        self.error = (self._standard(features[half:]) @ self.weight - yaw[half:]).abs().mean().item()

    def __call__(self, images: Tensor) -> Tensor:
        """Pictures (N, 3, S, S) in [-1, 1] to degrees (N,), positive to the right of the picture, on their device."""
        return (self._standard(self._features(images)) @ self.weight)[:, 0].float().to(images.device)

    @torch.no_grad()
    def _features(self, images: Tensor) -> Tensor:
        device = self.psp.latent_avg.device
        return in_batches(lambda batch: self.psp.encode(batch).flatten(1).cpu(), images, device=device).double()

    def _standard(self, features: Tensor) -> Tensor:
        standard = (features - self.mean) / self.scale
        return torch.cat([standard, standard.new_ones(len(standard), 1)], 1)


@torch.no_grad()
def precision_recall(real: Tensor, drawn: Tensor, neighbours: int = 3) -> tuple[float, float]:
    """Fidelity and diversity of a decoder: how much of each set lies within the other's neighbourhoods.

    Args:
        real: features (N, D) of real pictures, of any network.
        drawn: features (M, D) of drawn ones.
        neighbours: a point's neighbourhood reaches to this neighbour of its own set.

    Returns:
        Precision (the share of drawn ones that could be real) and recall (the share of real ones that could be drawn).

    Source: Kynkäänniemi et al. 2019, section 2.
    """

    def covered(points: Tensor, by: Tensor) -> float:
        radius = torch.cdist(by, by).kthvalue(neighbours + 1).values  # the first is the point itself
        return (torch.cdist(points, by) <= radius).any(1).float().mean().item()

    return covered(drawn, real), covered(real, drawn)
