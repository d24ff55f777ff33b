import itertools
import json
import os
import pickle
import subprocess
import sys
from multiprocessing.reduction import ForkingPickler

import numpy as np
import pytest
import torch
from PIL import Image

from pspkit import PspkitError
from pspkit.data.heads import (
    FAR,
    SIZES,
    Factors,
    HeadsDataset,
    Identity,
    Scene,
    dataset,
    export,
    front_view,
    render,
    sample_factors,
)
from pspkit.data.heads.factors import BEARDS, CLOTHES, GLASSES, HAIR_STYLES
from pspkit.data.labels import LABELS
from pspkit.data.tasks import HeadPairs

NUMBER = {name: label.number for name, label in LABELS.items()}
TABLES = (Identity, Scene)


def described(table):
    return {name: entry.metadata for name, entry in table.__dataclass_fields__.items()}


def centre(mask):
    """Column and row of a mask's centre, in pixels."""
    rows, columns = mask.nonzero(as_tuple=True)
    return columns.float().mean() + 0.5, rows.float().mean() + 0.5


# Factors.


def test_a_seed_gives_these_factors_on_every_machine():
    identity, scene = sample_factors(1, 7).identity, sample_factors(1, 7).scene
    assert identity.as_dict(0)["hair_style"] == "side part"
    assert identity.head_width.item() == pytest.approx(1.0518091, abs=1e-6)
    assert scene.yaw.item() == pytest.approx(30.23374, abs=1e-4)
    assert scene.as_dict(0)["background"] == "moss"


def test_a_head_does_not_depend_on_how_many_are_drawn():
    many, one = sample_factors(6, 3), sample_factors(1, 3, start=4)
    assert many[4].to_json() == one.to_json()
    assert many[4].to_json() != sample_factors(1, 4, start=4).to_json()


@pytest.mark.parametrize("table", TABLES)
def test_factors_fill_their_ranges_and_every_choice_is_drawn(table):
    factors = sample_factors(600, 0)
    drawn = factors.identity if table is Identity else factors.scene
    for name, about in described(table).items():
        values = getattr(drawn, name)
        if "names" in about:
            assert set(values.tolist()) == set(range(len(about["names"])))
        else:
            width = about["high"] - about["low"]
            assert about["low"] <= values.min() < about["low"] + 0.2 * width
            assert about["high"] >= values.max() > about["high"] - 0.2 * width


def test_views_are_one_person_in_several_scenes():
    factors = sample_factors(6, 1, views=3)
    assert factors.person.tolist() == [0, 0, 0, 1, 1, 1]
    assert torch.equal(factors.identity.jaw_width[:3], factors.identity.jaw_width[:1].expand(3))
    assert len(set(factors.scene.yaw.tolist())) == 6
    assert torch.equal(factors[3].identity.jaw_width, sample_factors(1, 1, start=1).identity.jaw_width)


def test_factors_survive_json():
    factors = sample_factors(5, 2)
    again = Factors.from_json(factors.to_json())
    assert again.to_json() == factors.to_json()
    for table, other in ((factors.identity, again.identity), (factors.scene, again.scene)):
        assert all(torch.equal(getattr(table, name), getattr(other, name)) for name in described(type(table)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("heads", "this is not a JSON list of heads"),
        ('[{"person": 0}]', "this is not a JSON list of heads"),
        ('[{"person": 0, "identity": {}, "scene": {}}]', "head 0 has no 'head_width'"),
    ],
)
def test_json_that_is_not_ours_is_refused(text, message):
    with pytest.raises(PspkitError, match=message):
        Factors.from_json(text)


def test_a_choice_of_unknown_name_in_json_is_refused():
    heads = json.loads(sample_factors(1, 0).to_json())
    heads[0]["identity"]["hair_style"] = "mohawk"
    with pytest.raises(PspkitError, match="hair_style: got 'mohawk', needs one of 'bald'"):
        Factors.from_json(json.dumps(heads))


