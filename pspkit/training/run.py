"""The training of an encoder as one value, which the command line describes and a folder records."""

import warnings
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Self

import torch
from torch import nn

from pspkit.config import CONFIGS, BackboneConfig, EncoderConfig, TrainingConfig
from pspkit.data.tasks import Task, get_task
from pspkit.domains import get_domain
from pspkit.errors import PspkitError, check_choice, check_number, in_short
from pspkit.losses.terms import PSPLoss
from pspkit.models.encoders import ENCODERS, Encoder, GradualStyleEncoder
from pspkit.models.mobile_facenet import ASSET as MOBILE_FACENET
from pspkit.models.mobile_facenet import load_mobile_facenet, load_mobile_facenet_body
from pspkit.models.registry import AnyEncoder, build_encoder
from pspkit.psp import PSP, load_encoder
from pspkit.storage.checkpoints import BODY, load_backbone_weights, read_checkpoint
from pspkit.training.encoder import EncoderTraining
from pspkit.training.keeper import recorded
from pspkit.training.loop import Trainer
from pspkit.training.machine import Machine
from pspkit.training.start import SAMPLE, code_scale, start_heads


@dataclass(frozen=True)
class Run:
    """All the settings of a training.

    Attributes:
        domain: a key of `DOMAINS`.
        task: a key of `TASKS`.
        profile: a key of `CONFIGS`: the sizes of encoder and decoder.
        training: how it is trained; as the domain and the profile say unless given.
        kind: kind of encoder: "gradual", one of the baselines "w" and "w_plus", or the name of a registered one.
        losses: weights that replace those of the task, by their names in `LossWeights` or of registered terms.
        decoder: file of a decoder, or the name of a registered one; the domain's own unless given.
        identity: file of a face-recognition network, for the identity loss and for the encoder's first weights; the
            domain's own unless given.
        encoder: file of a trained encoder or pSp to start from. If it was made for pictures, and the task has other
            sources, its first layer is changed so that it sees them in the colours in which they are shown.
        moco: file of MoCo v2's ResNet-50, which is needed if moco has a weight.
        source: folder of the user's pictures, sketches or label maps.
        target: folder of the pictures that belong to them.
        from_photograph: whether `source` holds aligned photographs of faces, from which the task's sketches or label
            maps are made.
        on_bad_image: what to do with a picture that cannot be used: "stop" or "skip".
        validation_target: folder of the pictures that belong to those of `training.validation`, if that is a folder.
        group_by: which pictures are held out together: those of one subfolder ("folder"), or those whose paths agree in
            what a regular expression matches.
        fit: how pictures become square: "pad", "crop" or "stretch"; they are stretched unless given.
        input_size: side of the encoder's input, pixels; the profile's unless given.
    """

    domain: str = "heads"
    task: str = "encode"
    profile: str = "cpu"
    training: TrainingConfig | None = None
    kind: str = "gradual"
    losses: dict[str, float] = field(default_factory=dict)
    decoder: str | None = None
    identity: str | None = None
    encoder: str | None = None
    moco: str | None = None
    source: str | None = None
    target: str | None = None
    from_photograph: bool = False
    on_bad_image: str = "stop"
    validation_target: str | None = None
    group_by: str | None = None
    fit: str | None = None
    input_size: int | None = None

    def __post_init__(self) -> None:
        if self.training is None:
            object.__setattr__(self, "training", get_domain(self.domain).training_config(self.profile))
        for entry in fields(self):
            value = getattr(self, entry.name)
            texts = entry.type is str or (entry.type == str | None and value is not None)
            if texts and not isinstance(value, str | Path):
                raise PspkitError(f"{entry.name}: got {in_short(value)}, needs a text.")
        if not isinstance(self.training, TrainingConfig) or not isinstance(self.losses, dict):
            raise PspkitError(
                "training, losses: the first must be a TrainingConfig, the second a dict of weights by name."
            )
        for name, weight in self.losses.items():
            check_number(f"weight of the loss {name}", weight, 0)
        if self.target and not self.source:
            raise PspkitError(
                "target: it is given without the folder of the sources to which it belongs. Give source, too."
            )

    def trainer(self, out: str | Path | None = None, device: str | None = None) -> Trainer:
        """Builds everything for the first step.

        Args:
            out: as `Trainer` takes it.
            device: as `choose_device` takes it.

        Raises:
            PspkitError: there is no such domain, task, profile, encoder, loss or device, files cannot be used or do not
                fit one another, or there are too few pictures.
        """
        domain = get_domain(self.domain)
        get_task(self.task)
        check_choice("profile", self.profile, tuple(CONFIGS))
        weights = domain.losses(self.task, self.source).changed(self.losses)
        machine = Machine(device, self.training.precision)
        identity = domain.identity(self.profile, self.identity) if weights.identity else None
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(self.training.seed)
            decoder, average = domain.decoder(self.profile, self.task, self.decoder)
            encoder = self._encoder(decoder.n_styles, decoder.style_dim)
            psp = PSP(encoder, decoder, average)
        loss = PSPLoss(weights, identity, domain.face_box, self.moco, self.training.lpips_trunk)
        size = psp.encoder.input_size
        with machine.first():
            names = ("from_photograph", "validation_target", "group_by", "fit")
            folders = {name: getattr(self, name) for name in names}
            pairs = domain.pairs(self.task, size, self.training, self.source, self.target, self.on_bad_image, **folders)
        if not self.encoder and isinstance(encoder, GradualStyleEncoder) and not encoder.has_norms:
            sources = torch.stack([pairs[0][index][0] for index in range(min(SAMPLE, len(pairs[0])))])
            start_heads(encoder, sources, code_scale(psp))
        return Trainer(EncoderTraining(psp, loss, *pairs, self.training, machine), out, asdict(self))

    def first_weights(self, config: EncoderConfig) -> str | Path | None:
        """The file or asset of the face-recognition network with whose body an encoder of these sizes can start."""
        if not isinstance(config, EncoderConfig):  # The body of a registered encoder may be anything.
            return None
        if config.backbone == "mobile_facenet":
            return MOBILE_FACENET
        file = self.identity or get_domain(self.domain).identity_file
        if not file or not Path(file).exists():
            return None
        body = read_checkpoint(file).part(BackboneConfig).config
        fits = all(getattr(body, name) == getattr(config, name) for name in BODY)
        return file if fits else None

    def _encoder(self, n_styles: int, style_dim: int) -> AnyEncoder:
        task = get_task(self.task)
        if self.encoder:
            encoder = load_encoder(self.encoder)
            if self.input_size not in (None, encoder.input_size):
                raise PspkitError(
                    f"input_size: got {self.input_size}, but the encoder in {self.encoder} was made for"
                    f" {encoder.input_size} px. Leave it out, or start without that encoder."
                )
            return _taught_to_see(_with_blocks(encoder, n_styles, self.encoder), task)
        sizes = get_domain(self.domain).encoder_config(self.profile)
        config = replace(sizes, kind=self.kind, n_styles=n_styles, style_dim=style_dim)
        config = replace(config, input_size=self.input_size or config.input_size)
        ours = ENCODERS.get(self.kind, Encoder).config_type is EncoderConfig
        if ours and (first := self.first_weights(config)):
            encoder = Encoder.from_config(config)
            if first == MOBILE_FACENET:
                load_mobile_facenet_body(encoder, load_mobile_facenet())
            else:
                load_backbone_weights(encoder, first)
            return _taught_to_see(encoder, task)
        return build_encoder(replace(config, input_nc=task.input_nc))

    @classmethod
    def recorded(cls, folder: str | Path) -> Self | None:
        """Reads the settings of the training in a folder; None if there is none. Raises as `keeper.recorded`."""
        return recorded(folder, EncoderTraining.kind, cls)


