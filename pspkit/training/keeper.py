"""What a training keeps in its folder.

    run.json      what it is made of
    state.pt      what the next step depends on
    best/, last/  models for `PSP.from_pretrained`
    log.jsonl     one line a validation
    sheets/       source, output and target of the first held-out pairs at each validation
    tensorboard/  scalars and sheets, for `tensorboard --logdir`

A run that was killed repeats what came after its state, and writes the same again.
"""

import json
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor
from torchvision.utils import make_grid

from pspkit.checkpoints.files import read_file, write_state, write_text
from pspkit.pictures import write_picture
from pspkit.psp import PSP

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

    from pspkit.training.trainer import Report

STATE, LOG = "state.pt", "log.jsonl"


class Keeper:
    """Writes it; every file whole or not at all.

    Raises, from every method:
        CheckpointError: a file could not be written; the one that stood there is untouched.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.lines, self.step = folder, [], 0

    def rewind(self, step: int) -> None:
        """Forgets what was logged after a step."""
        self.lines, self.step = [line for line in read_log(self.folder) if line["step"] <= step], step

    def scalars(self, step: int, losses: dict[str, float], group: str = "training") -> None:
        """Numbers by name, for TensorBoard."""
        for name, value in losses.items():
            self.board.add_scalar(f"{group}/{name}", value, step)

    def report(self, report: "Report", model: PSP) -> None:
        """What a validation found, and the model where it is the best so far."""
        if report.best:
            model.save_pretrained(self.folder / "best")
        sheet = draw_sheet(report.sheet)
        write_picture(self.folder / "sheets" / f"{report.step:06}.jpg", sheet)
        self.board.add_image("validation", sheet, report.step)
        self.scalars(report.step, report.validation, "validation")
        self.lines.append({name: getattr(report, name) for name in ("step", "seconds", "training", "validation")})
        write_text(self.folder / LOG, "".join(json.dumps(line) + "\n" for line in self.lines))

    def save(self, state: dict[str, Any], model: PSP) -> None:
        """The model and the state; a kill in between leaves the older state, which leads to the same model again."""
        model.save_pretrained(self.folder / "last")
        write_state(self.folder / STATE, state)
        self.board.flush()

    @cached_property
    def board(self) -> "SummaryWriter":
        from torch.utils.tensorboard import SummaryWriter

        return SummaryWriter(self.folder / "tensorboard", purge_step=self.step + 1)


def read_state(folder: Path) -> dict[str, Any] | None:
    """The state of a training's folder; None before the first was kept.

    Raises:
        CheckpointError: damaged, foreign or unsafe.
    """
    path = folder / STATE
    return read_file(path)[0] if path.exists() else None


def read_log(folder: Path) -> list[dict[str, Any]]:
    """One entry a validation: step, seconds, and the losses of training and validation by name."""
    path = folder / LOG
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def draw_sheet(sheet: Tensor) -> Tensor:
    """A report's sheet as one picture (3, H, W) in [0, 1]: a row each for sources, outputs and targets."""
    return make_grid(sheet.flatten(0, 1).clamp(-1, 1).add(1).div(2), nrow=sheet.shape[1], pad_value=1)
