"""Checks that notebooks call: two results side by side, and the exercises' checkers, one module a notebook.

A checker never raises: it answers with a `Verdict` that names what was misunderstood and gives a hint.
"""

from pspkit.check.backbone import se_gates, stage_ends
from pspkit.check.verdict import Verdict, compare

__all__ = ["Verdict", "compare", "se_gates", "stage_ends"]
