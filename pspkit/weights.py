"""The weights that ship with the project: what trains each, how good it is, and its card.

    python -m pspkit.weights [NAME ...] [--runs DIR] [--snapshot]

Every training goes on where it stopped. When it is done, or at once with --snapshot, the model is stored in half
precision under data/weights with

    card.json    command, steps, time, hardware, data, and what was measured on the stored model
    log.jsonl    the training's own
    sheet.jpg    what it makes of unseen heads

and data/weights/README.md is written anew from all cards.
"""

import argparse
import datetime
import json
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.utils import make_grid

from pspkit.backbone import Backbone
from pspkit.checkpoints.files import write_text
from pspkit.domains import WEIGHTS, get_domain
from pspkit.encoders import Encoder
from pspkit.errors import PspkitError, check_choice
from pspkit.heads import HeadsDataset
from pspkit.heads.dataset import EXTRAS, picture_key
from pspkit.losses import IdentityLoss
from pspkit.metrics import (
    YawMeter,
    in_batches,
    likeness,
    mean_head,
    precision_recall,
    translate_pairs,
    unseen_pairs,
)
from pspkit.perceptual import load_lpips
from pspkit.pictures import write_picture
from pspkit.projection import project
from pspkit.psp import PSP
from pspkit.recognition import verify
from pspkit.stylegan2 import Generator
from pspkit.tasks import TASKS, PairDataset
from pspkit.training.keeper import draw_sheet

PLAIN, TOON, IDENTITY = "heads-plain-64", "heads-toon-64", "heads-identity"
UNSEEN, SHOWN, PROJECTED, DRAWN = 256, 16, 64, 512  # heads that are measured, shown, projected, drawn
CHECKED = 8

Measured = tuple[dict[str, float], Tensor | None]  # figures by name, and a sheet (3, H, W) in [0, 1]


def measure_identity(network: Backbone) -> Measured:
    """Verification of people of the split "test", see `recognition.Verification`."""
    return asdict(verify(network, "test", UNSEEN)), None


def measure_decoder(decoder: Generator, look: str) -> Measured:
    """Fidelity, diversity, and how near unseen heads come by projection; 64 samples beside 64 heads."""
    real = _unseen(look, DRAWN, decoder.size)
    with torch.inference_mode():
        z = torch.randn(DRAWN, decoder.style_dim, generator=torch.Generator().manual_seed(0))
        drawn = in_batches(decoder, z).clamp(-1, 1)
        embed = _identity().embed
        precision, recall = precision_recall(in_batches(embed, real), in_batches(embed, drawn))
    _, errors = project(decoder, real[:PROJECTED])
    figures = {
        "projection_l2": errors.mean().item(),
        "projection_l2_worst": errors.max().item(),
        "identity_precision": precision,
        "identity_recall": recall,
    }
    sides = [make_grid(side[:64].add(1).div(2), nrow=8, pad_value=1) for side in (drawn, real)]
    return figures, torch.cat([sides[0], torch.ones(3, sides[0].shape[1], 16), sides[1]], 2)


def check_decoder(decoder: Generator, look: str) -> float:
    """How near unseen heads come by a short projection."""
    return project(decoder, _unseen(look, CHECKED, decoder.size), steps=20)[1].mean().item()


def _unseen(look: str, count: int, size: int) -> Tensor:
    heads = HeadsDataset("test", count, size, extras=tuple({look} & EXTRAS))
    return torch.stack([heads[index][picture_key(look)] for index in range(len(heads))])


def measure_task(encoder: Encoder, task: str) -> Measured:
    """Likeness to the truth on unseen heads, and what else the task promises."""
    psp = _psp(encoder, task)
    pairs = unseen_pairs(task, UNSEEN, encoder.config.input_size)
    source, output, target = translate_pairs(psp, pairs)
    found = asdict(likeness(output, target, _identity(), load_lpips(), mean_head(psp)))
    if task == "frontalize":
        meter = YawMeter(
            get_domain("heads").psp("encode"), HeadsDataset("validation", 1_024, encoder.config.input_size)
        )
        found |= {"yaw": meter(output).abs().mean().item(), "yaw_before": meter(source).abs().mean().item()}
        found |= {"yaw_of_targets": meter(target).abs().mean().item(), "yaw_error": meter.error}
    if task == "super_resolution":
        found |= {f"returned_l2_{factor}x": value for factor, value in _returned(output, target, pairs).items()}
    if task == "inpaint":
        seen = 1 - source[:, 3:]
        found["seen_l2"] = (((output - target) ** 2 * seen).sum() / (3 * seen.sum())).item()
    rows = torch.stack([pairs.task.show_source(source[:SHOWN]), output[:SHOWN], target[:SHOWN]])
    return found, draw_sheet(rows)


