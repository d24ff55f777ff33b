"""A training as the command line describes it, kept so that it goes on as it began."""

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Self

import torch

from pspkit.checkpoints import BODY, load_backbone_weights, read_checkpoint
from pspkit.checkpoints.files import write_text
from pspkit.config import CONFIGS, TRAININGS, BackboneConfig, EncoderConfig, TrainingConfig
from pspkit.domains import get_domain
from pspkit.encoders import Encoder
from pspkit.errors import CheckpointError, check_choice
from pspkit.losses import PSPLoss
from pspkit.psp import PSP
from pspkit.tasks import Task, get_task
from pspkit.training.trainer import Trainer

RECORD = "run.json"


@dataclass(frozen=True)
class Run:
    """What a training is made of.

    Attributes:
        domain: a key of `DOMAINS`.
        task: a key of `TASKS`.
        profile: a key of `CONFIGS`: the sizes of encoder and decoder.
        training: how it is trained.
        kind: of the encoder: "gradual", or a baseline, "w" or "w_plus".
        losses: weights that replace the task's, by their names in `LossWeights`.
        decoder: file of a decoder; the domain's own where it is left out.
        identity: file of a face-recognition network, for the identity loss and for the encoder's first weights; the
            domain's own where it is left out.
        encoder: file of a trained encoder or pSp to start from. Made for pictures, it sees the sources of another task
            in the colours in which they are shown.
        moco: file of MoCo v2's ResNet-50, where moco has a weight.
        source: folder of one's own pictures, sketches or label maps.
        target: folder of the pictures that belong to them.
    """

    domain: str = "heads"
    task: str = "encode"
    profile: str = "cpu"
    training: TrainingConfig = TRAININGS["cpu"]
    kind: str = "gradual"
    losses: dict[str, float] = field(default_factory=dict)
    decoder: str | None = None
    identity: str | None = None
    encoder: str | None = None
    moco: str | None = None
    source: str | None = None
    target: str | None = None

    def trainer(self, out: str | Path | None = None) -> Trainer:
        """Builds everything and stands at step 0; `out` as in `Trainer`.

        Raises:
            PspkitError: no such domain, task, profile, encoder or loss; files that cannot be used or do not fit one
                another; too few pictures.
        """
        domain = get_domain(self.domain)
        get_task(self.task)
        check_choice("profile", self.profile, tuple(CONFIGS))
        weights = domain.losses(self.task, self.source)
        for name in self.losses:
            check_choice("loss", name, tuple(vars(weights)))
        weights = replace(weights, **self.losses)
        decoder, average = domain.decoder(self.profile, self.task, self.decoder)
        identity = domain.identity(self.profile, self.identity) if weights.identity else None
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(self.training.seed)
            psp = PSP(self._encoder(decoder.n_styles, decoder.config.style_dim), decoder, average)
        loss = PSPLoss(weights, identity, domain.face_box, self.moco, self.training.lpips_trunk)
        size = psp.encoder.config.input_size
        training, validation = domain.pairs(self.task, size, self.training, self.source, self.target)
        return Trainer(psp, loss, training, validation, self.training, out)

    def first_weights(self, config: EncoderConfig) -> str | Path | None:
        """The face-recognition network whose body an encoder of these sizes can start from, if there is one."""
        file = self.identity or get_domain(self.domain).identity_file
        if not file or not Path(file).exists():
            return None
        body = read_checkpoint(file).part(BackboneConfig).config
        fits = all(getattr(body, name) == getattr(config, name) for name in BODY)
        return file if fits else None

    def _encoder(self, n_styles: int, style_dim: int) -> Encoder:
        task = get_task(self.task)
        if self.encoder:
            return _taught_to_see(Encoder.from_pretrained(self.encoder), task)
        config = replace(CONFIGS[self.profile].encoder, kind=self.kind, n_styles=n_styles, style_dim=style_dim)
        if file := self.first_weights(config):
            encoder = Encoder.from_config(config)
            load_backbone_weights(encoder, file)
            return _taught_to_see(encoder, task)
        return Encoder.from_config(replace(config, input_nc=task.input_nc))

    def record(self, folder: str | Path) -> None:
        """Notes in a folder what is trained there.

        Raises:
            CheckpointError: it could not be written.
        """
        write_text(Path(folder) / RECORD, json.dumps(asdict(self), indent=2) + "\n")

    @classmethod
    def recorded(cls, folder: str | Path) -> Self | None:
        """What is trained in a folder; None where nothing is.

        Raises:
            CheckpointError: the record cannot be read.
        """
        path = Path(folder) / RECORD
        if not path.exists():
            return None
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            return cls(**record | {"training": TrainingConfig(**record["training"])})
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise CheckpointError(f"{path}: cannot be read ({error}). Train into another folder.") from error


def _taught_to_see(encoder: Encoder, task: Task) -> Encoder:
    """An encoder of pictures for the sources of a task: its first layer finds in them what it finds in their colours.

        conv'(x) = conv(show(x)), but for a constant, which the norm behind it takes away

    So an encoder that can read a turned head in a picture reads it in a label map from the first step on. The encoder
    itself where it takes the task's channels already; one with a new first layer where it was made for neither.
    """
    taken = encoder.config.input_nc
    if taken == task.input_nc:
        return encoder
    other = Encoder.from_config(replace(encoder.config, input_nc=task.input_nc))
    state = encoder.state_dict()
    kernel = state.pop("input_layer.0.weight")
    if taken == 3:
        colours = task.show_source(torch.eye(task.input_nc)[..., None, None])[..., 0, 0]
        state["input_layer.0.weight"] = torch.einsum("ochw,nc->onhw", kernel, colours)
    other.load_state_dict(state, strict=False)
    return other
