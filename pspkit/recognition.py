"""Training of the identity network for rendered heads, as the paper's backbone is trained on photographs.

    python -m pspkit.recognition --out DIR [--epochs N] [--resume]

What it keeps in the folder:

    state.pt     what the next step depends on, the configuration included
    model/       the network, for `Backbone.from_pretrained`
    log.jsonl    one line an epoch

Source: Deng et al. 2019 (ArcFace), section 2.2 for the loss, section 3.1 for the network.
"""

import argparse
import json
import math
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import Dataset
from tqdm.auto import tqdm

from pspkit.backbone import Backbone
from pspkit.checkpoints.files import read_file, write_state, write_text
from pspkit.config import CONFIGS, BackboneConfig
from pspkit.domains import HEAD_BOX, IDENTITY_SIDE
from pspkit.errors import CheckpointError, PspkitError
from pspkit.heads import Factors, HeadsDataset, render, sample_factors
from pspkit.heads.dataset import FIRST_PERSON
from pspkit.seeds import seed_of

FORMAT = "pspkit recognition training"
STATE, MODEL, LOG = "state.pt", "model", "log.jsonl"
ENCODER = CONFIGS["cpu"].encoder
HEADS_IDENTITY = BackboneConfig(ENCODER.num_layers, ENCODER.mode, IDENTITY_SIDE, ENCODER.widths, embedding_dim=256)
COLOURS = ("skin_tone", "skin_warmth", "iris_colour", "hair_colour", "hair_shade")  # what a lookalike shares


@dataclass(frozen=True)
class RecognitionConfig:
    """How the network is trained; the defaults fit two cores and an hour.

    Source: Deng et al. 2019 (ArcFace), section 3.1; margin and scale are smaller, as there are fewer people.
    """

    network: BackboneConfig = HEADS_IDENTITY
    size: int = 64  # side of the rendered heads, pixels
    heads: int = 20_000  # heads to render
    views: int = 4  # heads in a row that are one person
    validation: int = 256  # other people to verify
    epochs: int = 10
    batch: int = 64
    lr: float = 1e-3  # falls to 0 along a cosine
    weight_decay: float = 0.05
    margin: float = 0.3  # radians
    scale: float = 32.0
    seed: int = 0


class ArcFace(nn.Module):
    """Softmax over people, with a margin that the right one has to beat.

        loss = cross entropy(scale * cos(angle_j + margin * [j = person]))

    Args:
        people: how many.
        embedding_dim: length of an embedding.
        margin: radians.
        scale: of the cosines.

    Source: Deng et al. 2019 (ArcFace), equation 3.
    """

    def __init__(self, people: int, embedding_dim: int, margin: float, scale: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(people, embedding_dim))
        self.margin, self.scale = margin, scale

    def forward(self, embeddings: Tensor, people: Tensor) -> Tensor:
        """Embeddings (N, embedding_dim) of length 1 and their people's numbers (N,) to the mean loss."""
        cosines = embeddings @ F.normalize(self.weight).T
        angle = cosines.gather(1, people[:, None]).clamp(-1 + 1e-6, 1 - 1e-6).acos()
        # Beyond a half turn the cosine would rise again.
        cosines = cosines.scatter(1, people[:, None], (angle + self.margin).clamp(max=math.pi).cos())
        return F.cross_entropy(cosines * self.scale, people)


@dataclass(frozen=True)
class Verification:
    """How well pairs of heads are told apart: is it one person in two scenes, or are they two?

    Attributes:
        threshold: the cosine from which on a pair counts as one person: the best for the first half of the people.
        accuracy: with it, of the pairs of the second half.
        lookalikes: the same where the two people of a pair have the same skin, eyes and hair colour.
        same: mean cosine of one person's pairs.
        different: of two people's.
        alike: of two people's who have the same colours.
    """

    threshold: float
    accuracy: float
    lookalikes: float
    same: float
    different: float
    alike: float


