"""Every size a model is built from, and the table of configurations: the reference's beside the laptop's."""

import os
from dataclasses import dataclass

from pspkit.errors import check_choice, check_power_of_two

# Residual units in the four stages. 50, 100 and 152 are the reference's; 18 and 34 suit a laptop.
STAGE_UNITS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 14, 3), 100: (3, 13, 30, 3), 152: (3, 8, 36, 3)}


@dataclass(frozen=True)
class BackboneConfig:
    """What a face-recognition network is built from; the defaults are the reference's.

    Source: Deng et al. 2019 (ArcFace), section 3.1.
    """

    num_layers: int = 50  # a row of `STAGE_UNITS`
    mode: str = "ir_se"  # "ir" or "ir_se"
    input_size: int = 112  # side of the aligned face, pixels
    widths: tuple[int, ...] = (64, 128, 256, 512)  # channels of the four stages; the first is the stem's too
    embedding_dim: int = 512  # length of the embedding


@dataclass(frozen=True)
class EncoderConfig:
    """What an encoder is built from; the defaults are the reference's.

    Source: Richardson et al. 2021, section 3.1 and figure 2.
    """

    kind: str = "gradual"  # "gradual", "w" (last layer into W) or "w_plus" (last layer into W+)
    num_layers: int = 50  # a row of `STAGE_UNITS`
    mode: str = "ir_se"  # "ir" or "ir_se"
    n_styles: int = 18  # codes the decoder takes: 2 log2(output size) - 2
    input_nc: int = 3  # input channels: 3 for a photograph, 19 for a label map, 1 for a sketch
    input_size: int = 256  # side of the input, pixels
    style_dim: int = 512  # length of one code
    widths: tuple[int, ...] = (64, 128, 256, 512)  # channels of the four stages; the first is the stem's too
    head_width: int = 512  # channels inside a map2style head


@dataclass(frozen=True)
class GeneratorConfig:
    """What a StyleGAN2 generator is built from; the defaults are the reference's.

    Source: Karras et al. 2020 (StyleGAN2), section 2 and appendix B.
    """

    size: int = 1024  # side of the output, pixels
    style_dim: int = 512  # length of z and of one code
    n_mlp: int = 8  # layers of the mapping network
    channel_multiplier: float = 2  # 2: config-f; 1: half the channels from 64 px on
    max_channels: int = 512  # the cap that the low resolutions reach

    @property
    def n_styles(self) -> int:
        return n_styles(self.size)

    def channels(self, resolution: int) -> int:
        """Channels of the feature maps at one resolution."""
        return min(self.max_channels, int(self.channel_multiplier * 16384 / resolution))


@dataclass(frozen=True)
class MobileStyleGANConfig:
    """What the photographic decoder is built from; the defaults are the FFHQ model's.

    Source: Belousov 2021 (MobileStyleGAN), section 3.
    """

    style_dim: int = 512
    n_mlp: int = 8
    channels: tuple[int, ...] = (512, 512, 512, 512, 512, 256, 128, 64)  # at 4 px, then after every block

    @property
    def size(self) -> int:
        return 4 * 2 ** len(self.channels)  # one doubling a block, one more in the wavelet image head

    @property
    def n_styles(self) -> int:
        return 2 * len(self.channels)


@dataclass(frozen=True)
class PSPConfig:
    """An encoder, the decoder whose codes it predicts, and whether codes are offsets from the average."""

    encoder: EncoderConfig = EncoderConfig()
    decoder: GeneratorConfig | MobileStyleGANConfig = GeneratorConfig()
    start_from_latent_avg: bool = True


@dataclass(frozen=True)
class TrainingConfig:
    """How an encoder is trained; the defaults are the reference's.

    A step sees batch * accumulate * processes pairs.

    Source: Richardson et al. 2021, appendix (implementation details).
    """

    steps: int = 300_000
    batch: int = 8  # pairs that one process sees at once
    accumulate: int = 1  # batches whose gradients make one step
    optimizer: str = "ranger"  # "ranger" or "adam"
    lr: float = 1e-4
    anneal_from: float = 1.0  # share of the steps after which the rate falls to 0 along a cosine; 1: it never does
    ema_decay: float = 0.999  # of the running average of the weights, which is what is validated and kept
    precision: str = "float32"  # "float32", "bfloat16", "float16" or "auto"
    train_decoder: bool = False
    lpips_trunk: str = "alexnet"  # as `perceptual.load_lpips` takes it
    heads: int = 20_000  # heads to render for training; a folder's pictures are all used
    validation: int = 256  # pairs held out
    validate_every: int = 2_500  # steps
    save_every: int = 2_500  # steps
    workers: int = 4  # processes that read pictures
    seed: int = 0


def n_styles(size: int) -> int:
    """Codes that a StyleGAN2 of this output side takes: two a resolution, less two.

    Raises:
        PspkitError: the side is not a power of two of at least 4.

    Source: Richardson et al. 2021, section 3.1 (18 codes for 1024 px).
    """
    check_power_of_two("size", size, 4)
    return 2 * (size.bit_length() - 1) - 2


LAPTOP_ENCODER = EncoderConfig(
    num_layers=18, n_styles=10, input_size=64, style_dim=256, widths=(16, 32, 64, 128), head_width=64
)

CONFIGS = {
    "smoke": PSPConfig(
        EncoderConfig(num_layers=18, n_styles=6, input_size=64, style_dim=64, widths=(8, 16, 32, 64), head_width=64),
        GeneratorConfig(size=16, style_dim=64, n_mlp=2, max_channels=64),
    ),
    "cpu": PSPConfig(
        LAPTOP_ENCODER,
        GeneratorConfig(size=64, style_dim=256, n_mlp=4, channel_multiplier=0.125, max_channels=96),
    ),
    "gpu": PSPConfig(EncoderConfig(n_styles=12, input_size=128), GeneratorConfig(size=128, channel_multiplier=1)),
    "paper": PSPConfig(),
}

TRAININGS = {
    "smoke": TrainingConfig(
        steps=12,
        batch=4,
        lr=1e-3,
        ema_decay=0.5,
        lpips_trunk="random",
        heads=16,
        validation=6,
        validate_every=6,
        save_every=4,
        workers=0,
    ),
    "cpu": TrainingConfig(
        steps=2_000,
        lr=1e-3,
        anneal_from=0.5,
        ema_decay=0.99,
        precision="auto",
        heads=4_000,
        validation=64,
        validate_every=400,
        save_every=200,
        workers=0,
    ),
    "gpu": TrainingConfig(
        steps=20_000, batch=16, lr=5e-4, anneal_from=0.5, precision="auto", validate_every=1_000, save_every=1_000
    ),
    "paper": TrainingConfig(),
}


def choose_profile(accelerator: bool) -> tuple[str, str]:
    """The profile to run under and the reason, for a notebook to print.

    Args:
        accelerator: whether a GPU is there.

    Returns:
        A key of `CONFIGS`, and why it was chosen.

    Raises:
        PspkitError: PSPKIT_PROFILE names no profile.
    """
    name = os.environ.get("PSPKIT_PROFILE")
    if name:
        check_choice("PSPKIT_PROFILE", name, tuple(CONFIGS))
        return name, "PSPKIT_PROFILE says so"
    return ("gpu", "a GPU is there") if accelerator else ("cpu", "no GPU is there")
