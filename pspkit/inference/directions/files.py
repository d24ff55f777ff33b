"""Directions on disk: tensors by their names."""

from pathlib import Path

from torch import Tensor

from pspkit.domains import WEIGHTS
from pspkit.errors import CheckpointError, PspkitError, check_choice
from pspkit.inference.codes import first_styles, say_first_sixteen
from pspkit.inference.directions.attributes import ATTRIBUTES
from pspkit.inference.directions.heads import CONTRASTS
from pspkit.models.registry import AnyDecoder, example_tensor
from pspkit.storage.checkpoints.codes import read_arrays
from pspkit.storage.checkpoints.files import check_stored, read_file, write_tensors

FORMAT = "pspkit directions"
HEAD_DIRECTIONS = WEIGHTS / "heads-directions.safetensors"
FACE_DIRECTIONS = WEIGHTS / "faces-directions.safetensors"
SHIPPED = {"heads": HEAD_DIRECTIONS, "faces": FACE_DIRECTIONS}
ORDER = tuple(dict.fromkeys((*ATTRIBUTES, *CONTRASTS)))


def save_directions(path: str | Path, directions: dict[str, Tensor]) -> None:
    """Writes directions (n_styles, style_dim) by their names, ours or your own, in float32.

    Raises:
        CheckpointError: the file could not be written; the one that stood there is untouched.
    """
    write_tensors(Path(path), {name: way.float().cpu() for name, way in directions.items()}, {"format": FORMAT})


def load_directions(path: str | Path = HEAD_DIRECTIONS) -> dict[str, Tensor]:
    """What `save_directions` wrote: ours in the order of their tables, then the others by name.

    Raises:
        CheckpointError: not there, damaged, no such file, or its directions are none.
    """
    content, metadata = read_file(Path(path))
    if metadata.get("format") != FORMAT:
        raise CheckpointError(f"{path}: not a file of directions. Make one with `pspkit directions`.")
    if not content:
        raise CheckpointError(f"{path}: holds no directions. Make them with `pspkit directions`.")
    for name, way in content.items():
        check_stored(Path(path), name, way, ("n_styles", "style_dim"))
    known = [name for name in ORDER if name in content]
    return {name: content[name] for name in (*known, *sorted(content.keys() - set(ORDER)))}


def split_direction(direction: str | Path) -> tuple[str, str]:
    """A direction that may be `FILE:NAME`, as file and name; the name is empty where there is none."""
    text = str(direction)
    if not Path(text).exists() and Path(text.rpartition(":")[0]).is_file():
        file, _, name = text.rpartition(":")
        return file, name
    return text, ""


def load_direction(
    direction: str | Path, decoder: AnyDecoder, domain: str = "faces", remarks: list[str] | None = None
) -> Tensor:
    """One direction for a decoder: one that ships by its name, or one from a file of anybody's.

    Others store a direction as a plain array: InterFaceGAN's boundaries and e4e's are one vector of W, which moves all
    codes alike; those in W+ have a row for each code.

    Args:
        direction: a name, such as "smile" or "hair length" ("hair-length" is the same). Or a file of `save_directions`
            or of arrays as `read_arrays` takes them: its only one, or `FILE:NAME`.
        decoder: draws the codes that are moved.
        domain: whose directions a name means.
        remarks: as `load_w_plus` takes them.

    Returns:
        (n_styles, style_dim), on the decoder's device.

    Raises:
        PspkitError: no such direction or file.
        CheckpointError: the file cannot be read, holds several and none is named, or one of another decoder's codes.
    """
    file, name = split_direction(direction)
    if Path(file).exists():
        ways, _ = read_arrays(file, name)
        if not name and len(ways) == 1:
            (name,) = ways
        if name not in ways:
            known = ", ".join(f"{file}:{one}" for one in ways)
            raise CheckpointError(f"{direction}: names no direction of the file. It holds {known}.")
    else:
        if domain not in SHIPPED:
            raise PspkitError(f"direction: got {file!r}, and none come with {domain}. Give a file of one.")
        if Path(file).suffix:
            raise PspkitError(f"{file}: no such file.")
        ways, name = load_directions(SHIPPED[domain]), file.replace("-", " ").replace("_", " ")
        check_choice("direction", name, tuple(ways))
    way = ways[name]
    if way.ndim == 3 and len(way) == 1:
        way = way[0]
    n_styles, style_dim = decoder.n_styles, decoder.style_dim
    fitting = way if way.ndim == 1 or way.shape[:-1] == (1,) else first_styles(decoder, way) if way.ndim == 2 else None
    if way.shape[-1] != style_dim or fitting is None:
        raise CheckpointError(
            f"{direction}: a direction of shape {tuple(way.shape)}, but the decoder takes {n_styles} codes of"
            f" {style_dim}. It was found for another decoder, and means nothing in this one. Name that decoder's"
            " domain, or find a direction anew with `pspkit directions`."
        )
    if len(fitting) != len(way):
        say_first_sixteen(remarks)
    return fitting.expand(n_styles, -1).to(example_tensor(decoder)).clone()
