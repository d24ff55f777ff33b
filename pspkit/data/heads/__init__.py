"""Rendered heads: pictures of which everything is known.

`sample_factors` draws who they are and how they are seen, `render` makes the pictures, and `HeadsDataset` keeps them.
"""

from pspkit.data.heads.dataset import HeadsDataset, export
from pspkit.data.heads.factors import Factors, Identity, Scene, front_view, sample_factors
from pspkit.data.heads.light import LOOKS
from pspkit.data.heads.render import FAR, SIZES, Render, render

__all__ = [
    "FAR",
    "LOOKS",
    "SIZES",
    "Factors",
    "HeadsDataset",
    "Identity",
    "Render",
    "Scene",
    "export",
    "front_view",
    "render",
    "sample_factors",
]
