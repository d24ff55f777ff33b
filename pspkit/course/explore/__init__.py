"""Explorers: each is `render(state) -> Figure` plus wiring, and a static strip of the same render for the page."""

from pspkit.course.explore import blocks, curves, degradations, draw, heads, portraits, pyramid, styles, walk

__all__ = ["blocks", "curves", "degradations", "draw", "heads", "portraits", "pyramid", "styles", "walk"]
