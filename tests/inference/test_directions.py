import pytest
import torch
from safetensors.torch import save_file

from pspkit import PspkitError
from pspkit.data.heads import Render, sample_factors
from pspkit.inference.directions import CONTRASTS, Contrast, find_direction, heads, load_directions, save_directions

TURN = Contrast("left", "right", {"yaw": -30.0}, {"yaw": 30.0})


@pytest.fixture
def drawn(monkeypatch):
    """In place of pictures, planes that hold a head's yaw, smile and skin."""

    def draw(factors, size):
        values = torch.stack([factors.scene.yaw, factors.scene.smile, factors.identity.skin_tone], 1)
        image = values[:, :, None, None].expand(-1, -1, size, size)
        return Render(image, image, image, image, image, factors)

    monkeypatch.setattr(heads, "render", draw)


def test_the_direction_of_a_linear_encoder_is_its_own(drawn):
    weights = torch.randn(3, 4 * 8, generator=torch.Generator().manual_seed(0))

    def encode(images):
        return (images.mean((2, 3)) @ weights).unflatten(1, (4, 8))

    found = find_direction(encode, TURN, sample_factors(70, 0), 64)  # more than two batches
    assert torch.allclose(found, 60 * weights[0].view(4, 8), rtol=1e-4)


def test_what_the_heads_differ_in_otherwise_drops_out_and_the_mean_is_over_all(drawn):
    people = sample_factors(40, 0)

    def encode(images):  # moves with the turn times the skin
        return (images[:, 0] * images[:, 2]).mean((1, 2))[:, None, None].expand(-1, 2, 3)

    found = find_direction(encode, TURN, people, 64)
    assert torch.allclose(found, (60 * people.identity.skin_tone.mean()).expand(2, 3), rtol=1e-4)


def test_both_ends_of_every_contrast_are_factors_and_differ():
    people = sample_factors(3, 0)
    for contrast in CONTRASTS.values():
        assert contrast.at_low.keys() == contrast.at_high.keys()
        low, high = people.replace(**contrast.at_low), people.replace(**contrast.at_high)
        assert low.to_json() != high.to_json()


def test_directions_come_back_by_name_in_the_tables_order(tmp_path):
    kept = {name: torch.randn(4, 8) for name in ("smile", "yaw")}
    save_directions(tmp_path / "ways.safetensors", kept)
    loaded = load_directions(tmp_path / "ways.safetensors")
    assert list(loaded) == ["yaw", "smile"]
    assert all(torch.equal(loaded[name], kept[name]) for name in kept)


def test_a_file_of_something_else_is_refused(tmp_path):
    save_file({"yaw": torch.zeros(2, 2)}, tmp_path / "other.safetensors")
    with pytest.raises(PspkitError, match=r"other\.safetensors: not a file of directions.*`pspkit directions`"):
        load_directions(tmp_path / "other.safetensors")
    with pytest.raises(PspkitError, match=r"none\.safetensors: cannot be read"):
        load_directions(tmp_path / "none.safetensors")