def test_replace_takes_numbers_names_and_tensors():
    factors = sample_factors(3, 0).replace(hair_style="bun", yaw=[-10.0, 0.0, 10.0], smile=1)
    assert factors.identity.as_dict(2)["hair_style"] == "bun"
    assert factors.scene.yaw.tolist() == [-10, 0, 10]
    assert factors.scene.smile.tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("values", "message"),
    [({"hat": 1}, "factors: got 'hat'"), ({"beard": "long"}, "beard: got 'long', needs one of 'none', 'stubble'")],
)
def test_replace_refuses_what_it_does_not_know(values, message):
    with pytest.raises(PspkitError, match=message):
        sample_factors(1, 0).replace(**values)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((-1, 0), "count: got -1"), ((1, -1), "seed: got -1"), ((1, 1 << 64), "seed: got 18446744073709551616")],
)
def test_impossible_draws_are_refused(arguments, message):
    with pytest.raises(PspkitError, match=message):
        sample_factors(*arguments)


# Pictures.


@pytest.mark.parametrize("size", SIZES)
def test_a_render_is_what_it_promises(size):
    rendered = render(sample_factors(2, 5), size)
    assert rendered.image.shape == (2, 3, size, size)
    assert rendered.image.dtype == torch.float32
    assert rendered.image.abs().max() <= 1
    assert rendered.labels.shape == (2, size, size)
    assert rendered.labels.dtype == torch.uint8
    assert {NUMBER[name] for name in ("background", "skin", "nose", "neck", "cloth")} <= set(
        rendered.labels.unique().tolist()
    )
    assert rendered.sketch.shape == (2, 1, size, size)
    assert rendered.sketch.min() >= 0
    assert rendered.sketch.max() == 1
    assert rendered.depth.shape == (2, 1, size, size)
    assert ((rendered.depth == FAR)[:, 0] <= (rendered.labels == 0)).all()
    assert rendered.landmarks.shape == (2, 5, 2)


def test_one_ray_a_pixel_shows_nearly_the_same_head():
    heads = sample_factors(2, 5)
    quick, careful = render(heads, 64, samples=1), render(heads, 64)
    assert quick.image.shape == careful.image.shape
    assert (quick.image - careful.image).abs().mean() < 0.1
    assert (quick.labels == careful.labels).float().mean() > 0.9
    with pytest.raises(PspkitError, match="samples: got 3, needs one of 1, 2"):
        render(heads, 64, samples=3)


def test_bytes_do_not_depend_on_the_batch_or_the_threads():
    factors = sample_factors(3, 8)
    together = render(factors, 64)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(threads + 1)
        apart = [render(head, 64) for head in factors]
        assert torch.get_num_threads() == threads + 1
    finally:
        torch.set_num_threads(threads)
    for name in ("image", "labels", "sketch", "depth", "landmarks"):
        assert torch.equal(getattr(together, name), torch.cat([getattr(one, name) for one in apart]))


def test_sizes_show_the_same_heads():
    factors = sample_factors(3, 9)
    small, large = render(factors, 64), render(factors, 128)
    halved = torch.nn.functional.avg_pool2d(large.image, 2)
    assert (halved - small.image).abs().mean() < 0.02
    assert torch.allclose(2 * small.landmarks, large.landmarks, atol=1e-3)


def test_left_and_right_are_the_persons_and_landmarks_lie_on_what_they_name():
    factors = front_view(sample_factors(4, 1)).replace(hair_style="buzz", glasses="none", beard="none", blink=-0.2)
    rendered = render(factors, 128)
    for labels, marks in zip(rendered.labels, rendered.landmarks, strict=True):
        for pair in (("r_eye", "l_eye"), ("r_brow", "l_brow"), ("r_ear", "l_ear")):
            right, left = (centre(labels == NUMBER[name])[0] for name in pair)
            assert right < 64 < left
        for name, mark in (("r_eye", marks[0]), ("l_eye", marks[1]), ("nose", marks[2])):
            column, row = mark.long().tolist()
            assert labels[row, column] == NUMBER[name]
        lips = ((labels >= NUMBER["mouth"]) & (labels <= NUMBER["l_lip"])).nonzero()[:, 1]
        assert lips.min() - 3 < marks[3, 0] < 64 < marks[4, 0] < lips.max() + 3


