"""The face parser: against its graph, walked operator by operator, and on faces."""

import base64
import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import functional

from pspkit.data.labels import FACE_PARSER_ORDER, LABELS, label_maps
from pspkit.errors import AssetError, PspkitError
from pspkit.models.faces.parser import ASSET, MEMBER, FaceParser, load_face_parser, state_from_tfjs
from pspkit.storage.assets import fetch
from pspkit.storage.tfjs import GRAPH, read_constants
from tests.examples import SAMPLES
from tests.reference import draw, relative_error


@pytest.fixture(scope="module")
def network() -> FaceParser:
    return load_face_parser()


@pytest.fixture(scope="module")
def maps(network) -> dict[str, Tensor]:
    """Label maps of some samples, from the picture's name."""
    names = ("collins_aligned", "hopper_aligned", "face_0", "face_1")
    pictures = [functional.to_image(Image.open(SAMPLES / f"{name}.jpg").convert("RGB")) for name in names]
    pictures = torch.stack([functional.resize(picture, [448, 448]) / 127.5 - 1 for picture in pictures])
    return dict(zip(names, label_maps(network(pictures)), strict=True))


def run_graph(folder: Path, x: Tensor) -> Tensor:
    """The scores (N, H, W, 19) that TensorFlow's operators give for pictures (N, H, W, 3)."""
    model = json.loads((folder / GRAPH).read_text())
    values = {name: torch.tensor(array) for name, array in read_constants(folder, model)} | {"input_tensor": x}
    operators = {
        "ConcatV2": lambda *x: torch.cat(x[:-1], int(x[-1])),
        "Add": torch.add,
        "Mul": torch.mul,
        "Relu": torch.relu,
        "Sigmoid": torch.sigmoid,
        "Mean": lambda x, axes: x.mean(axes.tolist(), keepdim=True),
        "Shape": lambda x: torch.tensor(x.shape),
        "StridedSlice": lambda x, start, end, _: x[start:end],
        "Pack": lambda *x: torch.hstack(x),
        "ResizeBilinear": resize_bilinear,
    }
    for node in model["modelTopology"]["node"]:
        if node["op"] in ("Const", "Placeholder"):
            continue
        inputs, attributes = [values[name] for name in node["input"]], node["attr"]
        if node["op"] in operators:
            values[node["name"]] = operators[node["op"]](*inputs)
        elif "strides" in attributes:
            values[node["name"]] = slide(node["op"], attributes, *inputs)
        if node["name"].endswith("segmentation_head_logits"):
            return values[node["name"]]
    raise AssertionError("the graph has no scores")