def _with_blocks(encoder: AnyEncoder, n_styles: int, file: str) -> AnyEncoder:
    """Changes the number of an encoder's codes: keeps the first map2style blocks, and makes those that are missing."""
    had = encoder.n_styles
    if had == n_styles or not isinstance(encoder, GradualStyleEncoder):
        return encoder
    other = type(encoder).from_config(replace(encoder.config, n_styles=n_styles))
    state = {key: value for key, value in encoder.state_dict().items() if key in other.state_dict()}
    other.load_state_dict(state, strict=False)
    rest = f"the other {n_styles - had} are made anew" if n_styles > had else "the decoder has no use for the rest"
    warnings.warn(
        f"encoder: {file} makes {had} codes, and the decoder takes {n_styles}: its first {min(had, n_styles)} map2style"
        f" blocks are taken, {rest}.",
        stacklevel=2,
    )
    return other


def _taught_to_see(encoder: AnyEncoder, task: Task) -> AnyEncoder:
    """Changes an encoder of pictures so that it sees the sources of a task in the colours in which they are shown.

        conv'(x) = conv(show(x))

    Without a bias, both differ by a constant, which a norm removes. An encoder that can read the pose of a head in a
    picture can therefore read it in a label map from the first step on.

    Returns:
        The encoder itself if it takes the task's channels already. If it was made neither for these nor for pictures, a
        copy with a new first layer.
    """
    taken = encoder.input_nc
    if taken == task.input_nc:
        return encoder
    if not isinstance(encoder, Encoder):
        raise PspkitError(
            f"encoder: a {type(encoder).__name__} takes {taken} channels, and {task.title!r} has {task.input_nc}. Give"
            " one that was trained for the task, or none."
        )
    other = Encoder.from_config(replace(encoder.config, input_nc=task.input_nc))
    state = encoder.state_dict()
    name = next(name for name, part in encoder.input_layer.named_modules() if isinstance(part, nn.Conv2d))
    kernel, bias = state.pop(f"input_layer.{name}.weight"), state.get(f"input_layer.{name}.bias")
    if taken == 3:
        ones, zeros = torch.eye(task.input_nc)[..., None, None], torch.zeros(1, task.input_nc, 1, 1)
        colours, ground = (task.show_source(x)[..., 0, 0] for x in (ones, zeros))  # (input_nc, 3) and (1, 3)
        if bias is not None:
            colours = colours - ground
            state[f"input_layer.{name}.bias"] = bias + torch.einsum("ochw,nc->o", kernel, ground)
        state[f"input_layer.{name}.weight"] = torch.einsum("ochw,nc->onhw", kernel, colours)
    other.load_state_dict(state, strict=False)
    return other
