"""Reproducible measurements: each holds pspkit against a named alternative, in one run."""
