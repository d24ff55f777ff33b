"""Encoders and decoders by name: what pSp asks of each, and how you register one of your own.

    @register_decoder("tiny")
    class TinyDecoder(nn.Module): ...

A registered class is trained, saved, loaded and used like ours.
"""

import inspect
from collections.abc import Callable
from dataclasses import make_dataclass
from functools import wraps
from itertools import chain
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from pspkit.config import EncoderConfig
from pspkit.errors import PspkitError, check_registered
from pspkit.models.closed_form import ClosedFormEncoder
from pspkit.models.encoders import ENCODERS, Encoder
from pspkit.models.mobile_stylegan import MobileStyleGAN
from pspkit.models.stylegan2 import Generator
from pspkit.storage.checkpoints import Pretrained
from pspkit.storage.checkpoints.pretrained import CONFIG_TYPES, Config


class AnyDecoder(Protocol):
    """What pSp asks of a decoder, which is an `nn.Module`. Nothing else of it is used.

    A decoder may also have a `Preview`, which makes refinement and training quicker.

    Attributes:
        n_styles: how many codes it takes for one picture.
        style_dim: length of z and of each code.
        size: side of its pictures, pixels.
    """

    n_styles: int
    style_dim: int
    size: int

    def mapping(self, z: Tensor) -> Tensor:
        """Maps standard normal z (N, style_dim) to codes w (N, style_dim)."""

    def synthesis(self, w_plus: Tensor, noise: str = "fixed") -> Tensor:
        """Draws pictures (N, 3, size, size), about [-1, 1], from W+ codes (N, n_styles, style_dim).

        pSp passes `noise` only if a caller asks for noise that is not fixed.
        """


class Preview(Protocol):
    """What a decoder may also have: small pictures in a fraction of the time that the whole ones take.

    Attributes:
        preview_sides: the sides, in pixels, of the small pictures that it draws.
    """

    preview_sides: tuple[int, ...]

    def preview(self, w_plus: Tensor, side: int) -> Tensor:
        """Draws small pictures (N, 3, side, side) from codes (N, n_styles, style_dim).

        They are close to the whole pictures averaged down. Gradients flow from the pictures to the codes.
        """


def has_preview(decoder: AnyDecoder, side: int) -> bool:
    """Whether a decoder has a `Preview` of this side, in pixels."""
    return side in getattr(decoder, "preview_sides", ())


class AnyEncoder(Protocol):
    """What pSp asks of an encoder, which is an `nn.Module`. Nothing else of it is used.

    A registered encoder is built with these four attributes as keyword arguments.

    Attributes:
        n_styles: how many codes it predicts for one picture.
        style_dim: length of each code.
        input_nc: channels of its input.
        input_size: side of its input, pixels.
    """

    n_styles: int
    style_dim: int
    input_nc: int
    input_size: int

    def forward(self, x: Tensor) -> Tensor:
        """Predicts codes from pictures (N, input_nc, input_size, input_size).

        Returns:
            (N, n_styles, style_dim), or (N, style_dim) if one code serves every style. They are offsets from the
            average latent, unless the PSP has `start_from_latent_avg=False`.
        """


ENCODER_SIZES = tuple(AnyEncoder.__annotations__)
ENCODERS[ClosedFormEncoder.kind] = ClosedFormEncoder
DECODERS: dict[str, type[nn.Module]] = {"stylegan2": Generator, "mobile_stylegan": MobileStyleGAN}
CLASSES: dict[type, type[nn.Module]] = {EncoderConfig: Encoder, **{cls.config_type: cls for cls in DECODERS.values()}}


def register_decoder(name: str) -> Callable[[type[nn.Module]], type[nn.Module]]:
    """A class decorator that registers a decoder under a name.

    The arguments of its constructor are stored with its weights; they must be numbers, strings or tuples of these. The
    class gains `save_pretrained` and `from_pretrained`.

    Args:
        name: the name for `Run(decoder=...)`, which builds it with the defaults of its constructor.

    Raises:
        PspkitError: the class lacks a method of `AnyDecoder`, its constructor cannot be stored, or the name is taken.
    """
    return lambda cls: _register(cls, name, DECODERS, AnyDecoder)


def register_encoder(name: str) -> Callable[[type[nn.Module]], type[nn.Module]]:
    """A class decorator that registers an encoder under a name; otherwise as `register_decoder`.

    Args:
        name: the name for `Run(kind=...)`, which builds it with `n_styles`, `style_dim`, `input_nc` and `input_size`.

    Raises:
        PspkitError: the constructor does not take these four arguments, it cannot be stored, or the name is taken.
    """

    def register(cls: type[nn.Module]) -> type[nn.Module]:
        lacking = [size for size in ENCODER_SIZES if size not in inspect.signature(cls).parameters]
        if lacking:
            raise PspkitError(
                f"{cls.__name__}: its constructor does not take {', '.join(lacking)}. Give it the arguments"
                f" {', '.join(ENCODER_SIZES)}."
            )
        return _register(cls, name, ENCODERS, AnyEncoder)

    return register


