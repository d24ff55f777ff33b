"""Training of the decoder: told by the heads' factors at first, then StyleGAN2's two networks against each other.

Source: Karras et al. 2020 (StyleGAN2), section 3.1 and appendix B; without its path length regularisation.
"""

from pspkit.adversarial.run import read_config, train_decoder
from pspkit.adversarial.trainer import AdversarialConfig, AdversarialReport, AdversarialTrainer, gradient_penalty

__all__ = [
    "AdversarialConfig",
    "AdversarialReport",
    "AdversarialTrainer",
    "gradient_penalty",
    "read_config",
    "train_decoder",
]
