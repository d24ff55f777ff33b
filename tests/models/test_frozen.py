"""Networks that are fetched trained: what becomes of a damaged file, for each of them."""

import pytest
import torch

from pspkit.errors import AssetError
from pspkit.models import frozen, mobile_facenet, mobile_stylegan
from pspkit.models.faces import age, facenet, parser

LOADERS = [
    (mobile_facenet, mobile_facenet.load_mobile_facenet, mobile_facenet.MEMBER),
    (mobile_stylegan, mobile_stylegan.load_mobile_stylegan, f"{mobile_stylegan.MEMBER}/MappingNetwork.xml"),
    (age, age.load_face_age, age.MEMBER),
    (facenet, facenet.load_facenet, facenet.MEMBER),
    (parser, parser.load_face_parser, f"{parser.MEMBER}/model.json"),
]


@pytest.mark.parametrize(("module", "load", "file"), LOADERS)
@pytest.mark.parametrize("content", [None, b"", b"neither this nor that"])
def test_a_damaged_asset_names_the_file_and_the_way_out(tmp_path, monkeypatch, module, load, file, content):
    path = tmp_path / file
    path.parent.mkdir(parents=True)
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setattr(frozen, "fetch", lambda name: tmp_path)
    with pytest.raises(AssetError, match=f"{tmp_path / module.MEMBER}.*pspkit assets get {module.ASSET}"):
        load()


def test_a_network_of_anothers_weights_is_frozen_and_keeps_nothing_on_the_meta_device(tmp_path, monkeypatch):
    monkeypatch.setattr(frozen, "fetch", lambda name: tmp_path)
    state = torch.nn.Linear(2, 3).state_dict()
    network = frozen.load_frozen(lambda: torch.nn.Linear(2, 3), "an asset", "a file", lambda path: state)
    assert torch.equal(network.weight, state["weight"])
    assert not network.training and not any(weight.requires_grad for weight in network.parameters())
