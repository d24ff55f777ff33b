"""Every size a model is built from, and the table of configurations: the reference's beside the laptop's."""

import math
from dataclasses import dataclass, fields, is_dataclass, replace
from types import UnionType

from pspkit.errors import PspkitError, check_number, check_power_of_two, in_short

# Residual units in the four stages. 50, 100 and 152 are the reference's; 18 and 34 suit a laptop.
STAGE_UNITS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 14, 3), 100: (3, 13, 30, 3), 152: (3, 8, 36, 3)}

MOST_WIDTHS = 16  # entries of a list of channels
# The smallest and the largest value of each field of the configurations, by the field's name. In a list, they hold for
# every entry. They lie far beyond every model that trains, and stop a damaged or hostile file from building a huge one.
LIMITS = {
    "num_layers": (1, 1000),
    "widths": (1, 8192),
    "channels": (1, 8192),
    "embedding_dim": (1, 65536),
    "input_size": (1, 4096),
    "input_nc": (1, 256),
    "n_styles": (1, 64),
    "style_dim": (1, 8192),
    "map2style_width": (1, 8192),
    "size": (1, 4096),
    "n_mlp": (0, 64),
    "iterations": (0, 100),
    "channel_multiplier": (1e-3, 64),
    "max_channels": (1, 8192),
    "discriminator": (1e-3, 64),
    "steps": (1, math.inf),
    "batch": (1, math.inf),
    "accumulate": (1, math.inf),
    "lr": (0, 1e3),
    "body_rate": (0, 1e3),
    "body_from": (0, 1),
    "anneal_from": (0, 1),
    "ema_decay": (0, 1),
    "preview": (0, 4096),
    "heads": (1, math.inf),
    "views": (1, math.inf),
    "validation": (0, math.inf),
    "validate_every": (1, math.inf),
    "save_every": (1, math.inf),
    "workers": (0, 256),
    "seed": (0, 2**63 - 1),
    "images": (1, math.inf),
    "supervised": (0, math.inf),
    "supervision": (0, 1e6),
    "generator_rate": (0, 1e3),
    "gamma": (0, 1e6),
    "penalty_every": (1, math.inf),
    "mixing": (0, 1),
    "ema_images": (1, math.inf),
    "epochs": (1, math.inf),
    "weight_decay": (0, 1e3),
    "margin": (0, math.pi),
    "scale": (1e-3, 1e6),
}


class Checked:
    """A configuration that checks its fields: each has its type and lies within `LIMITS`, wherever it was read from.

    Raises:
        PspkitError: a field has another type or lies outside its limits; names it, its value and what is allowed.
    """

    def __post_init__(self) -> None:
        for entry in fields(self):
            value = getattr(self, entry.name)
            if entry.type in (int, float) or (entry.type == int | str and not isinstance(value, str)):
                check_number(entry.name, value, *LIMITS[entry.name], whole=entry.type is not float)
            elif entry.type == int | str:
                continue
            elif entry.type in (str, bool):
                if not isinstance(value, entry.type):
                    needed = {str: "a text", bool: "true or false"}[entry.type]
                    raise PspkitError(f"{entry.name}: got {in_short(value)}, needs {needed}.")
            elif is_dataclass(entry.type) or isinstance(entry.type, UnionType):
                if not is_dataclass(value):
                    raise PspkitError(f"{entry.name}: got {in_short(value)}, needs a configuration.")
            else:
                if not isinstance(value, tuple | list) or not 1 <= len(value) <= MOST_WIDTHS:
                    raise PspkitError(
                        f"{entry.name}: got {in_short(value)}, needs 1 to {MOST_WIDTHS} whole numbers in a row."
                    )
                for number in value:
                    check_number(entry.name, number, *LIMITS[entry.name], whole=True)


@dataclass(frozen=True)
class BackboneConfig(Checked):
    """The sizes of a face-recognition network; the defaults are the reference's.

    Source: Deng et al. 2019 (ArcFace), section 3.1.
    """

    num_layers: int = 50  # a row of `STAGE_UNITS`
    mode: str = "ir_se"  # "ir" or "ir_se"
    input_size: int = 112  # side of the aligned face, pixels
    widths: tuple[int, ...] = (64, 128, 256, 512)  # channels of the four stages; the first is the stem's too
    embedding_dim: int = 512  # length of the embedding


