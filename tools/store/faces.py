"""Stores the encoder of photographs that `tools.train_faces` trained, with its card and its sheet.

    python -m tools.store.faces RUN FIGURES --machine "NVIDIA H200"

RUN is that training's folder, and FIGURES what `pspkit evaluate RUN --photographs DIR --json FIGURES` wrote. Where RUN
holds weights in pieces, they are stored as one model in half precision; without them, the stored model is described
anew. The sheet shows drawn faces that no training saw, and two photographs in the public domain: nobody else.
"""

import argparse
import datetime
import json
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from pspkit.course.run import ROOT
from pspkit.data.pictures import open_picture, save_picture
from pspkit.domains import WEIGHTS
from pspkit.inference.evaluation import SIDE, decode, unseen_codes
from pspkit.inference.models import find_psp
from pspkit.losses.identity import IdentityLoss
from pspkit.models.mobile_facenet import load_mobile_facenet
from pspkit.psp import PSP
from pspkit.storage.checkpoints.files import write_text
from tools.cards import write_overview
from tools.faces.pieces import join_pieces
from tools.origins import FACES_ENCODE
from tools.train_faces.run import new_encoder

FOLDER = WEIGHTS / FACES_ENCODE
PHOTOGRAPHS = ("collins_aligned.jpg", "hopper_aligned.jpg")  # of data/samples: works of the United States government
COLUMNS, SHOWN = 8, 16  # pictures in a row of the sheet, and in all
SHEET_SIDE = 160  # pixels
CHECKED = 2  # drawn faces that a test measures again

LICENCE = (
    "The weights descend from MobileFaceNet (InsightFace's w600k_mbf), from which the encoder's body starts, and from"
    " StyleGAN2-FFHQ through MobileStyleGAN, which drew what it learned from: non-commercial research only."
)
DATA = (
    "Faces drawn by MobileStyleGAN, without end; from 30 % of the time on a quarter of every batch are 204 photographs:"
    " 104 of the Face Research Lab London Set (DeBruine and Jones 2017, doi:10.6084/m9.figshare.5047666, CC BY 4.0) and"
    " 100 portraits of nobody (faker-js/assets-person-portrait on GitHub, CC0). data/photographs.json names them, and"
    " those that were kept to measure on."
)
REMARKS = (
    "The photographs that it learned from come back with a likeness of 0.90 by ArcFace (the log's last line), those"
    " that were kept to measure on with little more than half of that: it knows 204 photographs by heart, and more"
    " photographs would probably help more than more steps. ArcFace is the"
    " network of the training's identity loss; FaceNet had no part in it."
)


def store_model(run: Path) -> None:
    """Joins the pieces of a training to one model in half precision."""
    join_pieces(new_encoder(), run, FOLDER)


def draw_sheet(psp: PSP) -> Tensor:
    """Inputs, and below each what is decoded in full from its codes: (3, H, W) in [-1, 1]."""
    photographs = [open_picture(ROOT / "data" / "samples" / name).as_subclass(Tensor) for name in PHOTOGRAPHS]
    photographs = adaptive_avg_pool2d(torch.stack(photographs).float() / 127.5 - 1, SIDE)
    drawn = decode_all(psp, unseen_codes(psp.decoder, psp.latent_avg[0], SHOWN - len(photographs)))
    inputs = torch.cat([photographs, drawn])
    rows = []
    for part in zip(inputs.split(COLUMNS), invert(psp, inputs).split(COLUMNS), strict=True):
        rows += [torch.cat(list(adaptive_avg_pool2d(row, SHEET_SIDE)), 2) for row in part]
    return torch.cat(rows, 1)


@torch.no_grad()
def invert(psp: PSP, pictures: Tensor) -> Tensor:
    """Pictures (N, 3, 256, 256) in [-1, 1] to what is decoded from their codes, alike."""
    return decode_all(psp, psp.encode(adaptive_avg_pool2d(pictures, psp.encoder.input_size)))


def decode_all(psp: PSP, codes: Tensor) -> Tensor:
    """Codes to pictures (N, 3, 256, 256), one at a time: at 1024 px each needs much memory."""
    return torch.cat([decode(psp.decoder, code) for code in codes.split(1)])


def check(psp: PSP) -> float:
    """ArcFace's mean likeness on a few drawn faces, which a test repeats."""
    drawn = decode_all(psp, unseen_codes(psp.decoder, psp.latent_avg[0], CHECKED))
    identity = IdentityLoss(load_mobile_facenet())
    with torch.no_grad():
        return (identity.embed(invert(psp, drawn)) * identity.embed(drawn)).sum(1).mean().item()


def write_card(run: Path, figures: Path, machine: str, psp: PSP) -> None:
    """Writes the card and the training's log."""
    measured = json.loads(figures.read_text(encoding="utf-8"))
    keys = ("name", "count", "seconds", "figures", "mean_face")
    found = {
        "measured_by": "pspkit evaluate --photographs DIR --precision " + measured["precision"],
        "sets": [{key: rounded(one[key]) for key in keys} for one in measured["sets"]],
        "check": round(check(psp), 5),
        "remarks": REMARKS,
    }
    command = "python -m tools.train_faces --minutes 7.2 --photographs DIR --out runs/faces"
    store_card(FOLDER, run, command, machine, DATA, psp, found)


def store_card(folder: Path, run: Path, command: str, machine: str, data: str, psp: PSP, found: dict) -> None:
    """Writes the card of a training and its log: how it was trained, on what, and what was found out about it."""
    log = (run / "log.jsonl").read_text(encoding="utf-8")
    last = json.loads(log.splitlines()[-1])
    card = {
        "command": command,
        "seed": 0,
        "steps": last["step"],
        "seconds": round(last["seconds"]),
        "hardware": machine,
        "data": data,
        "licence": LICENCE,
        "date": datetime.date.today().isoformat(),
        "parameters": sum(parameter.numel() for parameter in psp.encoder.parameters()),
    }
    write_text(folder / "log.jsonl", log)
    write_text(folder / "card.json", json.dumps(card | found, indent=1) + "\n")


def rounded(value: object) -> object:
    """The same with every number at four decimals."""
    if isinstance(value, dict):
        return {key: rounded(part) for key, part in value.items()}
    return round(value, 4) if isinstance(value, float) else value


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tools.store.faces", description=__doc__.partition("\n")[0])
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of the training")
    parser.add_argument("figures", type=Path, metavar="FIGURES", help="what `pspkit evaluate --json` wrote")
    parser.add_argument("--machine", required=True, help="what it was trained on, in words")
    arguments = parser.parse_args()
    if any(arguments.run.glob("weights-*.safetensors")):
        store_model(arguments.run)
    psp = find_psp("faces", "encode", device="cpu")
    save_picture(FOLDER / "sheet.jpg", draw_sheet(psp))
    write_card(arguments.run, arguments.figures, arguments.machine, psp)
    write_overview()


if __name__ == "__main__":
    main()
