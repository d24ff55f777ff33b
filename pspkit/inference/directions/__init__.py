"""Directions in W+: steps of the codes that change one thing about a face, and as little else as can be.

heads.py finds those of rendered heads, whose factors are known. For photographed faces attributes.py measures what the
decoder draws, faces.py finds the directions from that, and comparison.py holds them against random ones. files.py keeps
directions, and reads those of others.
"""

from pspkit.inference.directions.files import (
    FACE_DIRECTIONS,
    HEAD_DIRECTIONS,
    load_direction,
    load_directions,
    save_directions,
    split_direction,
)
from pspkit.inference.directions.heads import CONTRASTS, Contrast, find_direction

__all__ = [
    "CONTRASTS",
    "FACE_DIRECTIONS",
    "HEAD_DIRECTIONS",
    "Contrast",
    "find_direction",
    "load_direction",
    "load_directions",
    "save_directions",
    "split_direction",
]
