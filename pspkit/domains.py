"""The worlds a model can live in: their decoder, identity network, face box, losses and data, in one object each."""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from pspkit.config import CONFIGS, BackboneConfig, TrainingConfig
from pspkit.data.folders import FolderPairs
from pspkit.data.heads import HeadsDataset
from pspkit.data.heads.dataset import EXTRAS
from pspkit.data.tasks import TASKS, HeadPairs, PairDataset, get_task
from pspkit.errors import PspkitError, check_choice, check_registered
from pspkit.losses.identity import FACE_BOX, Box
from pspkit.losses.terms import LossWeights
from pspkit.models.backbone import Backbone
from pspkit.models.mobile_facenet import load_mobile_facenet
from pspkit.models.mobile_stylegan import MobileStyleGAN, load_mobile_stylegan
from pspkit.models.registry import AnyDecoder
from pspkit.models.stylegan2 import Generator
from pspkit.psp import PSP, load_decoder, load_encoder
from pspkit.storage.places import shipped_weights

WEIGHTS = shipped_weights()
HEAD_BOX = Box(1 / 8, 7 / 8, 1 / 8, 7 / 8)  # a rendered head from chin to fringe, with hair and glasses
HEAD_IDENTITY = WEIGHTS / "heads-identity"
IDENTITY_SIDE = 48  # pixels: the head box of a picture of 64
VIEWS = 4  # rendered heads in a row that are one person: one rendering serves every training
MOCO_WEIGHT = 0.5  # in place of identity. Source: Tov et al. 2021 (e4e), appendix

PROFILE_VARIABLE = "PSPKIT_PROFILE"
KINDS = {"picture": "pictures", "sketch": "sketches", "labels": "label maps"}
SHIPPED_PROFILE = "cpu"  # the size of the heads' decoders and encoders that ship

Pairs = tuple[PairDataset, PairDataset]


@dataclass(frozen=True)
class Domain:
    """One world. Only `name` and `title` have no default; `register_domain` makes one of your own known.

    Attributes:
        name: its key in `DOMAINS`.
        title: for headings and lists.
        own_decoder: from a profile's name and a look ("plain" or "toon") to the decoder that comes with the domain;
            None where every decoder is the user's.
        own_identity: from a profile's name to the identity network that comes with it, as `IdentityLoss` takes it.
        face_box: where identity looks.
        has_faces: whether identity means anything; else MoCo's features take its place.
        identity_file: where that network lies, for encoders that can start from its body.
        own_pairs: from a task's name, the pairs' side and the training's configuration to training and validation
            pairs of different people; None where all data are the user's.
        exact_pairs: whether its own pairs are renderings, for which a task's recipe for heads counts, not that for
            folders.
        profiles: those of `CONFIGS` that it has a decoder for.
        trained: the tasks for which a trained encoder comes with it.
        refine: steps of refinement that follow the encoder of pictures where `pspkit translate` is told of none.
    """

    name: str
    title: str
    own_decoder: Callable[[str, str], AnyDecoder] | None = None
    own_identity: Callable[[str], nn.Module] | None = None
    face_box: Box = FACE_BOX
    has_faces: bool = True
    identity_file: Path | None = None
    own_pairs: Callable[[str, int, TrainingConfig], Pairs] | None = None
    exact_pairs: bool = False
    profiles: tuple[str, ...] = tuple(CONFIGS)
    trained: tuple[str, ...] = ()
    refine: int = 0

    def choose_profile(self, accelerator: bool) -> tuple[str, str]:
        """The profile to run under, and the reason, for a reader.

        Args:
            accelerator: whether a GPU is there.

        Returns:
            The profile that the environment variable PSPKIT_PROFILE names; else "gpu" or "cpu" by the device, or the
            nearest that the domain has weights for. And why it was chosen.

        Raises:
            PspkitError: PSPKIT_PROFILE names no profile.
        """
        if name := os.environ.get(PROFILE_VARIABLE):
            check_choice(PROFILE_VARIABLE, name, tuple(CONFIGS))
            return name, f"{PROFILE_VARIABLE} says so"
        wanted, reason = ("gpu", "a GPU is there") if accelerator else ("cpu", "no GPU is there")
        if wanted in self.profiles:
            return wanted, reason
        smaller = [name for name in list(CONFIGS)[: list(CONFIGS).index(wanted)] if name in self.profiles]
        return (smaller or self.profiles)[-1], f"{reason}, and {self.name} has no decoder for profile {wanted}"

    def decoder(self, profile: str, task: str, path: str | Path | None = None) -> tuple[AnyDecoder, Tensor | None]:
        """The decoder for a task, and its average latent where one is stored.

        Args:
            profile: a key of `CONFIGS`.
            task: a key of `TASKS`; some draw in another world than their source's.
            path: a decoder of one's own, as `load_decoder` takes it.

        Raises:
            PspkitError: none comes with the domain, or the file cannot be used.
        """
        if path:
            return load_decoder(path)
        if not self.own_decoder:
            raise PspkitError(
                f"decoder: none is given, and none comes with {self.name}. Give the file of a StyleGAN2 that was"
                " trained on such pictures, or the name of a registered decoder."
            )
        if profile not in self.profiles:
            raise PspkitError(
                f"profile: got {profile!r}, and {self.name} has decoders for {', '.join(self.profiles)} only. Choose"
                " one of these, or give the file of a decoder."
            )
        return self.own_decoder(profile, get_task(task).decoder), None

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
        if path is None and task in self.trained:
            path = _shipped("model", f"{self.name}-{task}")  # raises
        if path is None:
            pictures = "" if self.own_pairs else " on a folder of pictures"
            if pictures and found.folders.target == "partner":
                pictures = f" on a folder of {KINDS[found.source]} and one of pictures"
            known = f" It has those for {', '.join(self.trained)}." if self.trained else ""
            raise PspkitError(
                f"model: none is given, and no trained encoder for {task} comes with {self.name}. Train one{pictures}"
                f" with pspkit.Run or `pspkit train`, and give the folder that it trains into.{known}"
            )
        decoder, average = self.decoder(SHIPPED_PROFILE, task)
        return PSP(load_encoder(path), decoder, average).eval()

    def identity(self, profile: str, path: str | Path | None = None) -> nn.Module:
        """The face-recognition network; `path` is a saved `Backbone` or the reference's. Raises as `decoder`."""
        if path:
            return Backbone.from_pretrained(path)
        if not self.own_identity:
            raise PspkitError(
                f"identity: no network is given, and none comes with {self.name}. Give the file of one, or leave the"
                " weight of identity at 0."
            )
        return self.own_identity(profile)

    def losses(self, task: str, source: str | Path | None = None) -> LossWeights:
        """The weights of a task's losses for the domain's own data, or for a folder of one's own."""
        found = get_task(task)
        weights = (found.heads if self.exact_pairs and not source else found.folders).losses
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
        on_bad_image: str = "stop",
    ) -> Pairs:
        """Training and validation pairs.

        Args:
            task: a key of `TASKS`.
            size: the pairs' side, pixels.
            config: how many, and from which seed.
            source: a folder of one's own, as `FolderPairs` takes it; a part of it is held out.
            target: the folder of its partners, where the task needs one.
            on_bad_image: what becomes of pictures that cannot be used, as `FolderPairs` takes it.

        Raises:
            PspkitError: no data, or too few; as `FolderPairs`.
        """
        if source:
            return _folder_pairs(task, size, config, source, target, on_bad_image)
        if not self.own_pairs:
            raise PspkitError(f"source: none is given, and {self.name} brings no pictures. Name a folder of yours.")
        return self.own_pairs(task, size, config)


