"""`decode`: saved codes, drawn again."""

import argparse
from pathlib import Path

from pspkit.cli.output import report
from pspkit.cli.parsing import add_batch, add_command, add_device, add_model, add_overwrite, add_task


def add(commands: argparse._SubParsersAction) -> None:
    """Adds the command."""
    decode = add_command(
        commands,
        "decode",
        _decode,
        "draw saved codes again",
        """Draws the pictures of saved codes into DIR: a.safetensors becomes DIR/a.png, or DIR/a-0.png, DIR/a-1.png
        and so on where it holds several. The decoder must be the one that the codes were made for.

        Exit code: 0 all done, 1 nothing could be done, 3 some files were left out.""",
        ["pspkit decode data/samples/codes.safetensors --domain faces --out faces"],
    )
    decode.add_argument(
        "codes", nargs="+", metavar="CODES", help="files of codes, as --save-codes writes them; FILE:3 is row 3 alone"
    )
    decode.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the pictures go")
    add_model(decode)
    add_task(decode)
    add_overwrite(decode)
    add_batch(decode)
    add_device(decode)


def _decode(arguments: argparse.Namespace) -> int:
    from pspkit.device import choose_device
    from pspkit.inference import decode_files, find_decoder

    decoder = find_decoder(arguments.domain, arguments.task, arguments.model).to(choose_device(arguments.device))
    summary = decode_files(
        decoder, arguments.codes, arguments.out, overwrite=arguments.overwrite, batch=arguments.batch
    )
    return report(summary, arguments.out)
