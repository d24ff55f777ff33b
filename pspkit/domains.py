"""The worlds a model can live in: their decoder, identity network, face box, losses and data, in one object each."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from pspkit.backbone import Backbone
from pspkit.config import CONFIGS, BackboneConfig, TrainingConfig
from pspkit.encoders import Encoder
from pspkit.errors import PspkitError, check_choice
from pspkit.folders import FolderPairs
from pspkit.heads import HeadsDataset
from pspkit.heads.dataset import EXTRAS
from pspkit.losses import FACE_BOX, Box
from pspkit.mobile_facenet import load_mobile_facenet
from pspkit.mobile_stylegan import MobileStyleGAN, load_mobile_stylegan
from pspkit.psp import PSP, load_decoder
from pspkit.stylegan2 import Generator
from pspkit.tasks import HeadPairs, LossWeights, PairDataset, get_task

WEIGHTS = Path(__file__).resolve().parents[1] / "data" / "weights"  # what ships
HEAD_BOX = Box(1 / 8, 7 / 8, 1 / 8, 7 / 8)  # a rendered head from chin to fringe, with hair and glasses
HEAD_IDENTITY = WEIGHTS / "heads-identity"
IDENTITY_SIDE = 48  # pixels: the head box of a picture of 64
VIEWS = 4  # rendered heads in a row that are one person: one rendering serves every training
MOCO_WEIGHT = 0.5  # in place of identity. Source: Tov et al. 2021 (e4e), appendix

Decoder = Generator | MobileStyleGAN
Pairs = tuple[PairDataset, PairDataset]


@dataclass(frozen=True)
class Domain:
    """One world.

    Attributes:
        name: its key in `DOMAINS`.
        title: for headings and lists.
        face_box: where identity looks.
        has_faces: whether identity means anything; else MoCo's features take its place.
        own_decoder: from a profile's name and a look ("plain" or "toon") to the decoder that comes with the domain.
        own_identity: from a profile's name to the identity network that comes with it.
        identity_file: where that network lies, for encoders that can start from its body.
        own_pairs: from a task, the pairs' side and the training's configuration to training and validation pairs of
            different people; None where all data are the user's.
    """

    name: str
    title: str
    own_decoder: Callable[[str, str], Decoder]
    own_identity: Callable[[str], nn.Module]
    face_box: Box = FACE_BOX
    has_faces: bool = True
    identity_file: Path | None = None
    own_pairs: Callable[[str, int, TrainingConfig], Pairs] | None = None

    def decoder(self, profile: str, task: str, path: str | Path | None = None) -> tuple[Decoder, Tensor | None]:
        """The decoder for a task, and its average latent where one is stored.

        Args:
            profile: a key of `CONFIGS`.
            task: a key of `TASKS`; some draw in another world than their source's.
            path: a decoder of one's own, as `load_decoder` takes it.

        Raises:
            PspkitError: none comes with the domain, or the file cannot be used.
        """
        return load_decoder(path) if path else (self.own_decoder(profile, get_task(task).decoder), None)

    def encoder_path(self, task: str) -> Path | None:
        """Where the trained encoder of a task lies that comes with the domain; None where none does."""
        path = WEIGHTS / f"{self.name}-{task}"
        return path if path.is_dir() else None

    def psp(self, task: str) -> PSP:
        """The trained model of a task that comes with the domain, in evaluation mode.

        Args:
            task: a key of `TASKS`.

        Raises:
            PspkitError: none comes with the domain; says how to train one.
        """
        found = get_task(task)
        path = self.encoder_path(task)
        if path is None:
            folders = "" if self.own_pairs else " --source PICTURES"
            if folders and found.folders.target == "partner":
                folders = " --source MAPS --target PICTURES"
            raise PspkitError(
                f"{self.name}: no trained encoder for {task} comes with it. Train one (pspkit train --domain"
                f" {self.name} --task {task}{folders} --out DIR), and load it with PSP.from_pretrained(DIR/best), on"
                " the command line with --model DIR/best."
            )
        return PSP(Encoder.from_pretrained(path), self.own_decoder("cpu", found.decoder)).eval()

    def identity(self, profile: str, path: str | Path | None = None) -> nn.Module:
        """The face-recognition network; `path` is a saved `Backbone` or the reference's. Raises as `decoder`."""
        return Backbone.from_pretrained(path) if path else self.own_identity(profile)

    def losses(self, task: str, source: str | Path | None = None) -> LossWeights:
        """The weights of a task's losses for the domain's own data, or for a folder of one's own."""
        found = get_task(task)
        weights = (found.heads if self.own_pairs and not source else found.folders).losses
        if self.has_faces or not weights.identity:
            return weights
        return replace(weights, identity=0, moco=MOCO_WEIGHT)

    def pairs(
        self,
        task: str,
        size: int,
        config: TrainingConfig,
        source: str | Path | None = None,
        target: str | Path | None = None,
    ) -> Pairs:
        """Training and validation pairs.

        Args:
            task: a key of `TASKS`.
            size: the pairs' side, pixels.
            config: how many, and from which seed.
            source: a folder of one's own, as `FolderPairs` takes it; a part of it is held out.
            target: the folder of its partners, where the task needs one.

        Raises:
            PspkitError: no data, or too few; as `FolderPairs`.
        """
        if source:
            return _folder_pairs(task, size, config, source, target)
        if not self.own_pairs:
            raise PspkitError(f"--source: none, and {self.name} brings no pictures. Name a folder of yours.")
        return self.own_pairs(task, size, config)