@dataclass(frozen=True)
class EncoderConfig(Checked):
    """The sizes of an encoder; the defaults are the reference's.

    Source: Richardson et al. 2021, section 3.1 and figure 2.
    """

    kind: str = "gradual"  # "gradual", "w" or "w_plus" (last layer into W, W+), "last_map" (ReStyle's), "closed_form"
    num_layers: int = 50  # a row of `STAGE_UNITS`
    mode: str = "ir_se"  # "ir" or "ir_se"
    n_styles: int = 18  # number of codes that the decoder takes: 2 log2(output size) - 2
    input_nc: int = 3  # input channels: 3 for a photograph, 19 for a label map, 1 for a sketch
    input_size: int = 256  # side of the input, pixels
    style_dim: int = 512  # length of one code
    widths: tuple[int, ...] = (64, 128, 256, 512)  # channels of the four stages; the first is the stem's too
    map2style_width: int = 512  # channels inside a map2style block; the rank of an encoder in closed form
    backbone: str = "resnet_ir"  # or "mobile_facenet", which has one depth and its own widths
    progressive: bool = False  # whether the codes after the first are offsets from it, as e4e's are


@dataclass(frozen=True)
class GeneratorConfig(Checked):
    """The sizes of a StyleGAN2 generator; the defaults are the reference's.

    Source: Karras et al. 2020 (StyleGAN2), section 2 and appendix B.
    """

    size: int = 1024  # side of the output, pixels
    style_dim: int = 512  # length of z and of one code
    n_mlp: int = 8  # layers of the mapping network
    channel_multiplier: float = 2  # 2 is StyleGAN2's config-f; 1 halves the channels from 64 px on
    max_channels: int = 512  # upper limit, which the low resolutions reach

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.channels(self.size):
            raise PspkitError(
                f"channel_multiplier: {self.channel_multiplier:g} leaves no channels at {self.size} px. Raise it."
            )

    @property
    def n_styles(self) -> int:
        return n_styles(self.size)

    def channels(self, resolution: int) -> int:
        """Channels of the feature maps at one resolution."""
        return min(self.max_channels, int(self.channel_multiplier * 16384 / resolution))


@dataclass(frozen=True)
class MobileStyleGANConfig(Checked):
    """The sizes of the photographic decoder; the defaults are the FFHQ model's.

    Source: Belousov 2021 (MobileStyleGAN), section 3.
    """

    style_dim: int = 512
    n_mlp: int = 8
    channels: tuple[int, ...] = (512, 512, 512, 512, 512, 256, 128, 64)  # at 4 px, then after every block

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("channels", len(self.channels), 1, int(math.log2(LIMITS["size"][1] / 4)), unit="entries")

    @property
    def size(self) -> int:
        return 4 * 2 ** len(self.channels)  # Each block doubles the side, and so does the wavelet image head.

    @property
    def n_styles(self) -> int:
        return 2 * len(self.channels)


@dataclass(frozen=True)
class PSPConfig(Checked):
    """The encoder, the decoder whose codes it predicts, and whether these codes are offsets from the average latent.

    For an encoder or decoder of your own, `pspkit.models.registry` makes the configuration from its constructor.
    """

    encoder: EncoderConfig = EncoderConfig()
    decoder: GeneratorConfig | MobileStyleGANConfig = GeneratorConfig()
    start_from_latent_avg: bool = True
    iterations: int = 0  # of ReStyle: how often the encoder corrects its codes; it then sees their picture, too


@dataclass(frozen=True)
class TrainingConfig(Checked):
    """How an encoder is trained; the defaults are the reference's.

    One step learns from batch * accumulate * processes pairs.

    Source: Richardson et al. 2021, appendix (implementation details).
    """

    steps: int = 300_000
    batch: int = 8  # pairs that one process computes at once
    accumulate: int = 1  # batches whose gradients are added up for one step
    optimizer: str = "ranger"  # "ranger" or "adam"
    lr: float = 1e-4
    body_rate: float = 1.0  # the encoder's body learns at this share of lr, the layers above it at lr
    body_from: float = 0.0  # share of the steps before the body learns; until then only the layers above it do
    anneal_from: float = 1.0  # share of the steps before the rate falls to 0 along a cosine; with 1 it never falls
    ema_decay: float = 0.999  # of the running average of the weights, which is what is validated and kept
    precision: str = "float32"  # "float32", "bfloat16", "float16" or "auto"
    train_decoder: bool = False
    preview: int = 0  # side of the decoder's preview that steps use instead of the whole picture, pixels; 0 for none
    lpips_trunk: str = "alexnet"  # as `perceptual.load_lpips` takes it
    heads: int = 20_000  # heads to render, or faces to draw, for training; of a folder, all pictures are used
    validation: int | str = 256  # how many pairs are held out; or a folder that holds them, or "none"
    validate_every: int = 2_500  # steps
    save_every: int = 2_500  # steps
    workers: int = 4  # processes that read pictures
    seed: int = 0


