"""Directions of photographed faces: what is measured, what is fitted, and whether it is better than chance."""

import pytest
import torch

from pspkit import PspkitError
from pspkit.data.pictures import open_picture
from pspkit.inference.directions import FACE_DIRECTIONS, HEAD_DIRECTIONS, comparison, load_directions
from pspkit.inference.directions.attributes import ATTRIBUTES, GUARDS, SIDE, FaceMeter
from pspkit.inference.directions.comparison import Change, Comparer, Comparison, layers_of, table
from pspkit.inference.directions.faces import (
    GROUPS,
    Faces,
    Pencil,
    choose_groups,
    fit,
    load_faces,
    save_faces,
    solve,
    spread,
)
from pspkit.models.mobile_stylegan import load_mobile_stylegan
from tests.examples import SAMPLES

NAMES = [*ATTRIBUTES, *GUARDS]


@pytest.fixture(scope="module")
def meter():
    return FaceMeter()


@pytest.fixture(scope="module")
def linear():
    """Faces whose attributes are linear in the codes of one group each, and correlated with their neighbours'."""
    generator = torch.Generator().manual_seed(0)
    codes = torch.randn(300, len(GROUPS), 24, generator=generator)
    weight = torch.zeros(len(GROUPS), 24, len(NAMES))
    for number in range(len(NAMES)):
        weight[number % 3, [number, number + 1], number] = torch.tensor([1.0, 0.6])
    values = 3 + 2 * torch.einsum("ngd,gda->na", codes, weight)
    values[0, 8] = torch.nan  # a face without hair has no colour of hair
    return Faces(codes, values, torch.randn(300, 512, generator=generator)), weight


def test_a_mirrored_face_is_turned_and_lit_the_other_way_and_else_the_same(meter):
    files = ("hopper_aligned.jpg", "face_1.jpg", "face_6.jpg")
    pictures = [open_picture(SAMPLES / name).as_subclass(torch.Tensor).float() / 127.5 - 1 for name in files]
    pictures = torch.stack([torch.nn.functional.adaptive_avg_pool2d(x, SIDE) for x in pictures])
    seen, mirrored = meter(pictures).values, meter(pictures.flip(3)).values
    signs = torch.tensor([-1.0 if name in ("yaw", "light") else 1.0 for name in NAMES])
    margins = {
        "yaw": 4,
        "pitch": 4,
        "smile": 0.12,
        "mouth": 0.06,
        "eyes": 0.03,
        "glasses": 0,
        "age": 6,
        "hair colour": 0.15,
    }
    for number, name in enumerate(NAMES):
        difference = (seen - signs * mirrored)[:, number].abs().max()
        assert difference <= margins.get(name, 0.05), name
    assert seen[:, NAMES.index("glasses")].tolist() == [1, 0, 0]
    assert seen[0, NAMES.index("age")] > seen[1:, NAMES.index("age")].max() + 15


def test_the_fit_says_which_codes_hold_an_attribute(linear):
    found = fit(linear[0])
    for number in range(len(NAMES)):
        assert found.explained[number % 3, number] > 0.8
        assert choose_groups(found.explained[:, number]) == [number % 3]


def test_a_direction_changes_its_attribute_and_no_other(linear):
    faces, weight = linear
    found = fit(faces)
    for number in range(len(NAMES)):
        way = solve(found, number, [number % 3])
        moved = torch.stack([way[layers[0]] for layers in GROUPS])
        changes = 2 * torch.einsum("gd,gda->a", moved, weight) / faces.scale
        assert changes[number].item() == pytest.approx(1, abs=0.1)
        assert changes[[other for other in range(len(NAMES)) if other != number]].abs().max() < 0.1
        assert layers_of(way) == ("0-2", "3-4", "5-6")[number % 3]


def test_the_fewest_groups_that_hold_most_are_moved():
    assert choose_groups(torch.tensor([0.1, 0.5, -0.2, 0.3, 0.0])) == [1, 3]
    assert choose_groups(torch.tensor([0.0, 0.0, 0.4, 0.0, 0.0])) == [2]


def test_codes_are_spread_over_all_layers():
    codes = torch.arange(5.0).view(1, 5, 1).expand(2, -1, 3)
    assert spread(codes)[0, :, 0].tolist() == [0, 0, 0, 1, 1, 2, 2, 3, 3, 3, 4, 4, 4, 4, 4, 4]


def test_what_was_measured_comes_back_and_nothing_else_is_taken_for_it(tmp_path, linear):
    save_faces(tmp_path / "faces.safetensors", linear[0])
    kept = load_faces(tmp_path / "faces.safetensors")
    assert torch.equal(kept.codes, linear[0].codes)
    assert torch.equal(kept.values.nan_to_num(), linear[0].values.nan_to_num())
    with pytest.raises(PspkitError, match="not a file of measured faces"):
        load_faces(HEAD_DIRECTIONS)


def test_the_table_has_a_row_for_each_direction():
    one, other = Change(2, 0.3, 0.05, 0.1, 0.8), Change(0.5, 0.6, 0.07, 0.1, 0.6)
    better, worse = Comparison("smile", "3-6", one, other, other), Comparison("age", "0", other, one, one)
    assert better.is_better and better.keeps_more
    assert not (worse.is_better or worse.keeps_more)
    dear = Change(2, 0.3, 0.05, 0.1, 0.5)  # changes as much, and costs more of the person than it is worth
    assert not Comparison("age", "0", dear, other, Change(1, 0.6, 0.07, 0.1, 0.9)).is_better
    rows = table([better, worse]).splitlines()[2:]
    assert rows[0] == "| smile | 3-6 | 2.00 / 0.50 | 0.30 / 0.60 | 0.050 / 0.070 | 0.80 / 0.60 |"
    assert len(rows) == 2


@pytest.mark.parametrize(("name", "keeps_more"), [("light", True), ("smile", None)])
def test_directions_are_better_than_random_ones(meter, linear, monkeypatch, name, keeps_more):
    monkeypatch.setattr(comparison, "PEOPLE", 3)
    decoder = load_mobile_stylegan()
    way = load_directions(FACE_DIRECTIONS)[name]
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        codes = decoder.mapping(torch.randn(500, 512, generator=generator)).view(100, 5, 512)
    faces = Faces(codes, torch.randn(100, len(NAMES), generator=generator), torch.empty(0))
    compared = Comparer(decoder, faces, meter, Pencil(decoder))(name, way)
    assert compared.as_visible.pixels == pytest.approx(compared.step.pixels, rel=0.15)
    assert compared.is_better
    assert keeps_more is None or compared.keeps_more == keeps_more
