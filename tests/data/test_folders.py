"""Folders of pictures: what is found, what is paired, what is refused, and the pairs that come out."""

import unicodedata
import warnings
from dataclasses import replace
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import numpy as np
import pytest
import test_pictures as pictures
import torch
from PIL import Image
from test_pictures import cut_in_half, empty_file, noise
from torch.utils.data import DataLoader

from pspkit import PspkitError
from pspkit.data.faces.sketch import draw_sketch
from pspkit.data.folders import FolderPairs, list_pictures, pair_by_name
from pspkit.data.labels import LABELS, LabelMap
from pspkit.data.tasks import TASKS, get_task

PROMISES = Path(__file__).parents[2] / "data" / "PICTURES.md"


def fill(folder, *names, side=24):
    """Writes a different picture under each name."""
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.roll(noise(side), 5 * number, 1)).save(path)
    return folder


def names(folder):
    return [path.relative_to(folder).as_posix() for path in list_pictures(folder)]


FOUND = {
    "extension in capitals": (("A.PNG", "b.JpEg"), ["A.PNG", "b.JpEg"]),
    "spaces and accents in names": (("Zoë Müller 1.png", "顔.webp"), ["Zoë Müller 1.png", "顔.webp"]),
    "folders within folders": (("b.png", "a/deep/c.png"), ["a/deep/c.png", "b.png"]),
    "hidden files and folders": (("a.png", ".b.png", ".thumbnails/c.png"), ["a.png"]),
}


@pytest.mark.parametrize("kind", FOUND)
def test_pictures_are_found(kind, tmp_path):
    written, found = FOUND[kind]
    fill(tmp_path, *written)
    assert names(tmp_path) == found
    pair = FolderPairs(tmp_path, size=16)[0]
    assert [tuple(part.shape) for part in pair] == [(3, 16, 16)] * 2


def files_that_are_no_pictures(at):
    fill(at, "a.png")
    (at / "notes.txt").write_text("hello")
    (at / "list.csv").touch()
    assert names(at) == ["a.png"]


def links_that_lead_back(at):
    fill(at, "x/a.png")
    (at / "x" / "up").symlink_to(at)
    assert names(at) == ["x/a.png"]


def accents_stored_in_two_ways(at):
    fill(at, "source/" + unicodedata.normalize("NFC", "Zoë.png"), "target/" + unicodedata.normalize("NFD", "Zoë.jpg"))
    assert len(pair_by_name(at / "source", at / "target")) == 1


def not_square(at):
    Image.new("RGB", (40, 10), (255, 0, 0)).save(at / "a.png")
    assert FolderPairs(at, size=16)[0][0].shape == (3, 16, 16)


def label_map_of_another_size(at):
    values = np.zeros((48, 48), np.uint8)
    values[:, 24:] = 18
    for folder in ("labels", "photos"):
        (at / folder).mkdir()
    Image.fromarray(values).save(at / "labels" / "a.png")
    Image.fromarray(noise(48)).save(at / "photos" / "a.jpg")
    source, _ = FolderPairs(at / "labels", at / "photos", task="segmentation", size=16)[0]
    assert source.sum((1, 2)).nonzero().flatten().tolist() == [0, 18]


def no_such_folder(at):
    with pytest.raises(PspkitError, match="gone: no such folder"):
        list_pictures(at / "gone")


def file_in_place_of_a_folder(at):
    fill(at, "a.png")
    with pytest.raises(PspkitError, match=r"a\.png: it is a file, not a folder"):
        FolderPairs(at / "a.png")


def folder_without_pictures(at):
    with pytest.raises(PspkitError, match=f"{at.name}: it holds no pictures"):
        FolderPairs(at)


def partner_missing(at):
    fill(at, *(f"source/{i}.png" for i in range(9)), "target/0.jpg", "target/x.jpg")
    with pytest.raises(PspkitError, match="9 pictures have no partner") as raised:
        pair_by_name(at / "source", at / "target")
    for part in ("source/1.png (nothing in", "and 4 more", "on_bad_image='skip'"):
        assert part in str(raised.value)
    with pytest.warns(UserWarning, match="skipped: 9 pictures have no partner"):
        pairs = pair_by_name(at / "source", at / "target", on_bad_image="skip")
    assert [pair.name for pair in pairs] == ["0"]


def one_name_with_two_extensions(at):
    fill(at, "source/a.png", "source/a.jpg", "target/a.png")
    with pytest.raises(PspkitError, match=r"a\.jpg and .*a\.png share a name"):
        pair_by_name(at / "source", at / "target")
    assert len(FolderPairs(at / "source")) == 2  # nothing to pair here


def no_good_picture_left(at):
    empty_file(at)
    with pytest.warns(UserWarning, match="skipped"), pytest.raises(PspkitError, match="None of the 1 pictures"):
        FolderPairs(at, on_bad_image="skip")


