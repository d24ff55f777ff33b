"""Files of tensors: read without executing anything, written whole or not at all."""

import argparse
import pickletools
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from pspkit.errors import CheckpointError
from pspkit.storage.atomic import replacing

AGAIN = "Get the file again, and compare its size with the source's."
PICKLE = b"\x80"  # what every pickle of protocol 2 or later starts with
TORCH_PROTOCOL = 2  # the pickle protocol of torch.save


def read_file(path: Path) -> tuple[Any, dict[str, str]]:
    """Reads a safetensors file or one written by `torch.save`.

    Tensors stay on disk until they are used, except those of the format that PyTorch wrote before version 1.6.

    Args:
        path: the file.

    Returns:
        Its content (for safetensors a dict of tensors), and the metadata of a safetensors file.

    Raises:
        CheckpointError: not there, empty, truncated, foreign, or it would run code.
    """
    try:
        with path.open("rb") as file:
            head = file.read(64)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror}). Check the path.") from error
    if not head:
        raise CheckpointError(f"{path}: the file is empty. {AGAIN}")
    if head.removeprefix(b"\xef\xbb\xbf").lstrip().lower().startswith((b"<!doctype html", b"<html")):
        raise CheckpointError(
            f"{path}: an HTML page, probably a download quota notice. Open the link in a browser and download it again."
        )
    if head[8:9] == b"{":  # the length of the header, then the header: JSON
        return _read_safetensors(path)
    if head.startswith(b"PK"):
        _check_zip(path)
    elif not head.startswith(PICKLE):
        raise CheckpointError(
            f"{path}: neither a PyTorch nor a safetensors file; it starts with {head[:16]}. Check what was downloaded."
        )
    elif head[1] != TORCH_PROTOCOL:
        raise _refusal(path, _first_global(path))
    return _read_torch(path, mmap=head.startswith(b"PK")), {}


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with safe_open(path, framework="pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except SafetensorError as error:
        raise CheckpointError(f"{path}: a safetensors file, but cut off or damaged ({error}). {AGAIN}") from error


def _check_zip(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            names = {name.rpartition("/")[2] for name in archive.namelist()}
    except zipfile.BadZipFile as error:
        raise CheckpointError(f"{path}: a zip archive, but cut off or damaged ({error}). {AGAIN}") from error
    if "constants.pkl" in names:
        raise CheckpointError(f"{path}: a TorchScript program, not weights. Get the file with the state dict.")
    if "data.pkl" not in names:
        raise CheckpointError(
            f"{path}: a zip archive that torch.save did not write. If weights are packed in it, unpack it first."
        )


def _read_torch(path: Path, mmap: bool) -> Any:
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):  # how the reference keeps its options
            return torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
    except Exception as error:  # a damaged pickle can fail in any way
        refused = re.search(r"GLOBAL ([\w.]+)", str(error))
        if refused:
            raise _refusal(path, refused[1]) from error
        reason = str(error).strip().splitlines()[-1:] or [type(error).__name__]
        raise CheckpointError(f"{path}: cut off, damaged, or not a weights file ({reason[0]}). {AGAIN}") from error


def _refusal(path: Path, name: str | None) -> CheckpointError:
    if name is None:
        return CheckpointError(
            f"{path}: a Python pickle, but not a weights file of PyTorch. Check what was downloaded."
        )
    return CheckpointError(
        f"{path}: a pickle that wants to call {name} while it is read; weights need no such thing, and nothing was run."
        " Ask its source for a plain state dict or a safetensors file."
    )


def _first_global(path: Path) -> str | None:
    """The first thing that a pickle would import, found without running it."""
    strings: list[str] = []
    try:
        for opcode, argument, _ in pickletools.genops(path.read_bytes()):
            if opcode.name == "GLOBAL":
                return argument.replace(" ", ".")
            if opcode.name == "STACK_GLOBAL":
                return ".".join(strings[-2:])
            if isinstance(argument, str):
                strings.append(argument)
    except ValueError:  # damaged further on
        pass
    return None


def write_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Writes a safetensors file.

    Raises:
        CheckpointError: it could not be written; the file that stood there is untouched.
    """
    stored = {key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()}
    with _replacing(path, durable=True) as part:
        mode = part.stat().st_mode
        save_file(stored, part, metadata)
        part.chmod(mode)  # save_file makes its file readable to the owner alone


def write_state(path: Path, state: dict[str, Any]) -> None:
    """Writes nested dicts and lists of tensors and numbers, for `read_file`; raises as `write_tensors`."""
    with _replacing(path, durable=True) as part, part.open("wb") as file:
        torch.save(state, file)


def write_text(path: Path, text: str) -> None:
    """Writes a text file; raises as `write_tensors`."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a file; raises as `write_tensors`."""
    with _replacing(path) as part:
        part.write_bytes(content)


@contextmanager
def _replacing(path: Path, durable: bool = False) -> Iterator[Path]:
    """`replacing`, in a folder that is made where it is not there, with an error for the user."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path, durable) as part:
            yield part
    except (OSError, SafetensorError, RuntimeError) as error:  # RuntimeError: of torch.save, where the disk is full
        raise CheckpointError(
            f"{path}: could not be written ({error}). What stood there is untouched."
            " Free some space or choose another folder."
        ) from error
