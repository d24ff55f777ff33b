"""The training of the decoder: it first learns heads from their factors, then against a discriminator.

Source: Karras et al. 2020 (StyleGAN2), section 3.1 and appendix B; here without path length regularisation.
"""

from pspkit.training.decoder.adversarial import gradient_penalty
from pspkit.training.decoder.training import DecoderTraining

__all__ = ["DecoderTraining", "gradient_penalty"]