def check_task(encoder: Encoder, task: str) -> float:
    """The mean squared error."""
    _, output, target = translate_pairs(_psp(encoder, task), unseen_pairs(task, CHECKED, encoder.config.input_size))
    return F.mse_loss(output, target).item()


def _returned(output: Tensor, target: Tensor, pairs: PairDataset) -> dict[int, float]:
    """How far outputs, made small again, are from the small pictures that they were made from."""
    options, found = pairs.recipe.options, {}
    for place, factor in enumerate(options):
        here = slice(place, None, len(options))
        small = (F.interpolate(x[here], scale_factor=1 / factor, mode="area") for x in (output, target))
        found[factor] = F.mse_loss(*small).item()
    return found


@dataclass(frozen=True)
class Recipe:
    """How one of the files comes about.

    Attributes:
        command: the module that trains it, and its options; {runs} and {weights} stand for those folders.
        model: the folder of the training that holds it.
        kind: the class that loads it.
        measure: from the model to what its card says.
        check: one figure of the model on a few heads, which a test repeats.
        ships: whether the model itself is stored, or its card alone.
        remarks: what else its card says.
    """

    command: tuple[str, ...]
    model: str
    kind: type
    measure: Callable[[nn.Module], Measured]
    check: Callable[[nn.Module], float]
    ships: bool = True
    remarks: str = ""


def _task_recipe(task: str, *options: str, ships: bool = True) -> Recipe:
    command = ("pspkit", "train", "--domain", "heads", "--task", task, "--profile", "cpu", *options)
    return Recipe(
        command,
        "best",
        Encoder,
        measure=lambda encoder: measure_task(encoder, task),
        check=lambda encoder: check_task(encoder, task),
        ships=ships,
    )


def _decoder_recipe(look: str, *options: str, remarks: str = "") -> Recipe:
    return Recipe(
        ("pspkit.adversarial", *options),
        "model",
        Generator,
        measure=lambda decoder: measure_decoder(decoder, look),
        check=lambda decoder: check_decoder(decoder, look),
        remarks=remarks,
    )


# From the encoder of inversion on.
STEPS = {task: 1_200 if task in ("sketch", "segmentation") else 800 for task in TASKS if task != "encode"}

HISTORY = (
    "Not quite by this command: the first 68,000 images came in batches of 16, with LPIPS in the objective, which was"
    " found to harm; until image 212,000 all pixels weighed alike, and the rate had fallen to 0 before it rose again."
    " The adversary came at 240,616, first with a generator's rate of 0.25, a supervision of 20 and a gamma of 0.3;"
    " from 312,616 on with 1, 5 and 0.3, from 320,000 on with 0.5, 5 and 0.05, which let cracks grow on the walls, and"
    " from 338,000 on as the command does it."
)

RECIPES = {
    PLAIN: _decoder_recipe("plain", remarks=HISTORY),
    IDENTITY: Recipe(
        ("pspkit.recognition",),
        "model",
        Backbone,
        measure=measure_identity,
        check=lambda network: verify(network, "test", CHECKED).same,
    ),
    TOON: _decoder_recipe(
        "toon",
        *("--look", "toon", "--start", f"{{runs}}/{PLAIN}"),
        *("--heads", "4000", "--supervised", "8000", "--images", "15000"),
    ),
    "heads-encode": _task_recipe("encode"),
    **{
        f"heads-{task}": _task_recipe(task, "--encoder", "{weights}/heads-encode", "--steps", str(steps))
        for task, steps in STEPS.items()
    },
    "heads-encode-w": _task_recipe("encode", "--kind", "w", ships=False),
    "heads-encode-w_plus": _task_recipe("encode", "--kind", "w_plus", ships=False),
}


def train(name: str, runs: Path) -> None:
    """Trains what a name stands for, or goes on; what it prints goes to the terminal.

    Raises:
        PspkitError: the training failed.
    """
    out = runs / name
    command = [part.format(runs=runs, weights=WEIGHTS) for part in RECIPES[name].command]
    resume = ["--resume"] if (out / "state.pt").exists() else []
    if subprocess.run([sys.executable, "-m", *command, "--out", str(out), *resume]).returncode:
        raise PspkitError(f"{name}: its training stopped (see above). Start again to go on where it was.")


