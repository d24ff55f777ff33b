"""Malformed weights, codes, directions and records of trainings."""

import argparse
import copy
import json
import pickle
import zipfile
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from pspkit.config import CONFIGS
from pspkit.inference.directions import load_directions, save_directions
from pspkit.inference.inspect import inspect_checkpoint
from pspkit.psp import PSP, load_decoder
from pspkit.storage.checkpoints import read_codes, save_codes
from pspkit.storage.checkpoints.files import write_state
from pspkit.training import Run
from pspkit.training.keeper import FORMAT, read_log, read_state, recorded
from tools.fuzz.pictures import damaged
from tools.fuzz.trying import Garbage

STRANGE = (
    *(None, True, "", "x", "\x1b[31m", -1, 0, 1, 3, 10**9, 10**30, 1.5, float("nan"), float("inf"), -1e300),
    *([], [1], [0, 0, 0, 0], [10**9] * 4, ["a"], {}, {"type": "PSPConfig"}, {"type": "BackboneConfig"}, [[[]]]),
)
DEEP = "[" * 100_000 + "]" * 100_000


def cases(folder: Path, rng: np.random.Generator) -> Iterator[tuple[Path, Callable[[], object]]]:
    """One malformed file and what reads it."""
    path, reads = MAKERS[rng.integers(len(MAKERS))](folder, rng)
    for read in reads:
        yield path, partial(read, path)


@cache
def model() -> PSP:
    """A small whole model."""
    torch.manual_seed(0)
    return PSP.from_config(CONFIGS["smoke"]).eval()


def load(path: Path) -> None:
    """Loads a model; what loads has to be a number everywhere."""
    for name, value in PSP.from_pretrained(path).state_dict().items():
        if value.is_floating_point() and not value.isfinite().all():
            raise Garbage(f"{name} is not finite")


def load_whole(path: Path) -> None:
    """Loads a model whose file has checksums: what loads has to be what was saved."""
    loaded = PSP.from_pretrained(path).state_dict()
    for name, value in model().state_dict().items():
        if not torch.equal(loaded[name], value):
            raise Garbage(f"{name} is another")


READS = (inspect_checkpoint, load, load_decoder)
Made = tuple[Path, tuple[Callable[[Path], object], ...]]


def content() -> dict[str, Any]:
    """A checkpoint as the reference has it."""
    state = model().state_dict()
    average = state.pop("latent_avg")
    return {"state_dict": dict(state), "latent_avg": average, "opts": {"start_from_latent_avg": True}}


def torch_file(folder: Path, rng: np.random.Generator) -> Made:
    """A checkpoint of the reference with damaged bytes."""
    path, legacy = folder / "psp.pt", bool(rng.random() < 0.3)
    torch.save(content(), path, _use_new_zipfile_serialization=not legacy)
    path.write_bytes(damaged(path.read_bytes(), rng))
    return path, (inspect_checkpoint, load_decoder, load if legacy else load_whole)


def own_file(folder: Path, rng: np.random.Generator) -> Made:
    """A safetensors file with damaged bytes."""
    model().save_pretrained(folder)
    path = folder / "model.safetensors"
    path.write_bytes(damaged(path.read_bytes(), rng))
    return path, READS


def short_file(folder: Path, rng: np.random.Generator) -> Made:
    """The first few bytes of something."""
    starts = (b"PK\x03\x04", b"\x80\x02", b"\x80\x04\x95", b"\x08\x00\x00\x00\x00\x00\x00\x00{}", b"<html>", b"")
    path = folder / "a.pt"
    path.write_bytes(starts[rng.integers(len(starts))][: rng.integers(1, 12)] + rng.bytes(rng.integers(3)))
    return path, (*READS, read_codes, load_directions)


def zipped_again(folder: Path, rng: np.random.Generator) -> Made:
    """A checkpoint zipped again, in any way."""
    path, first = folder / "psp.pt", folder / "first.pt"
    torch.save(content(), first)
    ways = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
    with zipfile.ZipFile(first) as old, zipfile.ZipFile(path, "w", int(rng.choice(ways))) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    return path, (inspect_checkpoint, load_whole)


def strange_tensor(folder: Path, rng: np.random.Generator) -> Made:
    """A checkpoint in which one tensor, or its key, is strange."""
    file, value = content(), torch.ones(4, 4)
    state = file["state_dict"]
    key = str(rng.choice(list(state)))
    shape = state[key].shape
    strange: list[Any] = [
        *(value.to_sparse(), torch.empty(shape, device="meta"), value.to(torch.complex64), torch.tensor(1.0)),
        *(torch.empty(0), torch.empty(0, 3, 0), torch.ones(()).expand(1 << 40), torch.full(shape, torch.nan)),
        *(torch.full(shape, -torch.inf), torch.quantize_per_tensor(value, 0.1, 0, torch.qint8), value.to(torch.int8)),
        *(state[key].double(), state[key].half(), torch.ones(()).expand(100_000, 1000), 3, None, "x", [value], shape),
    ]
    if rng.random() < 0.3:
        ends = ("styles.20000000.linear.weight", "to_rgbs.99999999.conv.weight", "body.5000000.res_layer.1.weight")
        ends += ("styles.0.convs.30000000.weight", f"style.{'9' * 5000}.weight", "\x1b[31m", "", "style.-1.weight")
        state[f"{rng.choice(['encoder', 'decoder'])}.{ends[rng.integers(len(ends))]}"] = value
    else:
        chosen = strange[rng.integers(len(strange))]
        place = rng.choice(["state", "latent_avg", "opts", "g_ema"])
        if place == "state":
            state[key] = chosen
        else:
            file[str(place)] = chosen
    if rng.random() < 0.2:
        file["opts"] = argparse.Namespace(dataset_type="\x1b[31m", start_from_latent_avg=value)
    torch.save(file, folder / "psp.pt")
    return folder / "psp.pt", READS


