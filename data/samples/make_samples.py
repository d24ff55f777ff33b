"""Draws the eight faces of the course and README's pictures again: `python data/samples/make_samples.py`.

Each face_N.jpg is what the photographic decoder (MobileStyleGAN, FFHQ) makes of row N of codes.safetensors, averaged
from 1024 to 256 px. README shows mixes of these people, and rendered heads.
"""

from pathlib import Path

import torch
from torchvision.utils import make_grid

from pspkit.checkpoints import save_codes
from pspkit.heads import render, sample_factors
from pspkit.mobile_stylegan import load_mobile_stylegan
from pspkit.psp import estimate_latent_avg
from pspkit.show import to_pil
from pspkit.show.styles import matrix, thumbnails

HERE = Path(__file__).parent
FIGURES = HERE.parents[1] / "notebooks" / "figures"
# Of 48 draws: varied ages, poses, hair and skin; one profile, one with glasses.
CHOSEN = [9, 38, 39, 19, 20, 11, 30, 47]
# In README codes 0-6 are those of the first people, 7-15 those of the others.
KEEPERS, GIVERS = [0, 4, 5], [2, 3, 6, 1, 7]

decoder = load_mobile_stylegan()
z = torch.randn(48, decoder.style_dim, generator=torch.Generator().manual_seed(7))[CHOSEN]
with torch.no_grad():
    w = estimate_latent_avg(decoder).lerp(decoder.mapping(z), 0.75)
save_codes(HERE / "codes.safetensors", w, "w")
codes = w[:, None].repeat(1, decoder.n_styles, 1)
faces = thumbnails(decoder, codes)
for number, face in enumerate(faces):
    to_pil(face).save(HERE / f"face_{number}.jpg", quality=90)

pairs = torch.cat([torch.cat([codes[[k], :7], codes[[g], 7:]], 1) for k in KEEPERS for g in GIVERS])
figure = matrix(faces[KEEPERS], faces[GIVERS], thumbnails(decoder, pairs), decoder.n_styles)
figure.savefig(FIGURES / "style_mixing.jpg", dpi=150, facecolor="white", pil_kwargs={"quality": 82, "optimize": True})

heads = render(sample_factors(64, seed=0), 128).image
to_pil(make_grid(heads, nrow=16, padding=2, pad_value=1)).save(FIGURES / "heads.jpg", quality=85, optimize=True)
