"""The network that guesses ages."""

import json

import pytest
import torch

from pspkit.data.pictures import open_picture
from pspkit.errors import AssetError, PspkitError
from pspkit.losses.identity import FACE_BOX
from pspkit.models.faces.age import FaceAge, load_face_age, state_from_shards
from tests.examples import SAMPLES


@pytest.fixture(scope="module")
def network():
    return load_face_age()


def look(network, name):
    picture = open_picture(SAMPLES / name).as_subclass(torch.Tensor)[None].float() / 127.5 - 1
    face = FACE_BOX.pool(picture, network.input_size)
    return [network(x).item() for x in (face, face.flip(3))]


@pytest.mark.parametrize(("name", "age"), [("collins_aligned.jpg", 36), ("hopper_aligned.jpg", 77)])
def test_it_guesses_the_age_of_people_whose_age_is_known(network, name, age):
    assert all(abs(guess - age) < 7 for guess in look(network, name))


def test_another_shape_is_refused(network):
    with pytest.raises(PspkitError, match=r"x: got float32 of shape \(1, 3, 64, 64\), needs .* \(N, 3, 112, 112\)"):
        network(torch.zeros(1, 3, 64, 64))


def write(folder, arrays):
    """A file of arrays of one byte a number, each from its lowest value in steps."""
    weights = [
        {"name": name, "shape": shape, "dtype": "float32", "quantization": {"dtype": "uint8", "scale": 0.5, "min": -1}}
        for name, shape in arrays
    ]
    (folder / "m.json").write_text(json.dumps([{"paths": ["m.bin"], "weights": weights}]))
    (folder / "m.bin").write_bytes(bytes(3 for _, shape in arrays for _ in range(torch.Size(shape).numel())))
    return folder / "m.json"


def shapes():
    """The arrays as the file holds them: (height, width, in, out), depthwise (height, width, channels, 1)."""
    state = FaceAge().state_dict()
    order = {4: (2, 3, 1, 0), 2: (1, 0), 1: (0,)}
    found = []
    for key, value in state.items():
        depthwise = value.ndim == 4 and value.shape[1] == 1
        axes = (2, 3, 0, 1) if depthwise else order[value.ndim]
        found.append((key, [value.shape[axis] for axis in axes]))
    return found


def test_numbers_of_one_byte_are_scaled_and_the_other_head_is_left_out(tmp_path):
    state = state_from_shards(write(tmp_path, [*shapes(), ("fc/gender/weights", [512, 2])]))
    assert all((value == 0.5).all() for value in state.values())
    FaceAge().load_state_dict(state)


def test_another_network_and_a_damaged_file_are_refused(tmp_path):
    with pytest.raises(AssetError, match="it has 1 arrays and FaceAge"):
        state_from_shards(write(tmp_path, [("a", [3, 3])]))
    (tmp_path / "m.bin").write_bytes(b"")
    with pytest.raises(AssetError, match="it does not hold weights that can be read"):
        state_from_shards(tmp_path / "m.json")