CASES = {
    "files that are no pictures by their extension": files_that_are_no_pictures,
    "links that lead back": links_that_lead_back,
    "accents stored in two ways": accents_stored_in_two_ways,
    "not square": not_square,
    "label map of another size": label_map_of_another_size,
    "no such folder": no_such_folder,
    "file in place of a folder": file_in_place_of_a_folder,
    "folder without pictures": folder_without_pictures,
    "partner missing": partner_missing,
    "one name with two extensions": one_name_with_two_extensions,
    "no good picture left": no_good_picture_left,
}


@pytest.mark.parametrize("kind", CASES)
def test_folder(kind, tmp_path):
    CASES[kind](tmp_path)


def test_every_row_of_the_promises_is_tested():
    rows = {line.split("|")[1].strip() for line in PROMISES.read_text().splitlines() if line.startswith("| ")}
    tested = [FOUND, CASES, pictures.PICTURES, pictures.UNUSABLE]
    tested += [pictures.SKETCHES, pictures.LABEL_MAPS, pictures.BAD_LABEL_MAPS]
    assert rows - {"kind"} == {kind for table in tested for kind in table}


def test_bad_pictures_are_all_named_before_training(tmp_path):
    fill(tmp_path, "a.png", "b.jpg", "c.png")
    cut_in_half(tmp_path / "b.jpg")
    (tmp_path / "d.png").write_text("no picture")
    with pytest.raises(PspkitError, match="2 pictures cannot be used") as raised:
        FolderPairs(tmp_path)
    assert "b.jpg" in str(raised.value) and "d.png" in str(raised.value)
    with pytest.warns(UserWarning, match="skipped: 2 pictures cannot be used"):
        pairs = FolderPairs(tmp_path, on_bad_image="skip")
    assert [pair.name for pair in pairs.pairs] == ["a", "c"]


def test_a_label_out_of_range_is_found_before_training(tmp_path):
    fill(tmp_path, "photos/a.png", "photos/b.png")
    (tmp_path / "labels").mkdir()
    for name, value in (("a", 18), ("b", 40)):
        Image.new("L", (8, 8), value).save(tmp_path / "labels" / f"{name}.png")
    with pytest.raises(PspkitError, match=r"b\.png: has the value 40; 19 classes are numbered 0 to 18"):
        FolderPairs(tmp_path / "labels", tmp_path / "photos", task="segmentation")


def test_a_picture_that_goes_bad_later_stops_or_is_stood_in_for(tmp_path):
    fill(tmp_path, "a.png", "b.png", "c.png")
    strict, lenient = (FolderPairs(tmp_path, size=16, on_bad_image=choice) for choice in ("stop", "skip"))
    (tmp_path / "c.png").unlink()
    with pytest.raises(PspkitError, match=r"c\.png: no such file"):
        strict[2]
    with pytest.warns(UserWarning, match=r"skipped: .*c\.png"):
        first = lenient[2]
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # said once, not every epoch
        assert torch.equal(lenient[2][0], first[0])
    assert lenient.n_substituted == 1
    for name in ("a.png", "b.png"):
        (tmp_path / name).unlink()
    with pytest.warns(UserWarning), pytest.raises(PspkitError, match="none of its 3 pictures can be read any more"):
        lenient[0]


def test_pairs_are_matched_by_name_not_by_order(tmp_path):
    sketches, photos = tmp_path / "sketches", fill(tmp_path / "photos", "a.jpg", "b.jpg", "in/c.webp")
    (sketches / "in").mkdir(parents=True)
    for name in ("b.PNG", "a.tif", "in/c.bmp"):
        Image.new("L", (8, 8), ord(name[-5])).save(sketches / name)
    pairs = FolderPairs(sketches, photos, task="sketch", size=16)
    assert [pair.name for pair in pairs.pairs] == ["a", "b", "in/c"]
    assert all(pair.source.stem == pair.target.stem for pair in pairs.pairs)
    source, target = pairs[1]
    assert source.shape == (1, 16, 16) and target.shape == (3, 16, 16)
    assert torch.allclose(source, torch.tensor(ord("b") / 255))  # in [0, 1], not normalised


def test_a_task_with_partners_needs_a_second_folder(tmp_path):
    fill(tmp_path, "a.png")
    with pytest.raises(PspkitError, match="target: segmentation needs a second folder"):
        FolderPairs(tmp_path, task="segmentation")
    with pytest.raises(PspkitError, match="target: frontalize learns from one folder"):
        FolderPairs(tmp_path, tmp_path, task="frontalize")


