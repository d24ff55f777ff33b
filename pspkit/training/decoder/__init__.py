"""Training of the decoder: it learns heads from their factors at first, then against a discriminator.

Source: Karras et al. 2020 (StyleGAN2), section 3.1 and appendix B; without its path length regularisation.
"""

from pspkit.training.decoder.adversarial import gradient_penalty
from pspkit.training.decoder.training import DecoderTraining

__all__ = ["DecoderTraining", "gradient_penalty"]
