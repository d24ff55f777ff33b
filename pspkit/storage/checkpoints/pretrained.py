"""Models on disk: `save_pretrained`, `from_pretrained`, and what a file says about the model in it."""

import json
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn

from pspkit.config import BackboneConfig, EncoderConfig, GeneratorConfig, MobileStyleGANConfig, PSPConfig
from pspkit.errors import CheckpointError, PspkitError, UnregisteredError, shown
from pspkit.storage.checkpoints import layouts
from pspkit.storage.checkpoints.codes import CODES_FORMAT
from pspkit.storage.checkpoints.files import check_finite, read_file, write_tensors, write_text
from pspkit.storage.checkpoints.foreign import read_foreign
from pspkit.storage.reading import parse_json

WEIGHTS_FORMAT = "pspkit"
WEIGHTS_FILE, CONFIG_FILE = "model.safetensors", "config.json"

BODY = ("num_layers", "mode", "widths")  # what two bodies must have in common if one takes the weights of the other

Config = Any  # a frozen dataclass: one of `CONFIG_TYPES`, whose name ends in "Config"
CONFIG_TYPES: dict[str, type] = {
    config.__name__: config
    for config in (PSPConfig, EncoderConfig, GeneratorConfig, MobileStyleGANConfig, BackboneConfig)
}
OUR_CONFIGS = PSPConfig.__module__


@dataclass(frozen=True)
class Checkpoint:
    """The content of a weights file, whoever wrote it. The tensors stay on disk until they are used."""

    path: Path
    kind: str  # "pspkit", a key of `inspect.KINDS`, or the name of a model that does not run
    config: Config
    tensors: dict[str, Tensor]  # as in the state dict of the class of the configuration
    latent_avg: Tensor | None = None  # as stored: (n_styles, style_dim), (1, style_dim) or (style_dim,)
    opts: dict[str, Any] = field(default_factory=dict)  # training options of the reference
    notes: tuple[str, ...] = ()  # what the user should know about it
    refusal: str = ""  # why the whole does not load, although parts of it do

    @property
    def class_name(self) -> str:
        """The name of the class that loads it, whatever the kind of encoder."""
        return _class_name(type(self.config))

    def part(self, config_type: type) -> "Checkpoint":
        """Returns the checkpoint itself, or of a PSP the encoder or decoder, if its configuration is of this type.

        Raises:
            CheckpointError: the file holds something else, or a model of which only parts can be used.
        """
        if isinstance(self.config, config_type) and not (self.refusal and config_type is PSPConfig):
            return self
        if isinstance(self.config, PSPConfig):
            for name in ("encoder", "decoder"):
                config = getattr(self.config, name)
                if isinstance(config, config_type):
                    return replace(self, config=config, tensors=layouts.part_of(self.tensors, name))
        if self.refusal:
            raise CheckpointError(f"{self.path}: {self.refusal}")
        raise CheckpointError(
            f"{self.path}: holds the weights of {self.class_name}, not of {_class_name(config_type)}."
            f" Load it with {self.class_name}.from_pretrained."
        )


def read_checkpoint(path: str | Path) -> Checkpoint:
    """Reads a weights file, and finds out what is in it.

    Args:
        path: a folder of `save_pretrained` or its safetensors file; or a file from elsewhere: a checkpoint of pSp, e4e
            or ReStyle, an encoder or a StyleGAN2 alone, or face-recognition weights.

    Raises:
        CheckpointError: the file is damaged, foreign or unsafe, or its architecture is unknown.
    """
    path = Path(path)
    if path.is_dir():
        path = path / WEIGHTS_FILE
    content, metadata = read_file(path)
    if metadata.get("format") == WEIGHTS_FORMAT:
        return _read_own(path, content, metadata)
    if metadata.get("format") == CODES_FORMAT:
        raise CheckpointError(f"{path}: holds codes, not weights. Load it with load_codes.")
    try:
        found = read_foreign(content)
    except KeyError as error:
        raise CheckpointError(
            f"{path}: lacks the tensor {error}, which its other tensors call for: it was saved in part, or is of"
            " another architecture. Save the whole state dict, or give another file."
        ) from error
    except CheckpointError:
        raise
    except (
        PspkitError,
        ValueError,
        IndexError,
        ArithmeticError,
        TypeError,
    ) as error:  # Strange shapes can fail in any way.
        raise CheckpointError(f"{path}: of an architecture that is not known here: {error}.") from error
    if found:
        return Checkpoint(path, *found)
    holds = f"a {type(content).__name__}"
    if isinstance(content, dict):
        holds = f"{len(content)} entries ({_some([str(key) for key in content])})"
    raise CheckpointError(
        f"{path}: holds {holds}, which is neither pspkit's own, nor a pSp checkpoint (encoder and decoder), nor an"
        " encoder (input_layer, body), nor StyleGAN2 (convs, to_rgbs; mapping, synthesis), nor face-recognition weights"
        " (input_layer, body, output_layer). Check that it is the file you meant."
    )


