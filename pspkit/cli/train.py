"""`train`: an encoder."""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from pspkit.cli.options import add_training_options, begun_with, follow, with_options
from pspkit.cli.parsing import TASK_NAMES, add_command
from pspkit.config import TrainingConfig
from pspkit.errors import PspkitError

RUN_OPTIONS = {
    "domain": "heads (rendered ones, default), faces (photographs) or objects (anything else)",
    "task": f"{TASK_NAMES} (default: encode)",
    "profile": "sizes and steps: smoke, cpu, gpu or paper (default: PSPKIT_PROFILE, else by device)",
    "kind": "of the encoder: gradual (default), w, w_plus, or the name of a registered one",
    "decoder": "file of a decoder, or the name of a registered one (default: the domain's own)",
    "identity": "file of a face-recognition network, for the loss and as a start (default: the domain's own)",
    "encoder": "file of a trained encoder or pSp to start from",
    "moco": "file of MoCo v2's ResNet-50, for domains without faces",
    "source": "folder of pictures, sketches or label maps; a tenth, 256 at most, is held out (default: the domain's)",
    "target": "folder of the pictures that belong to them",
    "on_bad_image": "what becomes of pictures in them that cannot be used: stop (default) or skip",
}
FILES = ("decoder", "identity", "encoder", "moco", "source", "target")
TEXTS = {
    "steps": "steps in all",
    "batch": "pairs that a process sees at once",
    "accumulate": "batches whose gradients make one step",
    "optimizer": "ranger or adam",
    "lr": "learning rate",
    "anneal_from": "share of the steps after which the rate falls to 0; 1: it never does",
    "ema_decay": "of the running average of the weights, which is what is validated and kept",
    "precision": "float32, bfloat16, float16 or auto",
    "train_decoder": "train the decoder too",
    "lpips_trunk": "network of the perceptual loss: alexnet, vgg or random",
    "heads": "heads to render for training",
    "validation": "pairs held out",
    "validate_every": "steps between two validations",
    "save_every": "steps between two saved states",
    "workers": "processes that read pictures",
    "seed": "of weights and of the pairs' order",
}


def add(commands: argparse._SubParsersAction) -> None:
    """Adds the command."""
    train = add_command(
        commands,
        "train",
        _train,
        "train an encoder for a task",
        """Trains an encoder for a task, into DIR: run.json, state.pt, best/, last/, log.jsonl, sheets/ and
        tensorboard/. `pspkit translate --model DIR` then uses it. Options of steps and sizes default to the profile's.

        Ctrl-C ends it after the step that it is in, with a saved state.

        Several processes: torchrun --nproc-per-node N -m pspkit train ...""",
        [
            "pspkit train --profile smoke --out runs/smoke",
            "pspkit train --task sketch --source drawings --target photos --out runs/sketch",
            "pspkit train --out runs/sketch --resume",
        ],
    )
    add_training_options(train, TrainingConfig, TEXTS)
    for name, text in RUN_OPTIONS.items():
        train.add_argument(f"--{name.replace('_', '-')}", metavar=name.upper(), help=text)
    train.add_argument(
        "--loss", action="append", metavar="NAME=WEIGHT", help="a weight that replaces the task's; repeatable"
    )


def _train(arguments: argparse.Namespace) -> int:
    from pspkit.device import choose_device
    from pspkit.domains import get_domain
    from pspkit.inference.inspect import sizes_in_words
    from pspkit.training import Run

    given = {name: getattr(arguments, name) for name in RUN_OPTIONS if getattr(arguments, name) is not None}
    paths = {name: Path(given[name]) for name in given.keys() & FILES}
    given |= {name: str(path.resolve()) for name, path in paths.items() if name != "decoder" or path.exists()}
    if arguments.loss:
        given["losses"] = dict(map(_loss_weight, arguments.loss))
    run = begun_with(arguments, "encoder", Run)
    if run is None:
        domain = get_domain(given.get("domain", Run.domain))
        given.setdefault("profile", domain.choose_profile(choose_device(arguments.device).type != "cpu")[0])
        run = Run(profile=given["profile"])
    run = replace(run, **given, training=with_options(run.training, arguments))
    trainer = run.trainer(arguments.out, arguments.device)

    def introduction() -> Iterator[str]:
        training = trainer.strategy
        encoder = training.psp.encoder
        yield f"{run.domain}, {run.task}, {run.profile}: encoder {sizes_in_words(encoder)}"
        first = run.encoder or run.first_weights(encoder.saved_config) or "chance"
        yield f"decoder {sizes_in_words(training.psp.decoder)}; first weights from {first}"
        yield f"{len(training.training)} pairs, {len(training.validation)} held out; {trainer.machine}"

    return follow(trainer, arguments, introduction)


def _loss_weight(text: str) -> tuple[str, float]:
    name, _, weight = text.partition("=")
    try:
        return name, float(weight)
    except ValueError:
        raise PspkitError(f"loss: got {text!r}, needs NAME=WEIGHT, such as identity=0.5.") from None
