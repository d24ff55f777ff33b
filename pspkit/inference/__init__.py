"""A trained model at work: pictures in, pictures out, and codes in between that can be kept, mixed and drawn again.

align.py cuts faces out of photographs, and paste.py puts them back; models.py finds a model and puts it on the device;
inputs.py lists pictures and looks at them; translate.py puts them through the model, frames.py films; projection.py
optimises codes, refine.py those of an encoder, and tune.py some of the decoder's layers; codes.py reads codes and
layers as people write them; edit.py moves codes along what directions/ finds, and animate.py makes them travel;
label_files.py converts label maps; results.py writes, and keeps account; inspect.py says what a weights file holds;
evaluation.py measures models of faces.
"""

from pspkit.inference.align import align_files
from pspkit.inference.codes import (
    Projection,
    decode_files,
    draw,
    encode_file,
    is_codes,
    load_w_plus,
    parse_layers,
    project_file,
)
from pspkit.inference.frames import translate_frames
from pspkit.inference.inspect import Inspection, inspect_checkpoint
from pspkit.inference.models import find_decoder, find_parts, find_psp
from pspkit.inference.results import Summary
from pspkit.inference.translate import translate

__all__ = [
    "Inspection",
    "Projection",
    "Summary",
    "align_files",
    "decode_files",
    "draw",
    "encode_file",
    "find_decoder",
    "find_parts",
    "find_psp",
    "inspect_checkpoint",
    "is_codes",
    "load_w_plus",
    "parse_layers",
    "project_file",
    "translate",
    "translate_frames",
]