def strange_pickle(folder: Path, rng: np.random.Generator) -> Made:
    """A pickle of something else, in any protocol."""
    loop: list[Any] = []
    loop.append(loop)
    things = (loop, {"state_dict": {"encoder.": 1}}, print, Path("a"), bytearray(9), {1: 2}, (), "x", 10**40)
    thing, protocol = things[rng.integers(len(things))], int(rng.integers(6))
    if rng.random() < 0.5:
        (folder / "a.pt").write_bytes(damaged(pickle.dumps(thing, protocol), rng))
    else:
        torch.save(thing, folder / "a.pt")
    return folder / "a.pt", READS


def strange_configuration(folder: Path, rng: np.random.Generator) -> Made:
    """Weights of ours in whose configuration one entry is strange."""
    model().save_pretrained(folder)
    record = json.loads((folder / "config.json").read_text())
    path = folder / "model.safetensors"
    save_file(model().state_dict(), path, {"format": "pspkit", "model": _with_one_strange(record, rng)})
    return path, READS


def _with_one_strange(record: dict[str, Any], rng: np.random.Generator) -> str:
    if rng.random() < 0.05:
        return DEEP
    record = copy.deepcopy(record)
    place = record
    while True:
        key = str(rng.choice(list(place)))
        if isinstance(place[key], dict) and place[key] and rng.random() < 0.9:
            place = place[key]
            continue
        if rng.random() < 0.1:
            del place[key]
        else:
            place[key] = STRANGE[rng.integers(len(STRANGE))]
        return json.dumps(record)


def strange_codes(folder: Path, rng: np.random.Generator) -> Made:
    """A file of codes, or of directions, of any shape and kind."""
    path, codes = folder / "codes.safetensors", torch.randn(2, 6, 64)
    values: tuple[Tensor, ...] = (
        *(codes, codes[0], codes[:0], codes[..., :0], torch.tensor(1.0), codes.int(), codes.to(torch.complex64)),
        *(codes * torch.nan, codes / 0, codes.half(), codes.bool(), codes.double()),
    )
    space, value = str(rng.choice(["z", "w", "w_plus", "s", "\x1b"])), values[rng.integers(len(values))]
    directions = rng.random() < 0.4
    metadata = {"format": "pspkit directions"} if directions else {"format": "pspkit codes", "space": space}
    names = ("codes", "\x1b[31m", "smile")
    save_file({str(rng.choice(names)): value.contiguous()}, path, metadata)
    if rng.random() < 0.2:
        save_codes(path, codes, "w_plus") if not directions else save_directions(path, {"smile": codes[0]})
        path.write_bytes(damaged(path.read_bytes(), rng))
    return path, (_finite_codes, _finite_directions, inspect_checkpoint)


def _finite_codes(path: Path) -> None:
    codes, _ = read_codes(path)
    if not (codes.isfinite().all() and codes.numel() and codes.dtype == torch.float32):
        raise Garbage("codes that are none")


def _finite_directions(path: Path) -> None:
    for way in load_directions(path).values():
        if way.ndim != 2 or not way.isfinite().all():
            raise Garbage("a direction that is none")


def strange_run(folder: Path, rng: np.random.Generator) -> Made:
    """A training's folder in which one file is damaged; what reads it is given that file."""
    from dataclasses import asdict

    sort = rng.integers(3)
    if sort == 0:
        path = folder / "run.json"
        path.write_text(_with_one_strange({"trains": "encoder", **asdict(Run(profile="smoke"))}, rng))
        return path, (lambda path: recorded(path.parent, "encoder", Run),)
    if sort == 1:
        path = folder / "log.jsonl"
        lines = [{"step": 1, "seconds": 1.0, "training": {}, "validation": {}}] * 2
        text = "".join(_with_one_strange(line, rng) + "\n" for line in lines)
        path.write_bytes(damaged(text.encode(), rng))
        return path, (lambda path: read_log(path.parent),)
    path = folder / "state.pt"
    state = {"format": FORMAT, "step": 3, "seconds": 1.0, "best": 1.0, "recent": [], "strategy": {}}
    state[str(rng.choice(list(state)))] = STRANGE[rng.integers(len(STRANGE))]
    write_state(path, state)
    path.write_bytes(damaged(path.read_bytes(), rng))
    return path, (lambda path: read_state(path.parent),)


MAKERS = (
    *(torch_file, own_file, short_file, zipped_again, strange_tensor, strange_tensor, strange_pickle),
    *(strange_configuration, strange_configuration, strange_codes, strange_run),
)
