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
)
from pspkit.errors import AssetError, PspkitError

if TYPE_CHECKING:
    from pspkit.inference.align import FaceLook


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
        on. Photographs of faces should be aligned, which `pspkit align` does. Results that are there already are left
        alone. A file that cannot be used is left out and named at the end. Where a mask hides a part, the whole result
        is the model's; the source is not pasted over it.

        Exit code: 0 all done, 1 nothing could be done, 3 some inputs were left out.""",
        [
            "pspkit translate --task sketch --out faces drawings",
            "pspkit translate --domain faces --task encode --refine 50 --out inverted aligned",
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
        "--refine",
        type=int,
        metavar="N",
        help="encode: N steps of optimisation after the encoder, nearer and slower (default: 20 for faces, else 0)",
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
    add_save_codes(translate, "NAME.safetensors beside NAME.png, for mix and decode")
    add_overwrite(translate)
    add_batch(translate)
    add_device(translate)


def _translate(arguments: argparse.Namespace) -> int:
    from pspkit.device import choose_device
    from pspkit.domains import get_domain
    from pspkit.inference import find_psp, translate

    for name in ("layers", "alpha"):
        if getattr(arguments, name) is not None and not arguments.variants:
            raise PspkitError(f"--{name}: is about variants, and there are none. Add --variants N.")
    psp = find_psp(arguments.domain, arguments.task, arguments.model).to(choose_device(arguments.device))
    refine = arguments.refine
    if refine is None:
        refine = get_domain(arguments.domain).refine if arguments.task == "encode" else 0
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
        remark_on=_face_look() if arguments.domain == "faces" else None,
        refine=refine,
        domain=arguments.domain,
    )
    return report(summary, arguments.out)


def _face_look() -> "FaceLook | None":
    """What remarks on faces that are not aligned; None, with a note, where its networks cannot be had."""
    from pspkit.inference.align import FaceLook

    try:
        return FaceLook()
    except AssetError as error:
        print(f"note: nothing looks whether the pictures are aligned. {error}", file=sys.stderr)
        return None
