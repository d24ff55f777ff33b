"""`evaluate`: how good a model of photographed faces is."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from pspkit.cli.parsing import add_command, add_device
from pspkit.errors import PspkitError, check_choice
from pspkit.storage.atomic import check_kept

if TYPE_CHECKING:
    from pspkit.inference.evaluation import Result

COLUMNS = {  # heading: the figure's name
    "ArcFace": "arcface",
    "FaceNet": "facenet",
    "others": "facenet_others",
    "first": "facenet_first",
    "LPIPS 128": "lpips_128",
    "LPIPS 256": "lpips_256",
    "MSE": "mse",
    "codes": "codes",
}


def add(commands: argparse._SubParsersAction) -> None:
    """Adds the command."""
    evaluate = add_command(
        commands,
        "evaluate",
        _evaluate,
        "measure how well a model of faces inverts photographs",
        """Measures a model on faces that the decoder draws from codes which no training sees, and on photographs of
        yours; beside it the decoder's mean face. Each figure is a mean with the interval in which it lies in 95 of 100
        resamples of the pictures. With --refine, steps of optimisation follow the encoder, and --start average leaves
        the encoder out: the optimisation alone, to compare with.

        ArcFace and FaceNet: likeness to the own input, 1 at most; no training uses FaceNet. others: FaceNet's likeness
        to other people's inputs. first: share of pictures whose own input is the nearest of all. LPIPS and MSE:
        distances, 0 at best. codes: squared error of the codes, by their variance.

        DIR holds photographs, or a folder for each set of them. Of the sets that data/photographs.json lists, only
        those photographs are taken which are kept to measure on.""",
        [
            "pspkit evaluate --photographs photos",
            "pspkit evaluate --photographs photos --refine 20 --precision bfloat16",
            "pspkit evaluate --photographs photos --drawn 0 --start average --refine 100 --most 16",
            "pspkit evaluate runs/faces/best --drawn 40 --json figures.json",
        ],
    )
    evaluate.add_argument(
        "path", nargs="?", type=Path, metavar="MODEL", help="a model of yours (default: the one that comes with faces)"
    )
    evaluate.add_argument(
        "--photographs", type=Path, metavar="DIR", help="photographs to measure on, besides drawn faces"
    )
    evaluate.add_argument("--aligned", action="store_true", help="the photographs are aligned already")
    evaluate.add_argument(
        "--most", type=int, metavar="N", help="photographs of each set, the first by name (default: all)"
    )
    evaluate.add_argument("--drawn", type=int, default=200, metavar="N", help="how many drawn faces (default: 200)")
    evaluate.add_argument(
        "--precision", default="float32", help="of the decoder: float32 (default) or bfloat16, quicker on some machines"
    )
    evaluate.add_argument(
        "--refine", type=int, default=0, metavar="N", help="steps of optimisation after the encoder (default: 0)"
    )
    evaluate.add_argument(
        "--start",
        default="encoder",
        metavar="CODES",
        help="where the steps start: encoder (default), or average, the mean face's codes",
    )
    evaluate.add_argument("--batch", type=int, default=4, metavar="N", help="pictures at once (default: 4)")
    add_device(evaluate)
    evaluate.add_argument("--json", type=Path, metavar="FILE", help="where to write every figure for machines")


def _evaluate(arguments: argparse.Namespace) -> None:
    import json

    import torch
    from torch.nn.functional import adaptive_avg_pool2d

    from pspkit.inference.evaluation import Judge, drawn_faces, evaluate, photographs, unseen_codes
    from pspkit.inference.models import find_identity, find_psp
    from pspkit.inference.refine import Refiner
    from pspkit.storage.checkpoints.files import write_text

    check_choice("precision", arguments.precision, ("float32", "bfloat16"))
    check_choice("start", arguments.start, ("encoder", "average"))
    if not arguments.drawn and not arguments.photographs:
        raise PspkitError("--drawn: 0, and no --photographs, so there is nothing to measure on. Give one of them.")
    if arguments.aligned and not arguments.photographs:
        raise PspkitError("--aligned: is about photographs, and there are none. Add --photographs DIR.")
    if arguments.most is not None and arguments.most < 2:
        raise PspkitError(f"--most: got {arguments.most}, needs at least 2: it takes two faces to tell people apart.")
    if arguments.most and not arguments.photographs:
        raise PspkitError("--most: is about photographs, and there are none. Add --photographs DIR.")
    if arguments.start == "average" and not arguments.refine:
        raise PspkitError("--start: average alone is the mean face, which is measured anyway. Give --refine as well.")
    if arguments.json:
        check_kept(arguments.json, arguments.path, arguments.photographs)
    psp = find_psp("faces", "encode", arguments.path, arguments.device)
    average = psp.latent_avg
    codes = unseen_codes(psp.decoder, average.mean(0), max(1, arguments.drawn))  # in float32
    psp.decoder.to(getattr(torch, arguments.precision))
    folder, most = arguments.photographs, arguments.most
    sets = photographs(folder, arguments.aligned, most) if folder else []
    if arguments.drawn:
        sets.insert(0, drawn_faces(psp.decoder, codes, arguments.batch))
    refiner = Refiner(psp.decoder, arguments.refine, find_identity("faces")) if arguments.refine else None

    def invert(pictures: torch.Tensor) -> torch.Tensor:
        if arguments.start == "average":
            codes = average.expand(len(pictures), psp.decoder.n_styles, -1)
        else:
            codes = psp.encode(adaptive_avg_pool2d(pictures, psp.encoder.input_size))
        return refiner(codes, adaptive_avg_pool2d(pictures, refiner.side)) if refiner else codes

    results = evaluate(
        invert,
        psp.decoder,
        average,
        sets,
        Judge(average.device),
        arguments.batch,
    )
    for one, result in zip(sets, results, strict=True):
        for reason in one.failed.values():
            print(f"left out: {reason}")
        print(_table(result))
    if arguments.json:
        record = {"model": str(arguments.path or "faces"), "precision": arguments.precision}
        record |= {"start": arguments.start, "refine": arguments.refine}
        record["sets"] = [result.record() for result in results]
        write_text(arguments.json, json.dumps(record, indent=2) + "\n")
        print(arguments.json)


def _table(result: "Result") -> str:
    lines = [f"{result.name}: {result.count} faces, {result.seconds:.2f} s each"]
    if result.remark:
        lines.append(f"  note: {result.remark}")
    lines.append("  {:10}{:>24}{:>24}".format("", "model", "mean face"))
    for heading, name in COLUMNS.items():
        if name in result.figures:
            lines.append(f"  {heading:10}{result.figures[name]!s:>24}{result.mean_face[name]!s:>24}")
    return "\n".join(lines)
