"""FaceNet: against another runtime of the same graph, and on faces; and the reading of its file."""

import numpy as np
import pytest
import torch

from pspkit.data.pictures import open_picture
from pspkit.errors import AssetError, PspkitError
from pspkit.losses.terms import FACE_BOX
from pspkit.models.faces.facenet import ASSET, MEMBER, FaceNet, load_facenet, state_from_graphdef
from pspkit.storage.assets import fetch
from pspkit.storage.graphdef import read_graphdef
from tests.examples import SAMPLES
from tests.reference import GOLDEN


@pytest.fixture(scope="module")
def network() -> FaceNet:
    return load_facenet()


def face(name):
    picture = open_picture(SAMPLES / f"{name}.jpg").as_subclass(torch.Tensor)[None].float() / 127.5 - 1
    return FACE_BOX.pool(picture, 160)


def test_it_equals_the_graph_run_by_opencv(network):
    for name, wanted in np.load(GOLDEN / "facenet.npz").items():
        assert (network(face(name))[0] - torch.from_numpy(wanted)).abs().max() < 1e-4, name


def test_a_mirrored_face_is_nearer_than_any_other(network):
    faces = torch.cat([face(f"face_{number}") for number in range(8)])
    similarity = network(faces) @ network(faces.flip(3)).T
    others = similarity[~torch.eye(len(faces), dtype=torch.bool)]
    assert similarity.diag().min() > 0.8 and similarity.diag().min() > others.max()


def test_light_and_contrast_make_no_difference(network):
    picture = face("face_0")
    assert (network(picture) * network(0.5 * picture + 0.2)).sum() > 0.9999


def test_a_picture_of_one_colour_stays_finite(network):
    assert network(torch.full((1, 3, 160, 160), 0.3)).isfinite().all()


def test_it_is_frozen_and_lets_gradients_through(network):
    assert not network.training and not any(parameter.requires_grad for parameter in network.parameters())
    picture = face("face_0").requires_grad_()
    network(picture)[0, 0].backward()
    assert picture.grad.abs().sum() > 0


def test_another_side_is_refused(network):
    with pytest.raises(PspkitError, match=r"x: .*\(N, 3, 160, 160\)"):
        network(torch.zeros(1, 3, 112, 112))


def test_constants_come_in_the_order_of_the_operators():
    constants = read_graphdef((fetch(ASSET) / MEMBER).read_bytes())
    assert [constant.shape for constant in constants[:3]] == [(3, 3, 3, 32), (32,), (3, 3, 32, 32)]
    assert [constant.shape for constant in constants[-5:]] == [(1792, 512), *[(512,)] * 4]
    assert (constants[-4] == 1).all(), "one value stands for all"


@pytest.mark.parametrize("content", [b"", b"neither this nor that", b"\x0a\xff\xff\xff"])
def test_a_foreign_file_is_refused(content):
    with pytest.raises(AssetError, match="not a TensorFlow graph"):
        read_graphdef(content)


def test_a_file_cut_off_is_refused():
    content = (fetch(ASSET) / MEMBER).read_bytes()
    with pytest.raises(AssetError, match=r"damaged|another network"):
        state_from_graphdef(content[: len(content) // 2])


def test_another_graph_is_refused():
    one_node = b"\x0a\x05\x12\x03Abc"  # a node with an operator and nothing else
    with pytest.raises(AssetError, match=r"0 weights .* another network"):
        state_from_graphdef(one_node)
