"""Commands that are killed at any moment and run again, and two of one kind at once.

In the end there is what an undisturbed run gives, and nothing else.
"""

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from pspkit.cli import main
from pspkit.config import CONFIGS
from pspkit.data.heads import HeadsDataset
from pspkit.psp import PSP

KILLS = 3  # of one command, before it may end
Work = Callable[[Path], object]  # works into a folder


def _train(out: Path) -> None:
    main(["train", "--profile", "smoke", "--device", "cpu", "--out", str(out), "--resume"])


def _translate(out: Path) -> None:
    given = out.parent / "given"
    line = ["translate", "--task", "encode", "--model", str(given / "model"), "--variants", "1", "--save-codes"]
    main([*line, "--batch", "3", "--device", "cpu", "--out", str(out), str(given / "photos")])


def _render(out: Path) -> None:
    main(["render", "--count", "6", "--size", "64", "--out", str(out), "--overwrite"])


def _cache(out: Path) -> None:
    HeadsDataset("train", 40, 64, cache=out)


WORKS: dict[str, Work] = {"translate": _translate, "render": _render, "cache": _cache, "train": _train}
ALONE = {"train"}  # a second one at the same time is refused


def find_faults(name: str, rounds: int, seed: int, folder: Path) -> list[str]:
    """Kills one kind of work in several rounds, and then lets two do it at once.

    Args:
        name: a key of `WORKS`.
        rounds: how many times it is begun anew.
        seed: of the moments.
        folder: an empty one.

    Returns:
        What is wrong; empty where nothing is.
    """
    work, rng, faults = WORKS[name], np.random.default_rng(seed), []
    _give(folder / "given")
    whole = folder / "whole"
    start = time.monotonic()
    _wait(_begin(work, whole))
    seconds = time.monotonic() - start
    for number in range(rounds):
        out = folder / f"killed{number}"
        for _ in range(KILLS):
            process = _begin(work, out)
            time.sleep(rng.uniform(0, seconds))
            os.kill(process, signal.SIGKILL)
            _wait(process)
        _wait(_begin(work, out))
        faults += [f"{name}, killed (seed {seed}, round {number}): {fault}" for fault in _differences(whole, out)]
    out = folder / "two"
    for process in [_begin(work, out), _begin(work, out)]:
        _wait(process)
    if name in ALONE:
        _wait(_begin(work, out))  # where both began in the same moment, each may have refused the other
    faults += [f"{name}, two at once: {fault}" for fault in _differences(whole, out)]
    return faults


def _give(folder: Path) -> None:
    torch.manual_seed(0)
    PSP.from_config(CONFIGS["smoke"]).save_pretrained(folder / "model" / "best")
    (folder / "photos").mkdir()
    for number in range(7):
        blots = np.random.default_rng(number).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(blots).resize((64, 64)).save(folder / "photos" / f"{number}.png")


def _begin(work: Work, out: Path) -> int:
    """Begins work in a process of its own; a fork, because importing PyTorch would take longer than the work."""
    process = os.fork()
    if process:
        return process
    try:
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        torch.set_num_threads(1)
        work(out)
    finally:
        os._exit(0)


def _wait(process: int) -> None:
    os.waitpid(process, 0)


def _differences(whole: Path, other: Path) -> list[str]:
    ours, theirs = _files(whole), _files(other)
    names = [f"{name} is {'missing' if name in ours else 'left over'}" for name in ours.keys() ^ theirs.keys()]
    return names + [f"{name} differs" for name in ours.keys() & theirs.keys() if ours[name] != theirs[name]]


def _files(folder: Path) -> dict[str, object]:
    """What is comparable of every file below a folder, by its name."""
    found = {}
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and "tensorboard" not in name:  # one file of events a start
            found[name] = _content(path)
    return found


def _content(path: Path) -> object:
    if path.name == "state.pt":  # holds the seconds
        return None
    if path.name == "log.jsonl":
        return [json.loads(line) | {"seconds": 0} for line in path.read_text().splitlines()]
    content = path.read_bytes()
    if path.suffix == ".safetensors":  # the order of the entries in its header differs between processes
        end = 8 + int.from_bytes(content[:8], "little")
        return json.loads(content[8:end]), content[end:]
    return content
