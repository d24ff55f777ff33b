"""Measuring an encoder of faces."""

import pytest
import torch

from pspkit.config import CONFIGS
from pspkit.data.pictures import open_picture
from pspkit.errors import PspkitError
from pspkit.inference.evaluation import (
    SIDE,
    FaceSet,
    Judge,
    bootstrap,
    decode,
    drawn_faces,
    evaluate,
    photographs,
    unseen_codes,
)
from pspkit.models.stylegan2 import Generator
from tests.examples import SAMPLES


@pytest.fixture(scope="module")
def judge():
    return Judge()


@pytest.fixture(scope="module")
def faces():
    pictures = [open_picture(SAMPLES / f"face_{number}.jpg").as_subclass(torch.Tensor) for number in range(4)]
    return torch.stack(pictures).float() / 127.5 - 1


@pytest.fixture(scope="module")
def decoder():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Generator.from_config(CONFIGS["smoke"].decoder).eval().requires_grad_(False)


def test_a_face_against_itself_is_perfect(judge, faces):
    values = judge(faces, faces)
    for name, value in values.items():
        assert value.shape == (4,)
        if name in ("arcface", "facenet", "arcface_first", "facenet_first"):
            assert value.min() > 0.999, name
        elif "others" in name:
            assert value.max() < 0.6, name
        else:
            assert value.abs().max() < 1e-5, name


def test_another_person_s_face_is_told_apart(judge, faces):
    values = judge(faces.roll(1, 0), faces)
    assert values["facenet_first"].sum() == 0 and values["arcface"].mean() < 0.3
    assert values["mse"].min() > 0.02 and values["lpips_128"].min() > 0.1
    assert torch.allclose(values["mse"], (faces.roll(1, 0) - faces).square().mean((1, 2, 3)))


def test_an_interval_holds_the_mean_and_narrows_with_more_pictures():
    values = torch.randn(400, generator=torch.manual_seed(0)) + 3
    few, many = bootstrap(values[:25]), bootstrap(values)
    for figure, count in ((few, 25), (many, 400)):
        assert figure.low < figure.mean < figure.high
        assert (figure.high - figure.low) / 2 == pytest.approx(1.96 / count**0.5, rel=0.25)
    assert bootstrap(values) == many, "the same every time"
    assert bootstrap(torch.ones(5)) == (1, 1, 1)


def test_drawn_faces_are_the_same_every_time_and_of_other_codes(decoder):
    average = torch.zeros(decoder.style_dim)
    codes = unseen_codes(decoder, average, 3)
    assert torch.equal(codes, unseen_codes(decoder, average, 3))
    drawn = drawn_faces(decoder, codes, batch=2)
    assert drawn.pictures.shape == (3, 3, SIDE, SIDE) and torch.equal(drawn.codes, codes)
    assert torch.allclose(drawn.pictures, decode(decoder, codes), atol=1e-5)


def test_an_encoder_that_knows_the_codes_is_perfect_and_the_mean_face_is_not(decoder, judge):
    average = torch.zeros(decoder.style_dim)
    codes = unseen_codes(decoder, average, 4)
    drawn, given = drawn_faces(decoder, codes), iter(codes.split(2))
    (result,) = evaluate(lambda pictures: next(given), decoder, average, [drawn], judge, batch=2)
    assert (result.name, result.count) == ("drawn", 4) and result.seconds > 0
    assert result.figures["codes"] == (0, 0, 0) and result.figures["mse"].mean < 1e-8
    assert result.figures["arcface"].mean > 0.999
    assert result.mean_face["codes"].mean == pytest.approx(1) and result.mean_face["mse"].mean > 0
    assert result.record()["figures"]["codes"] == {"mean": 0, "low": 0, "high": 0}


def test_photographs_have_no_codes_to_measure(decoder, judge, faces):
    average = torch.zeros(decoder.style_dim)
    codes = average.expand(len(faces), decoder.n_styles, -1)
    (result,) = evaluate(lambda x: codes[: len(x)], decoder, average, [FaceSet("mine", faces)], judge)
    assert "codes" not in result.figures
    for name, figure in result.figures.items():
        assert figure == pytest.approx(result.mean_face[name], abs=1e-4), name


def test_one_face_is_not_enough(decoder, judge, faces):
    with pytest.raises(PspkitError, match="mine: 1 faces"):
        evaluate(lambda x: x, decoder, torch.zeros(decoder.style_dim), [FaceSet("mine", faces[:1])], judge)


def test_photographs_are_aligned_unless_they_are(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    for name in ("hopper", "collins"):
        (folder / f"{name}.jpg").write_bytes((SAMPLES / f"{name}.jpg").read_bytes())
    (folder / "torn.jpg").write_bytes(b"no picture")
    (mine,) = photographs(folder)
    assert mine.name == "mine" and [path.name for path in mine.failed] == ["torn.jpg"]
    for picture, name in zip(mine.pictures, ("collins", "hopper"), strict=True):
        aligned = open_picture(SAMPLES / f"{name}_aligned.jpg").as_subclass(torch.Tensor).float() / 127.5 - 1
        assert (torch.nn.functional.avg_pool2d(aligned, 2) - picture).abs().mean() < 0.04
    (first,) = photographs(folder, most=1)
    assert torch.equal(first.pictures, mine.pictures[:1]) and not first.failed
    (folder / "hopper.jpg").unlink()
    (given,) = photographs(folder, aligned=True)
    assert given.pictures.shape == (1, 3, SIDE, SIDE)  # Collins is a square as she comes
    (folder / "collins.jpg").unlink()
    with pytest.raises(PspkitError, match="no picture that can be used"):
        photographs(folder)
