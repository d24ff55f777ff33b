"""What the training commands have in common: their options, and how they follow a training to its end."""

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pspkit.cli.parsing import whole_number
from pspkit.errors import PspkitError

if TYPE_CHECKING:
    from pspkit.training import Report, Trainer

# Options that name what is read.
INPUTS = ("source", "target", "validation", "validation_target", "decoder", "identity", "encoder", "moco", "start")
INTERRUPTED = 130  # the exit code, as shells give it
Config = TypeVar("Config")
Texts = Mapping[str, str]  # by a field's name; a field of a nested configuration has that one's name before its own


def add_training_options(parser: argparse.ArgumentParser, config: type, texts: Texts) -> None:
    """Adds the options of every training, and one for each field of its configuration.

    Args:
        parser: of the command.
        config: the dataclass; its fields are options, those of configurations in it as well.
        texts: what each of them means.
    """
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where everything is kept")
    parser.add_argument("--resume", action="store_true", help="go on with what DIR holds, or begin where it holds none")
    parser.add_argument(
        "--device", metavar="NAME", help="such as cpu, cuda or mps (default: PSPKIT_DEVICE, else the best)"
    )
    parser.add_argument(
        "--minutes", type=float, default=float("inf"), metavar="M", help="stop after so long, with a saved state"
    )
    for name, kind in option_kinds(config).items():
        option = f"--{name.replace('_', '-')}"
        if kind is bool:
            parser.add_argument(option, action=argparse.BooleanOptionalAction, help=texts[name])
        elif kind in (int, float, str):
            metavar = {int: "N", float: "X", str: "NAME"}[kind]
            parser.add_argument(option, type=kind, metavar=metavar, help=texts[name])
        elif kind == int | str:
            parser.add_argument(option, type=_number_or_name, metavar="N|NAME", help=texts[name])
        else:
            parser.add_argument(option, type=_numbers, metavar="N,N,...", help=texts[name])


def option_kinds(config: type, prefix: str = "") -> dict[str, type]:
    """The fields of a configuration by their options' names, with their types."""
    kinds = {}
    for field in fields(config):
        name = prefix + field.name
        kinds |= option_kinds(field.type, f"{name}_") if is_dataclass(field.type) else {name: field.type}
    return kinds


def with_options(config: Config, arguments: argparse.Namespace, prefix: str = "") -> Config:
    """A configuration in which the fields that were given on the command line have those values."""
    changed = {}
    for field in fields(config):
        name, value = prefix + field.name, getattr(config, field.name)
        if is_dataclass(value):
            changed[field.name] = with_options(value, arguments, f"{name}_")
        elif (given := getattr(arguments, name)) is not None:
            changed[field.name] = given
    return replace(config, **changed)


def begun_with(arguments: argparse.Namespace, kind: str, config: type[Config]) -> Config | None:
    """The configuration of the training in DIR; None where there is none.

    Raises:
        PspkitError: there is one, and it is not to be resumed; or it is running; or DIR and something that is read
            lie in one another.
        CheckpointError: it cannot be read, or is of another kind.
    """
    from pspkit.training.keeper import alone, recorded

    out = Path(os.path.realpath(arguments.out))
    for name in INPUTS:
        given = getattr(arguments, name, None)
        if isinstance(given, str | Path) and os.path.exists(given):  # validation may be a number
            place = os.path.realpath(given)
            if out.is_relative_to(place) or Path(place).is_relative_to(out):
                raise PspkitError(f"{arguments.out}: lies in {given}, or the other way round. Name another folder.")
    if arguments.out.is_dir() and os.environ.get("RANK", "0") == "0":  # the main process of several
        with alone(arguments.out):
            pass  # else all would be prepared before the training finds that another one is running
    found = recorded(arguments.out, kind, config)
    if found and not arguments.resume:
        raise PspkitError(f"{arguments.out}: holds a training already. Go on with --resume, or name another folder.")
    return found


def follow(trainer: "Trainer", arguments: argparse.Namespace, introduction: Callable[[], Iterator[str]]) -> int:
    """Runs a training to its end and prints what each validation found; Ctrl-C ends it with a saved state.

    Args:
        trainer: at its first step.
        arguments: of the command.
        introduction: gives lines that are printed before the first step.

    Returns:
        The exit code.
    """
    from tqdm.auto import tqdm

    say = tqdm.write if trainer.machine.main else lambda *_: None
    if arguments.resume:
        trainer.resume()
        if trainer.step >= trainer.pace.steps:
            say(f"This training is finished: it took all of its {trainer.pace.steps} steps.")
    for line in introduction():
        say(line)
    with interrupts_stop(trainer) as interrupted:
        for report in trainer.run(arguments.minutes):
            say(_in_words(report))
    if trainer.step < trainer.pace.steps:
        message = f"stopped after step {trainer.step} and saved. Go on with --resume --out {arguments.out}"
        if trainer.machine.main:
            print(f"pspkit: {message}", file=sys.stderr)
    say(str(arguments.out))
    return INTERRUPTED if interrupted else 0


@contextmanager
def interrupts_stop(trainer: "Trainer") -> Iterator[list[float]]:
    """Within it the first Ctrl-C lets the training finish its step and save; a later one ends it at once.

    `torchrun` passes every signal on that the terminal has sent already, so a second one right after the first is the
    same one.

    Yields:
        When signals came.
    """
    came: list[float] = []

    def stop(number: int, frame: Any) -> None:
        if came and time.monotonic() - came[0] > 1:
            raise KeyboardInterrupt
        came.append(time.monotonic())
        trainer.stop()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _in_words(report: "Report") -> str:
    parts = [f"step {report.step:>6}", f"{report.seconds:>7.0f} s"]
    for name in ("training", "validation"):
        losses = getattr(report, name)
        if losses and not (name == "training" and report.validation):
            parts.append(name + " " + "  ".join(f"{loss} {value:.4f}" for loss, value in losses.items()))
    return "  ".join([*parts, *(["best"] if report.best else [])])


def _number_or_name(text: str) -> int | str:
    return int(text) if text.isdecimal() else text


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(map(whole_number, text.split(",")))
