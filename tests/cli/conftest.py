"""What the tests of several commands use: a trained model, photographs, a small photographic decoder."""

import numpy as np
import pytest
import torch
from PIL import Image

from pspkit import domains
from pspkit.config import CONFIGS
from pspkit.models.encoders import Encoder
from pspkit.models.mobile_stylegan import MobileStyleGAN
from pspkit.models.stylegan2 import Generator
from pspkit.psp import PSP


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The folder of a training, as `translate --model` takes it."""
    torch.manual_seed(0)
    config, folder = CONFIGS["smoke"], tmp_path_factory.mktemp("run")
    PSP(Encoder.from_config(config.encoder), Generator.from_config(config.decoder)).save_pretrained(folder / "best")
    return folder


@pytest.fixture
def photos(tmp_path):
    (tmp_path / "photos").mkdir()
    for number in range(3):
        blots = np.random.default_rng(number).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(blots).resize((64, 64)).save(tmp_path / f"photos/{number}.png")
    return tmp_path / "photos"


@pytest.fixture
def faces(monkeypatch):
    """A decoder of the photographic one's shape that is there at once."""
    torch.manual_seed(0)
    decoder = MobileStyleGAN(n_mlp=1, channels=(8,) * 8).eval()
    monkeypatch.setattr(domains, "load_mobile_stylegan", lambda: decoder)
    return decoder
