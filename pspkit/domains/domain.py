"""What a domain is: the decoder, identity network, face box, losses and data of one kind of picture."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from torch import Tensor, nn

from pspkit.config import CONFIGS, TRAININGS, EncoderConfig, TrainingConfig
from pspkit.data.folders import FolderPairs
from pspkit.data.tasks import get_task
from pspkit.domains.division import Pairs, divide
from pspkit.errors import PspkitError, check_choice
from pspkit.losses.identity import FACE_BOX, Box
from pspkit.losses.terms import LossWeights
from pspkit.models.backbone import Backbone
from pspkit.models.encoders import narrow_input
from pspkit.models.registry import AnyDecoder
from pspkit.psp import PSP, load_decoder, load_encoder
from pspkit.storage.places import shipped_weights

WEIGHTS = shipped_weights()
MOCO_WEIGHT = 0.5  # in place of identity. Source: Tov et al. 2021 (e4e), appendix
PROFILE_VARIABLE = "PSPKIT_PROFILE"
KINDS = {"picture": "pictures", "sketch": "sketches", "labels": "label maps"}
SHIPPED_PROFILE = "cpu"  # the size of the heads' decoders and encoders that ship


@dataclass(frozen=True)
class Domain:
    """One kind of pictures, and all that belongs to it. `register_domain` adds a domain of your own.

    Only `name` and `title` must be given.

    Attributes:
        name: its key in `DOMAINS`.
        title: what headings and lists call it.
        own_decoder: from a profile's name and a look ("plain" or "toon") to the decoder that comes with the domain;
            None if no decoder comes with it, and the user gives one.
        own_identity: from a profile's name to the identity network that comes with it, as `IdentityLoss` takes it.
        face_box: the part of a picture that the identity network sees.
        has_faces: whether its pictures show people; if not, MoCo's features take the place of identity.
        identity_file: the folder of the identity network, for encoders that can start from its body.
        own_pairs: from a task's name, the pairs' side and the training's configuration to training and validation
            pairs of different people; None if no pictures come with it, and the user gives them.
        recipe: which of a task's recipes holds for its own pairs: "heads", "faces" or "folders".
        profiles: the profiles of `CONFIGS` that it has a decoder for.
        encoders: by profile, the sizes of its encoders where they differ from those of `CONFIGS`.
        trainings: by profile, how its encoders are trained where that differs from `TRAININGS`.
        trained: the tasks for which a trained encoder comes with it.
        shared: by task, the name of a trained encoder that serves several tasks. If a task has fewer channels than that
            encoder, the last ones are taken as 0: nothing is masked.
        refine: steps of refinement that `pspkit translate` takes after the encoder of pictures, unless told otherwise.
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
        """Chooses the profile to run under, and says why.

        Args:
            accelerator: whether the machine has a GPU.

        Returns:
            The profile that the environment variable PSPKIT_PROFILE names; without it "gpu" or "cpu" by the machine, or
            the next smaller one that the domain has a decoder for. Then the reason, as text.

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
        """The decoder for a task, and its average latent if one is stored.

        Args:
            profile: a key of `CONFIGS`.
            task: a key of `TASKS`; toonify, for example, has a decoder of its own.
            path: a decoder of your own, as `load_decoder` takes it.

        Raises:
            PspkitError: no decoder comes with the domain, or the file cannot be used.
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
        """The folder of the trained encoder that comes with the domain for a task; None if there is none."""
        path = WEIGHTS / f"{self.name}-{self.shared.get(task, task)}"
        return path if path.is_dir() else None

    def psp(self, task: str) -> PSP:
        """The trained model of a task that comes with the domain, in evaluation mode.

        Args:
            task: a key of `TASKS`.

        Raises:
            PspkitError: no such model comes with the domain; says how to train one.
        """
        found = get_task(task)
        path = self.encoder_path(task)
        if path is None and task in self.trained:
            path = shipped_part("model", f"{self.name}-{self.shared.get(task, task)}")  # raises
        if path is None:
            pictures = "" if self.own_pairs else " on a folder of pictures"
            if pictures and found.folders.target == "partner":
                pictures = f" on a folder of {KINDS[found.source]} and one of pictures"
            known = f" It has those for {', '.join(self.trained)}." if self.trained else ""
            raise PspkitError(
                f"model: none is given, and no trained encoder for {task} comes with {self.name}. Train one{pictures}"
                f" with pspkit.Run or `pspkit train`, and give the folder of that training.{known}"
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
        """The weights of a task's losses for the domain's own data, or for a folder of the user's."""
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
            config: the number of pairs, their seed, and the side of the targets: that of the preview if there is one.
            source: a folder of the user's, as `FolderPairs` takes it; a part of it is held out.
            target: the folder of its partners, if the task needs one.
            on_bad_image: what to do with pictures that cannot be used, as `FolderPairs` takes it.
            from_photograph: whether sources are made from the pictures of the folder, as `FolderPairs` takes it.
            validation_target: the folder of the partners of the held-out pictures, if `config.validation` is a folder.
            group_by: which pictures are held out together: those of one subfolder ("folder"), or those whose paths
                agree in what a regular expression matches.
            fit: as `FolderPairs` takes it.

        Raises:
            PspkitError: there are no pictures, or too few; otherwise as `FolderPairs`.
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
            return divide(folders(source, target), folders(source, target, training=False), config, group_by)
        if from_photograph:
            raise PspkitError(
                "from_photograph: it makes sources from the pictures of a folder, and no folder is given. Give source"
                " as well."
            )
        if isinstance(config.validation, str):
            raise PspkitError(
                f"validation: got {config.validation!r}, but the pictures to learn from are the domain's own. Give a"
                " number, or a folder as the source, too."
            )
        if not self.own_pairs:
            raise PspkitError(f"source: none is given, and no pictures come with {self.name}. Give a folder of yours.")
        return self.own_pairs(task, size, config)


def shipped_part(argument: str, name: str) -> Path:
    """The folder of weights that come with pspkit.

    Raises:
        PspkitError: they are not there; names the argument by which the user can give others.
    """
    path = WEIGHTS / name
    if not path.is_dir():
        raise PspkitError(
            f"{argument}: none is given, and the weights that come with pspkit are not at {path}. Clone its repository"
            " with data/weights, or give a file of yours."
        )
    return path
