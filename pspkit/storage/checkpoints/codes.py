"""Codes on disk, together with the space to which they belong."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pspkit.errors import CheckpointError, check_choice, check_tensor
from pspkit.storage.checkpoints.files import check_stored, read_file, write_tensors

CODES_FORMAT = "pspkit codes"
SHAPES = {"z": ("N", "style_dim"), "w": ("N", "style_dim"), "w_plus": ("N", "n_styles", "style_dim")}
DECODED_BY = {"z": "decode_z", "w": "decode_w", "w_plus": "decode"}  # methods of PSP


def save_codes(path: str | Path, codes: Tensor, space: str) -> None:
    """Saves codes in float32, atomically.

    Args:
        path: the safetensors file to write.
        codes: (N, style_dim) for z or w, (N, n_styles, style_dim) for W+.
        space: "z", "w" or "w_plus".

    Raises:
        PspkitError: there is no such space, or the codes have another shape.
        CheckpointError: the file could not be written.
    """
    check_choice("space", space, tuple(SHAPES))
    check_tensor("codes", codes, SHAPES[space])
    write_tensors(Path(path), {"codes": codes.float()}, {"format": CODES_FORMAT, "space": space})


def load_codes(path: str | Path, space: str = "w_plus") -> Tensor:
    """Loads codes of a given space.

    Args:
        path: a file of `save_codes`.
        space: "z", "w" or "w_plus".

    Returns:
        The codes, float32, on the CPU: (N, style_dim) for z or w, (N, n_styles, style_dim) for W+.

    Raises:
        CheckpointError: the file is damaged, holds no codes, or codes of another space.
    """
    check_choice("space", space, tuple(SHAPES))
    codes, stored = read_codes(path)
    if stored == "rows":
        codes, stored = (codes[None], space) if space == "w_plus" else (codes, "w")
    if stored != space:
        raise CheckpointError(
            f"{path}: holds codes of {stored}, not of {space}."
            f' Load them with load_codes(path, "{stored}") and decode them with PSP.{DECODED_BY[stored]}.'
        )
    return codes


def read_codes(path: str | Path) -> tuple[Tensor, str]:
    """Loads codes of any space, and says of which.

    Args:
        path: a file of `save_codes`, or codes from elsewhere, as `read_arrays` takes them.

    Returns:
        The codes, as `load_codes`; and their space, "z", "w" or "w_plus". Codes from elsewhere do not name their space:
        three dimensions are W+, one vector is w, and a single matrix is "rows", which are either the codes of one
        picture or one w for each picture.

    Raises:
        CheckpointError: the file is damaged or holds no codes, or the codes have another shape or are not finite.
    """
    arrays, metadata = read_arrays(path)
    if metadata.get("format") == CODES_FORMAT and metadata.get("space") in SHAPES:
        space = metadata["space"]
        if arrays.keys() != {"codes"}:
            raise CheckpointError(f"{path}: it is a file of codes without any codes in it. Make it again.")
        check_stored(Path(path), "codes", arrays["codes"], SHAPES[space])
        return arrays["codes"].clone(), space
    if metadata.get("format"):
        raise CheckpointError(
            f"{path}: it is not a file of codes, but of {metadata['format']}. Give one that save_codes wrote."
        )
    if Path(path).suffix == ".safetensors":  # Codes from elsewhere come in other formats.
        raise CheckpointError(
            f"{path}: it is not a file of codes. Give one that save_codes wrote, or plain arrays in .npz."
        )
    parts = [array[(None,) * (3 - array.ndim)] for array in arrays.values()]
    shapes = sorted({tuple(part.shape[1:]) for part in parts})
    if len(shapes) > 1:
        raise CheckpointError(
            f"{path}: it holds codes of different shapes, {shapes[0]} and {shapes[1]}. Store each shape in its own"
            " file."
        )
    codes = torch.cat(parts)
    if codes.shape[1] == 1:
        return codes[:, 0], "w"
    return (codes[0], "rows") if len(arrays) == 1 and next(iter(arrays.values())).ndim == 2 else (codes, "w_plus")


def read_arrays(path: str | Path, only: str = "") -> tuple[dict[str, Tensor], dict[str, str]]:
    """Reads plain arrays by name, in which people store codes and directions, and a safetensors file's metadata.

    Args:
        path: a safetensors file, NumPy's .npy or .npz, or what `torch.save` wrote: a tensor, or a list or dict of
            tensors. If a dict holds lists, as ReStyle's does, the last entry of each list is taken.
        only: a name; if the file has an array of this name, all others are ignored.

    Returns:
        Finite float32 tensors of one to three dimensions.

    Raises:
        CheckpointError: the file is damaged or holds something else; of a pickle, says how to store it again.
    """
    path = Path(path)
    content, metadata = _content(path)
    if metadata.get("format") == "pspkit":
        raise CheckpointError(f"{path}: it is not a file of codes, but of weights. Load it with from_pretrained.")
    if not isinstance(content, dict):
        content = dict(enumerate(content)) if isinstance(content, list | tuple) else {0: content}
    if only in content:
        content = {only: content[only]}
    arrays = {}
    for name, value in content.items():
        value = value[-1] if isinstance(value, list | tuple) and len(value) else value
        value = torch.from_numpy(value) if isinstance(value, np.ndarray) and value.dtype.kind in "fiub" else value
        if not isinstance(value, Tensor) or not value.is_floating_point():
            what = str(value.dtype) if hasattr(value, "dtype") else type(value).__name__
            raise CheckpointError(
                f"{path}: it holds {what}, but codes are arrays of floating-point numbers. Give another file."
            )
        while value.ndim > 3 and len(value) == 1:
            value = value[0]
        if not 1 <= value.ndim <= 3 or not value.numel():
            raise CheckpointError(
                f"{path}: it holds an array of shape {tuple(value.shape)}, which no codes have. Give another file."
            )
        if not value.isfinite().all():
            raise CheckpointError(
                f"{path}: it holds numbers that are not finite, so that nothing can be drawn from it. Make it again."
            )
        arrays[str(name)] = value.float()
    if not arrays:
        raise CheckpointError(f"{path}: it holds no arrays. Give another file.")
    return arrays, metadata


def _content(path: Path) -> tuple[Any, dict[str, str]]:
    try:
        if is_numpy(path):
            found = np.load(path, allow_pickle=False)
            return (found if isinstance(found, np.ndarray) else {name: found[name] for name in found.files}), {}
    except ValueError as error:
        if "allow_pickle" not in str(error):
            raise CheckpointError(f"{path}: it is cut off or damaged ({error}). Make it again.") from error
        raise CheckpointError(
            f"{path}: it is a pickle in NumPy's format, which can run code while it is read; nothing was run. Three"
            " lines store a file that you trust as plain arrays:\n    import numpy as np\n"
            f'    found = np.load("{path.name}", allow_pickle=True).item()\n'
            f'    np.savez("{path.stem}.npz", **{{name: np.array(codes)[-1] for name, codes in found.items()}})'
        ) from error
    except (OSError, EOFError, zipfile.BadZipFile) as error:
        raise CheckpointError(f"{path}: it is cut off or damaged ({error}). Make it again.") from error
    return read_file(path)


def is_numpy(path: Path) -> bool:
    """Whether the content of a file is NumPy's, .npy or .npz."""
    try:
        with path.open("rb") as file:
            head = file.read(6)
        if not head.startswith(b"PK"):
            return head == b"\x93NUMPY"
        with zipfile.ZipFile(path) as archive:
            return bool(archive.namelist()) and all(name.endswith(".npy") for name in archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return False