@pytest.mark.parametrize("yaw", [-60.0, -30.0, 30.0, 60.0])
def test_positive_yaw_turns_the_face_to_the_right_of_the_picture(yaw):
    rendered = render(front_view(sample_factors(2, 1)).replace(yaw=yaw, hair_style="bald"), 64)
    for labels, marks in zip(rendered.labels, rendered.landmarks, strict=True):
        skin = labels == NUMBER["skin"]
        assert (centre(labels == NUMBER["nose"])[0] > centre(skin)[0]) == (yaw > 0)
        assert (marks[2, 0] > marks[:2, 0].mean()) == (yaw > 0)


def test_pitch_looks_up_and_roll_leans_to_the_right():
    level, up, leaning = (
        render(front_view(sample_factors(1, 1)).replace(**pose), 64).landmarks[0]
        for pose in ({}, {"pitch": 20}, {"roll": 15})
    )
    assert up[2, 1] < level[2, 1]
    assert leaning[:2, 0].mean() > level[:2, 0].mean()
    assert leaning[1, 1] > level[1, 1]


def test_the_same_person_in_the_same_scene_is_the_same_picture():
    factors = front_view(sample_factors(2, 4, views=2))
    scene = {name: getattr(factors.scene, name)[0].item() for name in described(Scene)}
    first, second = render(factors.replace(**scene), 64).image
    assert torch.equal(first, second)


def test_front_view_faces_the_camera_and_keeps_clothes_and_light():
    factors = sample_factors(4, 4)
    front = front_view(factors)
    for name in ("yaw", "pitch", "roll", "gaze_yaw", "blink"):
        assert not getattr(front.scene, name).any()
    for name in ("clothes", "clothes_colour", "background", "light_azimuth", "light_elevation"):
        assert torch.equal(getattr(front.scene, name), getattr(factors.scene, name))
    assert front.identity is not None and torch.equal(front.identity.jaw_width, factors.identity.jaw_width)
    eyes = render(front, 64).landmarks[:, :2]
    assert torch.allclose(eyes[:, :, 0].mean(1), torch.full((4,), 32.0), atol=1e-3)


def test_expressions_show():
    head = front_view(sample_factors(1, 1)).replace(glasses="none", beard="none", hair_style="buzz")

    def pixels(*names, **values):
        labels = render(head.replace(**values), 128).labels
        return sum((labels == NUMBER[name]).sum().item() for name in names)

    assert pixels("l_eye", "r_eye", blink=1.0) == 0
    assert pixels("l_eye", "r_eye", blink=-0.5) > pixels("l_eye", "r_eye", blink=0.3) > 0
    assert pixels("mouth", mouth_open=1.0) > 5 * pixels("mouth", mouth_open=-0.5)
    mild, broad = (render(head.replace(smile=smile), 128).landmarks[0] for smile in (-0.4, 1.0))
    assert broad[4, 0] - broad[3, 0] > mild[4, 0] - mild[3, 0]
    assert broad[3, 1] < mild[3, 1]


def test_teeth_stay_in_the_mouth():
    head = front_view(sample_factors(8, 0)).replace(hair_style="bald", glasses="none", beard="none", mouth_open=1.0)
    rendered = render(head, 64)
    rows = [(labels == NUMBER["mouth"]).nonzero()[:, 0] for labels in rendered.labels]
    for mouth, marks in zip(rows, rendered.landmarks, strict=True):
        assert mouth.min() > marks[2, 1]


def test_every_style_grows_and_each_looks_different():
    head = front_view(sample_factors(1, 1)).replace(glasses="none", beard="none")
    hair = {style: render(head.replace(hair_style=style), 64).labels[0] == NUMBER["hair"] for style in HAIR_STYLES}
    assert not hair.pop("bald").any()
    assert len(hair) >= 8
    assert all(mask.sum() > 30 for mask in hair.values())
    silhouettes = {mask.numpy().tobytes() for mask in hair.values()}
    assert len(silhouettes) == len(hair)


@pytest.mark.parametrize(("name", "choices"), [("beard", BEARDS), ("glasses", GLASSES), ("clothes", CLOTHES)])
def test_every_choice_changes_the_picture(name, choices):
    head = front_view(sample_factors(1, 1)).replace(hair_style="buzz", beard="none", glasses="none")
    pictures = {render(head.replace(**{name: choice}), 64).image.numpy().tobytes() for choice in choices}
    assert len(pictures) == len(choices)


