"""Every size a model is built from, and the table of configurations: the reference's beside the laptop's."""

from dataclasses import dataclass

from pspkit.errors import check_power_of_two

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
    map2style_width: int = 512  # channels inside a map2style block
    backbone: str = "resnet_ir"  # or "mobile_facenet", which has one depth and its own widths


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
    """An encoder, the decoder whose codes it predicts, and whether codes are offsets from the average.

    A registered part of one's own has the configuration that `pspkit.models.registry` makes of its constructor.
    """

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
    num_layers=18, n_styles=10, input_size=64, style_dim=256, widths=(16, 32, 64, 128), map2style_width=64
)

CONFIGS = {
    "smoke": PSPConfig(
        EncoderConfig(
            num_layers=18, n_styles=6, input_size=64, style_dim=64, widths=(8, 16, 32, 64), map2style_width=64
        ),
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


@dataclass(frozen=True)
class DecoderTrainingConfig:
    """How a decoder is trained on rendered heads; the defaults are for two cores and a night.

    Source: Karras et al. 2020 (StyleGAN2), appendix B.
    """

    decoder: GeneratorConfig = CONFIGS["cpu"].decoder
    discriminator: float = 0.5  # its channels, as a share of the decoder's: it takes most of a step's time
    look: str = "plain"  # which of the heads' pictures it learns: "plain" or "toon"
    start: str = ""  # folder of a training whose networks to start from, and whose codes to keep
    heads: int = 20_000  # heads to render
    views: int = 4  # heads in a row that are one person
    images: int = 370_000  # real heads shown until the end
    supervised: int = 240_000  # of these, the first ones: the generator alone learns heads from their factors
    supervision: float = 8.0  # weight of that afterwards; where both are 0, only the pictures are used
    batch: int = 8  # small, because the number of steps matters most
    lr: float = 2e-3
    generator_rate: float = 0.5  # the generator's share of lr once it was supervised: the discriminator starts late
    anneal_from: float = 0.7  # share of a stage's images after which the rate falls to 0 along a line
    gamma: float = 0.2  # weight of the gradient penalty
    penalty_every: int = 16  # steps
    mixing: float = 0.5  # share of drawn heads whose codes come from two z
    ema_images: int = 2_500  # half-life of the running average of the generator
    precision: str = "float32"  # "float32", "bfloat16" or "auto"
    validate_every: int = 2_500  # images between two reports
    save_every: int = 5_000  # images between two saved states
    seed: int = 0


@dataclass(frozen=True)
class IdentityTrainingConfig:
    """How the identity network of rendered heads is trained; the defaults are for two cores and an hour.

    Source: Deng et al. 2019 (ArcFace), section 3.1; margin and scale are smaller, as there are fewer people.
    """

    network: BackboneConfig = BackboneConfig(
        LAPTOP_ENCODER.num_layers, LAPTOP_ENCODER.mode, input_size=48, widths=LAPTOP_ENCODER.widths, embedding_dim=256
    )
    size: int = 64  # side of the rendered heads, pixels
    heads: int = 20_000  # heads to render
    views: int = 4  # heads in a row that are one person
    validation: int = 256  # other people to verify
    epochs: int = 10
    batch: int = 64
    lr: float = 1e-3  # falls to 0 along a cosine
    weight_decay: float = 0.05
    margin: float = 0.3  # radians
    scale: float = 32.0
    precision: str = "float32"  # "float32", "bfloat16", "float16" or "auto"
    save_every: int = 100  # steps between two saved states
    seed: int = 0