@torch.no_grad()
def verify(network: nn.Module, split: str = "test", people: int = 256, size: int = 64, seed: int = 0) -> Verification:
    """Verifies rendered people that no training has seen.

    Every person is rendered in two scenes, beside somebody else, and beside somebody else with the same colours.

    Args:
        network: `Backbone`, or alike.
        split: "validation" or "test".
        people: how many, an even number.
        size: side of the heads, pixels.
        seed: of the factors.

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


class RecognitionTrainer:
    """Trains a face-recognition network to tell rendered people apart.

    An epoch follows from the weights, the optimiser and its number alone, as in the other trainings.

    Args:
        config: how.
        heads: items with "image", (3, S, S) in [-1, 1]; `config.views` in a row are one person.

    Source: Deng et al. 2019 (ArcFace), section 3.1; AdamW instead of plain descent, as the training is short.
    """

    def __init__(self, config: RecognitionConfig, heads: Dataset) -> None:
        self.config, self.heads = config, heads
        self.device = torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
        torch.manual_seed(seed_of(config.seed))
        self.network = Backbone.from_config(config.network)
        arcface = ArcFace(len(heads) // config.views, config.network.embedding_dim, config.margin, config.scale)
        self.model = nn.ModuleDict({"network": self.network, "arcface": arcface})
        self.model.to(self.device, memory_format=torch.channels_last)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), config.lr, weight_decay=config.weight_decay)
        self.epoch, self.seconds = 0, 0.0

    def train_epoch(self) -> float:
        """Shows every head once, half of them mirrored; returns the mean loss.

        Raises:
            PspkitError: a loss that is no number.
        """
        start, config = time.perf_counter(), self.config
        torch.manual_seed(seed_of(config.seed, self.epoch))
        batches = torch.randperm(len(self.heads)).split(config.batch)
        total, steps = 0.0, config.epochs * len(batches)
        self.model.train()
        for number, batch in enumerate(tqdm(batches, f"epoch {self.epoch + 1}", disable=None)):
            done = (self.epoch * len(batches) + number) / steps
            self.optimizer.param_groups[0]["lr"] = config.lr * (1 + math.cos(math.pi * done)) / 2
            images = torch.stack([self.heads[index]["image"] for index in batch.tolist()])
            images = torch.where(torch.rand(len(batch), 1, 1, 1) < 0.5, images.flip(3), images).to(self.device)
            embeddings = self.network(HEAD_BOX.pool(images, config.network.input_size))
            loss = self.model["arcface"](embeddings, batch.to(self.device) // config.views)
            if not loss.isfinite():
                raise PspkitError(f"epoch {self.epoch}: the loss is {loss.item()}. Train anew with a lower --lr.")
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            total += loss.item() * len(batch)
        self.epoch, self.seconds = self.epoch + 1, self.seconds + time.perf_counter() - start
        self.model.eval()
        return total / len(self.heads)

    def state_dict(self) -> dict:
        """All that the next epoch depends on; `load_state_dict` takes it."""
        return {
            "format": FORMAT,
            "config": asdict(self.config),
            "epoch": self.epoch,
            "seconds": self.seconds,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }

    def load_state_dict(self, state: dict) -> None:
        """Goes back to where a state was taken."""
        self.epoch, self.seconds = state["epoch"], state["seconds"]
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])


def train_identity(
    config: RecognitionConfig, heads: Dataset, out: str | Path, resume: bool = False
) -> Iterator[dict[str, float]]:
    """Trains for `config.epochs` and keeps what the module's docstring lists.

    Args:
        config: how; see `read_config` for that of a training to go on with.
        heads: as `RecognitionTrainer` takes them.
        out: the folder, made where it is not there.
        resume: whether to go on with the training in the folder.

    Yields:
        What the log says of each epoch: epoch, seconds, loss, and the fields of `Verification`, of validation people.

    Raises:
        PspkitError: a training in the folder that is not to be resumed; a loss that is no number.
        CheckpointError: the state cannot be read or written.
    """
    out = Path(out)
    trainer, lines = RecognitionTrainer(config, heads), []
    if resume:
        trainer.load_state_dict(_read_state(out))
        lines = (out / LOG).read_text(encoding="utf-8").splitlines()[: trainer.epoch] if trainer.epoch else []
    elif (out / STATE).exists():
        raise PspkitError(f"{out}: holds a training. Go on with it by --resume, or name another folder.")
    while trainer.epoch < config.epochs:
        loss = trainer.train_epoch()
        found = verify(trainer.network, "validation", config.validation, config.size)
        line = {"epoch": trainer.epoch, "seconds": trainer.seconds, "loss": loss, **asdict(found)}
        lines.append(json.dumps(line))
        trainer.network.save_pretrained(out / MODEL)
        write_text(out / LOG, "".join(f"{line}\n" for line in lines))
        write_state(out / STATE, trainer.state_dict())
        yield line


def read_config(out: str | Path) -> RecognitionConfig:
    """The configuration of the training in a folder.

    Raises:
        CheckpointError: there is none, or it cannot be read.
    """
    record = _read_state(Path(out))["config"]
    network = BackboneConfig(**{**record["network"], "widths": tuple(record["network"]["widths"])})
    return RecognitionConfig(**{**record, "network": network})


def _read_state(out: Path) -> dict:
    state, _ = read_file(out / STATE)
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise CheckpointError(f"{out / STATE}: not the state of an identity network. Name the folder of its training.")
    return state


def main() -> None:
    """The command line."""
    default = RecognitionConfig()
    parser = argparse.ArgumentParser(prog="python -m pspkit.recognition", description=main.__doc__)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where everything is kept")
    parser.add_argument("--resume", action="store_true", help="go on with the training in the folder")
    for name in ("epochs", "heads", "batch", "lr", "margin", "scale", "seed"):
        kind = type(getattr(default, name))
        parser.add_argument(f"--{name}", type=kind, metavar="N", help=f"default: {getattr(default, name)}")
    arguments = vars(parser.parse_args())
    out, resume = arguments.pop("out"), arguments.pop("resume")
    given = {name: value for name, value in arguments.items() if value is not None}
    config = replace(read_config(out) if resume else default, **given)
    heads = HeadsDataset("train", config.heads, config.size, views=config.views)
    for line in train_identity(config, heads, out, resume):
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    try:
        main()
    except PspkitError as error:
        sys.exit(f"pspkit: {error}")
