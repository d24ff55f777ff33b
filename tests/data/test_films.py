"""Moving pictures: what is written plays as it was meant to."""

import shutil

import pytest
import torch
from PIL import Image, ImageSequence

from pspkit import PspkitError
from pspkit.data.films import save_film
from pspkit.data.pictures import to_pil


@pytest.fixture
def pictures():
    colours = torch.rand(3, 3, 4, 4, generator=torch.Generator().manual_seed(0)) * 2 - 1
    return torch.nn.functional.interpolate(colours, size=(64, 128))


@pytest.mark.parametrize("ending", ["gif", "webp"])
def test_every_frame_keeps_its_time_and_its_colours(tmp_path, pictures, ending):
    path = tmp_path / f"film.{ending}"
    save_film(path, [to_pil(picture) for picture in pictures], [100, 200, 300])
    with Image.open(path) as film:
        assert film.info["loop"] == 0
        frames = [(frame.convert("RGB"), frame.info["duration"]) for frame in ImageSequence.Iterator(film)]
    assert [time for _, time in frames] == [100, 200, 300]
    for picture, (frame, _) in zip(pictures, frames, strict=True):
        shown = torch.frombuffer(bytearray(frame.tobytes()), dtype=torch.uint8).view(64, 128, 3).permute(2, 0, 1)
        assert (shown - (picture + 1) * 127.5).abs().mean() < 8


def test_an_mp4_is_made_where_ffmpeg_is_and_refused_elsewhere(tmp_path, pictures, monkeypatch):
    frames, pace, path = [to_pil(picture) for picture in pictures], [1000 / 30] * 3, tmp_path / "film.mp4"
    if shutil.which("ffmpeg"):
        save_film(path, frames, pace)
        assert path.read_bytes()[4:8] == b"ftyp"
        path.unlink()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PspkitError, match=r"film\.mp4: .* ffmpeg, which is not installed\. Install it, or .* \.gif"):
        save_film(path, frames, pace)
    ffmpeg = tmp_path / "ffmpeg"
    ffmpeg.write_text('#!/bin/sh\necho "Unknown encoder at $*" >&2\nexit 1\n')
    ffmpeg.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    with pytest.raises(PspkitError, match=r"ffmpeg: it could not make the \.mp4 \(Unknown encoder at .* 128x64 -r 30 "):
        save_film(path, frames, pace)
    assert not path.exists()