def _read_own(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> Checkpoint:
    try:
        config = _from_record(parse_json(metadata["model"])["config"], path)
    except UnregisteredError:
        raise
    except PspkitError as error:
        raise CheckpointError(f"{path}: its configuration names no model. {error} Get the file again.") from error
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise CheckpointError(
            f"{path}: its configuration cannot be read ({error!r}); another version of pspkit wrote it."
            " Load and save it with that version."
        ) from error
    return Checkpoint(path, "pspkit", config, tensors, tensors.get("latent_avg"))


@dataclass(frozen=True)
class Differences:
    """How the tensors of a file differ from those of the model for which they are meant."""

    missing: tuple[str, ...]
    left_out: tuple[str, ...]  # missing, too, but the model can make them: noise maps, blur kernels, the average
    unexpected: tuple[str, ...]
    misshapen: tuple[str, ...]  # each with its shape and the one that is needed

    @property
    def fatal(self) -> bool:
        return bool(self.missing or self.unexpected or self.misshapen)

    def __str__(self) -> str:
        kinds = {"missing": self.missing, "unexpected": self.unexpected, "misshapen": self.misshapen}
        return ", ".join(f"{len(keys)} {kind} ({_some(keys)})" for kind, keys in kinds.items() if keys)


def compare(model: nn.Module, tensors: dict[str, Tensor]) -> Differences:
    """Compares a state dict with that of a model, which may be on the meta device."""
    needed = model.state_dict()
    absent = [key for key in needed if key not in tensors]
    optional = [key for key in absent if key == "latent_avg" or "noises." in key or key.endswith(".kernel")]
    return Differences(
        missing=tuple(key for key in absent if key not in optional),
        left_out=tuple(optional),
        unexpected=tuple(key for key in tensors if key not in needed),
        misshapen=tuple(
            f"{key}: {tuple(tensors[key].shape)}, needs {tuple(value.shape)}"
            for key, value in needed.items()
            if key in tensors and tensors[key].shape != value.shape
        ),
    )


class Pretrained:
    """Gives `save_pretrained` and `from_pretrained` to a module that can be built from its configuration."""

    config_type: type  # of the configuration

    @property
    def saved_config(self) -> Config:
        """The configuration that is stored with the weights."""
        return self.config

    @classmethod
    def from_config(cls, config: Config) -> Self:
        """Builds the module that a configuration describes, with fresh weights."""
        return cls(**vars(config))

    def complete(self, left_out: tuple[str, ...]) -> None:
        """Called after loading, with the names of optional tensors that were not in the file and have fresh values."""

    def save_pretrained(self, folder: str | Path) -> None:
        """Saves weights and configuration, each file atomically.

        `model.safetensors` is complete by itself; `config.json` is a copy of its header for people to read.

        Args:
            folder: the folder; made if it is not there.

        Raises:
            PspkitError: the class of a part is not registered, or it was built from something that a file cannot hold.
            CheckpointError: a file could not be written; an older one is kept.
        """
        folder = Path(folder)
        record = {"format": WEIGHTS_FORMAT, "class": type(self).__name__, "config": _to_record(self.saved_config)}
        metadata = {"format": WEIGHTS_FORMAT, "model": json.dumps(record)}
        write_tensors(folder / WEIGHTS_FILE, self.state_dict(), metadata)
        write_text(folder / CONFIG_FILE, json.dumps(record, indent=2) + "\n")

    @classmethod
    def from_pretrained(cls, path: str | Path, device: str | torch.device = "cpu") -> Self:
        """Loads a model in evaluation mode and float32, with its own copy of the weights.

        Args:
            path: as `read_checkpoint` takes it. An encoder or a decoder can also be loaded from the file of a PSP. If a
                file of the reference lacks noise maps, blur kernels or the average latent, they are made anew, the
                same every time.
            device: where the model is put.

        Raises:
            CheckpointError: the file is damaged, foreign, unsafe or of another class, or its tensors do not fit or are
                not finite.
            UnregisteredError: the file holds an encoder or decoder whose class is not registered.
        """
        checkpoint = read_checkpoint(path).part(cls.config_type)
        with torch.random.fork_rng(devices=[]):  # A registered part may draw its first weights.
            model = cls.outline(checkpoint)
        differences = compare(model, checkpoint.tensors)
        if differences.fatal:
            raise CheckpointError(
                f"{checkpoint.path}: it does not fit the {type(model).__name__} that its sizes describe: {differences}."
                " Its tensors were saved only in part, or belong to another architecture. Get the whole file."
            )
        if differences.left_out:
            with torch.random.fork_rng(devices=[]), torch.device("cpu"):
                torch.default_generator.manual_seed(0)  # torch.manual_seed would change the seed of the GPU, too.
                model = cls.from_config(checkpoint.config)
        dtypes = {key: value.dtype for key, value in model.state_dict().items()}
        check_finite(checkpoint.path, checkpoint.tensors.items())
        copies = {key: value.to(dtypes[key], copy=True) for key, value in checkpoint.tensors.items()}
        model.load_state_dict(copies, strict=False, assign=True)
        model.complete(differences.left_out)
        return model.to(device).eval()

    @classmethod
    def outline(cls, checkpoint: Checkpoint) -> Self:
        """Builds the model that a checkpoint describes on the meta device: shapes without memory.

        Raises:
            CheckpointError: no such model can be built, or it is of another class.
        """
        try:
            with torch.device("meta"):
                model = cls.from_config(checkpoint.config)
        except PspkitError as error:
            raise CheckpointError(f"{checkpoint.path}: its parts do not fit each other. {error}") from error
        except Exception as error:  # A registered class may fail in any way, and a part may be of the wrong kind.
            raise CheckpointError(
                f"{checkpoint.path}: no {checkpoint.class_name} can be built from its configuration"
                f" ({type(error).__name__}: {error}). Get the file again."
            ) from error
        if not isinstance(model, cls):
            name = type(model).__name__
            raise CheckpointError(
                f"{checkpoint.path}: its encoder is a {name}, not a {cls.__name__}."
                f" Load it with {name}.from_pretrained, or any kind with {checkpoint.class_name}.from_pretrained."
            )
        return model


def load_backbone_weights(encoder: nn.Module, path: str | Path) -> tuple[str, ...]:
    """Initialises an encoder from face-recognition weights.

    Args:
        encoder: an encoder of pspkit; changed in place.
        path: a saved `Backbone`, or the reference's face-recognition weights.

    Returns:
        The parts that were initialised: ("input_layer", "body"), or ("body",) if the input has other than three
        channels.

    Raises:
        CheckpointError: the file holds no face-recognition weights, or their depth, mode or widths differ. The encoder
            is then unchanged.

    Source: Richardson et al. 2021, section 4 (the encoder starts from ArcFace's backbone).
    """
    checkpoint = read_checkpoint(path).part(BackboneConfig)
    for name in BODY:
        have, need = getattr(checkpoint.config, name), getattr(encoder.config, name)
        if have != need:
            raise CheckpointError(
                f"{checkpoint.path}: its body has {name}={have!r}, and the encoder's has {need!r}."
                f" Build the encoder with {name}={have!r}."
            )
    names = ("input_layer", "body") if encoder.config.input_nc == 3 else ("body",)
    check_finite(checkpoint.path, checkpoint.tensors.items())
    for name in names:
        differences = compare(encoder.get_submodule(name), layouts.part_of(checkpoint.tensors, name))
        if differences.fatal:
            raise CheckpointError(f"{checkpoint.path}: its {name} does not fit: {differences}. Give another file.")
    for name in names:
        encoder.get_submodule(name).load_state_dict(layouts.part_of(checkpoint.tensors, name))
    return names


def _to_record(config: Config) -> dict[str, Any]:
    """Turns a configuration into JSON: its class's name, the module if it is not pspkit's, then its fields."""
    record = {"type": type(config).__name__}
    if type(config).__module__ != OUR_CONFIGS:
        record["module"] = type(config).__module__
    for name in (entry.name for entry in fields(config)):
        value = getattr(config, name)
        if not is_dataclass(value) and not _fits_json(value):
            raise PspkitError(
                f"{name}: {_class_name(type(config))} was built with a {type(value).__name__}, which a file of weights"
                " does not hold. Build it from numbers, strings and tuples of them, and make anything else inside."
            )
        record[name] = _to_record(value) if is_dataclass(value) else value
    return record


def _fits_json(value: Any) -> bool:
    if isinstance(value, tuple | list):
        return all(map(_fits_json, value))
    return value is None or isinstance(value, bool | int | float | str)


# Sizes that have other names in older files, such as those of the first encoders of heads.
RENAMED = {"head_width": "map2style_width"}


def _from_record(record: dict[str, Any], path: Path) -> Config:
    name, module = record["type"], record.get("module")
    if module and name not in CONFIG_TYPES:
        cls = name.removesuffix("Config")
        raise UnregisteredError(
            f"{path}: it holds a {cls}, a class that the module {module} registers. Import {module} before you load it."
        )
    values = {
        RENAMED.get(key, key): _from_record(value, path) if isinstance(value, dict) else _tuples(value)
        for key, value in record.items()
        if key not in ("type", "module")
    }
    return CONFIG_TYPES[name](**values)


def _tuples(value: Any) -> Any:
    """Turns lists back into the tuples that they were before JSON."""
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _class_name(config_type: type) -> str:
    return config_type.__name__.removesuffix("Config")


def _some(names: tuple[str, ...] | list[str]) -> str:
    """The first few of many names."""
    return shown(", ".join(names[:3]) + (", …" if len(names) > 3 else ""))