def test_people_of_the_same_colours_differ_in_shape():
    same = {"hair_style": "buzz", "hair_colour": "brown", "skin_tone": 0.3, "iris_colour": "brown", "beard": "none"}
    factors = front_view(sample_factors(4, 6)).replace(glasses="none", clothes="crew", **same)
    labels = render(factors, 64).labels
    for i in range(4):
        for j in range(i):
            assert (labels[i] != labels[j]).float().mean() > 0.02


def test_there_are_no_pinholes():
    rendered = render(sample_factors(12, 2), 64)
    empty = rendered.labels == 0
    around = torch.stack([empty.roll(shift, axis) for shift in (-1, 1) for axis in (1, 2)]).sum(0)
    assert (empty & (around == 0)).sum() <= 3


def test_the_toon_look_shows_the_same_heads_in_fewer_tones():
    factors = sample_factors(2, 3)
    plain, toon = render(factors, 64), render(factors, 64, look="toon")
    assert torch.equal(plain.labels, toon.labels)
    assert torch.equal(plain.sketch, toon.sketch)
    background = plain.labels == 0
    assert toon.image[:, 0][background].unique().numel() < plain.image[:, 0][background].unique().numel()
    assert (plain.image - toon.image).abs().mean() > 0.05


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 100}, "size: got 100, needs one of 64, 128, 256"),
        ({"size": 64, "look": "clay"}, "look: got 'clay', needs one of 'plain', 'toon'"),
    ],
)
def test_impossible_renders_are_refused(arguments, message):
    with pytest.raises(PspkitError, match=message):
        render(sample_factors(1, 0), **arguments)


def test_no_heads_are_refused():
    with pytest.raises(PspkitError, match="factors: they hold no heads"):
        render(sample_factors(0, 0), 64)


# Data.


def test_the_dataset_gives_what_the_renderer_makes(tmp_path):
    heads = HeadsDataset("test", 3, 64, seed=2, extras=("front_view", "toon"), cache=tmp_path)
    item, truth = heads[1], render(heads.factors[1], 64)
    assert len(heads) == 3
    assert (item["image"] - truth.image[0]).abs().max() <= 1.01 / 127.5 / 2
    assert (item["sketch"] - truth.sketch[0]).abs().max() <= 1.01 / 255 / 2
    assert torch.equal(item["labels"], truth.labels[0])
    assert torch.equal(item["landmarks"], truth.landmarks[0])
    front, toon = render(front_view(heads.factors[1]), 64).image[0], render(heads.factors[1], 64, look="toon").image[0]
    assert (item["front_view"] - front).abs().max() <= 1.01 / 127.5 / 2
    assert (item["toon"] - toon).abs().max() <= 1.01 / 127.5 / 2
    assert (item["index"], item["person"]) == (1, heads.factors.person[1].item())
    with pytest.raises(IndexError):
        heads[3]


def test_nobody_is_in_two_splits(tmp_path, monkeypatch):
    monkeypatch.setattr(dataset, "_fill", lambda *_: {})
    people = [
        set(HeadsDataset(split, 200, 64, views=views, cache=tmp_path).factors.person.tolist())
        for split in dataset.FIRST_PERSON
        for views in (1, 7)
    ]
    splits = [people[0] | people[1], people[2] | people[3], people[4] | people[5]]
    assert not splits[0] & splits[1]
    assert not splits[0] & splits[2]
    assert not splits[1] & splits[2]
    largest = (1 << 30) - 1
    starts = sorted(dataset.FIRST_PERSON.values())
    assert all(b - a > largest for a, b in itertools.pairwise(starts))


def test_a_stopped_rendering_goes_on_and_what_is_there_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(dataset, "AT_ONCE", 2)
    monkeypatch.setattr(dataset, "CHUNK", 4)
    rendered = []

    def stopping(factors, *arguments, **options):
        if len(rendered) == 2:
            raise KeyboardInterrupt
        rendered.append(factors.person.tolist())
        return render(factors, *arguments, **options)

    monkeypatch.setattr(dataset, "render", stopping)
    with pytest.raises(KeyboardInterrupt):
        HeadsDataset("train", 6, 64, cache=tmp_path)
    assert rendered == [[0, 1], [2, 3]]
    rendered[:] = [[]] * 3
    heads = HeadsDataset("train", 6, 64, cache=tmp_path)
    assert rendered[3:] == [[4, 5]]
    more = HeadsDataset("train", 7, 64, cache=tmp_path)
    assert rendered[4:] == [[4, 5], [6]]  # the chunk was too short
    fewer = HeadsDataset("train", 3, 64, extras=("toon",), cache=tmp_path)
    assert rendered[6:] == [[0, 1], [2]]  # the extra alone
    for index in range(3):
        assert torch.equal(fewer[index]["image"], heads[index]["image"])
    assert torch.equal(heads[-1]["image"], more[5]["image"])
    assert (more[6]["image"] - render(more.factors[6], 64).image[0]).abs().max() < 0.01


