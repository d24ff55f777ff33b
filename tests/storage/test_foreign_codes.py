"""Codes and directions that others stored: plain arrays of every shape and container, and what is refused."""

import numpy as np
import pytest
import torch

from pspkit import CheckpointError
from pspkit.config import GeneratorConfig
from pspkit.inference import load_w_plus
from pspkit.inference.codes import FIRST_SIXTEEN
from pspkit.inference.directions import load_direction, save_directions
from pspkit.inference.inspect import inspect_checkpoint
from pspkit.models.mobile_stylegan import MobileStyleGAN
from pspkit.models.stylegan2 import Generator
from pspkit.storage.checkpoints import load_codes

STYLES, LENGTH = 6, 8
ONE = torch.arange(STYLES * LENGTH).reshape(STYLES, LENGTH) / 100
TWO = torch.stack([ONE, -ONE])


@pytest.fixture(scope="module")
def decoder():
    return Generator.from_config(GeneratorConfig(size=16, style_dim=LENGTH, n_mlp=1, max_channels=8))


@pytest.fixture(scope="module")
def photographic():
    return MobileStyleGAN(style_dim=LENGTH, n_mlp=1, channels=(8,) * 8)


FILES = {  # what is stored, and the W+ codes it is
    "e4e: all pictures in one tensor, .pt": ("a.pt", TWO, TWO),
    "GANInverter: one picture, .pt": ("a.pt", ONE, ONE[None]),
    "InterFaceGAN: one picture with its axis, .npy": ("a.npy", ONE[None], ONE[None]),
    "one picture without an axis, .npy": ("a.npy", ONE, ONE[None]),
    "one w, .npy": ("a.npy", ONE[0], ONE[0].expand(1, STYLES, -1)),
    "one w with its axis, .pt": ("a.pt", ONE[:1], ONE[0].expand(1, STYLES, -1)),
    "several w, .npy": ("a.npy", ONE[:3], ONE[:3, None].expand(-1, STYLES, -1)),
    "two more axes, .pt": ("a.pt", ONE[None, None], ONE[None]),
    "by name, .pt": ("a.pt", {"anna.jpg": ONE, "berta.jpg": -ONE}, TWO),
    "ReStyle: every answer by name, the last one counts, .pt": (
        "a.pt",
        {"a.jpg": [0 * ONE, ONE], "b.jpg": [0 * ONE, -ONE]},
        TWO,
    ),
    "a list of pictures, .pt": ("a.pt", [ONE, -ONE], TWO),
    "by name, .npz": ("a.npz", {"anna": ONE, "berta": -ONE}, TWO),
    "64 bits, .npy": ("a.npy", ONE.double(), ONE[None]),
}


def store(path, content):
    if path.suffix == ".npz":
        np.savez(path, **{name: value.numpy() for name, value in content.items()})
    elif path.suffix == ".npy":
        np.save(path, content.numpy())
    else:
        torch.save(content, path)
    return path


@pytest.mark.parametrize("kind", FILES)
def test_codes_of_others(kind, decoder, tmp_path):
    name, content, expected = FILES[kind]
    path = store(tmp_path / name, content)
    torch.testing.assert_close(load_w_plus(decoder, path), expected)
    assert torch.equal(load_w_plus(decoder, f"{path}:0"), load_w_plus(decoder, path)[:1])
    report = inspect_checkpoint(path)
    assert report.loads
    assert ": codes" in str(report)


def test_a_matrix_is_what_the_caller_asks_for(tmp_path):
    path = store(tmp_path / "a.npy", ONE)
    assert load_codes(path).shape == (1, STYLES, LENGTH)
    assert load_codes(path, "w").shape == (STYLES, LENGTH)
    with pytest.raises(CheckpointError, match="holds codes of w, not of z"):
        load_codes(path, "z")


def test_eighteen_codes_onto_the_photographic_decoder(photographic, decoder, tmp_path):
    codes = torch.randn(2, 18, LENGTH)
    path, remarks = store(tmp_path / "a.pt", codes), []
    assert torch.equal(load_w_plus(photographic, path, remarks), codes[:, :16])
    assert remarks == [FIRST_SIXTEEN]
    with pytest.warns(UserWarning, match="takes the first 16"):
        load_w_plus(photographic, path)
    with pytest.raises(CheckpointError, match=r"codes of shape \(18, 8\), but the decoder takes 6 of 8"):
        load_w_plus(decoder, path)


