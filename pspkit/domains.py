"""The worlds a model can live in: their decoder, identity network, face box, losses and data, in one object each."""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pspkit.config import (
    CONFIGS,
    FACE_ENCODERS,
    FACE_TRAININGS,
    TRAININGS,
    BackboneConfig,
    EncoderConfig,
    TrainingConfig,
)
from pspkit.data.faces.dataset import DrawnFaces
from pspkit.data.folders import FolderPairs
from pspkit.data.heads import HeadsDataset
from pspkit.data.heads.dataset import EXTRAS
from pspkit.data.tasks import TASKS, FacePairs, HeadPairs, PairDataset, get_task
from pspkit.errors import PspkitError, check_choice, check_registered
from pspkit.losses.identity import FACE_BOX, Box
from pspkit.losses.terms import LossWeights
from pspkit.models.backbone import Backbone
from pspkit.models.encoders import narrow_input
from pspkit.models.mobile_facenet import load_mobile_facenet
from pspkit.models.mobile_stylegan import MobileStyleGAN, load_mobile_stylegan
from pspkit.models.registry import AnyDecoder
from pspkit.models.stylegan2 import Generator
from pspkit.psp import PSP, estimate_latent_avg, load_decoder, load_encoder
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
        recipe: which of a task's recipes counts for its own pairs: "heads", "faces" or "folders".
        profiles: those of `CONFIGS` that it has a decoder for.
        encoders: the sizes of its encoders by profile, where they are not those of `CONFIGS`.
        trainings: how its encoders are trained by profile, where not as `TRAININGS` says.
        trained: the tasks for which a trained encoder comes with it.
        shared: the names of trained encoders that serve several tasks, by task. A task that gives them fewer channels
            has none of what the last ones say: nothing is masked.
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
    recipe: str = "folders"
    profiles: tuple[str, ...] = tuple(CONFIGS)
    encoders: Mapping[str, EncoderConfig] = field(default_factory=dict)
    trainings: Mapping[str, TrainingConfig] = field(default_factory=dict)
    trained: tuple[str, ...] = ()
    shared: Mapping[str, str] = field(default_factory=dict)
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

    def encoder_config(self, profile: str) -> EncoderConfig:
        """The sizes of the domain's encoders under a profile.

        Raises:
            PspkitError: there is no such profile.
        """
        check_choice("profile", profile, tuple(CONFIGS))
        return self.encoders.get(profile, CONFIGS[profile].encoder)

    def training_config(self, profile: str) -> TrainingConfig:
        """How the domain's encoders are trained under a profile; raises as `encoder_config`."""
        check_choice("profile", profile, tuple(CONFIGS))
        return self.trainings.get(profile, TRAININGS[profile])

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
        path = WEIGHTS / f"{self.name}-{self.shared.get(task, task)}"
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
            path = _shipped("model", f"{self.name}-{self.shared.get(task, task)}")  # raises
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
        encoder = load_encoder(path)
        if encoder.input_nc > found.input_nc:
            encoder = narrow_input(encoder, found.input_nc)
        return PSP(encoder, decoder, average).eval()

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
        weights = (found.folders if source else getattr(found, self.recipe)).losses
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
        from_photograph: bool = False,
        *,
        validation_target: str | Path | None = None,
        group_by: str | None = None,
        fit: str | None = None,
    ) -> Pairs:
        """Training and validation pairs.

        Args:
            task: a key of `TASKS`.
            size: the sources' side, pixels.
            config: how many, from which seed, and the side of the targets: that of the preview, where it has one.
            source: a folder of one's own, as `FolderPairs` takes it; a part of it is held out.
            target: the folder of its partners, where the task needs one.
            on_bad_image: what becomes of pictures that cannot be used, as `FolderPairs` takes it.
            from_photograph: whether sources are made from the pictures of the folder, as `FolderPairs` takes it.
            validation_target: the folder of the partners of what is held out, where `config.validation` is a folder.
            group_by: which pictures of a folder are held out together: "folder", or a pattern of their paths.
            fit: as `FolderPairs` takes it.

        Raises:
            PspkitError: no data, or too few; as `FolderPairs`.
        """
        if source:
            folders = partial(
                FolderPairs,
                task=task,
                size=size,
                seed=config.seed,
                target_size=config.preview,
                from_photograph=from_photograph,
                on_bad_image=on_bad_image,
                fit=fit,
            )
            if config.validation == "none":
                return folders(source, target), folders(source, target, training=False)
            if isinstance(config.validation, str):
                return folders(source, target), folders(config.validation, validation_target, training=False)
            return _divided(folders(source, target), folders(source, target, training=False), config, group_by)
        if from_photograph:
            raise PspkitError("from_photograph: makes sources of the pictures in a folder. Give source as well.")
        if isinstance(config.validation, str):
            raise PspkitError(
                f"validation: got {config.validation!r}, but the pictures are the domain's own. Give a number, or a"
                " folder as the source too."
            )
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


