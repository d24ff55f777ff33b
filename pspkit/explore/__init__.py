"""Explorers: each is `render(state) -> Figure` plus wiring, and a static strip of the same render for the page."""

from pspkit.explore import blocks, degradations, heads, pyramid, styles

__all__ = ["blocks", "degradations", "heads", "pyramid", "styles"]
