"""The two networks that find faces, and the reading of their file."""

import zipfile

import pytest
import torch

from pspkit.errors import AssetError, PspkitError
from pspkit.models.faces import landmarks as face_landmarks
from pspkit.models.faces.landmarks import (
    ASSET,
    MEMBER,
    BlazeFace,
    FaceMesh,
    SameConv2d,
    load_face_landmarks,
    state_from_tflite,
)
from pspkit.storage.assets import fetch
from pspkit.storage.tflite import read_tflite


@pytest.fixture(scope="module")
def networks():
    return load_face_landmarks()


def contents(member):
    with zipfile.ZipFile(fetch(ASSET) / MEMBER) as file:
        return file.read(member)


@pytest.mark.parametrize(
    ("side", "kernel", "stride", "before"), [(8, 3, 1, 1), (8, 3, 2, 0), (8, 5, 2, 1), (7, 3, 2, 1)]
)
def test_same_padding_puts_the_larger_part_behind(side, kernel, stride, before):
    convolution = SameConv2d(1, 1, kernel, stride, bias=False).requires_grad_(False)
    convolution.weight.zero_()[0, 0, before, before] = 1  # so that it copies every stride-th pixel
    x = torch.arange(float(side * side)).view(1, 1, side, side)
    assert torch.equal(convolution(x), x[:, :, ::stride, ::stride])


def test_both_are_frozen(networks):
    for network in networks:
        assert not network.training and not any(parameter.requires_grad for parameter in network.parameters())


def test_shapes_and_ranges(networks):
    detector, mesh = networks
    scores, boxes, keypoints = detector(torch.zeros(2, 3, 128, 128))
    assert scores.shape == (2, 896) and boxes.shape == (2, 896, 4) and keypoints.shape == (2, 896, 6, 2)
    assert scores.min() >= 0 and scores.max() < 0.5, "an empty picture has no face"
    points, presence = mesh(torch.zeros(2, 3, 256, 256))
    assert points.shape == (2, 478, 3) and presence.shape == (2,)
    assert presence.min() >= 0 and presence.max() < 0.5


def test_a_batch_gives_what_its_pictures_give_alone(networks):
    for network in networks:
        pictures = torch.rand(2, 3, network.input_size, network.input_size, generator=torch.manual_seed(0)) * 2 - 1
        together, second = network(pictures), network(pictures[1:])
        assert all(torch.allclose(a[1:], b, atol=1e-5) for a, b in zip(together, second, strict=True))


@pytest.mark.parametrize("network", [BlazeFace(), FaceMesh()])
def test_another_side_is_refused(network):
    with pytest.raises(PspkitError, match=r"x: got .*\(1, 3, 64, 64\)"):
        network(torch.zeros(1, 3, 64, 64))


def test_the_other_network_s_file_is_refused():
    with pytest.raises(AssetError, match="not those of FaceMesh"):
        state_from_tflite(FaceMesh(), contents("face_detector.tflite"))


def test_constants_come_as_float32_in_the_order_of_the_operators():
    constants = read_tflite(contents("face_detector.tflite"))
    assert {constant.dtype.name for constant in constants} == {"float32"}
    assert [constant.shape for constant in constants[:4]] == [(24, 5, 5, 3), (24,), (1, 3, 3, 24), (24,)]
    assert constants[-2].shape == (96, 1, 1, 96)


@pytest.mark.parametrize("content", [b"", b"neither this nor that"])
def test_a_foreign_file_is_refused(content):
    with pytest.raises(AssetError, match="not a TensorFlow Lite file"):
        read_tflite(content)


@pytest.mark.parametrize("kept", [8, 100, 5000, 200_000])
def test_a_file_cut_off_is_refused(kept):
    with pytest.raises(AssetError, match=r"damaged TensorFlow Lite file|another network"):
        state_from_tflite(BlazeFace(), contents("face_detector.tflite")[:kept])


def test_a_damaged_asset_names_the_file_and_the_way_out(tmp_path, monkeypatch):
    (tmp_path / MEMBER).parent.mkdir(parents=True)
    (tmp_path / MEMBER).write_bytes(b"no zip")
    monkeypatch.setattr(face_landmarks, "fetch", lambda name: tmp_path)
    with pytest.raises(AssetError, match=f"face_landmarker.task.*pspkit assets get {ASSET}"):
        load_face_landmarks()
