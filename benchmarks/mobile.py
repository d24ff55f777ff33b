"""Decoding with the photographic decoder: what lower precision and compiling add to it."""

import copy
import shutil

import torch

from benchmarks.measure import arguments, compare
from pspkit.models.mobile_stylegan import load_mobile_stylegan


def main() -> None:
    options = arguments(__doc__, batch=4, runs=5)
    torch.manual_seed(0)
    decoder = load_mobile_stylegan()
    half = copy.deepcopy(decoder).to(torch.bfloat16)
    with torch.no_grad():
        codes = decoder.mapping(torch.randn(options.batch, decoder.style_dim))[:, None]
        codes = codes.expand(-1, decoder.n_styles, -1)
        ways = {
            "pspkit, float32": lambda: decoder.synthesis(codes),
            "pspkit, bfloat16": lambda: half.synthesis(codes),
        }
        if shutil.which("c++"):  # torch.compile builds C++ on a CPU
            compiled = torch.compile(half.synthesis)
            ways["pspkit, bfloat16, compiled"] = lambda: compiled(codes)
        compare(f"Photographic decoder, {decoder.size} px, batch {options.batch}", ways, options.runs)


if __name__ == "__main__":
    main()
