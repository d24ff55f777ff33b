"""What a direction is worth: held against random directions of the same codes.

A random direction is a step that the decoder's own codes make likely, drawn from their covariance, scaled twice: to
the direction's length, and so that it changes as many pixels. A direction is of use where it changes its attribute
more than the first and, for as much of the person as it costs, it changes its attribute more than the second.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pspkit.inference.directions.attributes import ATTRIBUTES, BATCH, FaceMeter
from pspkit.inference.directions.faces import GROUPS, Faces, Pencil, spread, try_people
from pspkit.inference.edit import draw_quickly
from pspkit.losses.identity import IdentityLoss
from pspkit.models.faces.facenet import load_facenet
from pspkit.models.mobile_stylegan import MobileStyleGAN

PEOPLE, SEED = 8, 40_000  # on whom directions are compared; no direction was found on them
SHOWN, SHOWN_SEED, SHOWN_SIDE = 3, 50_000, 192  # people on a sheet, and the side of each picture
STEPS = (-1.0, -0.5, 0.0, 0.5, 1.0)  # on a sheet


@dataclass(frozen=True)
class Change:
    """What a step changes, the mean over people.

    Attributes:
        own: of the attribute, towards the end that is meant, in standard deviations of drawn faces; of a random
            direction the mean of the amounts, whichever way.
        others: the mean amount by which the other attributes change, likewise.
        background: mean difference of the pixels that show no person before or after, of 2.
        pixels: of all pixels.
        likeness: FaceNet's cosine to the person before.
    """

    own: float
    others: float
    background: float
    pixels: float
    likeness: float

    @property
    def worth(self) -> float:
        """The change of the attribute by the distance of FaceNet's embeddings: how much is had for how much."""
        return self.own / max(2 - 2 * self.likeness, 1e-6) ** 0.5


@dataclass(frozen=True)
class Comparison:
    """A direction beside random ones.

    Attributes:
        name: of the attribute.
        codes: those that it moves, as `parse_layers` reads them.
        step: the mean of a step forwards and one backwards.
        as_long: a random step of its length.
        as_visible: a random step that changes as many pixels.
    """

    name: str
    codes: str
    step: Change
    as_long: Change
    as_visible: Change

    @property
    def keeps_more(self) -> bool:
        """Whether it keeps more of the person, by FaceNet, than a random step that changes as many pixels."""
        return self.step.likeness > self.as_visible.likeness

    @property
    def is_better(self) -> bool:
        """Whether it changes its attribute more than a random step of its length, and more for what it costs."""
        return self.step.own > self.as_long.own and self.step.worth > self.as_visible.worth


class Comparer:
    """Compares directions on people who are drawn once.

    Args:
        decoder: draws them.
        faces: say how much attributes and codes vary.
        meter: measures pictures.
        pencil: draws them.

    Raises:
        AssetError: FaceNet could not be fetched or read.
    """

    def __init__(self, decoder: MobileStyleGAN, faces: Faces, meter: FaceMeter, pencil: Pencil) -> None:
        self.meter, self.pencil, self.scale = meter, pencil, faces.scale
        self.people = try_people(decoder, PEOPLE, SEED)
        self.deviations = (faces.codes - faces.codes.mean((0, 1))).flatten(0, 1)
        self.pictures = pencil(self.people)
        self.identity = IdentityLoss(load_facenet())
        self.before, self.embedded = meter(self.pictures), self._embed(self.pictures)

    def __call__(self, name: str, way: Tensor) -> Comparison:
        """Compares one direction (n_styles, style_dim)."""
        number, random = list(ATTRIBUTES).index(name), self._random(way)
        forwards, backwards = self._look(number, way), self._look(number, -way)
        step = _mean({key: torch.cat([values, backwards[key]]) for key, values in forwards.items()})
        signed = torch.cat([forwards["own"], -backwards["own"]]).nanmean().item()
        as_long = self._look(number, random)
        visible = random
        for _ in range(2):  # pixels do not change in proportion to the step
            visible = visible * (step.pixels / self._pixels(visible))
        as_visible = self._look(number, visible)
        return Comparison(name, layers_of(way), replace(step, own=signed), _mean(as_long), _mean(as_visible))

    def _random(self, way: Tensor) -> Tensor:
        """A random step for each of the people, of the direction's length, in the codes that it moves."""
        generator, count = torch.Generator().manual_seed(SEED), len(self.people) * len(GROUPS)
        steps = torch.randn(count, len(self.deviations), generator=generator) @ self.deviations
        steps = spread(steps.unflatten(0, (-1, len(GROUPS)))) * (way != 0).any(1)[:, None]
        return steps * (way.norm() / steps.flatten(1).norm(dim=1)[:, None, None])

    def _pixels(self, step: Tensor) -> float:
        return (self.pencil(self.people + step) - self.pictures).abs().mean().item()

    def _look(self, number: int, step: Tensor) -> dict[str, Tensor]:
        """What a step changes in each of the people, (N,) by the names of `Change`; `own` with its sign."""
        pictures = self.pencil(self.people + step)
        after = self.meter(pictures)
        changes = (after.values - self.before.values) / self.scale
        others = [other for other in range(changes.shape[1]) if other != number]
        differences = (pictures - self.pictures).abs().mean(1)
        outside = after.background & self.before.background
        return {
            "own": changes[:, number],
            "others": changes[:, others].abs().nanmean(1),
            "background": (differences * outside).sum((1, 2)) / outside.sum((1, 2)).clamp(min=1),
            "pixels": differences.mean((1, 2)),
            "likeness": (self._embed(pictures) * self.embedded).sum(1),
        }

    @torch.no_grad()
    def _embed(self, pictures: Tensor) -> Tensor:
        return torch.cat([self.identity.embed(part) for part in pictures.split(BATCH)])


def _mean(changes: dict[str, Tensor]) -> Change:
    return Change(**{key: values.abs().nanmean().item() for key, values in changes.items()})


def layers_of(way: Tensor) -> str:
    """The codes that a direction moves, as `parse_layers` reads them: "0-2,5-6"."""
    moved = [code for code, row in enumerate(way) if bool(row.any())]
    starts = [code for code in moved if code - 1 not in moved]
    ends = [code for code in moved if code + 1 not in moved]
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in zip(starts, ends, strict=True))


def table(comparisons: Sequence[Comparison]) -> str:
    """The comparisons as a table in Markdown: of each pair of figures the second is the random direction's."""
    lines = [
        "| direction | codes | own change / random | others / random | background / random | FaceNet / random |",
        "|---|---|---|---|---|---|",
    ]
    for one in comparisons:
        a, b, c = one.step, one.as_long, one.as_visible
        cells = (one.name, one.codes, f"{a.own:.2f} / {b.own:.2f}", f"{a.others:.2f} / {c.others:.2f}")
        cells = (*cells, f"{a.background:.3f} / {c.background:.3f}", f"{a.likeness:.2f} / {c.likeness:.2f}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def draw_sheet(decoder: MobileStyleGAN, way: Tensor) -> Tensor:
    """What a direction does to people on whom it was not found, decoded in full.

    Args:
        decoder: draws them.
        way: (n_styles, style_dim).

    Returns:
        One picture (3, H, W), about [-1, 1]: a row for each of `SHOWN` people, a column for each of `STEPS`.
    """
    rows = []
    for person in try_people(decoder, SHOWN, SHOWN_SEED):
        codes = torch.stack([person + step * way for step in STEPS]).to(decoder.constant.device)
        rows.append(torch.cat(list(draw_quickly(decoder, codes, SHOWN_SIDE)), 2))
    return torch.cat(rows, 1)
