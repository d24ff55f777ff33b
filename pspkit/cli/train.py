"""`train`: an encoder."""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from pspkit.cli.options import add_training_options, begun_with, follow, with_options
from pspkit.cli.output import plain_warnings
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
    "source": "folder of pictures, sketches or label maps; a tenth, 256 at most, is held out (default: heads are"
    " rendered, faces drawn)",
    "target": "folder of the pictures that belong to them",
    "from_photograph": "the source folder holds photographs of faces, of which sketches or label maps are made",
    "validation_target": "folder of the pictures that belong to those of --validation DIR",
    "group_by": "what is held out together: folder, or a pattern of names such as '(.+)_' that finds whose they are",
    "fit": "how pictures become square: pad, crop or stretch (default: stretch)",
    "input_size": "side of the encoder's input, pixels (default: the profile's)",
    "on_bad_image": "what becomes of pictures in them that cannot be used: stop (default) or skip",
}
SWITCHES = ("from_photograph",)
FILES = ("decoder", "identity", "encoder", "moco", "source", "target", "validation_target")
OF_FOLDERS = ("validation_target", "group_by", "fit", "on_bad_image")
TEXTS = {
    "steps": "steps in all",
    "batch": "pairs that a process sees at once",
    "accumulate": "batches whose gradients make one step",
    "optimizer": "ranger or adam",
    "lr": "learning rate",
    "body_rate": "share of the learning rate at which the encoder's body learns",
    "body_from": "share of the steps after which the body learns",
    "anneal_from": "share of the steps after which the rate falls to 0; 1: it never does",
    "ema_decay": "of the running average of the weights, which is what is validated and kept",
    "precision": "float32, bfloat16, float16 or auto",
    "train_decoder": "train the decoder too",
    "preview": "side of the decoder's preview that steps look at where it has one, in pixels; 0: whole pictures",
    "lpips_trunk": "network of the perceptual loss: alexnet, vgg or random",
    "heads": "heads to render, or faces to draw, for training",
    "validation": "pairs held out: how many, or a folder of their own, or none",
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
        switch = {"action": "store_true", "default": None} if name in SWITCHES else {"metavar": name.upper()}
        train.add_argument(f"--{name.replace('_', '-')}", help=text, **switch)
    train.add_argument(
        "--loss", action="append", metavar="NAME=WEIGHT", help="a weight that replaces the task's; repeatable"
    )


def _train(arguments: argparse.Namespace) -> int:
    from pspkit.device import choose_device
    from pspkit.domains import get_domain
    from pspkit.inference.inspect import sizes_in_words
    from pspkit.training import Run

    if arguments.input_size is not None:
        if not arguments.input_size.isdecimal():
            raise PspkitError(f"--input-size: got {arguments.input_size}, needs a power of two of at least 32.")
        arguments.input_size = int(arguments.input_size)
    given = {name: getattr(arguments, name) for name in RUN_OPTIONS if getattr(arguments, name) is not None}
    paths = {name: Path(given[name]) for name in given.keys() & FILES}
    given |= {name: str(path.resolve()) for name, path in paths.items() if name != "decoder" or path.exists()}
    if arguments.loss:
        given["losses"] = dict(map(_loss_weight, arguments.loss))
    run = begun_with(arguments, "encoder", Run)
    if run is None:
        domain = get_domain(given.get("domain", Run.domain))
        given.setdefault("profile", domain.choose_profile(choose_device(arguments.device).type != "cpu")[0])
        run = Run(domain.name, profile=given["profile"])
    if isinstance(arguments.validation, str) and arguments.validation != "none":
        arguments.validation = str(Path(arguments.validation).resolve())
    run = replace(run, **given, training=with_options(run.training, arguments))
    for name in OF_FOLDERS:
        if getattr(run, name) != getattr(Run, name) and not run.source:
            raise PspkitError(f"{name}: is about a folder of your own, and there is none. Add --source DIR.")
    with plain_warnings():
        trainer = run.trainer(arguments.out, arguments.device)

    def introduction() -> Iterator[str]:
        training = trainer.strategy
        encoder = training.psp.encoder
        yield f"{run.domain}, {run.task}, {run.profile}: encoder {sizes_in_words(encoder)}"
        first = run.encoder or run.first_weights(encoder.saved_config) or "chance"
        yield f"decoder {sizes_in_words(training.psp.decoder)}; first weights from {first}"
        held = f"{len(training.validation)} held out"
        if run.training.validation == "none":
            held = "none held out: validation measures what is learned by heart"
        yield f"{len(training.training)} pairs, {held}; {trainer.machine}"

    return follow(trainer, arguments, introduction)


def _loss_weight(text: str) -> tuple[str, float]:
    name, _, weight = text.partition("=")
    try:
        return name, float(weight)
    except ValueError:
        raise PspkitError(f"loss: got {text!r}, needs NAME=WEIGHT, such as identity=0.5.") from None
