"""Command lines with one strange argument each."""

import argparse
import contextlib
import io
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from pspkit.cli import _parser, main
from tools.fuzz.trying import Garbage

STRANGE = (
    *("nan", "inf", "-inf", "-1", "0", "1e400", "9" * 30, "9" * 5000, "", "x", "0x10", "1.5", "-0.5", " ", "1_0"),
    *("\x1b[31m", "a\nb", "a\udcffb", "n" * 300, "n/" * 3000, "/dev/zero", "/", "..", "nowhere.png", "a.safetensors:9"),
    *("0-99999999999", "9" * 40 + "-", "coarse,9" + "9" * 30, "a.safetensors:" + "9" * 40, "--", "[", "%s", "{}"),
)
LEFT_OUT = {"course", "--help", "--version"}


def cases(folder: Path, rng: np.random.Generator) -> Iterator[tuple[None, Callable[[], object]]]:
    """One command line."""
    commands = _commands(_parser())
    name = sorted(commands)[rng.integers(len(commands))]
    line = [*name.split()]
    strange = str(STRANGE[rng.integers(len(STRANGE))])
    actions = [action for action in commands[name]._actions if not LEFT_OUT & set(action.option_strings)]
    chosen = actions[rng.integers(len(actions))] if actions else None
    for action in actions:
        value = strange if action is chosen else str(folder / ("out.png" if action.dest == "out" else "nothing"))
        value = "encode" if action.dest == "task" and action is not chosen else value
        if action.option_strings and (action.required or action is chosen):
            line += [action.option_strings[0], *([] if action.nargs == 0 else [value])]
        elif not action.option_strings:
            line.append(value)
    if any(action.dest == "device" and action is not chosen for action in actions):
        line += ["--device", "nowhere"]  # nothing is computed where all the rest is in order
    yield None, partial(run, folder, line)


def run(folder: Path, line: list[str]) -> None:
    """Runs a command line; it has to be refused, as each names something that is not there, and to show nothing raw."""
    said = io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = main(line)
    if code not in (0, 1, 3):
        raise Garbage(f"exit code {code} of {line}")
    if "\x1b[31m" in said.getvalue() or "Traceback" in said.getvalue():
        raise Garbage(f"{line} says {said.getvalue()!r}")


def _commands(parser: argparse.ArgumentParser, name: str = "") -> dict[str, argparse.ArgumentParser]:
    """Every command that does something, by its words."""
    found = {}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for word, inner in action.choices.items():
                if word not in LEFT_OUT:
                    found |= _commands(inner, f"{name} {word}".strip())
    return found or {name: parser}
