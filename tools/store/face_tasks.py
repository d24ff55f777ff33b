"""Stores the encoders of photographs that `tools.train_face_tasks` trained, each with its card, its log and its sheet.

    python -m tools.store.face_tasks RUN --machine "NVIDIA H100"

RUN is that training's folder. Where RUN/NAME holds weights in pieces, they are stored as one model in half precision;
without them, the stored model is described anew. The sheets show two photographs in the public domain and faces that
the decoder drew and no training saw: nobody else.
"""

import argparse
import json
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.transforms.v2.functional import resize

from pspkit.course.run import ROOT
from pspkit.data.pictures import open_picture, save_picture
from pspkit.data.tasks import draw_mask, get_task
from pspkit.domains import WEIGHTS
from pspkit.inference.evaluation import unseen_codes
from pspkit.inference.models import find_psp
from pspkit.losses.identity import IdentityLoss
from pspkit.models.encoders import ENCODERS
from pspkit.models.mobile_facenet import load_mobile_facenet
from pspkit.psp import PSP
from tools.cards import write_overview
from tools.faces.pictures import INPUT_SIDE, SIDE, from_bytes, to_bytes
from tools.faces.pieces import join_pieces
from tools.origins import FACE_TASKS
from tools.store.faces import PHOTOGRAPHS, decode_all, store_card
from tools.train_face_tasks.plans import PLANS

TASKS_OF = {"restore": ("super_resolution", "colorize", "inpaint")}  # the others are called as their task is
FACTOR = 8  # of super-resolution on the sheet: 16 px are left
DRAWN = 6  # drawn faces on a sheet
SHEET_SIDE = 160  # pixels

COMMAND = "python -m tools.train_face_tasks --photographs DIR --out runs/face-tasks"
DATA = (
    "40,000 faces that MobileStyleGAN drew in full, their codes known, 30 % of them with codes between those of two"
    " photographs; and 15 of 100 pictures of a batch are 204 photographs and their mirror images, with the codes that"
    " the encoder of `encode` and 25 steps of refinement find for them: 104 of the Face Research Lab London Set"
    " (DeBruine and Jones 2017, doi:10.6084/m9.figshare.5047666, CC BY 4.0) and 100 portraits of nobody"
    " (faker-js/assets-person-portrait on GitHub, CC0). data/photographs.json names them, and those that were kept to"
    " measure on. The body starts from that of `encode`."
)
REMARKS = {
    "restore": (
        "One encoder for super-resolution, colourisation and inpainting: half of every batch is grey or masked or both,"
        " the other half small, and some of those grey or masked as well. Whether three encoders would be better was"
        " not measured."
    ),
    "sketch": "The sketches are line drawings by `pspkit.data.faces.sketch`, of four pens in every batch.",
    "segmentation": "The label maps are those of the asset `face-parsing`. Identity has no weight.",
    "frontalize": (
        "Half of the inputs are mirrored and no target is, as the paper does it. LPIPS and pixels compare with a"
        " picture that is not the answer; what is asked for is identity."
    ),
}


def store_model(name: str, run: Path) -> None:
    """Joins the pieces of a training to one model in half precision."""
    plan = PLANS[name]
    encoder = ENCODERS[plan.kind](
        n_styles=16,
        input_nc=plan.input_nc,
        input_size=INPUT_SIDE,
        map2style_width=plan.width,
        backbone="mobile_facenet",
    )
    join_pieces(encoder, run, WEIGHTS / f"faces-{name}")


def photographs() -> list[Tensor]:
    """The two that may be shown, as bytes (3, S, S)."""
    return [open_picture(ROOT / "data" / "samples" / name) for name in PHOTOGRAPHS]


def drawn_faces(psp: PSP) -> list[Tensor]:
    """Faces that no training saw, as bytes (3, 256, 256)."""
    return list(to_bytes(decode_all(psp, unseen_codes(psp.decoder, psp.latent_avg[0], DRAWN))))


def make_sources(task: str, pictures: list[Tensor], side: int) -> Tensor:
    """What the encoder is given of each picture (N, input_nc, side, side)."""
    found, torch_state = get_task(task), torch.random.get_rng_state()
    torch.manual_seed(0)
    sources = []
    for picture in pictures:
        option = {"factor": FACTOR, "mask": draw_mask("rectangles", (side, side))}.get(found.option)
        source = found.source_of(picture) if found.from_photograph else picture
        sources.append(found.inference_source(source, side, option))
    torch.random.set_rng_state(torch_state)
    return torch.stack(sources)


@torch.no_grad()
def draw_sheet(psps: dict[str, PSP]) -> Tensor:
    """Of each task what goes in and what comes out, and at last the truth: (3, H, W) in [-1, 1]."""
    first = next(iter(psps.values()))
    pictures, rows = [*photographs(), *drawn_faces(first)], []
    for task, psp in psps.items():
        sources = make_sources(task, pictures, psp.encoder.input_size)
        outputs = decode_all(psp, psp.encode(sources))
        rows += [get_task(task).show_source(sources), outputs.clamp(-1, 1)]
    truth = torch.stack([resize(torch.as_tensor(picture), [SIDE, SIDE]) for picture in pictures])
    rows.append(from_bytes(truth))
    return torch.cat([torch.cat(list(resize(row, [SHEET_SIDE] * 2)), 2) for row in rows], 1)


@torch.no_grad()
def check(psp: PSP, task: str) -> float:
    """ArcFace's mean likeness on the two photographs, through the preview: a test repeats it."""
    pictures = torch.stack([resize(torch.as_tensor(picture), [SIDE, SIDE]) for picture in photographs()])
    outputs = psp.decoder.preview(psp.encode(make_sources(task, photographs(), psp.encoder.input_size)), SIDE)
    identity = IdentityLoss(load_mobile_facenet())
    ours, theirs = (identity.embed(x) for x in (outputs.float().clamp(-1, 1), from_bytes(pictures)))
    return F.cosine_similarity(ours, theirs).mean().item()


def store(name: str, run: Path, machine: str) -> None:
    """Stores one encoder, and writes its card, log and sheet."""
    folder = WEIGHTS / f"faces-{name}"
    if any(run.glob("weights-*.safetensors")):
        store_model(name, run)
    psps = {task: find_psp("faces", task, device="cpu") for task in TASKS_OF.get(name, (name,))}
    save_picture(folder / "sheet.jpg", draw_sheet(psps))
    result = json.loads((run / "result.json").read_text(encoding="utf-8"))
    task, psp = next(iter(psps.items()))
    found = {
        "plan": result["plan"],
        "kinds": {kind: figures for kind, figures in result.items() if isinstance(figures, dict) and kind != "plan"},
        "check": round(check(psp, task), 5),
        "remarks": REMARKS[name],
    }
    store_card(folder, run, f"{COMMAND} --only {name}", machine, DATA, psp, found)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tools.store.face_tasks", description=__doc__.partition("\n")[0])
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of the trainings")
    parser.add_argument("--machine", required=True, help="what they were trained on, in words")
    arguments = parser.parse_args()
    for name in FACE_TASKS:
        store(name, arguments.run / name, arguments.machine)
    write_overview()


if __name__ == "__main__":
    main()
