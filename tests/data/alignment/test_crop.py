"""Finding faces, and cutting them out as FFHQ does."""

import numpy as np
import pytest
import torch
from torchvision.transforms.v2 import functional

from pspkit.data.alignment.crop import SIZE, align_face, align_mask, face_square
from pspkit.data.alignment.finder import Face, FaceFinder
from pspkit.data.pictures import open_picture
from pspkit.errors import PspkitError
from tests.examples import SAMPLES
from tests.reference import GOLDEN

USED = (33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380, 61, 291)  # points that the alignment reads
WHOLE = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 1.0], [1.0, 0.0]])  # corners of a whole picture, in sides


@pytest.fixture(scope="module")
def finder() -> FaceFinder:
    return FaceFinder()


def sample(name):
    return open_picture(SAMPLES / f"{name}.jpg").as_subclass(torch.Tensor)


def side_of(face):
    square = face_square(face.points)
    return (square[3] - square[0]).norm().item()


def shift(face, side):
    """How far the corners of a face's square lie from those of the whole picture, in sides."""
    return ((face_square(face.points) + 0.5) / side - WHOLE).norm(dim=1).max().item()


@pytest.mark.parametrize("name", ["hopper", "collins", "face_0", "face_4"])
def test_points_are_those_of_mediapipe(finder, name):
    (face,) = finder(sample(name))
    theirs = torch.from_numpy(np.load(GOLDEN / "face_landmarks.npz")[name])
    difference = (face.points - theirs)[list(USED)].norm(dim=1).max() * SIZE / side_of(face)
    assert difference < 1, "pixels of the aligned picture"
    assert face.presence > 0.9


def test_drawn_faces_are_aligned_already(finder):
    shifts = [shift(finder(sample(f"face_{number}"))[0], 256) for number in range(8)]
    assert np.median(shifts) < 0.02 and max(shifts) < 0.05, "turned faces are placed by other points than FFHQ's"


@pytest.mark.parametrize("name", ["hopper", "collins", *(f"face_{number}" for number in range(8))])
def test_an_aligned_picture_stays_where_it_is(finder, name):
    picture = sample(name)
    aligned = align_face(picture, finder(picture)[0], 256)
    assert aligned.shape == (3, 256, 256) and aligned.dtype == torch.uint8
    assert shift(finder(aligned)[0], 256) < 0.02


@pytest.mark.parametrize("angle", [30, 90, 180, -45])
def test_a_turned_picture_gives_the_same_face(finder, angle):
    upright = sample("collins")
    turned = functional.rotate(upright, angle, functional.InterpolationMode.BILINEAR, expand=True, fill=128)
    one, other = (align_face(picture, finder(picture)[0], 128).float() for picture in (upright, turned))
    assert (one - other).abs().mean() < 8


def test_two_faces_in_one_picture_come_largest_first(finder):
    canvas = torch.full((3, 620, 1100), 120, dtype=torch.uint8)
    hopper, collins = sample("hopper"), sample("collins")
    canvas[:, 10:610, 20:532] = hopper
    canvas[:, 50:562, 560:1072] = collins
    faces = finder(canvas)
    assert len(faces) == 2 and faces[0].box[0] < 560 < faces[1].box[0]
    for face, alone in zip(faces, (hopper, collins), strict=True):
        difference = align_face(canvas, face, 64).float() - align_face(alone, finder(alone)[0], 64).float()
        assert difference.abs().mean() < 8


