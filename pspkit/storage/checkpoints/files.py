"""Reads files of tensors without executing anything, and writes them whole or not at all."""

import argparse
import math
import pickletools
import re
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from pspkit.errors import CheckpointError, PspkitError, check_name, check_tensor, shown
from pspkit.storage.atomic import replacing
from pspkit.storage.reading import check_ordinary

AGAIN = "Get the file again, and compare its size with the source's."
PICKLE = b"\x80"  # the beginning of every pickle of protocol 2 or later
TORCH_PROTOCOL = 2  # the pickle protocol of torch.save
NVIDIA = ("torch_utils.", "dnnlib.", "training.networks")  # modules in pickles of StyleGAN's official code
SPARE = 256e6  # bytes of memory that the tensors of a file may take beyond twice its size
FLOATS = (torch.float32, torch.float16, torch.bfloat16, torch.float64)
INTEGERS = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool)


def read_file(path: Path) -> tuple[Any, dict[str, str]]:
    """Reads a safetensors file or a file of `torch.save`.

    Tensors stay on disk until they are used, except in the format that PyTorch wrote before version 1.6.

    Args:
        path: the file.

    Returns:
        The content (of a safetensors file, a dict of tensors), and the metadata of a safetensors file.

    Raises:
        CheckpointError: the file is missing, empty, truncated, foreign or not an ordinary file; it would run code; or
            its tensors are of a kind that no model has, or take far more memory than the file has bytes.
    """
    try:
        check_name(path)
        check_ordinary(path)
        with path.open("rb") as file:
            head = file.read(64)
    except PspkitError as error:
        raise CheckpointError(str(error)) from error
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror}). Check the path.") from error
    if not head:
        raise CheckpointError(f"{path}: the file is empty. {AGAIN}")
    if head.removeprefix(b"\xef\xbb\xbf").lstrip().lower().startswith((b"<!doctype html", b"<html")):
        raise CheckpointError(
            f"{path}: it is an HTML page, probably a download quota notice. Open the link in a browser and download it"
            " again."
        )
    if head[8:9] == b"{":  # the length of the header, then the header: JSON
        tensors, metadata = _read_safetensors(path)
        _check_kinds(path, tensors)
        return tensors, metadata
    if head.startswith(b"PK"):
        _check_zip(path)
    elif not head.startswith(PICKLE):
        raise CheckpointError(
            f"{path}: it is neither a PyTorch nor a safetensors file; it starts with {head[:16]}. Check what was"
            " downloaded."
        )
    elif head[1:2] != bytes([TORCH_PROTOCOL]):
        raise _refusal(path, _first_global(path))
    content = _read_torch(path, mmap=head.startswith(b"PK"))
    _check_kinds(path, content)
    return content, {}


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with safe_open(path, framework="pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (SafetensorError, AttributeError, ValueError) as error:  # The last two come with a type that PyTorch lacks.
        raise CheckpointError(f"{path}: it is a safetensors file, but cut off or damaged ({error}). {AGAIN}") from error


def _check_zip(path: Path) -> None:
    """Refuses archives that torch.save did not write.

    torch.save stores members uncompressed, one after another, with checksums. PyTorch maps the members into memory
    wherever the archive says that they lie, and would take the bytes of a compressed member for weights.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            names = {member.filename.rpartition("/")[2] for member in members}
            packed = [member.filename for member in members if member.compress_type != zipfile.ZIP_STORED]
            claimed = sum(member.file_size for member in members)
            damaged = None if packed or claimed > path.stat().st_size else archive.testzip()
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError, OSError) as error:
        # NotImplementedError: Python lacks the compression. RuntimeError: encrypted. The last two: wrong numbers.
        raise CheckpointError(f"{path}: it is a zip archive, but cut off or damaged ({error}). {AGAIN}") from error
    if "constants.pkl" in names:
        raise CheckpointError(f"{path}: it is a TorchScript program, not weights. Get the file with the state dict.")
    if "data.pkl" not in names:
        raise CheckpointError(
            f"{path}: it is a zip archive that torch.save did not write. If weights are packed in it, unpack it first."
        )
    if packed:
        raise CheckpointError(
            f"{path}: it was zipped again with compression ({shown(packed[0])}), and cannot be read in this form."
            " Unpack it and zip its folder without compression (zip -0 -r), or get the file again."
        )
    if claimed > path.stat().st_size:
        raise CheckpointError(f"{path}: it is a zip archive that claims to hold more than it has bytes. {AGAIN}")
    if damaged:
        raise CheckpointError(f"{path}: it is damaged, as the checksum of {shown(damaged)} does not agree. {AGAIN}")


def _read_torch(path: Path, mmap: bool) -> Any:
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):  # in which the reference stores its options
            return torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
    except Exception as error:  # A damaged pickle can fail in any way.
        refused = re.search(r"GLOBAL ([\w.]+)", str(error))
        if refused:
            raise _refusal(path, refused[1]) from error
        reason = str(error).strip().splitlines()[-1:] or [type(error).__name__]
        raise CheckpointError(
            f"{path}: it is cut off, damaged, or not a weights file ({reason[0]}). {AGAIN}"
        ) from error


def _check_kinds(path: Path, content: Any) -> None:
    """Refuses tensors that no model has, and those that take far more memory than the file has bytes."""
    memory, rest, seen = 0, [content], set()
    while rest:
        value = rest.pop()
        if id(value) in seen:  # A list may contain itself.
            continue
        seen.add(id(value))
        if isinstance(value, dict):
            rest += value.values()
        elif isinstance(value, list | tuple | set):
            rest += value
        elif isinstance(value, argparse.Namespace):
            rest.append(vars(value))
        elif isinstance(value, Tensor):
            plain = value.layout == torch.strided and value.device.type == "cpu" and not value.is_nested
            if not plain or value.dtype not in (*FLOATS, *INTEGERS):
                kind = str(value.dtype if plain else value.device if value.is_meta else value.layout)
                raise CheckpointError(
                    f"{path}: it holds a tensor of a kind that no weights have ({kind.removeprefix('torch.')})."
                    " Get the file with plain tensors."
                )
            memory += value.numel() * value.element_size()
    size = path.stat().st_size
    if memory > 2 * size + SPARE:
        raise CheckpointError(
            f"{path}: its {size / 1e6:,.1f} MB would take {memory / 1e6:,.0f} MB of memory, as no weights do. {AGAIN}"
        )


def check_finite(path: Path, tensors: Iterable[tuple[str, Tensor]]) -> None:
    """Refuses tensors that hold NaN or infinity.

    Raises:
        CheckpointError: some tensors do; names the first ones.
    """
    bad = [name for name, tensor in tensors if tensor.is_floating_point() and not _is_finite(tensor)]
    if bad:
        names = shown(", ".join(bad[:3]) + (", …" if len(bad) > 3 else ""))
        raise CheckpointError(
            f"{path}: {len(bad)} of its tensors hold{'s' * (len(bad) == 1)} NaN or infinity ({names}). {AGAIN}"
        )


def _is_finite(tensor: Tensor) -> bool:
    """Whether all entries are finite; makes no copy."""
    return not tensor.numel() or all(math.isfinite(end) for end in tensor.detach().aminmax())


def check_stored(path: Path, name: str, tensor: Tensor, shape: tuple[int | str, ...]) -> None:
    """Refuses codes or directions that are not floating-point, not finite, empty, or of another shape.

    Args:
        path: the file.
        name: name of the tensor in it.
        tensor: the tensor.
        shape: as `check_tensor` takes it.

    Raises:
        CheckpointError: they cannot be used; names the file, what it holds and what is needed.
    """
    try:
        check_tensor(shown(name), tensor, shape)
    except PspkitError as error:
        raise CheckpointError(f"{path}: {error}") from error
    if not tensor.numel():
        raise CheckpointError(f"{path}: {shown(name)} is empty, shape {tuple(tensor.shape)}. Make the file again.")
    check_finite(path, [(name, tensor)])


def _refusal(path: Path, name: str | None) -> CheckpointError:
    if name is None:
        return CheckpointError(
            f"{path}: it is a Python pickle, but not a weights file of PyTorch. Check what was downloaded."
        )
    if name.startswith(NVIDIA):
        return CheckpointError(
            f"{path}: it is a pickle of NVIDIA's StyleGAN, which runs their code while it is read ({name}); nothing"
            " was run. In a clone of stylegan2-ada-pytorch, three lines export its weights, which are read here:\n   "
            " import legacy, torch\n"
            f'    generator = legacy.load_network_pkl(open("{path.name}", "rb"))["G_ema"]\n'
            '    torch.save(generator.state_dict(), "generator.pt")'
        )
    return CheckpointError(
        f"{path}: it is a pickle that wants to call {name} while it is read. Weights do not need that, and nothing was"
        " run. Ask its source for a plain state dict or a safetensors file."
    )


def _first_global(path: Path) -> str | None:
    """Finds the first thing that a pickle would import, without running it."""
    strings: list[str] = []
    try:
        for opcode, argument, _ in pickletools.genops(path.read_bytes()):
            if opcode.name == "GLOBAL":
                return argument.replace(" ", ".")
            if opcode.name == "STACK_GLOBAL":
                return ".".join(strings[-2:])
            if isinstance(argument, str):
                strings.append(argument)
    except Exception:  # It may be damaged further on, in any way.
        pass
    return None


def write_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Writes a safetensors file.

    Raises:
        CheckpointError: the file could not be written; an older one is kept.
    """
    stored = {key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()}
    with _replacing(path) as part:
        mode = part.stat().st_mode
        save_file(stored, part, metadata)
        part.chmod(mode)  # save_file lets only the owner read its file


def write_state(path: Path, state: dict[str, Any]) -> None:
    """Writes nested dicts and lists of tensors and numbers, for `read_file`; raises as `write_tensors`."""
    with _replacing(path) as part, part.open("wb") as file:
        torch.save(state, file)


def write_text(path: Path, text: str) -> None:
    """Writes a text file; raises as `write_tensors`."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a file; raises as `write_tensors`."""
    with _replacing(path) as part:
        part.write_bytes(content)


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """As `replacing`, but makes the folder if it is not there, and raises an error for the user."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as part:
            yield part
    except (OSError, SafetensorError, RuntimeError) as error:  # RuntimeError comes from torch.save if the disk is full.
        raise CheckpointError(
            f"{path}: it could not be written ({error}). If there was an older file, it is kept."
            " Free some space or choose another folder."
        ) from error
