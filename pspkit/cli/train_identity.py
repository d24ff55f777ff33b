"""`train-identity`: the network that knows rendered people."""

import argparse
from collections.abc import Iterator

from pspkit.cli.options import add_training_options, begun_with, follow, with_options
from pspkit.cli.parsing import add_command
from pspkit.config import IdentityTrainingConfig

TEXTS = {
    "network_num_layers": "its layers: 18, 34, 50, 100 or 152",
    "network_mode": "its units: ir or ir_se",
    "network_input_size": "side of the face that it sees, pixels",
    "network_widths": "channels of its four stages",
    "network_embedding_dim": "length of an embedding",
    "size": "side of the rendered heads, pixels",
    "heads": "heads to render",
    "views": "heads in a row that are one person",
    "validation": "other people to verify after each epoch",
    "epochs": "how often every head is shown",
    "batch": "heads in a step",
    "lr": "learning rate, which falls to 0",
    "weight_decay": "of the optimizer",
    "margin": "by which the right person has to win, radians",
    "scale": "of the cosines",
    "precision": "float32, bfloat16, float16 or auto",
    "save_every": "steps between two saved states",
    "seed": "of weights and of the heads' order",
}


def add(commands: argparse._SubParsersAction) -> None:
    """Adds the command."""
    train = add_command(
        commands,
        "train-identity",
        _train,
        "train a network that knows rendered people",
        """Trains a face-recognition network for rendered heads, into DIR: run.json, state.pt, last/, log.jsonl and
        tensorboard/. `pspkit train --identity DIR/last` then uses it, for the loss and as an encoder's first weights.

        Ctrl-C ends it after the step that it is in, with a saved state.""",
        ["pspkit train-identity --out runs/identity", "pspkit train-identity --out runs/identity --resume"],
    )
    add_training_options(train, IdentityTrainingConfig, TEXTS)


def _train(arguments: argparse.Namespace) -> int:
    from pspkit.data.heads import HeadsDataset
    from pspkit.training import Trainer
    from pspkit.training.identity import IdentityTraining
    from pspkit.training.machine import Machine

    config = begun_with(arguments, "identity", IdentityTrainingConfig) or IdentityTrainingConfig()
    config = with_options(config, arguments)
    machine = Machine(arguments.device, config.precision)
    heads = HeadsDataset("train", config.heads, config.size, views=config.views)
    trainer = Trainer(IdentityTraining(config, heads, machine), arguments.out)

    def introduction() -> Iterator[str]:
        yield f"{len(heads)} heads of {len(heads) // config.views} people; {machine}"

    return follow(trainer, arguments, introduction)