def test_sources_are_made_from_photographs_where_asked_for(tmp_path, monkeypatch):
    fill(tmp_path, "a.png", "b.png", side=256)
    pairs = FolderPairs(tmp_path, task="sketch", size=256, from_photograph=True, training=False)
    source, target = pairs[1]
    torch.testing.assert_close(source, draw_sketch(target[None])[0])
    assert torch.equal(ForkingPickler.loads(ForkingPickler.dumps(pairs))[1][0], source)
    small = FolderPairs(tmp_path, task="sketch", size=32, target_size=64, from_photograph=True)[0]
    assert [tuple(part.shape) for part in small] == [(1, 32, 32), (3, 64, 64)]
    labels = LabelMap(torch.randint(19, (256, 256), dtype=torch.uint8))
    task = replace(get_task("segmentation"), from_photograph=lambda picture: labels)
    monkeypatch.setitem(TASKS, "segmentation", task)
    source, _ = FolderPairs(tmp_path, task="segmentation", size=256, from_photograph=True, training=False)[0]
    assert torch.equal(source.argmax(0), labels)


def test_sources_that_cannot_be_made_from_photographs_are_refused(tmp_path):
    fill(tmp_path, "a.png")
    with pytest.raises(PspkitError, match=r"target: sketch needs a second folder.*, or from_photograph=True, which"):
        FolderPairs(tmp_path, task="sketch")
    with pytest.raises(PspkitError, match=r"from_photograph: .Encode. starts from a picture itself\. Leave the"):
        FolderPairs(tmp_path, from_photograph=True)
    with pytest.raises(
        PspkitError, match="target: a folder is given, but with from_photograph each photograph is its own"
    ):
        FolderPairs(tmp_path, tmp_path, task="sketch", from_photograph=True)


def test_unknown_task_and_choice_are_refused(tmp_path):
    with pytest.raises(PspkitError, match="task: got 'encoding', needs one of 'encode'"):
        FolderPairs(tmp_path, task="encoding")
    with pytest.raises(PspkitError, match="on_bad_image: got 'ignore', needs one of 'stop', 'skip'"):
        FolderPairs(tmp_path, on_bad_image="ignore")


def test_workers_draw_what_one_process_draws(tmp_path):
    fill(tmp_path, *(f"{i}.png" for i in range(6)))
    pairs = FolderPairs(tmp_path, task="inpaint", size=16, seed=3)
    loaders = [DataLoader(pairs, 3, num_workers=n, persistent_workers=n > 0) for n in (0, 2)]
    epochs = []
    for epoch in (0, 1):
        pairs.set_epoch(epoch)
        alone, shared = ([batch[0] for batch in loader] for loader in loaders)
        assert all(torch.equal(a, b) for a, b in zip(alone, shared, strict=True))
        epochs.append(torch.cat(alone))
    assert not torch.equal(*epochs)


def test_pairs_travel_to_a_spawned_worker_by_name(tmp_path):
    def packed(count):
        sources, targets = (fill(tmp_path / f"{side}{count}", *(f"{i:030}.png" for i in range(count))) for side in "ab")
        given = FolderPairs(sources, targets, task="sketch", size=16)
        return given, ForkingPickler.dumps(given)

    (few, small), (many, large) = packed(1), packed(300)
    assert len(large) < len(small) + 100
    for given, state in ((few, small), (many, large)):
        taken = ForkingPickler.loads(state)
        assert taken.pairs == given.pairs
        assert all(torch.equal(a, b) for a, b in zip(taken[0], given[0], strict=True))
    given.set_epoch(3)
    assert taken._epoch == 3


def test_pictures_that_are_their_own_targets_travel_too(tmp_path):
    given = FolderPairs(fill(tmp_path, "a.png", "b/Zoë.png"), size=16)
    assert ForkingPickler.loads(ForkingPickler.dumps(given)).pairs == given.pairs


def test_reference_flips(tmp_path):
    fill(tmp_path, "a.png", side=16)
    picture = torch.from_numpy(noise(16)).permute(2, 0, 1).float() / 127.5 - 1

    def drawn(task):
        pairs, seen = FolderPairs(tmp_path, task=task, size=16), set()
        for epoch in range(40):
            pairs.set_epoch(epoch)
            mirrored = [torch.allclose(part, picture.flip(-1), atol=1e-5) for part in pairs[0]]
            assert all(mirrored[i] or torch.allclose(pairs[0][i], picture, atol=1e-5) for i in (0, 1))
            seen.add(tuple(mirrored))
        return seen

    assert drawn("encode") == {(False, False), (True, True)}
    assert drawn("frontalize") == {(a, b) for a in (False, True) for b in (False, True)}


def test_a_label_map_keeps_its_sides_when_nothing_is_mirrored(tmp_path):
    fill(tmp_path, "photos/a.png", side=8)
    (tmp_path / "labels").mkdir()
    left = LABELS["l_eye"].number
    Image.new("L", (8, 8), left).save(tmp_path / "labels" / "a.png")
    pairs = FolderPairs(tmp_path / "labels", tmp_path / "photos", task="segmentation", size=8)
    for epoch in range(10):
        pairs.set_epoch(epoch)
        assert pairs[0][0][left].all()
