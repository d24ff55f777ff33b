"""Commands run within a test, and a look at what they wrote."""

import numpy as np
from PIL import Image

from pspkit.cli import main
from pspkit.course.run import ROOT

SAMPLES = ROOT / "data/samples/codes.safetensors"  # eight faces, one w each


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def pixels(path):
    with Image.open(path) as picture:
        return np.array(picture).astype(int)


def run(*arguments):
    return main([*map(str, arguments)])
