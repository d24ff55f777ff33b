"""Weights in pieces, for a machine from which only small files come back."""

from pathlib import Path

from torch import Tensor, nn

from pspkit.storage.checkpoints.files import read_file, write_tensors

PIECE = 14_000_000  # bytes of weights in one file at most


def write_pieces(folder: Path, state: dict[str, Tensor]) -> None:
    """Writes a state dict in half precision as files `weights-0.safetensors`, …, none larger than `PIECE` bytes."""
    pieces, room = [{}], PIECE
    for name, tensor in state.items():
        size = 2 * tensor.numel()
        if size > room:
            pieces.append({})
            room = PIECE
        pieces[-1][name] = tensor.half()
        room -= size
    for index, piece in enumerate(pieces):
        write_tensors(folder / f"weights-{index}.safetensors", piece, {"format": "pspkit-pieces"})


def read_pieces(folder: Path) -> dict[str, Tensor]:
    """The state dict that `write_pieces` wrote, float32."""
    state = {}
    for file in sorted(folder.glob("weights-*.safetensors")):
        state |= {name: tensor.float() for name, tensor in read_file(file)[0].items()}
    return state


def join_pieces(encoder: nn.Module, run: Path, folder: Path) -> None:
    """Stores the encoder whose weights a training's folder holds in pieces as one model, in half precision."""
    encoder.load_state_dict(read_pieces(run))
    for parameter in encoder.parameters():
        parameter.data = parameter.half()
    encoder.save_pretrained(folder)
