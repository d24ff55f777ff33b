"""The faults of cameras, for whole batches on the device; every random choice comes from one generator.

Every function takes and returns pictures (N, 3, H, W) in [-1, 1] as float32. Each picture gets its own strength of a
fault, and most pictures do not have a given fault at all.
"""

import math
from collections.abc import Callable
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

LUMA = (0.299, 0.587, 0.114)  # of red, green and blue. Source: ITU-R BT.601
# Steps to which coefficients of the luminance are rounded at quality 50. Source: ITU-T T.81 (JPEG), table K.1
JPEG_STEPS = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)


class Dice:
    """Random numbers for every picture of a batch, from one generator.

    Args:
        n: number of pictures in the batch.
        generator: on the device of the pictures.
    """

    def __init__(self, n: int, generator: torch.Generator) -> None:
        self.n, self.generator = n, generator

    def uniform(self, low: float, high: float, channels: int = 1) -> Tensor:
        """Draws numbers (N, channels, 1, 1), uniform between two limits."""
        size = (self.n, channels, 1, 1)
        return low + (high - low) * torch.rand(size, generator=self.generator, device=self.generator.device)

    def happens(self, chance: float) -> Tensor:
        """Draws numbers (N, 1, 1, 1), which are 1 with the given chance and otherwise 0."""
        return (self.uniform(0, 1) < chance).float()

    def strength(self, chance: float, low: float, high: float, channels: int = 1) -> Tensor:
        """Draws numbers (N, channels, 1, 1), which are uniform with the given chance and otherwise 0."""
        return self.happens(chance) * self.uniform(low, high, channels)

    def normal(self, x: Tensor) -> Tensor:
        """Draws from a unit normal in the shape of x."""
        return torch.randn(x.shape, generator=self.generator, device=x.device)


def move(
    x: Tensor, dice: Dice, chance: float = 0.5, shift: float = 0.03, scale: float = 0.04, turn: float = 3
) -> Tensor:
    """Shifts, scales and turns pictures, as an inexact alignment does.

    Args:
        x: the pictures.
        dice: random numbers.
        chance: chance that a picture is moved.
        shift: largest shift, as a fraction of the side.
        scale: largest change of size, as a fraction.
        turn: largest angle, degrees.
    """
    some = dice.happens(chance)
    angle = (some * dice.uniform(-turn, turn)).flatten() * math.pi / 180
    factor = 1 + (some * dice.uniform(-scale, scale)).flatten()
    offset = 2 * (some * dice.uniform(-shift, shift, 2)).flatten(1)
    cosine, sine = factor * angle.cos(), factor * angle.sin()
    rows = torch.stack([cosine, -sine, offset[:, 0], sine, cosine, offset[:, 1]], 1)
    grid = F.affine_grid(rows.view(-1, 2, 3), list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, padding_mode="reflection", align_corners=False)


def flip(x: Tensor, dice: Dice) -> Tensor:
    """Mirrors each picture with a chance of one half."""
    return torch.where(dice.happens(0.5) > 0, x.flip(3), x)


def light(x: Tensor, dice: Dice, chance: float = 0.3, amount: float = 0.1) -> Tensor:
    """Changes contrast, brightness, colour balance (at most by `amount`) and saturation (at most by twice that)."""
    contrast = 1 + dice.strength(chance, -amount, amount)
    tint = dice.strength(chance, -amount, amount) + dice.strength(chance, -amount / 2, amount / 2, 3)
    grey = (x * _table(x.device, "luma").view(3, 1, 1)).sum(1, keepdim=True)
    saturation = 1 + dice.strength(chance, -2 * amount, 2 * amount)
    return ((grey + saturation * (x - grey)) * contrast + tint).clamp(-1, 1)


