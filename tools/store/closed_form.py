"""Stores the encoder that `tools.fit_closed_form` fitted, with its card and its sheet.

    python -m tools.store.closed_form OUT FIGURES ...

OUT is that tool's folder, or that of the stored encoder, which is then described anew. FIGURES are what
`pspkit evaluate OUT --json FIGURES` wrote, of drawn faces and of photographs together or apart.
"""

import argparse
import datetime
import json
import shutil
from pathlib import Path

import torch

from pspkit.data.pictures import save_picture
from pspkit.device import native_precision
from pspkit.domains import WEIGHTS
from pspkit.inference.models import find_psp
from pspkit.psp import PSP
from pspkit.storage.checkpoints.files import write_text
from tools.cards import write_overview
from tools.origins import FACES_CLOSED_FORM
from tools.store.faces import check, draw_sheet, rounded

FOLDER = WEIGHTS / FACES_CLOSED_FORM
STORED = ("model.safetensors", "config.json", "log.jsonl")

LICENCE = (
    "The weights descend from MobileFaceNet (InsightFace's w600k_mbf), whose body they hold, and from StyleGAN2-FFHQ"
    " through MobileStyleGAN, which drew what they were fitted on: non-commercial research only."
)
REMARKS = (
    "Nothing was trained: ridge regression from the maps of MobileFaceNet's frozen body to the codes, cut to rank"
    " {rank}. Of the variance of the codes of 500 other drawn faces it explains {r2:.0%} (R² in the log, rank {near})."
    " It is the baseline that a trained encoder has to beat, and appendix A1 builds it."
)


def write_card(figures: list[Path], psp: PSP) -> None:
    """Writes the card of the stored encoder."""
    log = [json.loads(line) for line in (FOLDER / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    measured = [json.loads(file.read_text(encoding="utf-8")) for file in figures]
    faces, rank = max(line.get("faces", 0) for line in log), psp.encoder.config.map2style_width
    near = max((line for line in log if line.get("rank", rank + 1) <= rank), key=lambda line: line["rank"])
    keys = ("name", "count", "seconds", "figures", "mean_face")
    card = {
        "command": f"python -m tools.fit_closed_form --faces {faces} --rank {rank} --out OUT",
        "seed": 0,
        "seconds": round(log[-1]["seconds"]),
        "hardware": log[0]["device"],
        "data": f"{faces:,} faces drawn by MobileStyleGAN and decoded in full; no photograph.",
        "licence": LICENCE,
        "date": datetime.date.today().isoformat(),
        "parameters": sum(parameter.numel() for parameter in psp.encoder.parameters()),
        "measured_by": "pspkit evaluate data/weights/faces-closed-form --photographs DIR --precision "
        + measured[0]["precision"],
        "sets": [{key: rounded(one[key]) for key in keys} for file in measured for one in file["sets"]],
        "check": round(check(psp), 5),
        "remarks": REMARKS.format(rank=rank, r2=near["r2"], near=near["rank"]),
    }
    write_text(FOLDER / "card.json", json.dumps(card, indent=1) + "\n")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tools.store.closed_form", description=__doc__.partition("\n")[0])
    parser.add_argument("out", type=Path, metavar="OUT", help="folder of the fit")
    parser.add_argument("figures", type=Path, nargs="+", metavar="FIGURES", help="what `pspkit evaluate --json` wrote")
    arguments = parser.parse_args()
    FOLDER.mkdir(exist_ok=True)
    if arguments.out.resolve() != FOLDER.resolve():
        for name in STORED:
            shutil.copyfile(arguments.out / name, FOLDER / name)
    psp = find_psp("faces", "encode", FOLDER, device="cpu")
    write_card(arguments.figures, psp)  # in float32, as the test that repeats its check
    psp.decoder.to(getattr(torch, native_precision(torch.device("cpu"))))
    save_picture(FOLDER / "sheet.jpg", draw_sheet(psp))
    write_overview()


if __name__ == "__main__":
    main()
