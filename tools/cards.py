"""The cards of the shipped models, and the page that is made from them."""

import datetime
import json
import os
import platform
import shlex
from pathlib import Path

import torch

from pspkit.data.pictures import save_picture
from pspkit.domains import WEIGHTS
from pspkit.storage.checkpoints.files import write_text
from tools.origins import FACES, FACES_CLOSED_FORM, FACES_ENCODE, ORIGINS, PLAIN, TOON


def store(name: str, runs: Path) -> None:
    """Stores the model of a training with its card, and measures what was stored.

    Raises:
        CheckpointError: the training has no model yet, or it cannot be written.
    """
    origin, run, folder = ORIGINS[name], runs / name, WEIGHTS / name
    model = origin.kind.from_pretrained(run / origin.model)
    if origin.ships:
        for parameter in model.parameters():
            parameter.data = parameter.half()  # buffers, the norms' statistics among them, stay as they are
        model.save_pretrained(folder)
        model = origin.kind.from_pretrained(folder)
    figures, sheet = origin.measure(model)
    log = (run / "log.jsonl").read_text(encoding="utf-8")
    write_text(folder / "log.jsonl", log)
    if sheet is not None:
        save_picture(folder / "sheet.jpg", sheet * 2 - 1)
    last = json.loads(log.splitlines()[-1])
    progress = next(unit for unit in ("step", "images", "epoch") if unit in last)
    command = [part.format(runs="runs", weights="data/weights") for part in origin.command]
    card = {
        "command": shlex.join(["pspkit", *command, "--out", f"runs/{name}"]),
        "seed": 0,
        progress + ("" if progress.endswith("s") else "s"): last[progress],
        "seconds": round(last["seconds"]),
        "hardware": describe_machine(),
        "data": "rendered heads (pspkit.data.heads), split train; measured on the split test",
        "date": datetime.date.today().isoformat(),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "metrics": {key: round(value, 5) for key, value in figures.items()},
        "check": origin.check(model),
    }
    if origin.remarks:
        card["remarks"] = origin.remarks
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
        "# Weights that ship",
        "",
        "The networks of the rendered heads are trained from scratch on `pspkit.data.heads`, by `make weights`; they"
        " are free of other rights, and the MIT licence holds. Those of photographed faces, at the end, descend from"
        " the weights of others, which their sections name. This page is written from the cards by"
        " `python -m tools.weights` and the programs of `tools.store`.",
        "",
    ]
    for name in (*ORIGINS, *FACES):
        if not (file := WEIGHTS / name / "card.json").exists():
            continue
        card = json.loads(file.read_text(encoding="utf-8"))
        lines += [f"## {name}", "", f"`{card['command']}`", ""]
        if history := _history(card):
            lines += [history, ""]
        lines += [card[part] + "\n" for part in ("data", "licence") if name in FACES]
        table = next(make for part, make in TABLES.items() if part in card)
        lines += [*table(card), ""]
        for sheet in card.get("sheets", ()):
            what = Path(sheet).stem.replace("_", " ")
            lines += [f"![{what}: three people, from a step backwards to a step forwards]({name}/{sheet})", ""]
        if (file.parent / "sheet.jpg").exists():
            lines += [f"![{_alt(name)}]({name}/sheet.jpg)", ""]
    write_text(WEIGHTS / "README.md", "\n".join(lines))


def _history(card: dict) -> str:
    """How long, on what and when, and what else is to be said."""
    parts = [f"{card[unit]:,} {unit}" for unit in ("steps", "images", "epochs") if unit in card]
    if "seconds" in card:
        parts.append(f"{card['seconds'] / 60:.0f} min")
    if "hardware" in card:
        parts += [card["hardware"], f"seed {card['seed']}", card["date"]]
    return " ".join(part for part in (", ".join(parts) + "." if parts else "", card.get("remarks", "")) if part)


def _metrics(card: dict) -> list[str]:
    """A table of figures, by name or by group and name."""
    lines = ["| measured | |", "|---|---|"]
    for key, value in card["metrics"].items():
        group = (
            {f"{key}, {name}": figure for name, figure in value.items()} if isinstance(value, dict) else {key: value}
        )
        lines += [f"| {name.replace('_', ' ')} | {figure:.4g} |" for name, figure in group.items()]
    return lines


def _sets(card: dict) -> list[str]:
    """A table of what `pspkit evaluate` measured, a column for each set of faces."""
    sets = card["sets"]
    lines = [
        f"Measured by `{card['measured_by']}`: the mean, the interval in which it lies in 95 of 100 resamples of the"
        " pictures, and after the dash the decoder's mean face.\n",
        "| measured | " + " | ".join(f"{one['name']} ({one['count']})" for one in sets) + " |",
        "|---" * (1 + len(sets)) + "|",
    ]
    for name in dict.fromkeys(name for one in sets for name in one["figures"]):
        cells = []
        for one in sets:
            if (figure := one["figures"].get(name)) is None:
                cells.append("")
                continue
            interval = f"[{figure['low']:.3f}, {figure['high']:.3f}]"
            cells.append(f"{figure['mean']:.3f} {interval} – {one['mean_face'][name]['mean']:.3f}")
        lines.append(f"| {name.replace('_', ' ')} | " + " | ".join(cells) + " |")
    return lines


def _kinds(card: dict) -> list[str]:
    """A table of what was measured right after training, a line for each set of unseen faces and kind of input."""
    names = list(next(iter(card["kinds"].values())))
    lines = ["| of | " + " | ".join(name.replace("_", " ") for name in names) + " |", "|---" * (1 + len(names)) + "|"]
    for kind, figures in card["kinds"].items():
        lines.append(f"| {kind} | " + " | ".join(f"{figures[name]:.3f}" for name in names) + " |")
    return lines


def _table(card: dict) -> list[str]:
    """The table as the card holds it."""
    return card["table"]


TABLES = {"sets": _sets, "kinds": _kinds, "table": _table, "metrics": _metrics}  # by the part of the card they show


def _alt(name: str) -> str:
    if name in (PLAIN, TOON):
        return "Left 64 heads that the decoder drew, right 64 rendered ones"
    if name in (FACES_ENCODE, FACES_CLOSED_FORM):
        return "Two photographs and fourteen drawn faces that no training saw; below each what the model makes of it"
    if name in FACES:
        return (
            "Two photographs and six drawn faces that no training saw: what goes in, what comes out, at last the truth"
        )
    return "Sixteen unseen heads: what goes in, what the model makes of it, the truth"
