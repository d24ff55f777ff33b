"""Moving pictures: paths of codes that close, and the files that are made from them."""

import pytest
import torch
from PIL import Image

from pspkit import PspkitError
from pspkit.inference.animate import animate, journey
from pspkit.models.stylegan2 import Generator


@pytest.fixture
def people():
    return torch.randn(3, 4, 8, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def decoder():
    torch.manual_seed(0)
    return Generator(16, 8, 1).eval()


WAY = torch.ones(4, 8)


@pytest.mark.parametrize(("count", "way"), [(1, WAY), (2, None), (3, None), (3, WAY)])
def test_every_journey_closes_without_a_jump(people, count, way):
    codes = journey(people[:count], 48, way)
    steps = (codes.roll(-1, 0) - codes).flatten(1).norm(dim=1)  # the last one leads from the last frame to the first
    assert steps[-1] <= steps.max() / 2  # slow where it turns
    assert torch.equal(codes[0], people[0] - (0 if way is None else way))


def test_everybody_is_met_and_both_ends_are_reached(people):
    codes = journey(people, 30)
    assert torch.allclose(codes[[0, 10, 20]], people, atol=1e-6)
    there = journey(people[:1], 10, WAY, (0.0, 2.0)) - people[0]
    assert there.mean((1, 2)).min() == 0
    assert torch.allclose(there[5], 2 * WAY, atol=1e-6)


def test_journeys_that_lead_nowhere_are_refused(people):
    with pytest.raises(PspkitError, match="direction: none is given, and one face alone does not move"):
        journey(people[:1], 20)
    with pytest.raises(PspkitError, match=r"frames: got 5, needs 6 to 1000\. Change seconds or fps"):
        journey(people, 5)


@pytest.mark.parametrize("ending", ["gif", "webp"])
def test_files_play_every_frame_without_end(tmp_path, decoder, ending):
    path = tmp_path / f"film.{ending}"
    codes = torch.randn(4, decoder.n_styles, 8, generator=torch.Generator().manual_seed(0))
    animate(decoder, codes, path, fps=10)
    with Image.open(path) as film:
        assert film.n_frames == 4
        assert film.size == (16, 16)
        assert film.info["loop"] == 0
        film.seek(1)
        film.load()
        assert film.info["duration"] == 100
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("film.avi", {}, r"film\.avi: its name has no ending of a format for moving pictures"),
        ("film.gif", {"fps": 0}, "fps: got 0, needs 1 to 50"),
        ("film.gif", {"side": 15}, "size: got 15, needs an even number of at least 16"),
        ("film.gif", {"preview": True}, "preview: this decoder has none"),
    ],
)
def test_bad_input_writes_nothing(tmp_path, decoder, name, options, words):
    with pytest.raises(PspkitError, match=words):
        animate(decoder, torch.zeros(2, decoder.n_styles, 8), tmp_path / name, **options)
    assert list(tmp_path.iterdir()) == []
