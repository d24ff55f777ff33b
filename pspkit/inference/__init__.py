"""A trained model at work: pictures in, pictures out, and codes in between that can be kept, mixed and drawn again.

align.py cuts faces out of photographs; models.py finds a model and puts it on the device; inputs.py lists pictures and
looks at them; translate.py puts them through the model; projection.py optimises codes, refine.py those of an encoder;
codes.py reads codes and layers as people write them; results.py writes, and keeps account; inspect.py says what a
weights file holds; evaluation.py measures models of faces.
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
]
