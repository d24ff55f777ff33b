"""What the tests of several commands use: a trained model, photographs, a small photographic decoder."""

import pytest
import torch

from pspkit.domains import faces as face_domain
from pspkit.models.mobile_stylegan import MobileStyleGAN
from tests.examples import make_psp, write_photo


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The folder of a training, as `translate --model` takes it."""
    folder = tmp_path_factory.mktemp("run")
    make_psp().save_pretrained(folder / "best")
    return folder


@pytest.fixture
def photos(tmp_path):
    for number in range(3):
        write_photo(tmp_path / f"photos/{number}.png", number)
    return tmp_path / "photos"


@pytest.fixture
def faces(monkeypatch):
    """A decoder of the photographic one's shape that is there at once."""
    torch.manual_seed(0)
    decoder = MobileStyleGAN(n_mlp=1, channels=(8,) * 8).eval()
    monkeypatch.setattr(face_domain, "load_mobile_stylegan", lambda: decoder)
    return decoder