def n_styles(size: int) -> int:
    """The number of codes that a StyleGAN2 of this output side takes: two for each resolution, minus two.

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


# The encoder of photographs: its body learned from faces of 112 px, which lie in pictures of 152, and its codes are
# MobileStyleGAN's. The frozen features predict codes better at 128 px than at 192, at a quarter of the cost of 256.
FACE_ENCODER = EncoderConfig(
    n_styles=16, input_size=128, widths=(128, 256, 256), map2style_width=128, backbone="mobile_facenet"
)

FACE_ENCODERS = {
    "smoke": replace(FACE_ENCODER, input_size=64, map2style_width=8),
    "cpu": FACE_ENCODER,
    "gpu": FACE_ENCODER,
}

FACE_TRAININGS = {
    "smoke": replace(
        TRAININGS["smoke"], steps=4, batch=2, body_rate=0.1, preview=128, heads=8, validation=2, validate_every=2
    ),
    "cpu": replace(
        TRAININGS["cpu"],
        steps=400,
        optimizer="adam",
        lr=5e-4,
        body_rate=0.1,
        anneal_from=0.25,
        preview=128,
        heads=800,
        validation=32,
        validate_every=100,
        save_every=50,
    ),
    "gpu": replace(
        TRAININGS["gpu"],
        batch=32,
        optimizer="adam",
        lr=1e-3,
        body_rate=0.1,
        body_from=0.06,
        preview=256,
        heads=50_000,
    ),
}


@dataclass(frozen=True)
class DecoderTrainingConfig(Checked):
    """How a decoder is trained on rendered heads; the defaults are for two cores and a night.

    Source: Karras et al. 2020 (StyleGAN2), appendix B.
    """

    decoder: GeneratorConfig = CONFIGS["cpu"].decoder
    discriminator: float = 0.5  # channels as a share of the decoder's; the discriminator takes most of a step's time
    look: str = "plain"  # which of the heads' pictures it learns: "plain" or "toon"
    start: str = ""  # folder of an earlier training: its networks are the start, and its codes are kept
    heads: int = 20_000  # heads to render
    views: int = 4  # heads in a row that are one person
    images: int = 370_000  # real heads shown in the whole training
    supervised: int = 240_000  # how many of these are supervised, first of all: the generator learns heads from factors
    supervision: float = 8.0  # weight of the supervised loss afterwards; if both are 0, factors are never used
    batch: int = 8  # small, because many steps matter more than large ones
    lr: float = 2e-3
    generator_rate: float = 0.5  # the generator's share of lr after it was supervised, as the discriminator starts late
    anneal_from: float = 0.7  # share of a stage's images before the rate falls to 0 along a line
    gamma: float = 0.2  # weight of the gradient penalty
    penalty_every: int = 16  # steps
    mixing: float = 0.5  # share of drawn heads whose codes come from two different z
    ema_images: int = 2_500  # half-life of the running average of the generator
    precision: str = "float32"  # "float32", "bfloat16" or "auto"
    validate_every: int = 2_500  # images between two reports
    save_every: int = 5_000  # images between two saved states
    seed: int = 0


@dataclass(frozen=True)
class IdentityTrainingConfig(Checked):
    """How the identity network of rendered heads is trained; the defaults are for two cores and an hour.

    Source: Deng et al. 2019 (ArcFace), section 3.1; margin and scale are smaller, as there are fewer people.
    """

    network: BackboneConfig = BackboneConfig(
        LAPTOP_ENCODER.num_layers, LAPTOP_ENCODER.mode, input_size=48, widths=LAPTOP_ENCODER.widths, embedding_dim=256
    )
    size: int = 64  # side of the rendered heads, pixels
    heads: int = 20_000  # heads to render
    views: int = 4  # heads in a row that are one person
    validation: int = 256  # people to verify, none of whom is learned from
    epochs: int = 10
    batch: int = 64
    lr: float = 1e-3  # falls to 0 along a cosine
    weight_decay: float = 0.05
    margin: float = 0.3  # radians
    scale: float = 32.0
    precision: str = "float32"  # "float32", "bfloat16", "float16" or "auto"
    save_every: int = 100  # steps between two saved states
    seed: int = 0