def test_a_crowd_of_small_faces(finder):
    faces = [functional.resize(sample(f"face_{number}"), [128, 128]) for number in range(8)]
    crowd = torch.cat([torch.cat(faces[:4], 2), torch.cat(faces[4:], 2)], 1)
    crowd = functional.pad(crowd, [250, 250], fill=90)  # so each measures an eighth of the longer side
    found = finder(crowd)
    cells = {tuple(((face.points.mean(0) - 250) // 128).int().tolist()) for face in found}
    assert len(found) == 8 and len(cells) == 8


def test_a_large_picture_gives_the_same_face(finder):
    small = sample("collins")
    large = functional.resize(small, [2500, 2500])
    points, scaled = finder(small)[0].points, (finder(large)[0].points + 0.5) / 2500 * 512 - 0.5
    assert (points - scaled).norm(dim=1).max() * 512 / side_of(finder(small)[0]) < 5


@pytest.mark.parametrize("cut", ["left", "top"])
def test_a_face_at_the_border_is_continued(finder, cut):
    picture = sample("face_1")
    picture = picture[:, :, 60:] if cut == "left" else picture[:, 60:]
    (face,) = finder(picture)
    square = face_square(face.points)
    assert square[:, 0 if cut == "left" else 1].min() < -20, "it reaches beyond the picture"
    aligned = align_face(picture, face, 256)
    edge = aligned[:, :, :8] if cut == "left" else aligned[:, :8]
    assert edge.float().mean() > 20, "and is filled with colours of the picture, not with black"
    assert shift(finder(aligned)[0], 256) < 0.02


@pytest.mark.parametrize(
    "picture",
    [
        torch.zeros(3, 300, 400, dtype=torch.uint8),
        torch.randint(256, (3, 256, 256), dtype=torch.uint8, generator=torch.manual_seed(0)),
        torch.full((3, 40, 1000), 200, dtype=torch.uint8),
        torch.full((3, 1, 1), 200, dtype=torch.uint8),
    ],
)
def test_no_face_where_there_is_none(finder, picture):
    assert finder(picture) == []


def test_half_a_face_is_none(finder):
    assert finder(sample("face_1")[:, 170:]) == []


@pytest.mark.parametrize(
    ("picture", "reason"),
    [
        (torch.full((3, 40, 40), 100), "only 40x40 pixels"),
        (torch.full((3, 400, 400), 100), "nearly one colour"),
        (torch.randint(60, (3, 400, 400), generator=torch.manual_seed(0)), "very dark"),
        (torch.randint(256, (3, 400, 400), generator=torch.manual_seed(0)), "from the front"),
    ],
)
def test_the_reason_is_the_likely_one(finder, picture, reason):
    assert reason in finder.why_none(picture.to(torch.uint8))


def test_half_a_face_is_named_as_the_reason(finder):
    assert "It shows something like a face" in finder.why_none(sample("face_1")[:, 90:])


def test_a_face_too_small_for_its_picture_is_named_as_the_reason(finder):
    canvas = torch.full((3, 3000, 3000), 120, dtype=torch.uint8)
    canvas[:, 1500:] = 180
    canvas[:, 900:1010, 1000:1110] = functional.resize(sample("collins_aligned"), [110, 110])
    assert finder(canvas) == []
    assert "too small in the whole. Crop the picture closer" in finder.why_none(canvas)


@pytest.mark.parametrize("side", [1100, 2000, 3000])
def test_a_face_of_a_tenth_of_the_side_is_found_whatever_the_size(finder, side):
    canvas = torch.full((3, side, side), 120, dtype=torch.uint8)
    canvas[:, side // 2 :] = 180
    size = side // 6  # of the aligned picture, whose face takes three fifths of it
    canvas[:, 300 : 300 + size, 250 : 250 + size] = functional.resize(sample("collins_aligned"), [size, size])
    assert len(finder(canvas)) == 1


def test_a_grey_picture_and_one_of_forty_megapixels_show_their_faces(finder):
    picture = sample("collins")
    grey = functional.rgb_to_grayscale(picture, num_output_channels=3)
    large = functional.resize(picture, [6400, 6400])
    assert len(finder(grey)) == 1
    (face,) = finder(large)
    assert align_face(large, face, 64).shape == (3, 64, 64)


def test_a_mask_is_cut_as_the_face_is(finder):
    picture = sample("collins")
    (face,) = finder(picture)
    square = face_square(face.points)
    bright = picture.float().mean(0) > 128
    cut = align_mask(bright, square, 128) > 0.5
    aligned = align_face(picture, face, 128).float().mean(0) > 128
    inside = align_mask(torch.ones_like(bright), square, 128) > 0
    assert (cut == aligned)[inside].float().mean() > 0.97
    away = square + torch.tensor([3000.0, 0.0])
    assert align_mask(torch.ones(64, 64), away, 16).sum() == 0


def test_what_is_no_picture_is_refused(finder):
    with pytest.raises(PspkitError, match="picture: got"):
        finder(torch.zeros(1, 64, 64, dtype=torch.uint8))


def test_points_in_one_place_are_refused():
    with pytest.raises(PspkitError, match="points: eyes and mouth lie in one place"):
        face_square(torch.zeros(478, 2))


def test_a_side_of_nothing_is_refused():
    with pytest.raises(PspkitError, match="size: got 0"):
        align_face(torch.zeros(3, 8, 8, dtype=torch.uint8), Face(torch.rand(478, 2), 1.0), 0)