def slide(operator: str, attributes: dict, x: Tensor, kernel: Tensor | None = None, bias: Tensor | None = None):
    """A convolution or pooling, its windows padded as "SAME"."""
    stride = int(attributes["strides"]["list"]["i"][1])
    size = len(kernel) if kernel is not None else int(attributes["ksize"]["list"]["i"][1])
    total = max(size - (stride if x.shape[1] % stride == 0 else x.shape[1] % stride), 0)
    padding = (total // 2, total - total // 2) * 2
    x = x.permute(0, 3, 1, 2)
    if operator == "MaxPool":
        y = F.max_pool2d(F.pad(x, padding, value=-torch.inf), size, stride)
    elif operator == "AvgPool":
        y = F.avg_pool2d(F.pad(x, padding), size, stride)
        y = y / F.avg_pool2d(F.pad(torch.ones_like(x), padding), size, stride)
    else:
        groups = x.shape[1] if "Depthwise" in operator else 1
        kernel = kernel.permute(2, 3, 0, 1).flatten(0, 1)[:, None] if groups > 1 else kernel.permute(3, 2, 0, 1)
        y = F.conv2d(F.pad(x, padding), kernel, bias, stride, groups=groups)
    if base64.b64encode(b"Relu").decode() in attributes.get("fused_ops", {}).get("list", {}).get("s", ()):
        y = y.relu()
    return y.permute(0, 2, 3, 1)


def resize_bilinear(x: Tensor, size: Tensor) -> Tensor:
    """Without half-pixel centres: the result's pixel i lies at i times the scale."""
    for axis, side in ((1, int(size[0])), (2, int(size[1]))):
        place = torch.arange(side) * (x.shape[axis] / side)
        low = place.long()
        weight = (place - low).view([-1 if number == axis else 1 for number in range(4)])
        high = (low + 1).clamp(max=x.shape[axis] - 1)
        x = x.index_select(axis, low) * (1 - weight) + x.index_select(axis, high) * weight
    return x


def test_it_equals_the_graph(network):
    x = draw("faces", (2, 3, 64, 96)).clamp(-1, 1)
    theirs = run_graph(fetch(ASSET) / MEMBER, x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    order = [FACE_PARSER_ORDER.index(name) for name in LABELS]
    assert relative_error(network(x), theirs[:, order]) < 1e-5


# A point of the sample, x and y in parts of its side, and what it shows there.
@pytest.mark.parametrize(
    ("sample", "points"),
    [
        (
            "collins_aligned",
            {
                "background": (0.05, 0.1),
                "hair": (0.5, 0.15),
                "skin": (0.5, 0.42),
                "r_eye": (0.37, 0.475),
                "l_eye": (0.62, 0.475),
                "nose": (0.5, 0.58),
                "mouth": (0.5, 0.715),
                "l_lip": (0.5, 0.75),
                "neck": (0.5, 0.94),
            },
        ),
        ("hopper_aligned", {"hat": (0.5, 0.2), "eye_g": (0.37, 0.5), "u_lip": (0.48, 0.718), "cloth": (0.1, 0.96)}),
        ("face_0", {"eye_g": (0.37, 0.5), "hair": (0.15, 0.7), "skin": (0.35, 0.7)}),
        ("face_1", {"r_brow": (0.34, 0.4), "l_brow": (0.62, 0.4), "l_ear": (0.84, 0.53), "cloth": (0.86, 0.96)}),
    ],
)
def test_the_parts_of_a_face_are_where_they_are_seen(maps, sample, points):
    seen = maps[sample]
    found = {name: int(seen[round(y * 447), round(x * 447)]) for name, (x, y) in points.items()}
    assert found == {name: LABELS[name].number for name in points}


def test_left_and_right_lie_on_their_sides(maps):
    for labels in maps.values():
        x = torch.arange(labels.shape[1]).expand_as(labels)
        for left, right in (("l_eye", "r_eye"), ("l_brow", "r_brow"), ("l_ear", "r_ear")):
            lefts, rights = (x[labels == LABELS[name].number] for name in (left, right))
            assert not len(lefts) or not len(rights) or lefts.min() > rights.max()


def test_half_precision_sees_the_same(network, maps):
    picture = functional.to_image(Image.open(SAMPLES / "face_1.jpg").convert("RGB"))
    picture = functional.resize(picture, [448, 448])[None] / 127.5 - 1
    half = load_face_parser().to(torch.bfloat16)
    same = label_maps(half(picture.bfloat16()))[0] == maps["face_1"]
    assert same.float().mean() > 0.99


def test_it_is_frozen_and_lets_gradients_through(network):
    assert not network.training and not any(parameter.requires_grad for parameter in network.parameters())
    face = draw("face", (1, 3, 32, 32)).requires_grad_()
    network(face)[0, 0].mean().backward()
    assert face.grad.abs().sum() > 0


def test_other_sides_are_refused(network):
    with pytest.raises(PspkitError, match=r"x: got 32x40 pixels.*multiples of 32"):
        network(torch.zeros(1, 3, 32, 40))
    with pytest.raises(PspkitError, match=r"scores: .*\(N, 19, H, W\)"):
        label_maps(torch.zeros(1, 3, 32, 32))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (None, "can be read"),
        ("{", "can be read"),
        ('{"weightsManifest": [{"paths": ["gone.bin"], "weights": []}]}', r"can be read.*gone.bin"),
        ('{"weightsManifest": [], "modelTopology": {"node": []}}', "0 weights .* another network"),
    ],
)
def test_what_is_no_graph_or_another_one_is_refused(tmp_path, model, message):
    if model is not None:
        (tmp_path / GRAPH).write_text(model)
    with pytest.raises(AssetError, match=message):
        state_from_tfjs(tmp_path)
