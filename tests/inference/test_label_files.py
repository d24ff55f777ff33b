"""Label maps of others: known colours, another order, a mask for each part, and what is refused."""

import numpy as np
import pytest
import torch
from PIL import Image

from pspkit import PspkitError
from pspkit.data.heads import render, sample_factors
from pspkit.data.labels import (
    CELEBAMASK_COLOURS,
    FACE_PARSER_COLOURS,
    FACE_PARSER_ORDER,
    LABELS,
    from_face_parser,
    looks_like_a_parsers,
    palette,
)
from pspkit.data.pictures import open_picture, save_labels
from pspkit.inference.label_files import convert_labels

CLASSES = (np.arange(64) % 19).astype(np.uint8).reshape(8, 8)
PARSED = torch.tensor([FACE_PARSER_ORDER.index(name) for name in LABELS], dtype=torch.uint8)  # by our numbers


def colours(table):
    return np.array([list(bytes.fromhex(colour)) for colour in table], np.uint8)


OURS = palette().numpy()
CELEBAMASK = colours(CELEBAMASK_COLOURS)
PARSER = colours(FACE_PARSER_COLOURS)[PARSED.numpy()]
SMALL = np.where(CLASSES > 12, 0, CLASSES)


@pytest.fixture(scope="module")
def head():
    return render(sample_factors(1, seed=3), 64).labels[0]


def reduced(picture):
    return picture.quantize(256)


@pytest.mark.parametrize("store", [lambda picture: picture, lambda picture: picture.convert("RGBA"), reduced])
@pytest.mark.parametrize(
    "table", [OURS, CELEBAMASK, PARSER, PARSER[:, ::-1]], ids=["ours", "celebamask", "parser", "bgr"]
)
def test_known_colours_are_their_classes(table, store, tmp_path):
    store(Image.fromarray(np.ascontiguousarray(table[CLASSES]))).save(tmp_path / "a.png")
    assert np.array_equal(open_picture(tmp_path / "a.png", "labels").numpy(), CLASSES)


REFUSED = {
    "reduced to colours that nobody knows": (
        lambda: reduced(Image.fromarray(OURS[SMALL] // 2 + 40)),
        "are not classes",
    ),
    "dithered to the web's colours": (lambda: Image.fromarray(OURS[CLASSES] // 2 + 40).convert("P"), "are not classes"),
    "colours that nobody knows": (lambda: Image.fromarray(OURS[CLASSES] // 2 + 40), "to no palette that is known"),
    "a mask of one part": (lambda: Image.fromarray((CLASSES > 5).astype(np.uint8) * 255), "Merge the masks"),
    "a half transparent one": (lambda: Image.fromarray(np.dstack([OURS[CLASSES], CLASSES])), "a colour picture"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_maps_that_do_not_say_their_classes_are_refused_by_the_reason(kind, tmp_path):
    make, reason = REFUSED[kind]
    make().save(tmp_path / "a.png")
    with pytest.raises(PspkitError, match=reason) as error:
        open_picture(tmp_path / "a.png", "labels")
    assert str(tmp_path / "a.png") in str(error.value)


def test_a_saved_map_is_seen_in_colour_and_read_by_number(tmp_path):
    save_labels(tmp_path / "a.png", torch.from_numpy(CLASSES))
    with Image.open(tmp_path / "a.png") as picture:
        assert np.array_equal(np.array(picture), CLASSES)
        assert np.array_equal(np.array(picture.convert("RGB")), OURS[CLASSES])
    assert np.array_equal(open_picture(tmp_path / "a.png", "labels").numpy(), CLASSES)
    with pytest.raises(PspkitError, match=r"a\.jpg: a label map must be stored without loss"):
        save_labels(tmp_path / "a.jpg", torch.from_numpy(CLASSES))


def test_the_order_of_face_parsers_is_found_in_the_map_itself():
    heads = render(sample_factors(12, seed=8), 64).labels
    assert not any(map(looks_like_a_parsers, heads))
    assert sum(looks_like_a_parsers(PARSED[labels.long()]) for labels in heads) >= 10


class TestConvert:
    def test_order(self, head, tmp_path):
        Image.fromarray(PARSED[head.long()].numpy()).save(tmp_path / "a.png")
        summary = convert_labels(tmp_path / "a.png", tmp_path / "out", order="parser")
        assert summary.written == [tmp_path / "out/a.png"]
        assert not summary.remarks
        assert torch.equal(open_picture(tmp_path / "out/a.png", "labels").as_subclass(torch.Tensor), head)
        summary = convert_labels(tmp_path / "a.png", tmp_path / "as_it_is")
        assert "in the order of face parsers" in str(summary)
        with pytest.raises(PspkitError, match="order: got 'bisenet'"):
            convert_labels(tmp_path / "a.png", tmp_path / "x", order="bisenet")

    def test_colours_say_their_classes_whatever_the_order(self, head, tmp_path):
        Image.fromarray(CELEBAMASK[head.numpy()]).save(tmp_path / "a.png")
        convert_labels([tmp_path / "a.png"], tmp_path / "out")
        assert torch.equal(open_picture(tmp_path / "out/a.png", "labels").as_subclass(torch.Tensor), head)

    def test_a_mask_for_each_part(self, head, tmp_path):
        for number, labels in ((0, head), (1, head.flip(1))):
            for name, label in LABELS.items():
                if name != "background" and (labels == label.number).any():
                    mask = (labels == label.number).numpy().astype(np.uint8) * 255
                    path = tmp_path / f"anno/{number}/{number:05}_{name}.png"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    Image.fromarray(mask).convert("RGB").save(path)
        summary = convert_labels(tmp_path / "anno", tmp_path / "out")
        assert [path.relative_to(tmp_path / "out").as_posix() for path in summary.written] == [
            "0/00000.png",
            "1/00001.png",
        ]
        assert torch.equal(open_picture(summary.written[0], "labels").as_subclass(torch.Tensor), head)

    def test_masks_of_two_sizes(self, tmp_path):
        for name, side in (("skin", 8), ("hair", 9)):
            Image.new("L", (side, side), 255).save(tmp_path / f"a_{name}.png")
        summary = convert_labels([tmp_path / "a_skin.png", tmp_path / "a_hair.png"], tmp_path / "out")
        assert "a_hair.png: 9 x 9 px, and other masks of this face are 8 x 8" in str(summary)


def test_the_parsers_order_is_a_permutation():
    assert torch.equal(from_face_parser(PARSED), torch.arange(19, dtype=torch.uint8))
