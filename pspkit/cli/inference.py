"""A trained model at work: `translate`, `mix`, `project` and `decode`."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from pspkit.cli.parsing import add_command
from pspkit.errors import PspkitError

if TYPE_CHECKING:
    from torch import Tensor

    from pspkit.domains import Decoder
    from pspkit.inference import Summary

SOME_LEFT_OUT = 3  # the exit code where some inputs are done and others could not be
TASKS = "encode, frontalize, sketch, segmentation, super_resolution, colorize, inpaint or toonify"
LAYERS = "coarse (0-2: pose and shape), middle (3-6: features), fine (7 on: colours and texture), or a list as 0-3,8"


def add(commands: argparse._SubParsersAction) -> None:
    """Adds the commands."""
    translate = add_command(
        commands,
        "translate",
        _translate,
        "put pictures, sketches or label maps through a trained model",
        """Puts pictures through a trained model and writes its answers to DIR as PNG, each under the name of its input:
        photos/a/face.jpg becomes DIR/a/face.png where photos was given, DIR/face.png where the file was. With
        --variants they are face-0.png (the model's own answer), face-1.png and so on.

        Pictures should show what the model was trained on, cropped to a square alike; what looks otherwise is remarked
        on. Results that are there already are left alone. A file that cannot be used is left out and named at the end.
        Where a mask hides a part, the whole result is the model's; the source is not pasted over it.

        Exit code: 0 all done, 1 nothing could be done, 3 some inputs were left out.""",
        [
            "pspkit translate --task sketch --out faces drawings",
            "pspkit translate --task inpaint --mask masks --side-by-side --out faces photos",
            "pspkit translate --task sketch --model runs/sketch --variants 4 --seed 1 --out faces drawing.png",
        ],
    )
    translate.add_argument("files", nargs="+", type=Path, metavar="FILE", help="pictures, and folders of them")
    translate.add_argument("--task", required=True, help=f"what the model was trained for: {TASKS}")
    _add_model(translate)
    translate.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the results go")
    translate.add_argument(
        "--factor",
        type=int,
        metavar="N",
        help="super_resolution: make each picture N times smaller first (default: 1, it is as small as it came)",
    )
    translate.add_argument(
        "--mask",
        metavar="X",
        help="inpaint: a picture whose white is missing, or a folder of them named as the pictures are, or rectangles,"
        " strokes or half to draw one",
    )
    translate.add_argument(
        "--variants", type=int, default=0, metavar="N", help="N more answers to each input, in styles drawn at random"
    )
    translate.add_argument(
        "--layers", help=f"which codes the variants change: {LAYERS} (default: the finer half)", metavar="LIST"
    )
    translate.add_argument(
        "--alpha", type=float, metavar="A", help="how far the variants go: 0 not at all, 1 (default) all the way"
    )
    translate.add_argument("--seed", type=int, default=0, metavar="S", help="of variants and masks (default: 0)")
    translate.add_argument("--side-by-side", action="store_true", help="source and answers in one picture")
    _add_save_codes(translate, "NAME.safetensors beside NAME.png, for mix and decode")
    _add_overwrite(translate)
    _add_batch(translate)

    mix = add_command(
        commands,
        "mix",
        _mix,
        "give one face some codes of another",
        """Draws A with some of its codes replaced by those of B. A and B are pictures, which the model encodes, or
        files of codes, for which no encoder is needed; where a file holds several, add the row, as in
        codes.safetensors:3.""",
        [
            "pspkit mix anna.png berta.png --layers fine --out mixed.png",
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
    _add_model(mix)
    _add_task(mix)
    _add_picture(mix)

    project = add_command(
        commands,
        "project",
        _project,
        "find the codes of a picture by optimisation",
        """Searches the codes that draw PICTURE best, step by step: slower than an encoder, and nearer. It
        starts from the encoder's codes where there is a trained encoder, else from the average face, and prints the
        mean squared error before and after. Every step draws the picture and goes back through it; at 1024 px that is
        for a GPU.""",
        ["pspkit project anna.png --save-codes --out projected.png"],
    )
    project.add_argument("file", type=Path, metavar="PICTURE", help="what is to be found")
    project.add_argument("--steps", type=int, default=500, metavar="N", help="how many steps (default: 500)")
    _add_model(project)
    _add_picture(project)

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
    _add_model(decode)
    _add_task(decode)
    _add_overwrite(decode)
    _add_batch(decode)


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--domain", default="heads", help="heads (rendered ones, default) or faces (photographs): whose model is used"
    )
    parser.add_argument(
        "--model",
        type=Path,
        metavar="DIR",
        help="a model of your own, such as a training's folder (default: the domain's)",
    )


def _add_task(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--task", default="encode", help="what the model was trained for (default: encode)")


def _add_picture(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the picture to write, a .png")
    _add_save_codes(parser, "FILE.safetensors beside FILE.png")
    _add_overwrite(parser)


def _add_save_codes(parser: argparse.ArgumentParser, where: str) -> None:
    parser.add_argument("--save-codes", action="store_true", help=f"keep the codes too, {where}")


def _add_overwrite(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--overwrite", action="store_true", help="replace results that are there")


def _add_batch(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--batch", type=int, default=8, metavar="N", help="pictures at once; fewer where memory is short (default: 8)"
    )


def _translate(arguments: argparse.Namespace) -> int:
    from pspkit.inference import find_psp, translate

    for name in ("layers", "alpha"):
        if getattr(arguments, name) is not None and not arguments.variants:
            raise PspkitError(f"--{name}: is about variants, and there are none. Add --variants N.")
    psp = find_psp(arguments.domain, arguments.task, arguments.model)
    summary = translate(
        psp,
        arguments.files,
        arguments.out,
        task=arguments.task,
        factor=arguments.factor,
        mask=arguments.mask,
        variants=arguments.variants,
        layers=arguments.layers,
        alpha=1.0 if arguments.alpha is None else arguments.alpha,
        seed=arguments.seed,
        side_by_side=arguments.side_by_side,
        save_codes=arguments.save_codes,
        overwrite=arguments.overwrite,
        batch=arguments.batch,
    )
    return _report(summary, arguments.out)


def _mix(arguments: argparse.Namespace) -> None:
    import torch

    from pspkit.inference import encode_file, find_decoder, find_psp, is_codes, load_w_plus, parse_layers
    from pspkit.psp import mix_codes

    _check_free(arguments)
    given = (arguments.first, arguments.second)
    where = (arguments.domain, arguments.task, arguments.model)
    psp = None if all(map(is_codes, given)) else find_psp(*where)
    decoder = psp.decoder if psp else find_decoder(*where)
    faces = []
    for name in given:
        codes = load_w_plus(decoder, name) if is_codes(name) else encode_file(psp, name, arguments.task)
        if len(codes) > 1:
            raise PspkitError(f"{name}: holds {len(codes)} faces. Name one, as in {name}:0.")
        faces.append(codes)
    first, second = faces
    mixed = mix_codes(first, second, parse_layers(arguments.layers, decoder.n_styles), arguments.alpha)
    shown = torch.cat([first, second, mixed]) if arguments.side_by_side else mixed
    _write(arguments, decoder, shown, mixed)


def _project(arguments: argparse.Namespace) -> None:
    from pspkit.inference import find_parts, project_file

    _check_free(arguments)
    psp, decoder = find_parts(arguments.domain, "encode", arguments.model)
    found = project_file(decoder, arguments.file, arguments.steps, psp)
    start = "the encoder's codes" if psp else "the average face"
    print(f"mean squared error: {found.start_error:.4f} of {start}, {found.error:.4f} after {arguments.steps} steps")
    _write(arguments, decoder, found.codes, found.codes)


def _decode(arguments: argparse.Namespace) -> int:
    from pspkit.inference import decode_files, find_decoder

    decoder = find_decoder(arguments.domain, arguments.task, arguments.model)
    summary = decode_files(
        decoder, arguments.codes, arguments.out, overwrite=arguments.overwrite, batch=arguments.batch
    )
    return _report(summary, arguments.out)


def _report(summary: "Summary", out: Path) -> int:
    print(f"{summary} to {out}")
    if not summary.failed:
        return 0
    return SOME_LEFT_OUT if summary.written or summary.existing else 1


def _check_free(arguments: argparse.Namespace) -> None:
    """Refuses, before anything is computed, an --out that no picture can be written to."""
    if arguments.out.suffix.lower() != ".png":
        raise PspkitError(f"--out: got {arguments.out}, needs a name that ends in .png.")
    for path in (arguments.out, arguments.out.with_suffix(".safetensors"))[: 1 + arguments.save_codes]:
        if path.exists() and not arguments.overwrite:
            raise PspkitError(f"{path}: is there already. Name another file, or replace it with --overwrite.")


def _write(arguments: argparse.Namespace, decoder: "Decoder", shown: "Tensor", codes: "Tensor") -> None:
    from pspkit.checkpoints import save_codes
    from pspkit.inference import draw, write_png

    write_png(arguments.out, draw(decoder, shown))
    print(arguments.out)
    if arguments.save_codes:
        path = arguments.out.with_suffix(".safetensors")
        save_codes(path, codes, "w_plus")
        print(path)
