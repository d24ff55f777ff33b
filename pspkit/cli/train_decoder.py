"""`train-decoder`: the decoder of the rendered heads."""

import argparse
from collections.abc import Iterator

from pspkit.cli.options import add_training_options, begun_with, follow, with_options
from pspkit.cli.parsing import add_command
from pspkit.config import DecoderTrainingConfig

TEXTS = {
    "decoder_size": "side of the pictures, pixels",
    "decoder_style_dim": "length of z and of one code",
    "decoder_n_mlp": "layers of the mapping network",
    "decoder_channel_multiplier": "of all channels from 64 px on",
    "decoder_max_channels": "the most channels of a layer",
    "discriminator": "the discriminator's channels, as a share of the decoder's",
    "look": "which of the heads' pictures it learns: plain or toon",
    "start": "folder of a training whose networks to start from, and whose codes to keep",
    "heads": "heads to render",
    "views": "heads in a row that are one person",
    "images": "real heads shown until the end",
    "supervised": "of these, the first ones: the generator alone learns heads from their factors",
    "supervision": "weight of that afterwards",
    "batch": "real heads in a step",
    "lr": "learning rate",
    "generator_rate": "the generator's share of it, once it was supervised",
    "anneal_from": "share of a stage's images after which the rate falls to 0",
    "gamma": "weight of the gradient penalty",
    "penalty_every": "steps between two gradient penalties",
    "mixing": "share of drawn heads whose codes come from two z",
    "ema_images": "half-life of the running average of the generator",
    "precision": "float32, bfloat16 or auto",
    "validate_every": "images between two reports",
    "save_every": "images between two saved states",
    "seed": "of weights and of the heads' order",
}


def add(commands: argparse._SubParsersAction) -> None:
    """Adds the command."""
    train = add_command(
        commands,
        "train-decoder",
        _train,
        "train a decoder of rendered heads",
        """Trains a decoder of rendered heads from nothing, into DIR: run.json, state.pt, last/, log.jsonl, sheets/ and
        tensorboard/. `pspkit train --decoder DIR/last` then trains an encoder for it.

        Ctrl-C ends it after the step that it is in, with a saved state.""",
        [
            "pspkit train-decoder --out runs/decoder",
            "pspkit train-decoder --look toon --start runs/decoder --supervised 8000 --images 15000 --out runs/toon",
        ],
    )
    add_training_options(train, DecoderTrainingConfig, TEXTS)


def _train(arguments: argparse.Namespace) -> int:
    from pspkit.data.heads import LOOKS, HeadsDataset
    from pspkit.data.heads.dataset import EXTRAS
    from pspkit.errors import check_choice
    from pspkit.training import Trainer
    from pspkit.training.decoder import DecoderTraining
    from pspkit.training.machine import Machine

    config = begun_with(arguments, "decoder", DecoderTrainingConfig) or DecoderTrainingConfig()
    config = with_options(config, arguments)
    check_choice("look", config.look, LOOKS)
    machine = Machine(arguments.device, config.precision)
    extras = {config.look} & EXTRAS
    heads = HeadsDataset("train", config.heads, config.decoder.size, views=config.views, extras=tuple(extras))
    trainer = Trainer(DecoderTraining(config, heads, machine), arguments.out)

    def introduction() -> Iterator[str]:
        yield f"{len(heads)} heads of {config.decoder.size} px, {config.look}; {machine}"

    return follow(trainer, arguments, introduction)
