"""Configurations: every field has a type and a range, whatever it is built from."""

import math
from dataclasses import fields, replace

import pytest

from pspkit import PspkitError
from pspkit.config import (
    LIMITS,
    BackboneConfig,
    DecoderTrainingConfig,
    EncoderConfig,
    GeneratorConfig,
    IdentityTrainingConfig,
    MobileStyleGANConfig,
    PSPConfig,
    TrainingConfig,
)

CONFIGS = (
    *(BackboneConfig, EncoderConfig, GeneratorConfig, MobileStyleGANConfig, PSPConfig),
    *(TrainingConfig, DecoderTrainingConfig, IdentityTrainingConfig),
)
FIELDS = {f"{config.__name__}.{entry.name}": (config, entry) for config in CONFIGS for entry in fields(config)}
NEVER = (None, math.nan, math.inf, 10**30 + 0.5, {}, [], [None], [-1], [10**9], object())


@pytest.mark.parametrize("name", FIELDS)
def test_no_field_takes_what_it_cannot_be(name):
    config, entry = FIELDS[name]
    wrong = (
        [*NEVER, 3, True] if entry.type is str else [*NEVER, "x"] if entry.type != int | str else [*NEVER, True, 0.5]
    )
    if entry.type in (int, float):
        low, high = LIMITS[entry.name]
        wrong += [low - 1, True] + [high + 1] * (high < math.inf) + [low + 0.5] * (entry.type is int)
    for value in wrong:
        with pytest.raises(PspkitError, match=f"{entry.name}: got "):
            replace(config(), **{entry.name: value})


def test_the_ends_of_a_range_belong_to_it():
    assert replace(TrainingConfig(), seed=LIMITS["seed"][1], anneal_from=0).anneal_from == 0
    assert replace(EncoderConfig(), n_styles=LIMITS["n_styles"][1]).n_styles == 64


def test_a_decoder_has_channels_at_every_side():
    with pytest.raises(PspkitError, match=r"channel_multiplier: 0\.01 leaves no channels at 1024 px"):
        GeneratorConfig(channel_multiplier=0.01)
    with pytest.raises(PspkitError, match="channels: got 12, needs 1 to 10 entries"):
        MobileStyleGANConfig(channels=(8,) * 12)
