"""A trained model at work: pictures in, pictures out, and codes in between that can be kept, mixed and drawn again.

models.py finds a model and puts it on the device; inputs.py lists pictures and looks at them; translate.py puts them
through the model; codes.py reads codes and layers as people write them; results.py writes, and keeps account.
"""

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
from pspkit.inference.models import find_decoder, find_parts, find_psp
from pspkit.inference.results import Summary, write_png
from pspkit.inference.translate import translate

__all__ = [
    "Projection",
    "Summary",
    "decode_files",
    "draw",
    "encode_file",
    "find_decoder",
    "find_parts",
    "find_psp",
    "is_codes",
    "load_w_plus",
    "parse_layers",
    "project_file",
    "translate",
    "write_png",
]