def build_part(config: Config) -> nn.Module:
    """Builds the encoder or decoder that a stored configuration describes, with fresh weights."""
    return CLASSES[type(config)].from_config(config)


def build_encoder(sizes: EncoderConfig) -> nn.Module:
    """Builds an encoder with fresh weights, one of pspkit's or a registered one.

    Args:
        sizes: its kind, a key of `ENCODERS`, and every size. A registered encoder takes only the four of `AnyEncoder`.

    Raises:
        UnregisteredError: no encoder of this kind is registered.
    """
    check_registered("kind", sizes.kind, ENCODERS)
    cls = ENCODERS[sizes.kind]
    if cls.config_type is EncoderConfig:
        return Encoder.from_config(sizes)
    return cls(**{name: getattr(sizes, name) for name in ENCODER_SIZES})


def check_part(argument: str, part: nn.Module, asked: type) -> None:
    """Refuses an encoder or decoder that lacks a method or an attribute.

    Raises:
        PspkitError: names the argument and what it lacks.
    """
    if lacking := _lacking(part, _members(asked)):
        raise PspkitError(
            f"{argument}: {type(part).__name__} has no {', '.join(lacking)}. {asked.__module__}.{asked.__name__} says"
            " what is needed."
        )


def example_tensor(module: nn.Module) -> Tensor:
    """Returns a tensor of a module, for its device and precision; an empty one on the CPU if the module has none."""
    return next(chain(module.parameters(), module.buffers()), torch.empty(0, device="cpu"))


def _register(cls: type[nn.Module], name: str, table: dict[str, type], asked: type) -> type[nn.Module]:
    if lacking := _lacking(cls, [member for member in _members(asked) if member not in asked.__annotations__]):
        raise PspkitError(
            f"{cls.__name__}: it has no method {', '.join(lacking)}. {asked.__module__}.{asked.__name__} says what is"
            " needed."
        )
    config_name = f"{cls.__name__}Config"
    for place, key in ((table, name), (CONFIG_TYPES, config_name)):
        taken = place.get(key)
        if taken and (taken.__module__, taken.__qualname__) not in _names(cls, config_name):
            raise PspkitError(
                f"{cls.__name__}: the name {key} is registered already, by {taken.__module__}. Choose another."
            )
    signature = inspect.Signature() if cls.__init__ is nn.Module.__init__ else inspect.signature(cls)
    kinds = {parameter.kind for parameter in signature.parameters.values()}
    if kinds & {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}:
        raise PspkitError(
            f"{cls.__name__}: its constructor takes arguments without names, which cannot be stored. Name each of them."
        )
    config_type = make_dataclass(config_name, list(signature.parameters), frozen=True)
    config_type.__module__ = cls.__module__

    class Registered(*((cls,) if issubclass(cls, Pretrained) else (Pretrained, cls))):
        @wraps(cls.__init__)
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            arguments = signature.bind(*args, **kwargs)
            arguments.apply_defaults()
            super().__init__(*args, **kwargs)
            self._built_with = config_type(**arguments.arguments)

        @property
        def saved_config(self) -> Config:
            return self._built_with

        @classmethod
        def from_config(cls, config: Config) -> nn.Module:
            with torch.device("cpu"):  # even for an outline without memory, because the constructor may compute
                return cls(**vars(config))

    Registered.config_type = config_type
    if issubclass(cls, Encoder):
        Registered.kind = name
    for attribute in ("__name__", "__qualname__", "__module__", "__doc__"):
        setattr(Registered, attribute, getattr(cls, attribute))
    table[name] = CLASSES[config_type] = Registered
    CONFIG_TYPES[config_name] = config_type
    return Registered


def _names(cls: type, config_name: str) -> tuple[tuple[str, str], ...]:
    """The full names of the class and its configuration; the same names mean that a cell was run twice."""
    return (cls.__module__, cls.__qualname__), (cls.__module__, config_name)


def _members(asked: type) -> list[str]:
    methods = [name for name, value in vars(asked).items() if inspect.isfunction(value) and not name.startswith("_")]
    return [*methods, *asked.__annotations__]


def _lacking(part: Any, members: list[str]) -> list[str]:
    return [member for member in members if not hasattr(part, member)]
