"""Weights and codes on disk.

files.py reads and writes files without running any code from them. foreign.py finds out whose weights a file holds,
nvidia.py translates NVIDIA's names, and layouts.py works out the sizes of a model from its tensors. pretrained.py turns
files into models and back. codes.py stores codes together with their space.
"""

from pspkit.storage.checkpoints.codes import load_codes, read_codes, save_codes
from pspkit.storage.checkpoints.pretrained import (
    BODY,
    Checkpoint,
    Differences,
    Pretrained,
    compare,
    load_backbone_weights,
    read_checkpoint,
)

__all__ = [
    "BODY",
    "Checkpoint",
    "Differences",
    "Pretrained",
    "compare",
    "load_backbone_weights",
    "load_codes",
    "read_checkpoint",
    "read_codes",
    "save_codes",
]
