"""Drawn codes, a camera's faults, and which photographs are kept to measure on."""

import pytest
import torch
from PIL import Image

from pspkit.data.faces.augment import CAMERA, SCENE, Dice, augment, blur, cover, jpeg, move
from pspkit.data.faces.drawn import PLAIN, WIDE, Variety, draw_codes
from pspkit.data.faces.photographs import is_kept, read_photographs
from pspkit.errors import PspkitError
from pspkit.models.mobile_stylegan import MobileStyleGAN


@pytest.fixture(scope="module")
def decoder() -> MobileStyleGAN:
    torch.manual_seed(0)
    return MobileStyleGAN(style_dim=16, n_mlp=2, channels=(32, 32, 32)).eval().requires_grad_(False)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures(n: int = 4) -> torch.Tensor:
    """Smooth pictures with edges, in [-1, 1]."""
    places = torch.linspace(-1, 1, 64)
    waves = torch.stack([(3 * i * places[:, None] + 5 * places).sin() for i in range(1, 3 * n + 1)])
    return waves.view(n, 3, 64, 64).clamp(-0.7, 0.9)


def test_codes_follow_from_the_generator_alone(decoder):
    average = torch.zeros(16)
    first, again, other = (draw_codes(decoder, average, 8, generator(seed), WIDE) for seed in (1, 1, 2))
    assert first.shape == (8, decoder.n_styles, 16)
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_one_person_has_one_code_and_mixed_people_have_several(decoder):
    average = torch.zeros(16)
    alone = draw_codes(decoder, average, 64, generator(), Variety(mixed=0, mixed_twice=0))
    assert torch.equal(alone, alone[:, :1].expand_as(alone))
    mixed = draw_codes(decoder, average, 64, generator(), Variety(mixed=1, mixed_twice=1))
    people = torch.tensor([len(row.unique(dim=0)) for row in mixed])
    assert people.max() == 3 and (people > 1).all()


def test_truncation_and_spread_set_the_distance_from_the_average(decoder):
    average = torch.ones(16)

    def distance(variety: Variety) -> float:
        return (draw_codes(decoder, average, 256, generator(), variety) - average).square().mean().item()

    assert distance(Variety(truncation=(0, 0))) == 0
    assert distance(Variety(truncation=(0.5, 0.5))) < distance(PLAIN) < distance(Variety(truncation=(1, 1)))
    assert distance(Variety(spread=1, spread_strength=1)) > distance(PLAIN)


@pytest.mark.parametrize("faults", [CAMERA, SCENE])
def test_faults_follow_from_the_generator_and_stay_in_range(faults):
    x = pictures(16)
    first, again = augment(x, generator(3), faults), augment(x, generator(3), faults)
    assert torch.equal(first, again)
    assert first.shape == x.shape and first.abs().max() <= 1
    assert not torch.equal(first, x)


@pytest.mark.parametrize("fault", [move, blur, jpeg, cover])
def test_a_fault_that_does_not_happen_changes_nothing(fault):
    x = pictures()
    torch.testing.assert_close(fault(x, Dice(len(x), generator()), chance=0), x, atol=1e-4, rtol=0)


def test_jpeg_stays_near_the_picture_and_worst_is_worse():
    x = pictures(16)

    def error(worst: int) -> float:
        return (jpeg(x, Dice(len(x), generator()), chance=1, worst=worst) - x).square().mean().item()

    assert 0 < error(90) < error(5) < 0.05


def test_blur_smooths():
    x = pictures()
    soft = blur(x, Dice(len(x), generator()), chance=1)
    assert soft.diff(dim=3).square().mean() < x.diff(dim=3).square().mean()


def test_every_third_person_is_kept_with_all_their_pictures():
    names = ["neutral_002_03", "neutral_003_03", "neutral_004_03", "smiling_002_03", "smiling_004_03"]
    assert is_kept(names) == [False, False, True, False, True]
    assert is_kept(["female_00", "female_01", "female_02", "male_00"]) == [False, False, True, False]


def test_photographs_are_read_by_part(tmp_path):
    for index in range(4):
        Image.new("RGB", (256, 256), (index, 0, 0)).save(tmp_path / f"face_{index}.png")
    names, photographs = read_photographs(tmp_path, kept=True)
    assert names == ["face_2.png"]
    assert photographs.dtype == torch.uint8 and photographs.shape == (1, 3, 256, 256) and photographs[0, 0, 0, 0] == 2
    assert len(read_photographs(tmp_path, kept=False)[0]) == 3


def test_photographs_of_another_side_are_refused(tmp_path):
    Image.new("RGB", (64, 64)).save(tmp_path / "face.png")
    with pytest.raises(PspkitError, match=r"face.png: got shape \(3, 64, 64\).*Align"):
        read_photographs(tmp_path, kept=False)
    (tmp_path / "face.png").unlink()
    with pytest.raises(PspkitError, match="holds no picture"):
        read_photographs(tmp_path, kept=False)