def blur(x: Tensor, dice: Dice, chance: float = 0.3) -> Tensor:
    """Mixes a picture with its blurred copy, as if the lens were out of focus or the picture enlarged."""
    step = -(-x.shape[-1] // 128)  # between the taps, so that the blur grows with the side
    pad = 3 * step
    kernel = _table(x.device, "taps").expand(3, 1, 1, 7)
    soft = F.conv2d(F.pad(x, (pad, pad, 0, 0), mode="replicate"), kernel, groups=3, dilation=(1, step))
    soft = F.conv2d(F.pad(soft, (0, 0, pad, pad), mode="replicate"), kernel.mT, groups=3, dilation=(step, 1))
    return torch.lerp(x, soft, dice.strength(chance, 0, 1))


def noise(x: Tensor, dice: Dice, chance: float = 0.3, largest: float = 0.08) -> Tensor:
    """Adds the noise of a sensor, with an independent value in every pixel and channel."""
    return x + dice.strength(chance, 0, largest) * dice.normal(x)


def jpeg(x: Tensor, dice: Dice, chance: float = 0.3, worst: int = 30) -> Tensor:
    """Rounds the cosine coefficients of blocks of 8x8 pixels, as JPEG does, at a quality from `worst` to 95.

    Colours keep their resolution, but their coefficients are rounded twice as coarsely as those of the luminance.
    """
    n, _, height, width = x.shape
    cosines, to_luma, to_rgb = (_table(x.device, name) for name in ("cosines", "to_luma", "to_rgb"))
    quality = dice.uniform(worst, 95)
    factor = torch.where(quality < 50, 50 / quality, 2 - quality / 50)
    steps = (factor * _table(x.device, "steps"))[:, :, None, :, None, :]  # (N, 3, 1, 8, 1, 8)
    blocks = torch.einsum("oc,nchw->nohw", to_luma, x).view(n, 3, height // 8, 8, width // 8, 8)
    coefficients = torch.einsum("ui,vj,ncyixj->ncyuxv", cosines, cosines, blocks)
    coefficients = (coefficients / steps).round() * steps
    rounded = torch.einsum("ui,vj,ncyuxv->ncyixj", cosines, cosines, coefficients).reshape(x.shape)
    return torch.where(dice.happens(chance) > 0, torch.einsum("oc,nchw->nohw", to_rgb, rounded), x)


def cover(x: Tensor, dice: Dice, chance: float = 0.05) -> Tensor:
    """Covers a rectangle of at most half the side with grey."""
    side = x.shape[-1]
    rows = torch.arange(side, device=x.device).view(1, 1, -1, 1)
    top, left, height, width = (dice.uniform(0, 1) for _ in range(4))
    height, width = (side * (0.1 + 0.4 * extent) for extent in (height, width))
    top, left = top * (side - height), left * (side - width)
    inside = (rows >= top) & (rows < top + height) & (rows.mT >= left) & (rows.mT < left + width)
    return torch.where(inside & (dice.happens(chance) > 0), torch.zeros_like(x), x)


Fault = Callable[[Tensor, Dice], Tensor]
CAMERA: tuple[Fault, ...] = (move, light, blur, noise, jpeg, cover)
SCENE: tuple[Fault, ...] = (flip, move, light)


@torch.no_grad()
def augment(x: Tensor, generator: torch.Generator, faults: tuple[Fault, ...]) -> Tensor:
    """Applies one fault after another.

    Args:
        x: pictures (N, 3, side, side) in [-1, 1]; the side is a multiple of 8.
        generator: on their device; its state alone determines the random choices.
        faults: `CAMERA` for the input alone, or `SCENE` for input and target together.

    Returns:
        The pictures, clamped to [-1, 1].
    """
    dice = Dice(len(x), generator)
    for fault in faults:
        x = fault(x, dice)
    return x.clamp(-1, 1)


@cache
def _table(device: torch.device, name: str) -> Tensor:
    """A constant, kept on the device: a GPU would have to wait if it were copied for every batch."""
    return _tables()[name].to(device)


@cache
def _tables() -> dict[str, Tensor]:
    frequency, place = torch.arange(8.0)[:, None], torch.arange(8.0)
    cosines = (math.pi * (2 * place + 1) * frequency / 16).cos() / 2  # orthonormal, (frequency, place)
    cosines[0] /= math.sqrt(2)
    red, green, blue = LUMA
    to_luma = torch.tensor(  # from RGB to luminance and two colour differences
        [
            LUMA,
            (-red / (2 - 2 * blue), -green / (2 - 2 * blue), 0.5),
            (0.5, -green / (2 - 2 * red), -blue / (2 - 2 * red)),
        ]
    )
    coarser = torch.tensor([1.0, 2, 2]).view(3, 1, 1)  # for the colours
    return {
        "luma": torch.tensor(LUMA),
        "taps": torch.tensor([1.0, 6, 15, 20, 15, 6, 1]) / 64,
        "cosines": cosines,
        "to_luma": to_luma,
        "to_rgb": to_luma.inverse(),
        "steps": coarser * torch.tensor(JPEG_STEPS) / 127.5,  # for pictures in [-1, 1]
    }
