"""What the live pages show, held against what PyTorch draws."""

import base64
import io

import numpy as np
from PIL import Image

from pspkit.course.run import ROOT

SCREENSHOTS = ROOT / "build" / "screenshots"
TOLERANCE = 1.0  # mean difference in steps of 255: the page's weights are stored in half precision


def from_url(address):
    """The pixels (side, side, 3) of a picture that a `data:` address holds."""
    return np.array(Image.open(io.BytesIO(base64.b64decode(address.split(",")[1]))).convert("RGB")).astype(float)


def assert_shows(pixels, picture):
    """Pixels (side, side, 3) are those of a picture (3, side, side) in [-1, 1]."""
    difference = np.abs(pixels - picture.clamp(-1, 1).add(1).mul(127.5).permute(1, 2, 0).numpy())
    assert difference.mean() < TOLERANCE and difference.max() < 16


def screenshot(name):
    """Where a picture of a page is written."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    return SCREENSHOTS / f"{name}.png"
