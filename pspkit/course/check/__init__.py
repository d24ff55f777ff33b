"""Checks that notebooks call: two results side by side, and the exercises' checkers, one module a notebook.

A checker never raises: it answers with a `Verdict` that names what was misunderstood and gives a hint.
"""

from pspkit.course.check.backbone import se_gates, stage_ends
from pspkit.course.check.decoder import codes_of_layers, demodulation, truncation
from pspkit.course.check.encoders import level_of_style, map2style_convolutions, one_row_a_picture
from pspkit.course.check.losses import diagnose, dissimilarity, drawn_logs, layer_distance
from pspkit.course.check.pyramid import feature_pyramid, reading_position
from pspkit.course.check.start import colour_codes, take_codes
from pspkit.course.check.styles import draw_variants, fill_masked, inject_styles
from pspkit.course.check.tasks import mirror_labels, pixelate, split_people
from pspkit.course.check.translate import go_on, keep_known
from pspkit.course.check.verdict import Verdict, compare

__all__ = [
    "Verdict",
    "codes_of_layers",
    "colour_codes",
    "compare",
    "demodulation",
    "diagnose",
    "dissimilarity",
    "draw_variants",
    "drawn_logs",
    "feature_pyramid",
    "fill_masked",
    "go_on",
    "inject_styles",
    "keep_known",
    "layer_distance",
    "level_of_style",
    "map2style_convolutions",
    "mirror_labels",
    "one_row_a_picture",
    "pixelate",
    "reading_position",
    "se_gates",
    "split_people",
    "stage_ends",
    "take_codes",
    "truncation",
]
