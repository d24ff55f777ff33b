"""What a lesson says the reference does is what the reference did."""

import torch
import torch.nn.functional as F

from pspkit.course.run import ROOT, read
from tests.reference import answers, draw

TASKS = ROOT / "notebooks" / "06_make_tasks.ipynb"


def test_the_resize_by_one_in_lesson_06_is_the_references():
    (cell,) = (cell.source for cell in read(TASKS).cells if "def reference_factor_one" in cell.source)
    names = {"torch": torch, "F": F}
    exec(cell, names)
    photo = F.interpolate(torch.sigmoid(draw("input.photo", (1, 3, 64, 64))), scale_factor=2, mode="bilinear")
    assert torch.allclose(names["reference_factor_one"](photo), answers()["bicubic_down_1"], atol=1e-5)
