"""`mix`: one face with some codes of another."""

import argparse

from pspkit.cli.output import check_free, one_face, write_result
from pspkit.cli.parsing import LAYERS, add_command, add_device, add_model, add_picture, add_task


def add(commands: argparse._SubParsersAction) -> None:
    """Adds the command."""
    mix = add_command(
        commands,
        "mix",
        _mix,
        "give one face some codes of another",
        """Draws A with some of its codes replaced by those of B. A and B are pictures, which the model encodes, or
        files of codes (ours, or plain arrays in .npy, .npz or .pt), for which no encoder is needed; where a file holds
        several, add the row, as in codes.safetensors:3.""",
        [
            "pspkit mix anna.png berta.png --layers fine --out mixed.png",
            "pspkit mix aligned/anna.png aligned/berta.png --domain faces --layers fine --out mixed.png",
            "pspkit mix data/samples/codes.safetensors:0 data/samples/codes.safetensors:3 --domain faces --layers fine"
            " --out mixed.png",
        ],
    )
    mix.add_argument("first", metavar="A", help="the face that keeps its other codes")
    mix.add_argument("second", metavar="B", help="the face that gives the codes")
    mix.add_argument("--layers", required=True, metavar="LIST", help=f"which codes B gives: {LAYERS}")
    mix.add_argument(
        "--alpha", type=float, default=1.0, metavar="X", help="how much of B they become: 0 none, 1 (default) all"
    )
    mix.add_argument("--side-by-side", action="store_true", help="A, B and the mix in one picture")
    add_model(mix)
    add_task(mix)
    add_picture(mix)
    add_device(mix)


def _mix(arguments: argparse.Namespace) -> None:
    import torch

    from pspkit.device import choose_device
    from pspkit.inference import encode_file, find_decoder, find_psp, is_codes, parse_layers
    from pspkit.inference.codes import split_row
    from pspkit.psp import mix_codes

    given = (arguments.first, arguments.second)
    check_free(arguments, *(split_row(path)[0] for path in given), arguments.model)
    where = (arguments.domain, arguments.task, arguments.model)
    psp = None if all(map(is_codes, given)) else find_psp(*where)
    decoder = psp.decoder if psp else find_decoder(*where)
    (psp or decoder).to(choose_device(arguments.device))
    first, second = (
        one_face(decoder, name) if is_codes(name) else encode_file(psp, name, arguments.task) for name in given
    )
    mixed = mix_codes(first, second, parse_layers(arguments.layers, decoder.n_styles), arguments.alpha)
    shown = torch.cat([first, second, mixed]) if arguments.side_by_side else mixed
    write_result(arguments, decoder, shown, mixed)
