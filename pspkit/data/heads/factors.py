"""The factors that determine a head: two tables with their ranges, and how they are drawn from a seed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from pspkit.errors import PspkitError, check_choice

SKIN_TONES = (
    "f9dcc8",
    "f4cbb0",
    "e9b592",
    "d79b72",
    "b47a50",
    "8a5636",
    "643e28",
)  # from light to dark, mixed in between
HAIR_COLOURS = {
    "black": "1f1b1c",
    "espresso": "3a261d",
    "brown": "5d3a24",
    "chestnut": "7d4526",
    "ginger": "b9592a",
    "honey": "b98545",
    "blond": "dcb872",
    "silver": "a9adb2",
    "white": "e6e1d9",
    "rose": "c96f86",
    "teal": "2f7f86",
    "violet": "6d5699",
}
IRIS_COLOURS = {"brown": "5b3418", "hazel": "8a6230", "green": "4f8055", "blue": "4a86b8", "grey": "71828c"}
FRAME_COLOURS = {"ink": "25262b", "tortoise": "70432a", "wine": "76303c", "gold": "b98f45", "navy": "2d4468"}
BACKGROUNDS = {
    "sand": "d9c8ae",
    "clay": "c99a80",
    "blush": "dcb4ac",
    "sage": "a5b79c",
    "moss": "75886a",
    "sky": "a4c0d3",
    "slate": "7489a0",
    "lilac": "b3a8c8",
    "stone": "b9b5ae",
    "dusk": "5d6478",
}
CLOTH_COLOURS = {
    "cream": "e9dfcb",
    "mustard": "d2a03f",
    "rust": "b2583a",
    "berry": "8f3b55",
    "forest": "3f6650",
    "petrol": "2f6375",
    "navy": "31415f",
    "heather": "8d8aa5",
    "charcoal": "3f4046",
    "sky": "86a9c6",
}
HAIR_STYLES = (
    "bald",
    "receding",
    "buzz",
    "side part",
    "quiff",
    "fringe",
    "curls",
    "afro",
    "bob",
    "long",
    "wavy",
    "bun",
    "ponytail",
    "braids",
)
BEARDS = ("none", "stubble", "moustache", "goatee", "full")
GLASSES = ("none", "round", "square")
CLOTHES = ("crew", "turtleneck", "collar", "cowl")


def _span(low: float, high: float, neutral: float | None = None, bell: int = 2) -> dict[str, Any]:
    """A number: the mean of `bell` uniform draws between two ends. `neutral` is its value in a plain front view."""
    return {"low": low, "high": high, "bell": bell, "neutral": neutral}


def _choice(names: Mapping[str, str] | tuple[str, ...], odds: tuple[float, ...] | None = None) -> dict[str, Any]:
    """The index of a name, drawn with the given odds."""
    return {"names": tuple(names), "odds": odds or (1,) * len(names)}


class _Table:
    """Tensors of equal length, one for each factor, that are indexed, changed and written together."""

    def __len__(self) -> int:
        return len(getattr(self, fields(self)[0].name))

    def __getitem__(self, index: int | slice | Tensor | list[int]) -> Self:
        """Some of the heads; an integer keeps the batch axis."""
        index = slice(index, index + 1 or None) if isinstance(index, int) else index
        return type(self)(**{f.name: getattr(self, f.name)[index] for f in fields(self)})

    def replace(self, **values: Any) -> Self:
        """Returns the same heads with some factors changed: numbers, names of choices, or tensors (N,).

        Raises:
            PspkitError: a factor or a name is unknown.
        """
        known = {f.name: f for f in fields(self)}
        for name in values:
            check_choice(type(self).__name__, name, known)
        changed = {}
        for name, value in values.items():
            if isinstance(value, str):
                check_choice(name, value, known[name].metadata.get("names", ()))
                value = known[name].metadata["names"].index(value)
            old = getattr(self, name)
            changed[name] = torch.as_tensor(value, dtype=old.dtype, device="cpu").expand(len(self)).contiguous()
        return replace(self, **changed)

    def as_dict(self, index: int) -> dict[str, float | str]:
        """The factors of one head, with choices by name."""
        values = {f.name: getattr(self, f.name)[index].item() for f in fields(self)}
        return values | {f.name: f.metadata["names"][values[f.name]] for f in fields(self) if "names" in f.metadata}

    @classmethod
    def from_dicts(cls, heads: list[dict[str, float | str]]) -> Self:
        """The inverse of `as_dict`, for several heads.

        Raises:
            PspkitError: a factor is missing, or a choice has no such name.
        """
        table = {}
        for f in fields(cls):
            missing = [number for number, head in enumerate(heads) if f.name not in head]
            if missing:
                raise PspkitError(f"factors: head {missing[0]} has no {f.name!r}. Write them with Factors.to_json.")
            column = [head[f.name] for head in heads]
            if names := f.metadata.get("names"):
                for name in column:
                    check_choice(f.name, name, names)
                table[f.name] = torch.tensor([names.index(name) for name in column], device="cpu")
            else:
                table[f.name] = torch.tensor(column, dtype=torch.float32, device="cpu")
        return cls(**table)

    @classmethod
    def draw(cls, uniforms: np.ndarray) -> Self:
        """Makes a table from uniform numbers (N, factors, DRAWS) in [0, 1)."""
        table = {}
        for f, u in zip(fields(cls), uniforms.transpose(1, 0, 2), strict=True):
            if names := f.metadata.get("names"):
                shares = np.cumsum(f.metadata["odds"]) / sum(f.metadata["odds"])
                table[f.name] = torch.from_numpy(np.minimum(np.searchsorted(shares, u[:, 0], "right"), len(names) - 1))
            else:
                low, high = f.metadata["low"], f.metadata["high"]
                mean = sum(u[:, i] for i in range(f.metadata["bell"])) / f.metadata["bell"]
                table[f.name] = torch.from_numpy((low + (high - low) * mean).astype(np.float32))
        return cls(**table)


@dataclass(frozen=True)
class Identity(_Table):
    """Who it is. Lengths are in units of half a head, so that a head is about two units high; ratios are around one."""

    head_width: Tensor = field(metadata=_span(0.86, 1.12))
    head_height: Tensor = field(metadata=_span(0.88, 1.12))
    jaw_width: Tensor = field(metadata=_span(0.72, 1.26))
    jaw_length: Tensor = field(metadata=_span(-0.10, 0.14))
    chin_size: Tensor = field(metadata=_span(0.10, 0.24))
    cheeks: Tensor = field(metadata=_span(0.0, 1.0, bell=1))
    neck_width: Tensor = field(metadata=_span(0.24, 0.36))
    nose_length: Tensor = field(metadata=_span(0.10, 0.34))  # how far it sticks out
    nose_width: Tensor = field(metadata=_span(0.70, 1.45))
    nose_height: Tensor = field(metadata=_span(-0.36, -0.20))  # of the tip
    nose_bridge: Tensor = field(metadata=_span(-0.05, 0.09))
    nose_tip: Tensor = field(metadata=_span(0.075, 0.135))
    ear_size: Tensor = field(metadata=_span(0.75, 1.35))
    ear_angle: Tensor = field(metadata=_span(0.0, 0.9))  # how far they stick out
    eye_size: Tensor = field(metadata=_span(0.165, 0.225))
    eye_spacing: Tensor = field(metadata=_span(0.285, 0.375))
    eye_height: Tensor = field(metadata=_span(-0.05, 0.06))
    eye_tilt: Tensor = field(metadata=_span(-0.18, 0.28))
    eye_opening: Tensor = field(metadata=_span(0.46, 0.74))
    iris_size: Tensor = field(metadata=_span(0.50, 0.62))
    iris_colour: Tensor = field(metadata=_choice(IRIS_COLOURS, (5, 2, 2, 3, 1)))
    brow_thickness: Tensor = field(metadata=_span(0.018, 0.055))
    brow_height: Tensor = field(metadata=_span(0.25, 0.36))
    brow_tilt: Tensor = field(metadata=_span(-0.10, 0.05))
    brow_arch: Tensor = field(metadata=_span(0.0, 0.09))
    mouth_width: Tensor = field(metadata=_span(0.19, 0.34))
    mouth_height: Tensor = field(metadata=_span(-0.60, -0.50))
    upper_lip: Tensor = field(metadata=_span(0.025, 0.075))
    lower_lip: Tensor = field(metadata=_span(0.035, 0.090))
    skin_tone: Tensor = field(metadata=_span(0.0, 1.0, bell=1))
    skin_warmth: Tensor = field(metadata=_span(-1.0, 1.0))
    hair_style: Tensor = field(metadata=_choice(HAIR_STYLES, (3, 3, 5, 6, 6, 5, 5, 5, 6, 6, 5, 5, 5, 5)))
    hair_colour: Tensor = field(metadata=_choice(HAIR_COLOURS, (4, 4, 4, 3, 2, 2, 2, 1.2, 0.8, 0.5, 0.5, 0.5)))
    hair_shade: Tensor = field(metadata=_span(0.85, 1.15))
    hair_volume: Tensor = field(metadata=_span(0.0, 1.0, bell=1))
    hair_length: Tensor = field(metadata=_span(0.0, 1.0, bell=1))
    hairline: Tensor = field(metadata=_span(-0.06, 0.10))
    parting: Tensor = field(metadata=_choice(("left", "right")))
    beard: Tensor = field(metadata=_choice(BEARDS, (12, 2, 1, 1.5, 2.5)))
    beard_length: Tensor = field(metadata=_span(0.0, 1.0, bell=1))
    glasses: Tensor = field(metadata=_choice(GLASSES, (8, 1.2, 1)))
    glasses_size: Tensor = field(metadata=_span(0.9, 1.2))
    glasses_colour: Tensor = field(metadata=_choice(FRAME_COLOURS))


@dataclass(frozen=True)
class Scene(_Table):
    """All but the person: pose and gaze in degrees, expression, light, background, clothes."""

    yaw: Tensor = field(metadata=_span(-60.0, 60.0, 0.0))  # positive: the face turns to the right of the picture
    pitch: Tensor = field(metadata=_span(-22.0, 22.0, 0.0, bell=3))  # positive: it looks up
    roll: Tensor = field(metadata=_span(-16.0, 16.0, 0.0, bell=3))  # positive: it leans to the right of the picture
    smile: Tensor = field(metadata=_span(-0.4, 1.1, 0.35))
    mouth_open: Tensor = field(metadata=_span(-0.9, 1.0, 0.0, bell=1))  # closed unless positive
    brow_raise: Tensor = field(metadata=_span(-0.6, 1.0, 0.0))
    frown: Tensor = field(metadata=_span(-0.9, 0.7, 0.0, bell=3))
    blink: Tensor = field(metadata=_span(-0.5, 0.6, 0.0, bell=3))  # negative: eyes wide open; 1: shut
    gaze_yaw: Tensor = field(metadata=_span(-26.0, 26.0, 0.0))
    gaze_pitch: Tensor = field(metadata=_span(-16.0, 16.0, 0.0))
    light_azimuth: Tensor = field(metadata=_span(-75.0, 75.0, -35.0, bell=1))
    light_elevation: Tensor = field(metadata=_span(15.0, 65.0, 40.0, bell=1))
    light_warmth: Tensor = field(metadata=_span(-1.0, 1.0, 0.2))
    light_fill: Tensor = field(metadata=_span(0.7, 1.3, 1.0))
    background: Tensor = field(metadata=_choice(BACKGROUNDS))
    background_shade: Tensor = field(metadata=_span(0.8, 1.15, 1.0))
    clothes: Tensor = field(metadata=_choice(CLOTHES))
    clothes_colour: Tensor = field(metadata=_choice(CLOTH_COLOURS))
    clothes_shade: Tensor = field(metadata=_span(0.85, 1.12, 1.0))


DRAWS = 4  # uniform numbers set aside per factor: a new one at a table's end leaves the others as they are


@dataclass(frozen=True)
class Factors:
    """Everything the renderer needs to know about N heads.

    Attributes:
        identity: who they are.
        scene: how they are seen.
        person: int64 (N,), numbers of the identities; with one seed, equal numbers are one person.
    """

    identity: Identity
    scene: Scene
    person: Tensor

    def __len__(self) -> int:
        return len(self.person)

    def __getitem__(self, index: int | slice | Tensor | list[int]) -> Factors:
        """Some of the heads; an integer keeps the batch axis."""
        person = self.person[slice(index, index + 1 or None) if isinstance(index, int) else index]
        return Factors(self.identity[index], self.scene[index], person)

    def __iter__(self) -> Iterator[Factors]:
        return (self[index] for index in range(len(self)))

    def replace(self, **values: Any) -> Factors:
        """Returns the same heads with some factors of either table changed, as `front_view` uses it.

        Raises:
            PspkitError: a factor or the name of a choice is unknown.
        """
        names = {f.name for f in fields(Identity)}
        known = names | {f.name for f in fields(Scene)}
        for name in values:
            check_choice("factors", name, sorted(known))
        identity = self.identity.replace(**{name: value for name, value in values.items() if name in names})
        scene = self.scene.replace(**{name: value for name, value in values.items() if name not in names})
        return Factors(identity, scene, self.person)

    def to_json(self) -> str:
        """Writes all heads as a JSON list, one line for each."""
        lines = [
            json.dumps(
                {"person": self.person[i].item(), "identity": self.identity.as_dict(i), "scene": self.scene.as_dict(i)}
            )
            for i in range(len(self))
        ]
        return "[\n" + ",\n".join(lines) + "\n]\n"

    @classmethod
    def from_json(cls, text: str) -> Factors:
        """Reads what `to_json` wrote.

        Raises:
            PspkitError: the text is not such a list.
        """
        try:
            heads = json.loads(text)
            person = torch.tensor([head["person"] for head in heads], dtype=torch.int64, device="cpu")
            identity, scene = ([head[key] for head in heads] for key in ("identity", "scene"))
        except (ValueError, TypeError, KeyError) as error:
            raise PspkitError(
                f"factors: this is not a JSON list of heads ({error}). Write it with Factors.to_json."
            ) from error
        return cls(Identity.from_dicts(identity), Scene.from_dicts(scene), person)


def sample_factors(count: int, seed: int, *, start: int = 0, views: int = 1) -> Factors:
    """Draws heads. On every machine, head k depends only on the seed and on start + k.

    Args:
        count: number of heads.
        seed: seed, not negative.
        start: number of the first head.
        views: how many heads in a row show one person.

    Returns:
        The factors of heads start … start + count - 1; head k shows person k // views.

    Raises:
        PspkitError: a number is negative, or there are no views.
    """
    for name, value, least in (("count", count, 0), ("seed", seed, 0), ("start", start, 0), ("views", views, 1)):
        if not least <= value < 1 << 62:
            raise PspkitError(f"{name}: got {value}, needs a whole number of at least {least}, less than 2**62.")
    numbers = np.arange(start, start + count)
    person = numbers // views
    identity = Identity.draw(_uniforms(seed, 0, person, len(fields(Identity))))
    scene = Scene.draw(_uniforms(seed, 1, numbers, len(fields(Scene))))
    return Factors(identity, scene, torch.from_numpy(person))


def _uniforms(seed: int, table: int, numbers: np.ndarray, factors: int) -> np.ndarray:
    # NumPy guarantees that the raw stream of a bit generator never changes; its distributions may change.
    raw = [np.random.Philox(key=(seed << 64) + (table << 62) + int(n)).random_raw(factors * DRAWS) for n in numbers]
    return (np.array(raw, np.uint64).reshape(len(numbers), factors, DRAWS) >> np.uint64(11)) * 2.0**-53


def front_view(factors: Factors) -> Factors:
    """The same people, facing the camera at rest, in the same clothes and light: the target of frontalisation."""
    kept = ("light_azimuth", "light_elevation", "light_warmth", "light_fill", "background_shade", "clothes_shade")
    neutral = {f.name: f.metadata.get("neutral") for f in fields(Scene) if f.name not in kept}
    return factors.replace(**{name: value for name, value in neutral.items() if value is not None})
