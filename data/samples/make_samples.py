"""Draws the eight faces of the course again: `python data/samples/make_samples.py`.

Each face_N.jpg is what the photographic decoder (MobileStyleGAN, FFHQ) makes of row N of codes.safetensors, averaged
from 1024 to 256 px.
"""

from pathlib import Path

import torch
import torch.nn.functional as F

from pspkit.checkpoints import save_codes
from pspkit.mobile_stylegan import load_mobile_stylegan
from pspkit.psp import estimate_latent_avg
from pspkit.show import to_pil

HERE = Path(__file__).parent
CHOSEN = (9, 38, 39, 19, 20, 11, 30, 47)  # of 48 draws: varied ages, poses, hair and skin; one profile, one with glasses

decoder = load_mobile_stylegan()
z = torch.randn(48, decoder.config.style_dim, generator=torch.Generator().manual_seed(7))[list(CHOSEN)]
average = estimate_latent_avg(decoder)
with torch.no_grad():
    w = average.lerp(decoder.mapping(z), 0.75)
    save_codes(HERE / "codes.safetensors", w, "w")
    for number, code in enumerate(w):
        image = decoder.synthesis(code.expand(1, decoder.n_styles, -1))
        to_pil(F.avg_pool2d(image, 4)[0]).save(HERE / f"face_{number}.jpg", quality=90)
