"""What several tests are run on: small models that have learned nothing, pictures, and the faces that ship."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from pspkit.config import CONFIGS
from pspkit.data.tasks import get_task
from pspkit.models.encoders import Encoder
from pspkit.models.stylegan2 import Generator
from pspkit.psp import PSP

SAMPLES = Path(__file__).parents[1] / "data" / "samples"
SMOKE = CONFIGS["smoke"]  # 64 px in, 16 px out, 6 codes of 64


def make_psp(task: str = "encode") -> PSP:
    """A model for a task, its average estimated from its decoder."""
    torch.manual_seed(0)
    encoder = Encoder.from_config(replace(SMOKE.encoder, input_nc=get_task(task).input_nc))
    return PSP(encoder, Generator.from_config(SMOKE.decoder)).eval()


def small_psp(**encoder) -> PSP:
    """A model whose average is random and whose encoder has other sizes, as far as they are given."""
    torch.manual_seed(0)
    model = PSP.from_config(replace(SMOKE, encoder=replace(SMOKE.encoder, **encoder))).eval()
    model.latent_avg = torch.randn_like(model.latent_avg)
    return model


def assert_equal_weights(model: torch.nn.Module, other: torch.nn.Module) -> None:
    ours, theirs = model.state_dict(), other.state_dict()
    assert ours.keys() == theirs.keys()
    for key, value in ours.items():
        assert torch.equal(value, theirs[key]), key


def write_photo(path: Path, seed: int = 0, side: int | tuple[int, int] = 64) -> Path:
    """Writes a picture of coloured blots."""
    path.parent.mkdir(parents=True, exist_ok=True)
    blots = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    sides = (side, side) if isinstance(side, int) else side
    Image.fromarray(blots).resize(sides, Image.Resampling.BICUBIC).save(path)
    return path