def _divided(training: FolderPairs, validation: FolderPairs, config: TrainingConfig, group_by: str | None) -> Pairs:
    """The same pairs twice, divided: a tenth of them, but no more than `config.validation`, is held out."""
    held_out = min(config.validation, len(training) // 10)
    if not held_out:
        raise PspkitError(
            f"{training.source}: {len(training)} pictures; a tenth is held out, so it takes at least 10. Add some, or"
            " give a folder of their own for those that are held out, or validation='none' to learn them by heart."
        )
    groups: dict[Any, list[int]] = {}
    for index, pair in enumerate(training.pairs):
        groups.setdefault(_group(pair.name, group_by) if group_by else index, []).append(index)
    if len(groups) < 2:
        raise PspkitError(
            f"group_by: {group_by!r} finds one group alone, so that nothing can be held out. Give another."
        )
    shuffled = torch.randperm(len(groups), generator=torch.Generator().manual_seed(config.seed)).tolist()
    members, chosen = list(groups.values()), set()
    for place in shuffled[:-1]:
        if len(chosen) >= held_out:
            break
        chosen.update(members[place])
    training.pairs = [pair for i, pair in enumerate(training.pairs) if i not in chosen]
    validation.pairs = [pair for i, pair in enumerate(validation.pairs) if i in chosen]
    return training, validation


def _group(name: str, group_by: str) -> str:
    """Whose a picture is, by its path below its folder."""
    if group_by == "folder":
        return name.rpartition("/")[0]
    try:
        found = re.search(group_by, name)
    except re.error as error:
        raise PspkitError(
            f"group_by: {group_by!r} is no pattern ({error}). Give 'folder', or such as '(.+)_'."
        ) from error
    if not found:
        raise PspkitError(f"group_by: {group_by!r} is not in the name {name}. Give a pattern that is in every name.")
    return found[1] if found.groups() else found[0]


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


def _face_pairs(task: str, size: int, config: TrainingConfig) -> Pairs:
    decoder = load_mobile_stylegan()
    average = estimate_latent_avg(decoder)
    extras = ("labels",) if get_task(task).source == "labels" else ()
    training, validation = (
        FacePairs(
            DrawnFaces(split, count, decoder, average, extras=extras),
            task,
            size,
            training=split == "train",
            seed=config.seed,
            target_size=config.preview,
        )
        for split, count in (("train", config.heads), ("validation", config.validation))
    )
    return training, validation


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
            recipe="heads",
            profiles=("smoke", SHIPPED_PROFILE),
            trained=tuple(TASKS),
        ),
        Domain(
            "faces",
            "photographs of faces",
            _face_decoder,
            lambda profile: load_mobile_facenet(),
            own_pairs=_face_pairs,
            recipe="faces",
            encoders=FACE_ENCODERS,
            trainings=FACE_TRAININGS,
            trained=tuple(task for task in TASKS if task != "toonify"),
            shared=dict.fromkeys(("super_resolution", "colorize", "inpaint"), "restore"),
            refine=20,
        ),
        Domain("objects", "anything else", has_faces=False),
    )
}
OURS = frozenset(DOMAINS)
