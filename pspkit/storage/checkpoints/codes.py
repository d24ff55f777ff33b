"""Codes on disk, together with the space they live in."""

from pathlib import Path

from torch import Tensor

from pspkit.errors import CheckpointError, check_choice, check_tensor
from pspkit.storage.checkpoints.files import read_file, write_tensors

CODES_FORMAT = "pspkit codes"
SHAPES = {"z": ("N", "style_dim"), "w": ("N", "style_dim"), "w_plus": ("N", "n_styles", "style_dim")}
DECODED_BY = {"z": "decode_z", "w": "decode_w", "w_plus": "decode"}  # methods of PSP


def save_codes(path: str | Path, codes: Tensor, space: str) -> None:
    """Saves codes in float32, atomically.

    Args:
        path: the safetensors file to write.
        codes: (N, style_dim) of z or w, (N, n_styles, style_dim) of W+.
        space: "z", "w" or "w_plus".

    Raises:
        PspkitError: no such space, or codes of a shape that it does not have.
        CheckpointError: the file could not be written.
    """
    check_choice("space", space, tuple(SHAPES))
    check_tensor("codes", codes, SHAPES[space])
    write_tensors(Path(path), {"codes": codes.float()}, {"format": CODES_FORMAT, "space": space})


def load_codes(path: str | Path, space: str = "w_plus") -> Tensor:
    """Loads codes of the space that the caller is going to decode from.

    Args:
        path: a file of `save_codes`.
        space: "z", "w" or "w_plus".

    Returns:
        The codes, float32, on the CPU: (N, style_dim) of z or w, (N, n_styles, style_dim) of W+.

    Raises:
        CheckpointError: damaged, not a file of codes, or codes of another space.
    """
    check_choice("space", space, tuple(SHAPES))
    codes, stored = read_codes(path)
    if stored != space:
        raise CheckpointError(
            f"{path}: holds codes of {stored}, not of {space}."
            f' Load them with load_codes(path, "{stored}") and decode them with PSP.{DECODED_BY[stored]}.'
        )
    return codes


def read_codes(path: str | Path) -> tuple[Tensor, str]:
    """Loads codes of whatever space, and says of which.

    Args:
        path: a file of `save_codes`.

    Returns:
        As `load_codes`; and "z", "w" or "w_plus".

    Raises:
        CheckpointError: damaged, or not a file of codes.
    """
    content, metadata = read_file(Path(path))
    if metadata.get("format") != CODES_FORMAT or metadata.get("space") not in SHAPES:
        raise CheckpointError(f"{path}: not a file of codes. Give one that save_codes wrote.")
    return content["codes"].clone(), metadata["space"]
