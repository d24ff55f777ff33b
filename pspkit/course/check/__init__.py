"""Checks that notebooks call: two results side by side, and the exercises' checkers, one module a notebook.

A checker never raises: it answers with a `Verdict` that names what was misunderstood and gives a hint.
"""

from pspkit.course.check.backbone import depth_costs, se_gates
from pspkit.course.check.beyond import feedback, near_or_edited
from pspkit.course.check.closed_form import extrapolate, ridge_map
from pspkit.course.check.decoder import codes_of_layers, truncated_variety
from pspkit.course.check.encoders import listening_level, one_row_a_picture
from pspkit.course.check.losses import by_heart, diagnose, drawn_logs
from pspkit.course.check.own_face import head_tilt, put_back
from pspkit.course.check.pyramid import feature_pyramid, silenced_map
from pspkit.course.check.start import colour_codes, costly_level, take_codes
from pspkit.course.check.styles import draw_variants, exchanged_level, inject_styles
from pspkit.course.check.tasks import invented_classes, mirror_labels, pixelate, split_people
from pspkit.course.check.translate import go_on, keep_known, nearest_answer
from pspkit.course.check.verdict import Verdict, compare

__all__ = [
    "Verdict",
    "by_heart",
    "codes_of_layers",
    "colour_codes",
    "compare",
    "costly_level",
    "depth_costs",
    "diagnose",
    "draw_variants",
    "drawn_logs",
    "exchanged_level",
    "extrapolate",
    "feature_pyramid",
    "feedback",
    "go_on",
    "head_tilt",
    "inject_styles",
    "invented_classes",
    "keep_known",
    "listening_level",
    "mirror_labels",
    "near_or_edited",
    "nearest_answer",
    "one_row_a_picture",
    "pixelate",
    "put_back",
    "ridge_map",
    "se_gates",
    "silenced_map",
    "split_people",
    "take_codes",
    "truncated_variety",
]
