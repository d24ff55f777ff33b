"""Moving pictures: codes that travel along a direction, or from person to person, and come back without a jump."""

import math
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from tqdm.auto import tqdm

from pspkit.data.films import check_film, save_film
from pspkit.data.pictures import to_pil
from pspkit.errors import PspkitError, check_tensor
from pspkit.inference.edit import draw_quickly, move
from pspkit.models.registry import AnyDecoder

MOST_FRAMES = 1000


def swing(count: int, low: float, high: float) -> list[float]:
    """Steps from low to high and back along a cosine: slow at both ends. The one after the last would be the first."""
    return [low + (high - low) * (1 - math.cos(2 * math.pi * frame / count)) / 2 for frame in range(count)]


def tour(people: Tensor, count: int) -> Tensor:
    """Codes on the way from person to person and from the last back to the first, slow at each.

    Args:
        people: (N, n_styles, style_dim).
        count: of the codes.

    Returns:
        (count, n_styles, style_dim); the one after the last would be the first.
    """
    places = torch.arange(count, dtype=torch.float64) * len(people) / count
    first = places.long()
    share = ((1 - torch.cos(math.pi * (places - first))) / 2).to(people)[:, None, None]
    return people[first].lerp(people[(first + 1) % len(people)], share)


def journey(
    people: Tensor,
    count: int,
    way: Tensor | None = None,
    steps: tuple[float, float] = (-1.0, 1.0),
    layers: Sequence[int] | str | None = None,
) -> Tensor:
    """The codes of every frame: from person to person, along a direction, or both at once.

    Args:
        people: (N, n_styles, style_dim).
        count: of the frames.
        way: a direction (n_styles, style_dim); none is needed for several people.
        steps: along it, from the first to the second and back.
        layers: as `move`.

    Returns:
        (count, n_styles, style_dim).

    Raises:
        PspkitError: one person and no direction, too few or too many frames; or as `move`.
    """
    check_tensor("people", people, ("N", "n_styles", "style_dim"))
    if not 2 * len(people) <= count <= MOST_FRAMES:
        raise PspkitError(f"frames: got {count}, needs {2 * len(people)} to {MOST_FRAMES}. Change seconds or fps.")
    if way is None and len(people) < 2:
        raise PspkitError("direction: none is given, and one face alone does not move. Give one, or further faces.")
    codes = tour(people, count)
    if way is None:
        return codes
    return torch.cat([move(codes[[n]], way, step, layers) for n, step in enumerate(swing(count, *steps))])


def animate(
    decoder: AnyDecoder,
    codes: Tensor,
    path: Path | str,
    *,
    fps: int = 20,
    side: int | None = None,
    preview: bool = False,
) -> None:
    """Draws codes one after another into a moving picture.

    Args:
        decoder: draws them.
        codes: of the frames, (N, n_styles, style_dim).
        path: .gif and .webp repeat without end; .mp4 needs the program ffmpeg.
        fps: frames a second, 1 to 50.
        side: of the frames, pixels; 512 unless given, or what the decoder draws where that is less.
        preview: whether the decoder's preview is enough: a fraction of the time, 256 px.

    Raises:
        PspkitError: another ending, no ffmpeg, frames a second or a side out of range, or no preview.
        CheckpointError: the file could not be written; what stood there is untouched.
    """
    path = Path(path)
    check_animation(path, fps, side)
    frames = [
        to_pil(draw_quickly(decoder, code, side or 512, preview)[0])
        for code in tqdm(codes.split(1), "drawing", unit="frame", disable=None)
    ]
    save_film(path, frames, [1000 / fps] * len(frames))


def check_animation(path: Path, fps: int, side: int | None = None) -> None:
    """Refuses, before anything is computed, what `animate` could not write.

    Raises:
        PspkitError: as `animate`.
    """
    check_film(path)
    if not 1 <= fps <= 50:
        raise PspkitError(f"fps: got {fps}, needs 1 to 50 frames a second.")
    if side is not None and (side < 16 or side % 2):
        raise PspkitError(f"size: got {side}, needs an even number of at least 16 pixels.")