BAD = {
    "whole numbers": ("a.npy", torch.arange(8), "holds torch.int64, but codes are arrays of floating-point numbers"),
    "nothing": ("a.pt", torch.zeros(0, STYLES, LENGTH), "an array of shape (0, 6, 8), which no codes have"),
    "a batch of batches": ("a.pt", torch.zeros(2, 2, STYLES, LENGTH), "an array of shape (2, 2, 6, 8)"),
    "not finite": ("a.npy", torch.full((STYLES, LENGTH), float("nan")), "numbers that are not finite"),
    "different shapes": ("a.npz", {"a": ONE, "b": ONE[:2]}, "codes of different shapes, (2, 8) and (6, 8)"),
    "text": ("a.pt", {"a": "text"}, "holds str, but codes are"),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_are_no_codes(kind, decoder, tmp_path):
    name, content, message = BAD[kind]
    path = store(tmp_path / name, content)
    with pytest.raises(CheckpointError) as error:
        load_w_plus(decoder, path)
    assert message in str(error.value)
    assert str(path) in str(error.value)


def test_a_pickled_array_is_refused_with_the_lines_that_store_it_again(decoder, tmp_path, monkeypatch):
    codes = {"anna.jpg": [np.zeros((STYLES, LENGTH), np.float32), ONE.numpy()]}
    np.save(tmp_path / "latents.npy", codes)  # as ReStyle writes it
    for read in (lambda path: load_w_plus(decoder, path), inspect_checkpoint):
        with pytest.raises(CheckpointError, match="nothing was run") as error:
            read(tmp_path / "latents.npy")
    lines = [line.strip() for line in str(error.value).splitlines()[1:]]
    monkeypatch.chdir(tmp_path)
    exec("\n".join(lines), {})  # the three lines do what they promise
    torch.testing.assert_close(load_w_plus(decoder, tmp_path / "latents.npz"), ONE[None])


@pytest.mark.parametrize("damage", [0.3, 0.9])
@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
def test_a_truncated_file(name, damage, decoder, tmp_path):
    path = store(tmp_path / name, {"a": TWO} if name == "a.npz" else TWO)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * damage)])
    with pytest.raises(CheckpointError, match=f"{name}"):
        load_w_plus(decoder, path)


WAYS = {
    "InterFaceGAN's boundary, .npy": ("a.npy", ONE[:1], ONE[0].expand(STYLES, -1)),
    "e4e's, .pt": ("a.pt", ONE[:1], ONE[0].expand(STYLES, -1)),
    "a plain vector in W": ("a.npy", ONE[0], ONE[0].expand(STYLES, -1)),
    "W+": ("a.pt", ONE, ONE),
    "W+ with an axis": ("a.npy", ONE[None], ONE),
}


@pytest.mark.parametrize("kind", WAYS)
def test_directions_of_others(kind, decoder, tmp_path):
    name, content, expected = WAYS[kind]
    torch.testing.assert_close(load_direction(store(tmp_path / name, content), decoder), expected)


def test_directions_of_our_own_are_named(decoder, tmp_path):
    save_directions(tmp_path / "ways.safetensors", {"smile": ONE, "age": -ONE})
    torch.testing.assert_close(load_direction(f"{tmp_path}/ways.safetensors:age", decoder), -ONE)
    with pytest.raises(
        CheckpointError, match=r"ways\.safetensors: names no direction of the file.* holds .*:age, .*:smile"
    ):
        load_direction(tmp_path / "ways.safetensors", decoder)
    with pytest.raises(CheckpointError, match=r"ways\.safetensors:beard: names no .*ways\.safetensors:age, "):
        load_direction(f"{tmp_path}/ways.safetensors:beard", decoder)
    report = inspect_checkpoint(tmp_path / "ways.safetensors")
    assert report.loads
    assert "directions" in str(report)


def test_directions_of_another_decoder(decoder, photographic, tmp_path):
    remarks = []
    way = torch.randn(18, LENGTH)
    assert torch.equal(load_direction(store(tmp_path / "a.pt", way), photographic, remarks=remarks), way[:16])
    assert remarks == [FIRST_SIXTEEN]
    for content in (torch.randn(1, 512), torch.randn(18, LENGTH), torch.randn(2, STYLES, LENGTH)):
        with pytest.raises(CheckpointError, match="found for another decoder, and means nothing in this one"):
            load_direction(store(tmp_path / "b.npy", content), decoder)
