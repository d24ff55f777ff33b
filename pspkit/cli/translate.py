"""`translate`: pictures, sketches or label maps through a trained model."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pspkit.cli.output import report
from pspkit.cli.parsing import (
    LAYERS,
    TASK_NAMES,
    add_batch,
    add_command,
    add_device,
    add_model,
    add_overwrite,
    add_save_codes,
    check_used,
)
from pspkit.errors import AssetError, PspkitError, check_choice

if TYPE_CHECKING:
    from pspkit.inference.align import Aligner
    from pspkit.inference.inputs import RemarkOn
    from pspkit.inference.results import Summary
    from pspkit.inference.runtime import OnnxPSP
    from pspkit.psp import PSP

OF_FRAMES = ("files", "task", "domain", "model", "decoder", "out", "from_photograph", "aligned", "fit", "frames")
OF_FRAMES += ("overwrite", "batch", "device")
NOT_EXPORTED = ("variants", "refine", "tune", "iterations", "decoder", "frames", "device")


def add(commands: argparse._SubParsersAction) -> None:
    """Adds the command."""
    translate = add_command(
        commands,
        "translate",
        _translate,
        "put pictures, sketches or label maps through a trained model",
        """Puts pictures through a trained model and writes its answers to DIR as PNG, each under the name of its input:
        photos/a/face.jpg becomes DIR/a/face.png where photos was given, DIR/face.png where the file was. With
        --variants they are face-0.png (the model's own answer), face-1.png and so on.

        Pictures should show what the model was trained on, cropped to a square alike; what looks otherwise is remarked
        on. Photographs of faces are aligned where they are not; --paste puts the answer back into the photograph.
        Results that are there already are left alone. A file that cannot be used is left out and named at the end.
        Where a mask hides a part, the whole result is the model's unless it is pasted.

        Exit code: 0 all done, 1 nothing could be done, 3 some inputs were left out.""",
        [
            "pspkit translate --task sketch --out faces drawings",
            "pspkit translate --domain faces --task encode --out inverted holiday.jpg",
            "pspkit translate --domain faces --task encode --tune 60 --save-codes --paste --out me holiday.jpg",
            "pspkit translate --task inpaint --mask masks --side-by-side --out faces photos",
            "pspkit translate --task sketch --model runs/sketch --variants 4 --seed 1 --out faces drawing.png",
        ],
    )
    translate.add_argument("files", nargs="+", type=Path, metavar="FILE", help="pictures, and folders of them")
    translate.add_argument("--task", required=True, help=f"what the model was trained for: {TASK_NAMES}")
    add_model(translate)
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
        "--from-photograph",
        action="store_true",
        help="sketch, segmentation: the files are aligned photographs of faces; make sketches or label maps of them",
    )
    translate.add_argument(
        "--refine",
        type=int,
        metavar="N",
        help="encode: N steps of optimisation after the encoder, nearer and slower (default: 20 for faces, else 0)",
    )
    translate.add_argument(
        "--tune",
        type=int,
        default=0,
        metavar="N",
        help="encode: N steps that train some of the decoder's layers for each picture, nearer still and much slower;"
        " --save-codes keeps them in NAME.tuned.safetensors (default: 0)",
    )
    translate.add_argument(
        "--iterations",
        type=int,
        metavar="N",
        help="ReStyle: how often the model corrects its answer (default: as in training); --side-by-side shows all",
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
    translate.add_argument(
        "--aligned", action="store_true", help="faces: take the pictures as they are, and look for no face in them"
    )
    translate.add_argument(
        "--face",
        type=int,
        metavar="N",
        help="faces: which one, where a picture shows several (default: 1, the largest)",
    )
    translate.add_argument(
        "--paste", action="store_true", help="write the whole photograph, with the answer in the place of its face"
    )
    translate.add_argument(
        "--fit", metavar="HOW", help="how pictures become square: pad, crop or stretch; undone on the results"
    )
    translate.add_argument(
        "--decoder",
        metavar="FILE",
        help="another decoder than the model's, of as many codes: a file, or a registered name; or faces, the"
        " photographic one, which takes the first 16 of 18 codes",
    )
    translate.add_argument(
        "--frames",
        action="store_true",
        help="every frame of animated pictures as it comes, neither aligned nor refined, into NAME.webp; leaves out"
        " still ones",
    )
    translate.add_argument("--side-by-side", action="store_true", help="source and answers in one picture")
    translate.add_argument(
        "--runtime",
        default="torch",
        help="what computes: torch (default), or onnx, then --model is a file that pspkit export wrote",
    )
    add_save_codes(translate, "NAME.safetensors beside NAME.png, for mix and decode")
    add_overwrite(translate)
    add_batch(translate)
    add_device(translate)


def _translate(arguments: argparse.Namespace) -> int:
    from pspkit.data.tasks import MASKS
    from pspkit.domains import get_domain
    from pspkit.inference import translate

    if arguments.frames:
        check_used(arguments, OF_FRAMES, "does not go together with --frames")
    for name in ("layers", "alpha"):
        if getattr(arguments, name) is not None and not arguments.variants:
            raise PspkitError(f"--{name}: is about variants, and there are none. Add --variants N.")
    if arguments.seed and not arguments.variants and arguments.mask not in MASKS:
        raise PspkitError("--seed: is about variants and masks that are drawn, and there are none. Leave it out.")
    if arguments.face is not None and (arguments.aligned or arguments.domain != "faces"):
        raise PspkitError("--face: is about faces that are looked for, and none are. Leave it out.")
    psp = _model(arguments)
    if arguments.frames:
        return report(_frames(psp, arguments), arguments.out)
    refine = arguments.refine
    if refine is None:
        plain = arguments.task != "encode" or arguments.runtime == "onnx"
        refine = 0 if plain else get_domain(arguments.domain).refine
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
        remark_on=_look(arguments),
        place=_aligner(arguments.face or 1) if arguments.domain == "faces" and not arguments.aligned else None,
        paste=arguments.paste,
        refine=refine,
        tune=arguments.tune,
        domain=arguments.domain,
        from_photograph=arguments.from_photograph,
        iterations=arguments.iterations,
        fit=arguments.fit,
        kept=(arguments.model, arguments.decoder),
    )
    return report(summary, arguments.out)


def _model(arguments: argparse.Namespace) -> "PSP | OnnxPSP":
    from pspkit.inference import find_psp

    check_choice("runtime", arguments.runtime, ("torch", "onnx"))
    if arguments.runtime == "torch":
        return find_psp(arguments.domain, arguments.task, arguments.model, arguments.device, arguments.decoder)
    if arguments.model is None:
        raise PspkitError("--runtime: onnx runs a file. Make one by `pspkit export`, and name it with --model.")
    for name in NOT_EXPORTED:
        if getattr(arguments, name):
            raise PspkitError(f"--{name}: is not in an exported file. Leave it out, or leave out --runtime.")
    from pspkit.inference.runtime import OnnxPSP  # it takes the time that onnx needs to be imported

    return OnnxPSP(arguments.model)


def _frames(psp: "PSP", arguments: argparse.Namespace) -> "Summary":
    from pspkit.inference import translate_frames

    return translate_frames(
        psp,
        arguments.files,
        arguments.out,
        task=arguments.task,
        overwrite=arguments.overwrite,
        batch=arguments.batch,
        fit=arguments.fit,
        from_photograph=arguments.from_photograph,
        kept=(arguments.model, arguments.decoder),
    )


def _look(arguments: argparse.Namespace) -> "RemarkOn | None":
    """What remarks on pictures that are not of the model's kind."""
    from pspkit.inference.inputs import remark_on_photographs

    return remark_on_photographs if arguments.domain == "heads" and not arguments.model else None


def _aligner(which: int) -> "Aligner | None":
    """What aligns faces; None, with a note, where its networks cannot be had."""
    from pspkit.inference.align import Aligner

    try:
        return Aligner(which)
    except AssetError as error:
        print(f"note: pictures are taken as aligned, as nothing can look for faces. {error}", file=sys.stderr)
        return None
