"""Codes moved along directions, ours and those of others; and people brought to codes."""

import pytest
import torch
from safetensors.torch import save_file

from pspkit import PspkitError
from pspkit.inference.directions import FACE_DIRECTIONS, load_direction, load_directions
from pspkit.inference.edit import draw_quickly, move, read_people
from pspkit.models.mobile_stylegan import MobileStyleGAN, Readout
from pspkit.models.stylegan2 import Generator

SHAPE = (16, 512)


@pytest.fixture(scope="module")
def decoder():
    return MobileStyleGAN(n_mlp=1, channels=(8,) * 8)


@pytest.fixture
def way():
    rows = torch.randn(6, 8, generator=torch.Generator().manual_seed(0))
    rows[[0, 5]] = 0
    return rows


def test_a_step_moves_the_chosen_codes_alone(way):
    codes = torch.randn(2, 6, 8, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(move(codes, way, -2), codes - 2 * way)
    some = move(codes, way, 0.5, "2-3")
    assert torch.equal(some[:, [0, 1, 4, 5]], codes[:, [0, 1, 4, 5]])
    assert torch.allclose(some[:, 2:4], codes[:, 2:4] + 0.5 * way[2:4])


def test_codes_that_the_direction_does_not_move_are_refused(way):
    with pytest.raises(PspkitError, match=r"layers: got '0,5', and the direction moves codes 1, 2, 3, 4 only"):
        move(torch.zeros(1, 6, 8), way, 1, "0,5")


def test_every_direction_that_ships_is_found_by_its_name(decoder):
    ways = load_directions(FACE_DIRECTIONS)
    for name, way in ways.items():
        assert torch.equal(load_direction(name.replace(" ", "-"), decoder), way)
        assert way.shape == SHAPE
        assert way.any()


@pytest.mark.parametrize("shape", [SHAPE, (1, *SHAPE), (512,), (1, 512)])
def test_directions_of_others_are_plain_tensors(tmp_path, decoder, shape):
    theirs = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    torch.save(theirs, tmp_path / "beard.pt")
    save_file({"beard": theirs, "hat": -theirs}, tmp_path / "two.safetensors")
    torch.save({"hat": -theirs, "found by": "hand"}, tmp_path / "noted.pt")
    wanted = theirs.expand(1, *SHAPE)[0] if len(shape) < 3 else theirs[0]
    assert torch.equal(load_direction(tmp_path / "beard.pt", decoder), wanted)
    assert torch.equal(load_direction(f"{tmp_path}/two.safetensors:hat", decoder), -wanted)
    assert torch.equal(load_direction(f"{tmp_path}/noted.pt:hat", decoder), -wanted)


def test_directions_that_are_not_usable_are_refused(tmp_path, decoder):
    save_file({"a": torch.zeros(14, 512), "b": torch.full(SHAPE, torch.nan)}, tmp_path / "bad.safetensors")
    save_file({"a": torch.zeros(512), "b": torch.zeros(512)}, tmp_path / "two.safetensors")
    file = f"{tmp_path}/bad.safetensors"
    with pytest.raises(PspkitError, match=r"direction: got 'smirk', needs one of 'yaw'"):
        load_direction("smirk", decoder)
    with pytest.raises(PspkitError, match=r"none\.pt: no such file"):
        load_direction(f"{tmp_path}/none.pt", decoder)
    with pytest.raises(PspkitError, match=r"two\.safetensors: names no direction.*two\.safetensors:a, .*:b"):
        load_direction(tmp_path / "two.safetensors", decoder)
    with pytest.raises(
        PspkitError, match=r":a: a direction of shape \(14, 512\), but the decoder takes 16 codes of 512"
    ):
        load_direction(f"{file}:a", decoder)
    with pytest.raises(PspkitError, match=r"bad\.safetensors: it holds numbers that are not finite"):
        load_direction(f"{file}:b", decoder)
    with pytest.raises(PspkitError, match=r"none come with objects"):
        load_direction("smile", decoder, "objects")
    with pytest.raises(PspkitError, match=r"beard: a direction of shape \(10, 256\)"):
        load_direction("beard", decoder, "heads")


def test_heads_have_directions_of_their_own():
    decoder = Generator(64, 256, 1, max_channels=8)
    assert torch.equal(load_direction("beard", decoder, "heads"), load_directions()["beard"])


def test_steps_of_refinement_are_not_fewer_than_none(tmp_path):
    with pytest.raises(PspkitError, match="refine: got -1, needs at least 0"):
        read_people([tmp_path / "a.png"], refine=-1)


def test_a_preview_is_the_smallest_that_has_the_side():
    torch.manual_seed(0)
    decoder = MobileStyleGAN(style_dim=8, n_mlp=1, channels=(8, 8, 8, 8, 8)).eval()
    codes = torch.randn(2, decoder.n_styles, 8)
    with pytest.raises(PspkitError, match="preview: this decoder has none"):
        draw_quickly(decoder, codes, preview=True)
    for side in (16, 32):
        decoder.readouts[str(side)] = Readout(8)
        torch.nn.init.constant_(decoder.readouts[str(side)].bias, side / 64)
    for asked, value in ((None, 0.5), (8, 0.25), (16, 0.25), (20, 0.5), (64, 0.5)):
        drawn = draw_quickly(decoder, codes, asked, preview=True)
        assert drawn.mean().item() == pytest.approx(value, abs=1e-2)
        assert drawn.shape == (2, 3, *[min(asked or 32, 32)] * 2)
