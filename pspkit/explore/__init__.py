"""Explorers: each is `render(state) -> Figure` plus wiring, and a static strip of the same render for the page."""

from pspkit.explore import blocks

__all__ = ["blocks"]