def register_domain(domain: Domain) -> Domain:
    """Makes a domain known under its name, for training and for translating.

    Raises:
        PspkitError: the name is one of ours, or a profile is not in `CONFIGS`.
    """
    if domain.name in OURS:
        raise PspkitError(f"{domain.name}: is a domain of pspkit already. Choose another name.")
    for profile in domain.profiles:
        check_choice("profiles", profile, tuple(CONFIGS))
    DOMAINS[domain.name] = domain
    return domain


def get_domain(name: str) -> Domain:
    """The domain of this name.

    Raises:
        UnregisteredError: there is none; names those there are.
    """
    check_registered("domain", name, DOMAINS)
    return DOMAINS[name]


def _folder_pairs(
    task: str, size: int, config: TrainingConfig, source: str | Path, target: str | Path | None, on_bad_image: str
) -> Pairs:
    training, validation = (
        FolderPairs(
            source, target, task=task, size=size, training=training, seed=config.seed, on_bad_image=on_bad_image
        )
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
    return Generator.from_pretrained(_shipped("decoder", f"heads-{look}-{size}"))


def _head_identity(profile: str) -> Backbone:
    encoder = CONFIGS[profile].encoder
    if profile == "smoke":
        config = BackboneConfig(encoder.num_layers, encoder.mode, IDENTITY_SIDE, encoder.widths, encoder.style_dim)
        return _seeded(lambda: Backbone.from_config(config))
    return Backbone.from_pretrained(_shipped("identity", HEAD_IDENTITY.name))


def _face_decoder(profile: str, look: str) -> MobileStyleGAN:
    if look != "plain":
        raise PspkitError(
            f"decoder: none is given, and no {look} decoder of faces can be fetched. Give the file of a StyleGAN2."
        )
    return load_mobile_stylegan()


def _shipped(argument: str, name: str) -> Path:
    path = WEIGHTS / name
    if not path.is_dir():
        raise PspkitError(
            f"{argument}: none is given, and the weights that come with pspkit are not at {path}. Clone its repository"
            " with data/weights, or give the file of your own."
        )
    return path


def _seeded(make: Callable[[], nn.Module]) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        return make().eval()


DOMAINS = {
    domain.name: domain
    for domain in (
        Domain(
            "heads",
            "rendered heads",
            _head_decoder,
            _head_identity,
            HEAD_BOX,
            identity_file=HEAD_IDENTITY,
            own_pairs=_head_pairs,
            exact_pairs=True,
            profiles=("smoke", SHIPPED_PROFILE),
            trained=tuple(TASKS),
        ),
        Domain(
            "faces",
            "photographs of faces",
            _face_decoder,
            lambda profile: load_mobile_facenet(),
            trained=("encode",),
            refine=20,
        ),
        Domain("objects", "anything else", has_faces=False),
    )
}
OURS = frozenset(DOMAINS)
