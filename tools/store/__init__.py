"""Stores what was trained or fitted on photographs, each with its card: `python -m tools.store.faces` and so on."""
