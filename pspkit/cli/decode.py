"""`decode`: saved codes, drawn again."""

import argparse
from pathlib import Path

from pspkit.cli.output import report
from pspkit.cli.parsing import add_batch, add_command, add_device, add_model, add_overwrite, add_task
from pspkit.errors import PspkitError


def add(commands: argparse._SubParsersAction) -> None:
    """Adds the command."""
    decode = add_command(
        commands,
        "decode",
        _decode,
        "draw saved codes again",
        """Draws the pictures of saved codes into DIR: a.safetensors becomes DIR/a.png, or DIR/a-0.png, DIR/a-1.png
        and so on where it holds several. The decoder must be the one that the codes were made for.

        Codes of others are plain arrays in .npy, .npz or .pt. --direction moves all of them first: along a direction
        that ships, as `pspkit edit` names it, or one from a file of `pspkit directions` or of others who found it for
        the same decoder, such as InterFaceGAN's boundaries in W.

        Exit code: 0 all done, 1 nothing could be done, 3 some files were left out.""",
        [
            "pspkit decode data/samples/codes.safetensors --domain faces --out faces",
            "pspkit decode latents.npz --domain faces --direction smile.pt --step 2 --out smiling",
        ],
    )
    decode.add_argument(
        "codes",
        nargs="+",
        metavar="CODES",
        help="files of codes, as --save-codes writes them, or plain arrays of others; FILE:3 is row 3 alone",
    )
    decode.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the pictures go")
    decode.add_argument("--direction", metavar="NAME", help="a direction to move along: a name, FILE, or FILE:NAME")
    decode.add_argument(
        "--step", type=float, metavar="X", help="how far along it: 1 (default) its whole length, negative backwards"
    )
    add_model(decode)
    add_task(decode)
    add_overwrite(decode)
    add_batch(decode)
    add_device(decode)


def _decode(arguments: argparse.Namespace) -> int:
    from pspkit.device import choose_device
    from pspkit.inference import decode_files, find_decoder
    from pspkit.inference.directions import load_direction

    decoder = find_decoder(arguments.domain, arguments.task, arguments.model).to(choose_device(arguments.device))
    if arguments.step is not None and not arguments.direction:
        raise PspkitError("--step: is about a direction, and there is none. Add --direction NAME.")
    remarks: list[str] = []
    move = None
    if arguments.direction:
        way = load_direction(arguments.direction, decoder, arguments.domain, remarks)
        move = way * (1.0 if arguments.step is None else arguments.step)
    summary = decode_files(
        decoder,
        arguments.codes,
        arguments.out,
        overwrite=arguments.overwrite,
        batch=arguments.batch,
        move=move,
        kept=(arguments.model,),
    )
    if move is not None:
        summary.remark(Path(arguments.direction), remarks)
    return report(summary, arguments.out)
