"""Rendered heads: the pairs are drawn on the spot, and every network comes with the project."""

from collections.abc import Callable

import torch
from torch import nn

from pspkit.config import CONFIGS, BackboneConfig, TrainingConfig
from pspkit.data.heads import HeadsDataset
from pspkit.data.heads.dataset import EXTRAS
from pspkit.data.tasks import TASKS, HeadPairs, get_task
from pspkit.domains.division import Pairs
from pspkit.domains.domain import SHIPPED_PROFILE, WEIGHTS, Domain, shipped_part
from pspkit.losses.identity import Box
from pspkit.models.backbone import Backbone
from pspkit.models.stylegan2 import Generator

HEAD_BOX = Box(1 / 8, 7 / 8, 1 / 8, 7 / 8)  # a rendered head from chin to fringe, with hair and glasses
HEAD_IDENTITY = WEIGHTS / "heads-identity"
IDENTITY_SIDE = 48  # pixels: the head box of a picture of 64
VIEWS = 4  # heads in a row that show one person; the same for every training, so that heads are rendered once


def _head_pairs(task: str, size: int, config: TrainingConfig) -> Pairs:
    extras = {get_task(task).heads.target} & EXTRAS
    training, validation = (
        HeadsDataset(split, count, size, views=VIEWS, extras=tuple(extras))
        for split, count in (("train", config.heads), ("validation", config.validation))
    )
    return (
        HeadPairs(training, task, size, training=True, seed=config.seed),
        HeadPairs(validation, task, size, training=False),
    )


def _head_decoder(profile: str, look: str) -> Generator:
    size = CONFIGS[profile].decoder.size
    if profile == "smoke":  # Any decoder shows whether the parts work together.
        return _seeded(lambda: Generator.from_config(CONFIGS[profile].decoder))
    return Generator.from_pretrained(shipped_part("decoder", f"heads-{look}-{size}"))


def _head_identity(profile: str) -> Backbone:
    encoder = CONFIGS[profile].encoder
    if profile == "smoke":
        config = BackboneConfig(encoder.num_layers, encoder.mode, IDENTITY_SIDE, encoder.widths, encoder.style_dim)
        return _seeded(lambda: Backbone.from_config(config))
    return Backbone.from_pretrained(shipped_part("identity", HEAD_IDENTITY.name))


def _seeded(make: Callable[[], nn.Module]) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        return make().eval()


HEADS = Domain(
    "heads",
    "rendered heads",
    _head_decoder,
    _head_identity,
    HEAD_BOX,
    identity_file=HEAD_IDENTITY,
    own_pairs=_head_pairs,
    recipe="heads",
    profiles=("smoke", SHIPPED_PROFILE),
    trained=tuple(TASKS),
)
