"""The training of the identity network for rendered heads, in the same way as ArcFace is trained on photographs.

Source: Deng et al. 2019 (ArcFace), section 3.1.
"""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from pspkit.config import IdentityTrainingConfig
from pspkit.data.heads import Factors, render, sample_factors
from pspkit.data.heads.dataset import FIRST_PERSON
from pspkit.domains import HEAD_BOX
from pspkit.errors import PspkitError
from pspkit.losses.arcface import ArcFace
from pspkit.models.backbone import Backbone
from pspkit.seeds import seed_of
from pspkit.training.feed import shares
from pspkit.training.loop import Pace
from pspkit.training.machine import Machine

COLOURS = ("skin_tone", "skin_warmth", "iris_colour", "hair_colour", "hair_shade")  # what lookalikes have in common


@dataclass(frozen=True)
class Verification:
    """How well a network tells whether two heads are one person in two scenes, or two people.

    Attributes:
        threshold: the cosine above which a pair counts as one person; chosen as the best for the first half of people.
        accuracy: the share of right answers with this threshold, for the second half of people.
        lookalikes: the same, if the two people of a pair have the same colours of skin, eyes and hair.
        same: mean cosine of pairs that show one person.
        different: mean cosine of pairs that show two people.
        alike: mean cosine of pairs that show two people with the same colours.
    """

    threshold: float
    accuracy: float
    lookalikes: float
    same: float
    different: float
    alike: float


@torch.no_grad()
def verify(network: nn.Module, split: str = "test", people: int = 256, size: int = 64, seed: int = 0) -> Verification:
    """Measures how well a network verifies rendered people that no training has seen.

    Every person is compared with themself in another scene, with another person, and with another person who has the
    same colours.

    Args:
        network: a `Backbone`, or a network with the same interface.
        split: "validation" or "test".
        people: number of people, even.
        size: side of the heads, pixels.
        seed: seed of the factors.

    Source: Huang et al. 2007 (LFW), section III, for the protocol; here with two parts instead of ten.
    """
    factors = sample_factors(2 * people, seed, start=2 * FIRST_PERSON[split], views=2)
    first, second = factors[0::2], factors[1::2]
    others = second[torch.arange(people).roll(1)]
    shared = {name: getattr(first.identity, name) for name in COLOURS}
    embedded = [_embed(network, heads, size) for heads in (first, second, others, others.replace(**shared))]
    same, different, alike = ((embedded[0] * other).sum(1) for other in embedded[1:])
    half = people // 2
    candidates = torch.cat([same[:half], different[:half]])
    right = (same[:half] >= candidates[:, None]).sum(1) + (different[:half] < candidates[:, None]).sum(1)
    threshold = candidates[right.argmax()]

    def accuracy(others: Tensor) -> float:
        return ((same[half:] >= threshold).float().mean() + (others[half:] < threshold).float().mean()).item() / 2

    means = (value.mean().item() for value in (same, different, alike))
    return Verification(threshold.item(), accuracy(different), accuracy(alike), *means)


def _embed(network: nn.Module, heads: Factors, size: int) -> Tensor:
    device = next(network.parameters()).device
    pictures = (render(heads[start : start + 32], size).image for start in range(0, len(heads), 32))
    return torch.cat([network(HEAD_BOX.pool(batch.to(device), network.input_size)).cpu() for batch in pictures])


class IdentityTraining:
    """Trains a face-recognition network to tell rendered people apart. A `loop.Strategy`.

    An epoch shows every head once, half of them mirrored, and ends with a verification of other people.

    Args:
        config: how to train.
        heads: items with "image", (3, S, S) in [-1, 1]; `config.views` heads in a row show one person.
        machine: where to compute; the best device and the configuration's precision unless given.

    Attributes:
        model: the network, without the weights of the people that it learned from.

    Raises:
        PspkitError: there are several processes.

    Source: Deng et al. 2019 (ArcFace), section 3.1; AdamW instead of plain descent, as the training is short.
    """

    kind = "identity"
    changeable = frozenset({"epochs", "save_every"})
    average = None

    def __init__(self, config: IdentityTrainingConfig, heads: Dataset, machine: Machine | None = None) -> None:
        self.config, self.heads = config, heads
        self.machine = machine = machine or Machine(precision=config.precision)
        if machine.processes > 1:
            raise PspkitError(
                f"processes: there are {machine.processes}, but this network is trained in one. Start it without"
                " torchrun."
            )
        self.epoch = -(-len(heads) // config.batch)  # steps
        self.pace = Pace(config.epochs * self.epoch, self.epoch, config.save_every)
        torch.manual_seed(seed_of(config.seed))
        self.model = Backbone.from_config(config.network)
        arcface = ArcFace(len(heads) // config.views, config.network.embedding_dim, config.margin, config.scale)
        self.networks = nn.ModuleDict({"network": self.model, "arcface": arcface})
        self.networks.to(machine.device, memory_format=torch.channels_last)
        self.optimizer = torch.optim.AdamW(self.networks.parameters(), config.lr, weight_decay=config.weight_decay)

    def batches(self, done: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yields the numbers of the heads of every step after the first `done`, and which of them are mirrored."""

        def order(epoch: int) -> list[tuple[Tensor, Tensor]]:
            generator = torch.Generator(device="cpu").manual_seed(seed_of(self.config.seed, epoch))
            heads = torch.randperm(len(self.heads), generator=generator, device="cpu")
            mirrored = torch.rand(len(self.heads), generator=generator, device="cpu") < 0.5
            return list(zip(heads.split(self.config.batch), mirrored.split(self.config.batch), strict=True))

        return shares(order, self.epoch, done)

    def step(self, batch: tuple[Tensor, Tensor], done: int) -> dict[str, Tensor]:
        """Takes one step with the heads of the given numbers (N,), of which some are mirrored (N,)."""
        config, device, (heads, mirrored) = self.config, self.machine.device, batch
        self.optimizer.param_groups[0]["lr"] = config.lr * (1 + math.cos(math.pi * done / self.pace.steps)) / 2
        self.networks.train()
        images = torch.stack([self.heads[index]["image"] for index in heads.tolist()])
        images = torch.where(mirrored[:, None, None, None], images.flip(3), images).to(device)
        with self.machine.autocast():
            embeddings = self.model(HEAD_BOX.pool(images, config.network.input_size))
        loss = self.networks["arcface"](embeddings.float(), heads.to(device) // config.views)
        self.machine.scaler.scale(loss).backward()
        self.machine.update(self.optimizer)
        return {"arcface": loss.detach()}

    def validate(self) -> tuple[dict[str, float], None]:
        """Verifies the people of the validation split; returns the fields of `Verification`."""
        self.model.eval()
        return asdict(verify(self.model, "validation", self.config.validation, self.config.size)), None

    def state_dict(self) -> dict[str, Any]:
        """As `Strategy.state_dict`."""
        parts = {"networks": self.networks, "optimizer": self.optimizer, "scaler": self.machine.scaler}
        return {name: part.state_dict() for name, part in parts.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """As `Strategy.load_state_dict`."""
        self.networks.load_state_dict(state["networks"])
        self.optimizer.load_state_dict(state["optimizer"])
        if state["scaler"]:
            self.machine.scaler.load_state_dict(state["scaler"])
