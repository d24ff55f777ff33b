"""An encoder's training as one value: what the command line describes, and what goes on as it began."""

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Self

import torch

from pspkit.config import CONFIGS, TRAININGS, BackboneConfig, EncoderConfig, TrainingConfig
from pspkit.data.tasks import Task, get_task
from pspkit.domains import get_domain
from pspkit.errors import PspkitError, check_choice
from pspkit.losses.terms import PSPLoss
from pspkit.models.encoders import ENCODERS, Encoder
from pspkit.models.registry import AnyEncoder, build_encoder
from pspkit.psp import PSP, load_encoder
from pspkit.storage.checkpoints import BODY, load_backbone_weights, read_checkpoint
from pspkit.training.encoder import EncoderTraining
from pspkit.training.keeper import recorded
from pspkit.training.loop import Trainer
from pspkit.training.machine import Machine


@dataclass(frozen=True)
class Run:
    """What a training is made of.

    Attributes:
        domain: a key of `DOMAINS`.
        task: a key of `TASKS`.
        profile: a key of `CONFIGS`: the sizes of encoder and decoder.
        training: how it is trained; as the profile says unless given.
        kind: of the encoder: "gradual", a baseline, "w" or "w_plus", or the name of a registered one.
        losses: weights that replace the task's, by their names in `LossWeights`; also of registered terms.
        decoder: file of a decoder, or the name of a registered one; the domain's own where it is left out.
        identity: file of a face-recognition network, for the identity loss and for the encoder's first weights; the
            domain's own where it is left out.
        encoder: file of a trained encoder or pSp to start from. Made for pictures, it sees the sources of another task
            in the colours in which they are shown.
        moco: file of MoCo v2's ResNet-50, where moco has a weight.
        source: folder of one's own pictures, sketches or label maps.
        target: folder of the pictures that belong to them.
        on_bad_image: what becomes of a picture that cannot be used: "stop" or "skip".
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
    on_bad_image: str = "stop"

    def __post_init__(self) -> None:
        if self.training is None:
            check_choice("profile", self.profile, tuple(TRAININGS))
            object.__setattr__(self, "training", TRAININGS[self.profile])

    def trainer(self, out: str | Path | None = None, device: str | None = None) -> Trainer:
        """Builds everything and stands at step 0.

        Args:
            out: as `Trainer` takes it.
            device: as `choose_device` takes it.

        Raises:
            PspkitError: no such domain, task, profile, encoder, loss or device; files that cannot be used or do not fit
                one another; too few pictures.
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
            psp = PSP(self._encoder(decoder.n_styles, decoder.style_dim), decoder, average)
        loss = PSPLoss(weights, identity, domain.face_box, self.moco, self.training.lpips_trunk)
        size = psp.encoder.input_size
        with machine.first():
            pairs = domain.pairs(self.task, size, self.training, self.source, self.target, self.on_bad_image)
        return Trainer(EncoderTraining(psp, loss, *pairs, self.training, machine), out, asdict(self))

    def first_weights(self, config: EncoderConfig) -> str | Path | None:
        """The face-recognition network whose body an encoder of these sizes can start from, if there is one."""
        file = self.identity or get_domain(self.domain).identity_file
        if not file or not Path(file).exists():
            return None
        if not isinstance(config, EncoderConfig):  # of a registered encoder, whose body may be anything
            return None
        body = read_checkpoint(file).part(BackboneConfig).config
        fits = all(getattr(body, name) == getattr(config, name) for name in BODY)
        return file if fits else None

    def _encoder(self, n_styles: int, style_dim: int) -> AnyEncoder:
        task = get_task(self.task)
        if self.encoder:
            return _taught_to_see(load_encoder(self.encoder), task)
        config = replace(CONFIGS[self.profile].encoder, kind=self.kind, n_styles=n_styles, style_dim=style_dim)
        ours = ENCODERS.get(self.kind, Encoder).config_type is EncoderConfig
        if ours and (file := self.first_weights(config)):
            encoder = Encoder.from_config(config)
            load_backbone_weights(encoder, file)
            return _taught_to_see(encoder, task)
        return build_encoder(replace(config, input_nc=task.input_nc))

    @classmethod
    def recorded(cls, folder: str | Path) -> Self | None:
        """What is trained in a folder; None where nothing is. Raises as `keeper.recorded`."""
        return recorded(folder, EncoderTraining.kind, cls)


def _taught_to_see(encoder: AnyEncoder, task: Task) -> AnyEncoder:
    """An encoder of pictures for the sources of a task: its first layer finds in them what it finds in their colours.

        conv'(x) = conv(show(x)), but for a constant, which the norm behind it takes away

    So an encoder that can read a turned head in a picture reads it in a label map from the first step on. The encoder
    itself where it takes the task's channels already; one with a new first layer where it was made for neither.
    """
    taken = encoder.input_nc
    if taken == task.input_nc:
        return encoder
    if not isinstance(encoder, Encoder):
        raise PspkitError(
            f"encoder: a {type(encoder).__name__} for {taken} channels, and {task.title!r} gives {task.input_nc}. Give"
            " one that was trained for the task, or none."
        )
    other = Encoder.from_config(replace(encoder.config, input_nc=task.input_nc))
    state = encoder.state_dict()
    kernel = state.pop("input_layer.0.weight")
    if taken == 3:
        colours = task.show_source(torch.eye(task.input_nc)[..., None, None])[..., 0, 0]
        state["input_layer.0.weight"] = torch.einsum("ochw,nc->onhw", kernel, colours)
    other.load_state_dict(state, strict=False)
    return other