def store(name: str, runs: Path) -> None:
    """Stores the model of a training with its card, and measures what was stored.

    Raises:
        CheckpointError: the training has no model yet, or it cannot be written.
    """
    recipe, run, folder = RECIPES[name], runs / name, WEIGHTS / name
    model = recipe.kind.from_pretrained(run / recipe.model)
    if recipe.ships:
        for parameter in model.parameters():
            parameter.data = parameter.half()  # buffers, the norms' statistics among them, stay as they are
        model.save_pretrained(folder)
        model = recipe.kind.from_pretrained(folder)
    figures, sheet = recipe.measure(model)
    log = (run / "log.jsonl").read_text(encoding="utf-8")
    write_text(folder / "log.jsonl", log)
    if sheet is not None:
        write_picture(folder / "sheet.jpg", sheet.clamp(0, 1))
    last = json.loads(log.splitlines()[-1])
    progress = next(unit for unit in ("step", "images", "epoch") if unit in last)
    command = [part.format(runs="runs", weights="data/weights") for part in recipe.command]
    card = {
        "command": shlex.join(["python", "-m", *command, "--out", f"runs/{name}"]),
        "seed": 0,
        progress + ("" if progress.endswith("s") else "s"): last[progress],
        "seconds": round(last["seconds"]),
        "hardware": describe_machine(),
        "data": "rendered heads (pspkit.heads), split train; measured on the split test",
        "date": datetime.date.today().isoformat(),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "metrics": {key: round(value, 5) for key, value in figures.items()},
        "check": recipe.check(model),
    }
    if recipe.remarks:
        card["remarks"] = recipe.remarks
    write_text(folder / "card.json", json.dumps(card, indent=2) + "\n")


def describe_machine() -> str:
    """Cores or GPU, instruction set and PyTorch, in words."""
    version = f"PyTorch {torch.__version__.partition('+')[0]}"
    if torch.cuda.is_available():
        return f"{torch.cuda.get_device_name()}, {version}"
    cores = f"{torch.get_num_threads()} of {os.cpu_count()} {platform.machine()} cores"
    return f"{cores}, {torch.backends.cpu.get_cpu_capability()}, {version}"


def write_overview() -> None:
    """Writes data/weights/README.md from the cards."""
    lines = [
        "# Weights of the rendered heads",
        "",
        "Trained from scratch on `pspkit.heads`, by `make weights`; free of other rights: the MIT licence holds. This"
        " page is written from the cards by `python -m pspkit.weights`.",
        "",
    ]
    for name in RECIPES:
        if not (file := WEIGHTS / name / "card.json").exists():
            continue
        card = json.loads(file.read_text(encoding="utf-8"))
        steps = next(f"{card[unit]:,} {unit}" for unit in ("steps", "images", "epochs") if unit in card)
        lines += [f"## {name}", "", f"`{card['command']}`", ""]
        lines += [
            f"{steps}, {card['seconds'] / 60:.0f} min, {card['hardware']}, seed {card['seed']}, {card['date']}."
            f" {card.get('remarks', '')}".rstrip(),
            "",
        ]
        lines += ["| measured | |", "|---|---|"]
        lines += [f"| {key.replace('_', ' ')} | {value:.4g} |" for key, value in card["metrics"].items()] + [""]
        if (file.parent / "sheet.jpg").exists():
            lines += [f"![{_alt(name)}]({name}/sheet.jpg)", ""]
    write_text(WEIGHTS / "README.md", "\n".join(lines))


def _alt(name: str) -> str:
    if name in (PLAIN, TOON):
        return "Left 64 heads that the decoder drew, right 64 rendered ones"
    return "Sixteen unseen heads: what goes in, what the model makes of it, the truth"


def _identity() -> IdentityLoss:
    domain = get_domain("heads")
    return IdentityLoss(domain.identity("cpu"), domain.face_box)


def _psp(encoder: Encoder, task: str) -> PSP:
    decoder, average = get_domain("heads").decoder("cpu", task)
    return PSP(encoder, decoder, average).eval()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m pspkit.weights", description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which: {', '.join(RECIPES)} (default: all)")
    parser.add_argument("--runs", type=Path, default=Path("runs"), metavar="DIR", help="the trainings (default: runs)")
    parser.add_argument("--snapshot", action="store_true", help="train nothing; store what the trainings have so far")
    arguments = parser.parse_args()
    for name in arguments.names:
        check_choice("NAME", name, tuple(RECIPES))
    for name in arguments.names or RECIPES:
        if not arguments.snapshot:
            train(name, arguments.runs)
        store(name, arguments.runs)
        write_overview()


if __name__ == "__main__":
    try:
        main()
    except PspkitError as error:
        sys.exit(f"pspkit: {error}")
