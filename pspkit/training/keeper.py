"""What a training keeps in its folder.

run.json      what it is made of
state.pt      what the next step depends on
best/, last/  models for `from_pretrained`; best/ where validation gives a total
log.jsonl     one line a validation
sheets/       pictures to look at, of each validation
tensorboard/  scalars and sheets, for `tensorboard --logdir`
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import is_dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_type_hints

from torch import Tensor
from torchvision.utils import make_grid

from pspkit.data.pictures import save_picture
from pspkit.errors import CheckpointError, PspkitError
from pspkit.storage.checkpoints.files import read_file, write_state, write_text

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

    from pspkit.training.loop import Report

RECORD, STATE, LOG = "run.json", "state.pt", "log.jsonl"
FORMAT = "pspkit training"
Config = TypeVar("Config")


class Keeper:
    """Writes it; every file whole or not at all.

    Raises, from every method:
        CheckpointError: a file could not be written; the one that stood there is untouched.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.lines, self.step = folder, [], 0

    def begin(self, record: Mapping[str, Any], step: int) -> None:
        """Notes what is trained, and forgets what was logged after a step."""
        write_text(self.folder / RECORD, json.dumps(record, indent=2) + "\n")
        self.lines, self.step = [line for line in read_log(self.folder) if line["step"] <= step], step

    def scalars(self, step: int, losses: Mapping[str, float], group: str = "training") -> None:
        """Numbers by name, for TensorBoard."""
        for name, value in losses.items():
            self.board.add_scalar(f"{group}/{name}", value, step)

    def report(self, report: "Report", model: Any) -> None:
        """What a validation found, and the model where it is the best so far."""
        if report.best:
            model.save_pretrained(self.folder / "best")
        if report.sheet is not None:
            sheet = draw_sheet(report.sheet)
            save_picture(self.folder / "sheets" / f"{report.step:06}.jpg", sheet * 2 - 1)
            self.board.add_image("validation", sheet, report.step)
        self.scalars(report.step, report.validation, "validation")
        self.lines.append({name: getattr(report, name) for name in ("step", "seconds", "training", "validation")})
        write_text(self.folder / LOG, "".join(json.dumps(line) + "\n" for line in self.lines))

    def save(self, state: dict[str, Any], model: Any) -> None:
        """The model and the state; a kill in between leaves the older state, which leads to the same model again."""
        model.save_pretrained(self.folder / "last")
        write_state(self.folder / STATE, {"format": FORMAT, **state})
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
    if not path.exists():
        return None
    state, _ = read_file(path)
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise CheckpointError(f"{path}: not the state of a training of this version. Name another folder.")
    return state


def read_record(folder: Path) -> dict[str, Any] | None:
    """What a training is made of, as its folder says; None where there is none.

    Raises:
        CheckpointError: the record cannot be read.
    """
    path = folder / RECORD
    if not path.exists():
        return None
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        return {"trains": "encoder", **record}
    except (OSError, ValueError, TypeError) as error:
        raise CheckpointError(f"{path}: cannot be read ({error}). Train into another folder.") from error


def recorded(folder: str | Path, kind: str, config: type[Config]) -> Config | None:
    """The configuration that a training of a `Strategy.kind` began with; None where the folder holds none.

    Raises:
        CheckpointError: something else is trained there, or the record is missing or that of another version.
    """
    record = read_record(Path(folder))
    if record is None:
        if (Path(folder) / STATE).exists():
            raise CheckpointError(f"{folder}: holds a {STATE} without its {RECORD}. Name another folder.")
        return None
    if (trained := record.pop("trains")) != kind:
        raise CheckpointError(
            f"{folder}: holds the training of another part ({trained}, not {kind}). Name another folder."
        )
    try:
        return _from_record(config, record)
    except (TypeError, KeyError) as error:
        raise CheckpointError(
            f"{Path(folder) / RECORD}: cannot be read ({error!r}); another version of pspkit wrote it. Go on with that"
            " version, or train into another folder."
        ) from error


def check_same(given: Mapping[str, Any], begun: Mapping[str, Any], changeable: Collection[str], folder: Path) -> None:
    """Refuses to go on with something else than a training began with, except where a name is `changeable`.

    Raises:
        PspkitError: the name of what differs, and both values.
    """
    now, before = _flat(json.loads(json.dumps(given))), _flat(begun)
    for name in dict.fromkeys([*now, *before]):
        if now.get(name) != before.get(name) and name not in changeable:
            raise PspkitError(
                f"{name}: got {now.get(name)!r}, but the training in {folder} began with {before.get(name)!r}."
                " Give that to go on, or name another folder."
            )


def read_log(folder: Path) -> list[dict[str, Any]]:
    """One entry a validation: step, seconds, and the losses of training and validation by name."""
    path = folder / LOG
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def draw_sheet(sheet: Tensor) -> Tensor:
    """A report's sheet (rows, columns, 3, S, S) in [-1, 1] as one picture (3, H, W) in [0, 1]."""
    return make_grid(sheet.flatten(0, 1).clamp(-1, 1).add(1).div(2), nrow=sheet.shape[1], pad_value=1)


def _flat(record: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The entries of nested records, each under the name that the command line gives it."""
    flat = {}
    for name, value in record.items():
        if isinstance(value, dict) and name in ("training", "losses"):
            flat |= _flat(value, prefix)
        elif isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}_")
        else:
            flat[prefix + name] = value
    return flat


def _from_record(config: type[Config], record: dict[str, Any]) -> Config:
    values, hints = {}, get_type_hints(config)
    for name, value in record.items():
        nested = next((hint for hint in (hints[name], *get_args(hints[name])) if is_dataclass(hint)), None)
        if nested and value is not None:
            value = _from_record(nested, value)
        values[name] = tuple(value) if isinstance(value, list) else value
    return config(**values)
