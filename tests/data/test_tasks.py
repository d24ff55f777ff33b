"""The registry of tasks, the transforms behind it, and the pairs that it makes of heads."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F
from torchvision import tv_tensors

from pspkit import PspkitError
from pspkit.data.faces.sketch import draw_sketch
from pspkit.data.labels import LABELS, LabelMap, palette
from pspkit.data.tasks import (
    MASKS,
    TASKS,
    FacePairs,
    HeadPairs,
    Recipe,
    Task,
    ToOneHot,
    bicubic_down,
    draw_mask,
    get_task,
)
from pspkit.data.tasks.transforms import normalise, to_unit
from tests.reference import answers, draw

EXACT = ["encode", "frontalize", "sketch", "segmentation", "super_resolution", "colorize", "inpaint", "toonify"]


def heads(count=6, side=64, dtype=torch.float32):
    """Items as the rendered domain gives them."""
    items = []
    for n in range(count):
        generator = torch.Generator().manual_seed(n)
        images = torch.rand(3, 3, side, side, generator=generator) * 2 - 1
        if dtype == torch.uint8:
            images = ((images + 1) * 127.5).round().to(dtype)
        labels = torch.randint(19, (side, side), generator=generator, dtype=torch.uint8)
        sketch = torch.rand(1, side, side, generator=generator)
        items.append(dict(zip(("image", "front_view", "toon"), images, strict=True), labels=labels, sketch=sketch))
    return items


def photo():
    return F.interpolate(torch.sigmoid(draw("input.photo", (1, 3, 64, 64))), scale_factor=2, mode="bilinear")[0]


# The registry.


def test_tasks_and_their_input_channels():
    channels = {name: task.input_nc for name, task in TASKS.items()}
    assert list(channels) == EXACT
    assert channels == dict.fromkeys(EXACT, 3) | {"sketch": 1, "segmentation": 19, "inpaint": 4}


def test_loss_weights_for_folders_are_the_references():
    def weights(name):
        losses = get_task(name).folders.losses
        return losses.lpips, losses.l2, losses.identity, losses.w_norm

    assert weights("encode") == (0.8, 1, 0.1, 0)
    assert weights("frontalize") == (0.08, 0.001, 1, 0.005)
    assert weights("sketch") == weights("segmentation") == (0.8, 1, 0, 0.005)
    assert weights("super_resolution") == weights("colorize") == weights("inpaint") == (0.8, 1, 0.1, 0.005)
    assert weights("toonify") == (0.8, 1, 1, 0.025)
    crops = {name: (task.folders.losses.lpips_crop, task.folders.losses.l2_crop) for name, task in TASKS.items()}
    assert crops == dict.fromkeys(TASKS, (0, 0)) | {"frontalize": (0.8, 0.01)}


def test_a_true_front_view_is_compared_in_full():
    recipe = get_task("frontalize").heads
    assert (recipe.target, recipe.losses.l2, recipe.losses.lpips_crop) == ("front_view", 1, 0)


def test_unknown_task_is_refused_by_name():
    with pytest.raises(PspkitError, match="task: got 'age', needs one of 'encode', 'frontalize'"):
        get_task("age")


@pytest.mark.parametrize("name", TASKS)
def test_a_task_travels_to_loader_processes(name):
    assert pickle.loads(pickle.dumps(get_task(name))).title == get_task(name).title


def upside_down(picture):
    return normalise(picture.flip(-2))


def test_adding_a_task_is_one_entry(monkeypatch, tmp_path):
    from pspkit.data.folders import FolderPairs

    entry = Task("Turn over", "nothing", folders=Recipe(), heads=Recipe(), make_source=upside_down)
    monkeypatch.setitem(TASKS, "turn_over", entry)
    Image.effect_noise((16, 16), 80).save(tmp_path / "a.png")
    for pairs in (HeadPairs(heads(1), "turn_over"), FolderPairs(tmp_path, task="turn_over", size=16)):
        source, target = pairs[0]
        assert torch.equal(source, target.flip(-2))
    assert get_task("turn_over").inference_source(Image.new("RGB", (9, 9)), 16).shape == (3, 16, 16)


# Transforms.


def test_one_hot_is_the_references():
    labels = answers()["one_hot_labels"]
    ours = ToOneHot(19)(labels)
    assert ours.dtype == torch.float32
    assert torch.equal(ours.movedim(0, -1), answers()["one_hot"].float())
    assert torch.equal(ToOneHot(19)(LabelMap(labels)), ours)
    assert type(ToOneHot(19)(LabelMap(labels))) is torch.Tensor
    with pytest.raises(PspkitError, match="5 classes are numbered 0 to 4"):
        ToOneHot(5)(labels)


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_bicubic_is_the_references_inside_the_borders(factor):
    theirs = answers()[f"bicubic_down_{factor}"][0]
    inside = (slice(None), slice(3, -3), slice(3, -3))
    assert (bicubic_down(photo(), factor) - theirs)[inside].abs().max() <= 0.5 / 255 + 1e-6  # ours is rounded to 8 bits


def test_factor_one_is_the_identity_and_not_the_references_blur():
    assert torch.equal(bicubic_down(photo(), 1), photo())
    assert (answers()["bicubic_down_1"][0] - photo()).abs().mean() > 0.03
    source = get_task("super_resolution").inference_source(photo() * 2 - 1, 128, option=1)
    assert torch.allclose(source, photo() * 2 - 1, atol=1e-6)


def test_super_resolution_loses_what_the_factor_says():
    task = get_task("super_resolution")
    picture = tv_tensors.Image(torch.randint(256, (3, 64, 64), dtype=torch.uint8))
    for factor in (2, 4, 8):
        source = task.inference_source(picture, 64, option=factor)
        assert source.shape == (3, 64, 64)
        small = bicubic_down(to_unit(picture), factor)
        back = F.interpolate(small[None], size=64, mode="bilinear")[0] * 2 - 1
        assert torch.allclose(source, back, atol=1e-5)
    for factor in (0, 65, 2.0):
        with pytest.raises(PspkitError, match="factor: got"):
            task.inference_source(picture, 64, option=factor)


def test_colorize_gives_three_equal_channels():
    source = get_task("colorize").inference_source(Image.new("RGB", (8, 8), (255, 0, 0)), 8)
    assert torch.allclose(source, torch.full((3, 8, 8), 0.299 * 2 - 1), atol=1e-3)


@pytest.mark.parametrize("kind", MASKS)
def test_masks_hide_a_part(kind):
    torch.manual_seed(0)
    shares = []
    for _ in range(30):
        mask = draw_mask(kind, (64, 64))
        assert mask.shape == (64, 64) and set(mask.unique().tolist()) == {0.0, 1.0}
        shares.append(mask.mean().item())
    assert min(shares) > 0 and max(shares) < 0.9
    assert kind != "half" or set(shares) == {0.5}


def test_inpaint_takes_the_mask_as_picture_or_tensor():
    task, picture = get_task("inpaint"), torch.rand(3, 16, 16) * 2 - 1
    mask = torch.zeros(16, 16)
    mask[:, :4] = 1
    source = task.inference_source(picture, 16, option=mask)
    assert source.shape == (4, 16, 16)
    assert torch.equal(source[3], mask) and (source[:3, :, :4] == 0).all()
    assert torch.allclose(source[:3, :, 4:], picture[..., 4:], atol=1e-6)
    drawn = Image.fromarray((mask.numpy() * 255).astype(np.uint8)).resize((64, 64), Image.Resampling.NEAREST)
    assert torch.equal(task.inference_source(picture, 16, option=drawn), source)
    with pytest.raises(PspkitError, match="mask: got None, needs a picture that is white where parts are missing"):
        task.inference_source(picture, 16)
    with pytest.raises(PspkitError, match="mask: got 'star', needs one of 'rectangles', 'strokes', 'half'"):
        task.inference_source(picture, 16, option="star")


def test_an_option_where_there_is_none_is_refused():
    with pytest.raises(PspkitError, match="option: got 4, but 'Encode' has no option"):
        get_task("encode").inference_source(Image.new("RGB", (8, 8)), 8, option=4)


def test_inference_takes_pictures_of_every_mode():
    for mode in ("L", "P", "CMYK", "RGBA", "I;16"):
        assert get_task("encode").inference_source(Image.new(mode, (30, 20)), 16).shape == (3, 16, 16)
    labels = get_task("segmentation").inference_source(Image.new("P", (30, 20), 13), 16)
    assert labels[LABELS["hair"].number].all() and labels.sum() == 16 * 16


# Pairs of heads.


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", TASKS)
def test_pairs_have_shape_and_range(name, training):
    task, pairs = get_task(name), HeadPairs(heads(), name, training=training)
    for source, target in (pairs[i] for i in range(len(pairs))):
        assert source.shape == (task.input_nc, 64, 64) and target.shape == (3, 64, 64)
        assert source.dtype == target.dtype == torch.float32
        assert type(source) is type(target) is torch.Tensor
        assert source.min() >= (0 if name in ("sketch", "segmentation") else -1)
        shown = task.show_source(source[None])
        assert shown.shape == (1, 3, 64, 64)
        assert shown.min() >= -1 and target.min() >= -1
        assert max(source.max(), target.max(), shown.max()) <= 1
    with pytest.raises(IndexError):
        pairs[len(pairs)]


@pytest.mark.parametrize("name", TASKS)
def test_a_pair_is_a_function_of_seed_epoch_and_index(name):
    def pair(seed=0, epoch=0, index=1, training=True):
        pairs = HeadPairs(heads(), name, training=training, seed=seed)
        pairs.set_epoch(epoch)
        return torch.cat(pairs[index])

    torch.manual_seed(5)
    state = torch.get_rng_state()
    assert torch.equal(pair(), pair())
    assert torch.equal(pair(training=False), pair(training=False, seed=1, epoch=4))
    assert torch.equal(torch.get_rng_state(), state)  # the caller's own random numbers go on undisturbed
    if name not in ("sketch", "segmentation", "colorize"):  # nothing is random there
        assert any(not torch.equal(pair(), pair(epoch=epoch)) for epoch in range(1, 9))
        assert any(not torch.equal(pair(), pair(seed=seed)) for seed in range(1, 9))


def test_validation_takes_the_factors_in_turn():
    pairs, task = HeadPairs(heads(8), "super_resolution", training=False), get_task("super_resolution")
    for index in range(8):
        expected = task.inference_source(pairs.items[index]["image"], 64, option=(1, 2, 4, 8)[index % 4])
        assert torch.equal(pairs[index][0], expected)
        assert torch.allclose(pairs[index][1], pairs.items[index]["image"], atol=1e-6)


def test_training_draws_every_factor():
    pairs = HeadPairs(heads(1), "super_resolution")
    task = get_task("super_resolution")
    each = [task.inference_source(pairs.items[0]["image"], 64, option=factor) for factor in (1, 2, 4, 8)]
    drawn = set()
    for epoch in range(40):
        pairs.set_epoch(epoch)
        drawn |= {number for number, source in enumerate(each) if torch.equal(source, pairs[0][0])}
    assert drawn == {0, 1, 2, 3}


def test_heads_pairs_are_the_true_ones():
    item = heads(1)[0]
    frontal = HeadPairs([item], "frontalize", training=False)[0]
    assert torch.allclose(frontal[0], item["image"], atol=1e-6)
    assert torch.allclose(frontal[1], item["front_view"], atol=1e-6)
    assert torch.equal(HeadPairs([item], "sketch")[0][0], item["sketch"])
    assert torch.equal(HeadPairs([item], "segmentation")[0][0].argmax(0), item["labels"].long())
    assert torch.allclose(HeadPairs([item], "toonify", training=False)[0][1], item["toon"], atol=1e-6)


def test_frontal_pairs_of_heads_are_mirrored_together():
    item = heads(1)[0]
    pairs, seen = HeadPairs([item], "frontalize"), set()
    for epoch in range(20):
        pairs.set_epoch(epoch)
        source, target = pairs[0]
        mirrored = torch.allclose(source, item["image"].flip(-1), atol=1e-6)
        assert torch.allclose(target, item["front_view"].flip(-1) if mirrored else item["front_view"], atol=1e-6)
        seen.add(mirrored)
    assert seen == {False, True}


def test_a_mirrored_label_map_swaps_its_sides(monkeypatch):
    task = replace(get_task("segmentation"), heads=Recipe(target="partner", flip="together"))
    monkeypatch.setitem(TASKS, "segmentation", task)
    item = heads(1)[0] | {"labels": torch.full((64, 64), LABELS["l_brow"].number, dtype=torch.uint8)}
    pairs, seen = HeadPairs([item], "segmentation"), set()
    for epoch in range(20):
        pairs.set_epoch(epoch)
        source, target = pairs[0]
        mirrored = torch.allclose(target, item["image"].flip(-1), atol=1e-6)
        assert source[LABELS["r_brow" if mirrored else "l_brow"].number].all()
        seen.add(mirrored)
    assert seen == {False, True}


def test_bytes_and_floats_give_the_same_pairs():
    as_bytes = HeadPairs(heads(dtype=torch.uint8), "encode", training=False)[0][1]
    assert torch.allclose(as_bytes, heads()[0]["image"], atol=1 / 127)


def test_a_head_without_what_the_task_needs_is_named():
    with pytest.raises(PspkitError, match="heads: item 0 has no 'front_view', which frontalize needs"):
        HeadPairs([{"image": torch.zeros(3, 64, 64)}], "frontalize")[0]


# How sources are shown.


def test_a_label_map_is_shown_in_its_colours():
    labels = torch.arange(19, dtype=torch.uint8).reshape(1, 19)
    shown = get_task("segmentation").show_source(ToOneHot(19)(labels)[None])
    assert torch.allclose((shown[0, :, 0].T + 1) * 127.5, palette().float(), atol=1e-3)


def test_a_mask_is_shown_hatched():
    mask = torch.zeros(64, 64)
    mask[:32] = 1
    source = get_task("inpaint").inference_source(torch.ones(3, 64, 64), 64, option=mask)
    shown = get_task("inpaint").show_source(source[None])[0]
    assert (shown[:, 32:] == 1).all()
    assert len(shown[:, :32].unique()) == 2  # neither the picture nor one flat grey


# Pairs of drawn faces.


def drawn(count=4, **extras):
    """Items as the data set of drawn faces gives them: here squares of colour."""
    items = []
    for n in range(count):
        small = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(n)) * 255
        image = F.interpolate(small, size=256)[0].to(torch.uint8)
        items.append({"image": image, "codes": torch.full((16, 4), float(n)), **extras})
    return items


def test_a_drawn_face_brings_its_codes():
    items = drawn()
    source, target, codes = FacePairs(items, "encode", 64, training=False, target_size=128)[1]
    assert source.shape == (3, 64, 64) and target.shape == (3, 128, 128)
    assert torch.equal(codes, items[1]["codes"])
    torch.testing.assert_close(source, F.avg_pool2d(target, 2), atol=0.2, rtol=0)  # but for the filter at edges
    assert FacePairs(items, "encode", 64)[0][1].shape == (3, 64, 64)


@pytest.mark.parametrize("name", [name for name in TASKS if name not in ("frontalize", "segmentation")])
def test_the_camera_spoils_the_source_of_a_drawn_face_in_training_alone(name):
    items = drawn()
    training, validation = (FacePairs(items, name, 64, training) for training in (True, False))
    differ = []
    for index in range(len(items)):
        source, target, _ = training[index]
        assert torch.equal(source, training[index][0])  # a function of seed, epoch and index
        assert torch.equal(target, validation[index][1])
        differ.append(not torch.equal(source, validation[index][0]))
    assert any(differ)
    training.set_epoch(1)
    assert not all(torch.equal(FacePairs(items, name, 64)[index][0], training[index][0]) for index in range(4))


def test_a_drawn_face_whose_partner_is_mirrored_has_no_codes():
    pairs = FacePairs(drawn(), "frontalize", 64, training=False)
    assert len(pairs[0]) == 2 and get_task("frontalize").faces.losses.codes == 0


def test_no_recipe_mirrors_a_target_whose_codes_count():
    for task in TASKS.values():
        assert task.faces.flip == "never" or not task.faces.losses.codes


def test_sources_of_photographs_are_drawn_and_parsed():
    items = drawn()
    sketch, target, _ = FacePairs(items, "sketch", 256, training=False)[0]
    torch.testing.assert_close(sketch, draw_sketch(target[None])[0])
    labels = torch.randint(19, (256, 256), dtype=torch.uint8)
    stored = FacePairs([item | {"labels": labels} for item in items], "segmentation", 256)[0][0]
    assert torch.equal(stored.argmax(0), labels)
    with pytest.raises(PspkitError, match="from_photograph: 'Encode' starts from a picture itself"):
        get_task("encode").source_of(items[0]["image"])
