"""Draws the eight faces of the course and README's pictures again: `python -m tools.samples`.

Each face_N.jpg is what the photographic decoder (MobileStyleGAN, FFHQ) makes of row N of codes.safetensors, averaged
from 1024 to 256 px. README shows mixes of these people, and rendered heads.
"""

import torch
from torch import Tensor
from torchvision.utils import make_grid

from pspkit.course.run import ROOT
from pspkit.course.show import to_pil
from pspkit.course.show.styles import matrix, thumbnails
from pspkit.data.heads import render, sample_factors
from pspkit.models.mobile_stylegan import MobileStyleGAN, load_mobile_stylegan
from pspkit.psp import estimate_latent_avg
from pspkit.storage.atomic import replacing
from pspkit.storage.checkpoints import save_codes

SAMPLES, FIGURES = ROOT / "data" / "samples", ROOT / "notebooks" / "figures"
# Of 48 draws: varied ages, poses, hair and skin; one profile, one with glasses.
CHOSEN = [9, 38, 39, 19, 20, 11, 30, 47]
# In README codes 0-6 are those of the first people, 7-15 those of the others.
KEEPERS, GIVERS = [0, 4, 5], [2, 3, 6, 1, 7]


def draw_people(decoder: MobileStyleGAN) -> Tensor:
    """Writes the codes and pictures of the eight people; returns the codes as W+."""
    z = torch.randn(48, decoder.style_dim, generator=torch.Generator().manual_seed(7))[CHOSEN]
    with torch.no_grad():
        w = estimate_latent_avg(decoder).lerp(decoder.mapping(z), 0.75)
    save_codes(SAMPLES / "codes.safetensors", w, "w")
    codes = w[:, None].repeat(1, decoder.n_styles, 1)
    for number, face in enumerate(thumbnails(decoder, codes)):
        with replacing(SAMPLES / f"face_{number}.jpg") as part:
            to_pil(face).save(part, quality=90)
    return codes


def draw_mixes(decoder: MobileStyleGAN, codes: Tensor) -> None:
    """Writes README's first picture."""
    pairs = torch.cat([torch.cat([codes[[k], :7], codes[[g], 7:]], 1) for k in KEEPERS for g in GIVERS])
    keepers, givers = thumbnails(decoder, codes[KEEPERS]), thumbnails(decoder, codes[GIVERS])
    figure = matrix(keepers, givers, thumbnails(decoder, pairs), decoder.n_styles)
    options = {"quality": 82, "optimize": True}
    with replacing(FIGURES / "style_mixing.jpg") as part:
        figure.savefig(part, dpi=150, facecolor="white", pil_kwargs=options)


def draw_heads() -> None:
    """Writes README's picture of rendered heads."""
    heads = render(sample_factors(64, seed=0), 128).image
    sheet = make_grid(heads, nrow=16, padding=2, pad_value=1)
    with replacing(FIGURES / "heads.jpg") as part:
        to_pil(sheet).save(part, quality=85, optimize=True)


def main() -> None:
    """Draws everything."""
    decoder = load_mobile_stylegan()
    draw_mixes(decoder, draw_people(decoder))
    draw_heads()


if __name__ == "__main__":
    main()
