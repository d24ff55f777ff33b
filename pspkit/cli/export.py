"""`export`: a trained model as a file that needs no pspkit."""

import argparse
import json
from pathlib import Path

from pspkit.cli.output import check_new
from pspkit.cli.parsing import add_command, add_overwrite, add_task
from pspkit.errors import PspkitError, check_choice
from pspkit.storage.atomic import check_kept

MIT = "MIT"
OF_FACES = (
    "non-commercial research only: the decoder descends from StyleGAN2-FFHQ, the encoder also from InsightFace's"
    " w600k_mbf"
)


def add(commands: argparse._SubParsersAction) -> None:
    """Adds the command."""
    export = add_command(
        commands,
        "export",
        _export,
        "write a model as a file for other programs: ONNX, or torch.export",
        """Writes a trained model, or a part of it, as an ONNX file, runs the file by onnxruntime, and prints how its
        results and its time compare with PyTorch's. Sizes, ranges and licence stand in the file's metadata. With
        --to torch it is a program of torch.export, which torch.export.load reads where there is PyTorch but no pspkit.

        psp takes a picture (sketch, label map) and gives its W+ codes and the model's answer; encoder gives the codes
        alone; decoder takes codes; preview takes codes and gives a small picture, where the decoder has one.

        float16 stores weights in half and computes in float32. int8 computes convolutions in 8 bits, whose ranges it
        takes from 16 example inputs. What both lose is printed. A smaller file is not always a faster one.

        It needs the extra packages of pip install 'pspkit[export]'.""",
        [
            "pspkit export --task sketch --out sketch.onnx",
            "pspkit export runs/sketch --task sketch --part encoder --precision int8 --out encoder.onnx",
            "pspkit export --to torch --part encoder --out encoder.pt2",
            "pspkit export --domain faces --part preview --precision float16 --out preview.onnx",
        ],
    )
    export.add_argument(
        "path", nargs="?", type=Path, metavar="MODEL", help="a model of your own (default: the domain's)"
    )
    export.add_argument("--domain", default="heads", help="heads (default) or faces: whose model, and whose examples")
    add_task(export)
    export.add_argument("--to", default="onnx", help="the format: onnx (default) or torch, in float32")
    export.add_argument("--part", default="psp", help="psp (default), encoder, decoder or preview")
    export.add_argument("--precision", default="float32", help="float32 (default), float16 or int8")
    export.add_argument(
        "--batch", type=int, metavar="N", help="make the file for exactly N inputs at once (default: any number)"
    )
    export.add_argument("--out", type=Path, required=True, metavar="FILE", help="the file to write, an .onnx or .pt2")
    add_overwrite(export)


def _export(arguments: argparse.Namespace) -> None:
    from pspkit.inference import find_psp
    from pspkit.inference.export import FORMATS, export
    from pspkit.inference.models import find_identity

    check_choice("to", arguments.to, tuple(FORMATS))
    if arguments.out.suffix != FORMATS[arguments.to]:
        raise PspkitError(f"--out: got {arguments.out}, needs a name that ends in {FORMATS[arguments.to]}.")
    check_new(arguments.out, arguments.overwrite)
    if arguments.path and not arguments.path.is_dir():  # no file of a model's folder ends in .onnx
        check_kept(arguments.out, arguments.path)
    verdict = export(
        find_psp(arguments.domain, arguments.task, arguments.path, "cpu"),
        arguments.out,
        to=arguments.to,
        part=arguments.part,
        precision=arguments.precision,
        batch=arguments.batch,
        task=arguments.task,
        domain=arguments.domain,
        licence=_licence(arguments),
        identity=find_identity(arguments.domain) if arguments.precision != "float32" else None,
    )
    print(f"{arguments.out}: {verdict}")


def _licence(arguments: argparse.Namespace) -> str:
    """Whose terms hold for what is written: those of weights that ship, or what a model's own card says."""
    if arguments.path is None:
        return {"heads": MIT, "faces": OF_FACES}.get(arguments.domain, "unknown")
    card = arguments.path / "card.json"
    known = json.loads(card.read_text(encoding="utf-8")) if card.is_file() else {}
    return known.get("licence", "that of the model it was made from")
