"""Animated pictures: every frame is translated, at the same pace; still ones are left out."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence

from pspkit import PspkitError
from pspkit.cli import main
from pspkit.config import CONFIGS
from pspkit.data.pictures import open_frames
from pspkit.data.tasks import get_task
from pspkit.inference import translate_frames
from pspkit.psp import PSP


@pytest.fixture(scope="module")
def psp():
    torch.manual_seed(0)
    psp = PSP.from_config(CONFIGS["smoke"]).eval()
    for block in psp.encoder.styles:  # with the first weights all answers are alike
        block.linear.weight.data *= 1000
    return psp


@pytest.fixture
def film(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)
    frames = [Image.fromarray(one).resize((96, 64)) for one in noise]
    path = tmp_path / "film.webp"
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=[100, 200, 300], lossless=True)
    return path


@pytest.mark.parametrize("batch", [2, 8])
def test_every_frame_is_translated_at_the_same_pace(batch, psp, film, tmp_path):
    summary = translate_frames(psp, [film], tmp_path / "out", fit="stretch", batch=batch)
    assert summary.written == [tmp_path / "out/film.webp"]
    with Image.open(tmp_path / "out/film.webp") as made:
        frames = [(frame.convert("RGB"), frame.info["duration"]) for frame in ImageSequence.Iterator(made)]
    assert [frame.size for frame, _ in frames] == [(16, 11)] * 3
    assert [time for _, time in frames] == [100, 200, 300]
    task = get_task("encode")
    sources = torch.stack([task.inference_source(given, 64, fit="stretch") for given, _ in open_frames(film)])
    with torch.no_grad():
        wanted = psp(sources).clamp(-1, 1).add(1).mul(127.5)
    wanted = torch.nn.functional.interpolate(wanted, size=(11, 16), mode="bilinear", antialias=True)
    found = torch.stack([torch.from_numpy(np.array(frame)).permute(2, 0, 1) for frame, _ in frames])
    apart = (found[:, None] - wanted).abs().flatten(2).mean(2)  # WebP has losses
    assert apart.argmin(1).tolist() == [0, 1, 2]


def test_still_pictures_are_left_out(psp, film, tmp_path):
    Image.new("RGB", (64, 64)).save(tmp_path / "still.png")
    summary = translate_frames(psp, [film, tmp_path / "still.png"], tmp_path / "out")
    assert [path.name for path in summary.written] == ["film.webp"]
    assert "still.png: it is not animated. Translate it without frames." in str(summary)


def test_tasks_that_need_a_mask(psp, film, tmp_path):
    masked = PSP.from_config(replace(CONFIGS["smoke"], encoder=replace(CONFIGS["smoke"].encoder, input_nc=4)))
    with pytest.raises(PspkitError, match="task: inpaint does not take frames"):
        translate_frames(masked, [film], tmp_path / "out", task="inpaint")


def test_the_command(psp, film, tmp_path, capsys):
    psp.save_pretrained(tmp_path / "model")
    folders = ["--model", str(tmp_path / "model"), "--out", str(tmp_path / "out")]
    given = ["translate", "--task", "encode", *folders, str(film)]
    assert main([*given, "--frames"]) == 0
    assert (tmp_path / "out/film.webp").exists()
    assert main([*given, "--frames", "--side-by-side"]) == 1
    assert "--side-by-side: does not go together with --frames" in capsys.readouterr().err
