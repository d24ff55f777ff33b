"""The identity network of photographs: against another runtime of the same graph, and on faces."""

import pytest
import torch
from PIL import Image
from torchvision.transforms.v2 import functional

from pspkit.errors import AssetError, PspkitError
from pspkit.models.encoders import GradualStyleEncoder
from pspkit.models.mobile_facenet import (
    ASSET,
    MEMBER,
    MobileFaceNet,
    load_mobile_facenet,
    load_mobile_facenet_body,
    state_from_onnx,
)
from pspkit.storage.assets import fetch
from tests.examples import SAMPLES
from tests.reference import draw, relative_error


@pytest.fixture(scope="module")
def network() -> MobileFaceNet:
    return load_mobile_facenet()


def test_it_equals_the_graph_run_by_onnx(network):
    import onnx
    from onnx.reference import ReferenceEvaluator

    faces = draw("input.face", (2, 3, 112, 112)).clamp(-1, 1)
    graph = onnx.load(fetch(ASSET) / MEMBER)
    # The evaluator's batch norm of this file's version, 11, mixes in the batch's statistics; 15 means the same layers.
    graph.opset_import[0].version = 15
    (raw,) = ReferenceEvaluator(graph).run(None, {"input.1": faces.numpy()})
    assert relative_error(network(faces), torch.nn.functional.normalize(torch.tensor(raw))) < 1e-4


def test_a_mirrored_face_is_nearer_than_any_other(network):
    faces = []
    for file in sorted(SAMPLES.glob("face_*.jpg")):
        picture = functional.resize(functional.to_image(Image.open(file).convert("RGB")), [256, 256])
        faces.append(functional.resize(picture[:, 35:223, 32:220], [112, 112]) / 127.5 - 1)
    faces = torch.stack(faces)
    similarity = network(faces) @ network(faces.flip(3)).T
    same = similarity.diag()
    others = similarity[~torch.eye(len(faces), dtype=torch.bool)]
    assert same.min() > 0.7 and same.min() > others.max() + 0.1


def test_it_is_frozen_and_lets_gradients_through(network):
    assert not network.training and not any(parameter.requires_grad for parameter in network.parameters())
    face = draw("input.face", (1, 3, 112, 112)).requires_grad_()
    network(face)[0, 0].backward()
    assert face.grad.abs().sum() > 0


def test_another_side_is_refused(network):
    with pytest.raises(PspkitError, match=r"x: .*\(N, 3, 112, 112\)"):
        network(torch.zeros(1, 3, 128, 128))


def test_the_graph_of_another_network_is_refused(tmp_path):
    import onnx

    path = tmp_path / "empty.onnx"
    onnx.save(onnx.helper.make_model(onnx.helper.make_graph([], "empty", [], [])), path)
    with pytest.raises(AssetError, match="not MobileFaceNet's"):
        state_from_onnx(path)


def test_an_encoder_starts_from_its_body(network):
    encoder = GradualStyleEncoder(n_styles=4, input_size=64, style_dim=16, map2style_width=8, backbone="mobile_facenet")
    assert load_mobile_facenet_body(encoder, network) == ("input_layer", "body")
    x = draw("x", (1, 3, 64, 64))
    torch.testing.assert_close(encoder.stages(x)[-1], network.body(network.stem(x)))
    with pytest.raises(PspkitError, match="backbone='mobile_facenet'"):
        load_mobile_facenet_body(GradualStyleEncoder(18, input_size=32, map2style_width=8), network)
