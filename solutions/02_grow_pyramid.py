"""Solutions of notebook 02."""

import torch.nn.functional as F

unchanged = {"c1": ["coarse", "middle"], "c2": ["coarse"], "c3": []}


def grow(c1, c2, c3, lateral1, lateral2):
    levels = [c3]
    for lateral in (lateral1(c2), lateral2(c1)):
        larger = F.interpolate(levels[-1], size=lateral.shape[-2:], mode="bilinear", align_corners=True)
        levels.append(larger + lateral)
    return levels
