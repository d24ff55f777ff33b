"""Figures of the course. Every function returns a `matplotlib` Figure; `figure` puts it into the page."""

from pspkit.course.show import (
    backbone,
    closed_form,
    decoder,
    encoders,
    heads,
    losses,
    pyramid,
    styles,
    summary,
    tasks,
    training,
    translate,
)
from pspkit.course.show.figure import COLOURS, INK, LEVELS, animation, figure, photos, to_pil
from pspkit.course.show.map import course_map

__all__ = [
    "COLOURS",
    "INK",
    "LEVELS",
    "animation",
    "backbone",
    "closed_form",
    "course_map",
    "decoder",
    "encoders",
    "figure",
    "heads",
    "losses",
    "photos",
    "pyramid",
    "styles",
    "summary",
    "tasks",
    "to_pil",
    "training",
    "translate",
]
