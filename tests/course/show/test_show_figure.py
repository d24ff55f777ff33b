"""What is shared by all figures."""

import base64
import io
import re

import torch
from PIL import Image

from pspkit.course import show


def test_an_animation_moves_and_begins_again():
    frames = torch.linspace(-1, 1, 5).view(5, 1, 1, 1).expand(5, 3, 16, 16)
    html = show.animation(frames, "it brightens", "From black to white.").data
    assert 'alt="it brightens"' in html and "<figcaption>From black to white.</figcaption>" in html
    image = Image.open(io.BytesIO(base64.b64decode(re.search(r"webp;base64,([^\"]+)", html)[1])))
    assert image.n_frames == 5 and image.info["loop"] == 0
    means = []
    for number in range(5):
        image.seek(number)
        means.append(image.convert("L").getpixel((8, 8)))
    assert means == sorted(means) and means[-1] > 240
