"""Training: `train`."""

import argparse
from dataclasses import replace
from pathlib import Path

from pspkit.cli.parsing import TASKS, add_command
from pspkit.errors import PspkitError

RUN_OPTIONS = {
    "domain": "heads (rendered ones, default), faces (photographs) or objects (anything else)",
    "task": f"{TASKS} (default: encode)",
    "profile": "sizes and steps: smoke, cpu, gpu or paper (default: PSPKIT_PROFILE, else by device)",
    "kind": "of the encoder: gradual (default), w or w_plus",
    "decoder": "file of a decoder (default: the domain's own)",
    "identity": "file of a face-recognition network, for the loss and as a start (default: the domain's own)",
    "encoder": "file of a trained encoder or pSp to start from",
    "moco": "file of MoCo v2's ResNet-50, for domains without faces",
    "source": "folder of pictures, sketches or label maps; a tenth, 256 at most, is held out (default: the domain's)",
    "target": "folder of the pictures that belong to them",
}
TRAINING_OPTIONS = {
    "steps": (int, "steps in all"),
    "batch": (int, "pairs that a process sees at once"),
    "accumulate": (int, "batches whose gradients make one step"),
    "optimizer": (str, "ranger or adam"),
    "lr": (float, "learning rate"),
    "precision": (str, "float32, bfloat16, float16 or auto"),
    "heads": (int, "heads to render for training"),
    "validate_every": (int, "steps between two validations"),
    "save_every": (int, "steps between two saved states"),
    "workers": (int, "processes that read pictures"),
    "seed": (int, "of weights and of the pairs' order"),
}


def add(commands: argparse._SubParsersAction) -> None:
    """Adds the command."""
    train = add_command(
        commands,
        "train",
        _train,
        "train an encoder for a task",
        """Trains an encoder for a task, into DIR: run.json, state.pt, best/, last/, log.jsonl, sheets/ and
        tensorboard/. `pspkit translate --model DIR` then uses it.

        Several processes: torchrun --nproc-per-node N -m pspkit train ...""",
        [
            "pspkit train --profile smoke --out runs/smoke",
            "pspkit train --task sketch --source drawings --target photos --out runs/sketch",
            "pspkit train --out runs/sketch --resume",
        ],
    )
    train.add_argument("--out", type=Path, required=True, metavar="DIR", help="where everything is kept")
    train.add_argument("--resume", action="store_true", help="go on with what DIR holds, or begin where it holds none")
    for name, text in RUN_OPTIONS.items():
        train.add_argument(f"--{name}", metavar=name.upper(), help=text)
    train.add_argument(
        "--loss", action="append", metavar="NAME=WEIGHT", help="a weight that replaces the task's; repeatable"
    )
    for name, (kind, text) in TRAINING_OPTIONS.items():
        train.add_argument(f"--{name.replace('_', '-')}", type=kind, metavar="N" if kind is int else "X", help=text)
    train.add_argument("--train-decoder", action="store_true", default=None, help="train the decoder too")


def _train(arguments: argparse.Namespace) -> None:
    import torch
    from tqdm.auto import tqdm

    from pspkit.config import CONFIGS, TRAININGS, choose_profile
    from pspkit.errors import check_choice
    from pspkit.psp import describe
    from pspkit.training import Run

    given = {name: getattr(arguments, name) for name in RUN_OPTIONS if getattr(arguments, name) is not None}
    for name in given.keys() - {"domain", "task", "profile", "kind"}:
        given[name] = str(Path(given[name]).resolve())
    if arguments.loss:
        given["losses"] = dict(map(_loss_weight, arguments.loss))
    changed = {name: getattr(arguments, name) for name in (*TRAINING_OPTIONS, "train_decoder")}
    changed = {name: value for name, value in changed.items() if value is not None}

    run = Run.recorded(arguments.out)
    if run and not arguments.resume:
        raise PspkitError(f"{arguments.out}: holds a training already. Go on with --resume, or name another folder.")
    if run:
        before = vars(run) | vars(run.training)
        other = [name for name, value in (given | changed).items() if before[name] != value and name != "steps"]
        if other:
            raise PspkitError(
                f"--{other[0].replace('_', '-')}: {arguments.out} began with {before[other[0]]!r}. Leave it out to go"
                " on, or name another folder."
            )
        run = replace(run, training=replace(run.training, **changed))
    else:
        given.setdefault("profile", choose_profile(torch.accelerator.is_available())[0])
        check_choice("profile", given["profile"], tuple(CONFIGS))
        run = Run(**given, training=replace(TRAININGS[given["profile"]], **changed))

    trainer = run.trainer(arguments.out)
    main_process = trainer.accelerator.is_main_process
    say = tqdm.write if main_process else lambda *_: None
    if main_process:
        run.record(arguments.out)
    if arguments.resume:
        trainer.resume()
    encoder = trainer.psp.encoder.config
    say(f"{run.domain}, {run.task}, {run.profile}: encoder {describe(encoder)}")
    first = run.encoder or run.first_weights(encoder) or "chance"
    say(f"decoder {describe(trainer.psp.decoder.config)}; first weights from {first}")
    say(f"{len(trainer.training)} pairs, {len(trainer.validation)} held out; {trainer.describe()}")
    for report in trainer.run():
        found = "  ".join(f"{name} {value:.4f}" for name, value in report.validation.items())
        say(f"step {report.step:>6}  {report.seconds:>7.0f} s  validation {found}{'  best' if report.best else ''}")
    say(str(arguments.out))


def _loss_weight(text: str) -> tuple[str, float]:
    name, _, weight = text.partition("=")
    try:
        return name, float(weight)
    except ValueError:
        raise PspkitError(f"--loss: got {text!r}, needs NAME=WEIGHT, such as identity=0.5.") from None