def get_domain(name: str) -> Domain:
    """The domain of this name.

    Raises:
        PspkitError: there is none; names those there are.
    """
    check_choice("domain", name, tuple(DOMAINS))
    return DOMAINS[name]


def _folder_pairs(task: str, size: int, config: TrainingConfig, source: str | Path, target: str | Path | None) -> Pairs:
    training, validation = (
        FolderPairs(source, target, task=task, size=size, training=training, seed=config.seed)
        for training in (True, False)
    )
    held_out = min(config.validation, len(training) // 10)
    if not held_out:
        raise PspkitError(
            f"{source}: {len(training)} pictures; a tenth is held out, so it takes at least 10. Add some."
        )
    order = torch.randperm(len(training), generator=torch.Generator().manual_seed(config.seed)).tolist()
    chosen = set(order[:held_out])
    training.pairs = [pair for i, pair in enumerate(training.pairs) if i not in chosen]
    validation.pairs = [pair for i, pair in enumerate(validation.pairs) if i in chosen]
    return training, validation


def _head_pairs(task: str, size: int, config: TrainingConfig) -> Pairs:
    extras = {get_task(task).heads.target} & EXTRAS
    training, validation = (
        HeadsDataset(split, count, size, views=VIEWS, extras=tuple(extras))
        for split, count in (("train", config.heads), ("validation", config.validation))
    )
    return (
        HeadPairs(training, task, size, training=True, seed=config.seed),
        HeadPairs(validation, task, size, training=False),
    )


def _head_decoder(profile: str, look: str) -> Generator:
    size = CONFIGS[profile].decoder.size
    if profile == "smoke":  # any decoder will do to see the parts work together
        return _seeded(lambda: Generator.from_config(CONFIGS[profile].decoder))
    return Generator.from_pretrained(_shipped(f"heads-{look}-{size}", "--decoder", "adversarial"))


def _head_identity(profile: str) -> Backbone:
    encoder = CONFIGS[profile].encoder
    if profile == "smoke":
        config = BackboneConfig(encoder.num_layers, encoder.mode, IDENTITY_SIDE, encoder.widths, encoder.style_dim)
        return _seeded(lambda: Backbone.from_config(config))
    return Backbone.from_pretrained(_shipped(HEAD_IDENTITY.name, "--identity", "recognition"))


def _face_decoder(profile: str, look: str) -> MobileStyleGAN:
    if look != "plain":
        raise PspkitError(f"--decoder: none, and no {look} decoder of faces can be fetched. Give a StyleGAN2 file.")
    return load_mobile_stylegan()


def _no_decoder(profile: str, look: str) -> Decoder:
    raise PspkitError("--decoder: none, and only you know what your pictures show. Give a StyleGAN2 trained on them.")


def _no_identity(profile: str) -> nn.Module:
    raise PspkitError("--identity: none, and objects have no faces. Leave identity at 0, and give moco a weight.")


def _shipped(name: str, option: str, trainer: str) -> Path:
    path = WEIGHTS / name
    if not path.is_dir():
        raise PspkitError(
            f"{path}: these weights are not there. Train them (python -m pspkit.{trainer} --help), and name the result"
            f" with {option}."
        )
    return path


def _seeded(make: Callable[[], nn.Module]) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        return make().eval()


DOMAINS = {
    domain.name: domain
    for domain in (
        Domain("heads", "rendered heads", _head_decoder, _head_identity, HEAD_BOX, True, HEAD_IDENTITY, _head_pairs),
        Domain("faces", "photographs of faces", _face_decoder, lambda profile: load_mobile_facenet()),
        Domain("objects", "anything else", _no_decoder, _no_identity, has_faces=False),
    )
}
