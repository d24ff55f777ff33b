"""Writes moving pictures."""

import io
import math
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from pspkit.errors import PspkitError
from pspkit.storage.checkpoints.files import write_bytes

FORMATS = (".gif", ".webp", ".mp4")
QUALITY = 90  # of WebP
PALETTE_FRAMES = 8  # A GIF's only palette is made from so many frames, so that its colours do not flicker.


def check_film(path: Path) -> None:
    """Refuses a file that `save_film` could not write.

    Raises:
        PspkitError: the name has no ending of such a format, or it is .mp4 and ffmpeg is not installed.
    """
    if path.suffix.lower() not in FORMATS:
        raise PspkitError(
            f"{path}: its name has no ending of a format for moving pictures. Let it end in .gif, .webp or .mp4."
        )
    if path.suffix.lower() == ".mp4" and not shutil.which("ffmpeg"):
        raise PspkitError(
            f"{path}: an .mp4 is made by the program ffmpeg, which is not installed. Install it, or let the name end"
            " in .gif or .webp."
        )


def save_film(path: Path, frames: Sequence[Image.Image], pace: Sequence[float]) -> None:
    """Writes frames as a film; .gif and .webp repeat without end.

    Args:
        path: a file that ends in .gif, .webp, or .mp4, which needs the program ffmpeg.
        frames: RGB images of the same size; see `to_pil`.
        pace: how long each frame is shown, milliseconds; an .mp4 shows all of them for the mean time.

    Raises:
        PspkitError: as `check_film`; also if ffmpeg fails.
        CheckpointError: the file could not be written; an older one is kept.
    """
    check_film(path)
    ending, file = path.suffix.lower(), io.BytesIO()
    options = {"save_all": True, "duration": [round(time) for time in pace], "loop": 0}
    if ending == ".mp4":
        file.write(_encode_mp4(frames, 1000 * len(pace) / sum(pace)))
    elif ending == ".webp":
        frames[0].save(file, "WEBP", append_images=frames[1:], quality=QUALITY, **options)
    else:
        chosen = frames[:: math.ceil(len(frames) / PALETTE_FRAMES)]
        palette = Image.fromarray(np.concatenate([np.asarray(frame) for frame in chosen])).quantize(256)
        frames = [frame.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG) for frame in frames]
        frames[0].save(file, "GIF", append_images=frames[1:], **options)
    write_bytes(path, file.getvalue())


def _encode_mp4(frames: Sequence[Image.Image], fps: float) -> bytes:
    width, height = frames[0].size
    source = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", f"{fps:g}", "-i", "-"]
    target = ["-pix_fmt", "yuv420p", "-movflags", "+faststart", "-y"]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "film.mp4"
        command = ["ffmpeg", "-loglevel", "error", *source, *target, str(file)]
        done = subprocess.run(command, input=b"".join(frame.tobytes() for frame in frames), capture_output=True)
        if done.returncode:
            reason = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["it does not say why"]
            raise PspkitError(
                f"ffmpeg: it could not make the .mp4 ({reason[0]}). Let the name of the file end in .gif or .webp"
                " instead."
            )
        return file.read_bytes()