def test_worker_processes_render_the_same_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(dataset, "AT_ONCE", 1)  # four batches: enough for processes
    heads = HeadsDataset("validation", 4, 64, cache=tmp_path)
    expected = ((render(heads.factors, 64).image + 1) * 127.5).round() / 127.5 - 1
    assert torch.equal(torch.stack([heads[index]["image"] for index in range(4)]), expected)


def test_a_data_set_travels_to_a_spawned_worker_by_path(tmp_path):
    heads = HeadsDataset("train", 3, 64, views=2, cache=tmp_path)
    first = heads[2]
    assert len(heads.factors) == 3  # drawn by now, and not sent
    state = pickle.dumps(heads)
    assert len(state) < 2_000
    taken = pickle.loads(state)
    assert all(torch.equal(torch.as_tensor(taken[2][name]), torch.as_tensor(first[name])) for name in first)
    assert taken[2]["person"] == heads.factors.person[2]
    assert len(ForkingPickler.dumps(HeadPairs(heads, "encode"))) < 6_000


def test_rendering_takes_all_cores_where_torchrun_allows_one_thread():
    code = (
        "from pspkit.data.heads import dataset; import torch; print(torch.get_num_threads(), dataset._usable_cores())"
    )
    limited = os.environ | {"OMP_NUM_THREADS": "1"}
    told = subprocess.run([sys.executable, "-c", code], env=limited, capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["1", str(len(os.sched_getaffinity(0)))]


def test_processes_that_start_together_read_the_same_heads(tmp_path):
    code = (
        "import sys, hashlib; from pathlib import Path; from pspkit.data.heads import HeadsDataset;"
        "heads = HeadsDataset('train', 40, 64, cache=Path(sys.argv[1]));"
        "print(hashlib.sha256(b''.join(heads[i]['image'].numpy().tobytes() for i in range(40))).hexdigest())"
    )
    run = [sys.executable, "-c", code, str(tmp_path)]
    started = [subprocess.Popen(run, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert len({process.communicate()[0] for process in started}) == 1
    assert [process.returncode for process in started] == [0, 0, 0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("dev", 4, 64), "split: got 'dev', needs one of 'train', 'validation', 'test'"),
        (("train", 0, 64), "count: got 0"),
        (("train", 4, 65), "size: got 65"),
    ],
)
def test_impossible_datasets_are_refused(arguments, message, tmp_path):
    with pytest.raises(PspkitError, match=message):
        HeadsDataset(*arguments, cache=tmp_path)


def test_an_unknown_extra_is_refused(tmp_path):
    with pytest.raises(PspkitError, match="extras: got 'clay'"):
        HeadsDataset("train", 1, 64, extras=("clay",), cache=tmp_path)


def test_a_cache_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(PspkitError, match="could not be written"):
        HeadsDataset("train", 1, 64, cache=tmp_path / "file")


def test_export_writes_identical_files_twice(tmp_path):
    factors = sample_factors(2, 1)
    for folder in ("a", "b"):
        export(factors, 64, tmp_path / folder)
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*") if path.is_file())
    assert [str(file) for file in files] == [
        "factors.json",
        *(f"{kind}{os.sep}{number:05}.png" for kind in ("images", "labels", "sketches") for number in range(2)),
    ]
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    rendered = render(factors, 64)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "a/labels/00001.png")), rendered.labels[1].numpy())
    assert Image.open(tmp_path / "a/images/00000.png").mode == "RGB"
    assert Image.open(tmp_path / "a/sketches/00000.png").mode == "L"
    assert Factors.from_json((tmp_path / "a/factors.json").read_text()).to_json() == factors.to_json()
