"""Decoding codes to pictures: pspkit's generator against the textbook form."""

import torch
from torch import Tensor, nn

from benchmarks import textbook
from benchmarks.measure import arguments, compare
from pspkit.models.stylegan2 import Generator


def lively(generator: Generator) -> Generator:
    """Gives every noise and bias of a generator a value; fresh ones are zero, so that their step is idle. In place."""
    generator.eval().requires_grad_(False)
    for name, parameter in generator.named_parameters():
        if name.endswith(("noise.weight", "activate.bias")):
            nn.init.normal_(parameter, std=0.1)
    return generator


def main() -> None:
    options = arguments(__doc__, size=1024, batch=4, runs=5)
    torch.manual_seed(0)
    generator = lively(Generator(options.size))

    def autocast() -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return generator.synthesis(codes)

    with torch.no_grad():
        w = generator.mapping(torch.randn(options.batch, generator.style_dim))
        codes = w[:, None].expand(-1, generator.n_styles, -1)
        compare(
            f"Decoding, {options.size} px, batch {options.batch}",
            {
                "textbook form, float32": lambda: textbook.synthesis(generator, codes),
                "pspkit, float32": lambda: generator.synthesis(codes),
                "pspkit, bfloat16 (autocast)": autocast,
            },
            options.runs,
        )


if __name__ == "__main__":
    main()
