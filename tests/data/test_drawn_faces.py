"""Drawn faces as data: what is in the cache is exactly what was drawn, whatever was drawn before or stopped."""

import pickle

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pspkit.data.faces import dataset
from pspkit.data.faces.dataset import CHUNK, SIDE, DrawnFaces
from pspkit.errors import PspkitError

AVERAGE = torch.zeros(16)


class Painter(nn.Module):
    """A decoder that fills the four quarters of a picture with colours, the preview's a little darker."""

    n_styles, style_dim, size = 4, 16, 2
    preview_sides = (SIDE,)

    def __init__(self) -> None:
        super().__init__()
        self.mapping = nn.Linear(16, 16)
        self.drawn: list[int] = []
        self.fails_after = 10**6

    def synthesis(self, w_plus: torch.Tensor) -> torch.Tensor:
        return self._paint(w_plus, 2)

    def preview(self, w_plus: torch.Tensor, side: int) -> torch.Tensor:
        return self._paint(w_plus, side) - 0.2

    def _paint(self, w_plus: torch.Tensor, side: int) -> torch.Tensor:
        self.drawn.append(len(w_plus))
        if sum(self.drawn) > self.fails_after:
            raise KeyboardInterrupt
        colours = w_plus[:, :, :3].transpose(1, 2).reshape(-1, 3, 2, 2).float().tanh() / 2
        return F.interpolate(colours, size=side)


@pytest.fixture
def painter() -> Painter:
    torch.manual_seed(0)
    return Painter().requires_grad_(False)


def faces(painter: Painter, folder, split: str = "train", count: int = 12, **given) -> DrawnFaces:
    return DrawnFaces(split, count, painter, AVERAGE, cache=folder, **given)


def same(one: dict, other: dict) -> bool:
    return all(torch.equal(torch.as_tensor(one[name]), torch.as_tensor(other[name])) for name in one)


def test_the_codes_of_a_face_are_those_that_it_was_drawn_from(painter, tmp_path):
    items = faces(painter, tmp_path)
    for item in (items[0], items[1], items[11]):
        assert item["image"].shape == (3, SIDE, SIDE) and item["image"].dtype == torch.uint8
        codes = item["codes"]
        assert torch.equal(codes, codes.half().float())  # so that half precision kept them exactly
        wanted = painter.synthesis(codes[None]) if item["whole"] else painter.preview(codes[None], SIDE)
        wanted = F.adaptive_avg_pool2d(wanted, SIDE)[0]
        away = (item["image"] / 127.5 - 1 - wanted).abs()
        assert away[:, 64:80, 64:80].max() < 0.03  # in the middle of a quarter, where JPEG has nothing to lose


def test_at_least_a_tenth_is_decoded_in_full_and_all_that_is_validated_on(painter, tmp_path):
    whole = [item["whole"] for item in map(faces(painter, tmp_path, count=80).__getitem__, range(80))]
    assert 0.1 <= sum(whole) / len(whole) < 0.5
    assert all(faces(painter, tmp_path, "validation", 8)[index]["whole"] for index in range(8))


def test_without_a_preview_every_face_is_decoded_in_full(painter, tmp_path):
    painter.preview_sides = ()
    assert all(faces(painter, tmp_path)[index]["whole"] for index in range(12))


def test_splits_and_seeds_share_no_face(painter, tmp_path):
    codes = [
        torch.stack([items[index]["codes"] for index in range(8)])
        for items in (
            faces(painter, tmp_path),
            faces(painter, tmp_path, "validation"),
            faces(painter, tmp_path, seed=1),
        )
    ]
    assert len(torch.cat(codes).flatten(1).unique(dim=0)) == 24


def test_what_is_there_is_not_drawn_again(painter, tmp_path):
    few = faces(painter, tmp_path, count=5)
    items = [few[index] for index in range(5)]
    painter.drawn.clear()
    assert all(same(item, faces(painter, tmp_path, count=5)[index]) for index, item in enumerate(items))
    assert not painter.drawn
    more = faces(painter, tmp_path, count=CHUNK + 3)
    assert sum(painter.drawn) == CHUNK + 3
    assert all(same(item, more[index]) for index, item in enumerate(items))
    assert len(few) == 5 and same(few[4], items[4])  # although its file was replaced
    with pytest.raises(IndexError):
        few[5]


def test_a_drawing_that_was_stopped_goes_on(painter, tmp_path):
    painter.fails_after = CHUNK + 20
    with pytest.raises(KeyboardInterrupt):
        faces(painter, tmp_path, count=2 * CHUNK)
    painter.fails_after = 10**6
    painter.drawn.clear()
    items = faces(painter, tmp_path, count=2 * CHUNK)
    assert sum(painter.drawn) == CHUNK
    whole = faces(painter, tmp_path / "elsewhere", count=2 * CHUNK)
    assert all(same(items[index], whole[index]) for index in (0, CHUNK - 1, CHUNK, 2 * CHUNK - 1))


def test_a_damaged_file_is_drawn_anew(painter, tmp_path):
    first = faces(painter, tmp_path)[3]
    (file,) = tmp_path.glob("faces-*/*/*.safetensors")
    file.write_bytes(file.read_bytes()[:100])
    assert same(first, faces(painter, tmp_path)[3])


def test_another_decoder_draws_into_another_folder(painter, tmp_path):
    first = faces(painter, tmp_path)[0]
    painter.mapping.bias.add_(1)
    assert not torch.equal(faces(painter, tmp_path)[0]["codes"], first["codes"])
    assert len(list(tmp_path.glob("faces-*/train-seed0"))) == 2


def test_label_maps_are_made_once(painter, tmp_path, monkeypatch):
    seen = []

    def brightness(picture: torch.Tensor) -> torch.Tensor:
        seen.append(picture)
        return (picture.float().mean(0) / 16).to(torch.uint8)

    monkeypatch.setitem(dataset.EXTRAS, "labels", brightness)
    for _ in range(2):
        items = faces(painter, tmp_path, extras=("labels",))
        assert torch.equal(items[3]["labels"], brightness(items[3]["image"]))
    assert len(seen) == 12 + 2
    assert "labels" not in faces(painter, tmp_path)[0]


def test_it_travels_to_loader_processes(painter, tmp_path):
    items = faces(painter, tmp_path)
    first = items[0]
    assert same(pickle.loads(pickle.dumps(items))[0], first)


@pytest.mark.parametrize(
    "given, message",
    [
        ({"split": "test"}, "split: got 'test', needs one of 'train', 'validation'"),
        ({"count": 0}, "count: got 0, needs 1 to 50000"),
        ({"count": 50_001}, "count: got 50001"),
        ({"extras": ("sketch",)}, "extras: got 'sketch'"),
    ],
)
def test_what_cannot_be_drawn_is_refused(painter, tmp_path, given, message):
    with pytest.raises(PspkitError, match=message):
        faces(painter, tmp_path, **given)
    assert not painter.drawn


def test_a_cache_that_cannot_be_written_is_named(painter, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(PspkitError, match=r"file.*could not be written.*PSPKIT_CACHE"):
        faces(painter, tmp_path / "file")
