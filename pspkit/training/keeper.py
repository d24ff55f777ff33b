"""What a training keeps in its folder.

run.json      what the training began with
state.pt      all that the next step depends on
best/, last/  models for `from_pretrained`; best/ only if the validation gives a total
log.jsonl     one line for each validation
sheets/       pictures of each validation, to look at
tensorboard/  scalars and sheets, for `tensorboard --logdir`
.lock         held by the process that trains there
"""

import json
import math
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import is_dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_type_hints

from filelock import FileLock, Timeout
from torch import Tensor
from torchvision.utils import make_grid

from pspkit.data.pictures import save_picture
from pspkit.errors import CheckpointError, PspkitError, check_number
from pspkit.storage.checkpoints.files import read_file, write_state, write_text
from pspkit.storage.reading import check_ordinary, parse_json

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

    from pspkit.training.loop import Report

RECORD, STATE, LOG, LOCK = "run.json", "state.pt", "log.jsonl", ".lock"
FORMAT = "pspkit training"
Config = TypeVar("Config")


class Keeper:
    """Writes the files of a training, each whole or not at all.

    Every method raises:
        CheckpointError: a file could not be written; an older one of that name is kept.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.lines, self.step = folder, [], 0

    def begin(self, record: Mapping[str, Any], step: int) -> None:
        """Writes what the training began with, and forgets what was logged after a step."""
        write_text(self.folder / RECORD, json.dumps(record, indent=2) + "\n")
        self.lines, self.step = [line for line in read_log(self.folder) if line["step"] <= step], step

    def scalars(self, step: int, losses: Mapping[str, float], group: str = "training") -> None:
        """Writes numbers by name for TensorBoard."""
        for name, value in losses.items():
            self.board.add_scalar(f"{group}/{name}", value, step)

    def report(self, report: "Report", model: Any) -> None:
        """Writes the result of a validation, and the model if it is the best so far."""
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
        """Writes the model, then the state. After a kill in between, the older state leads to the same model again."""
        model.save_pretrained(self.folder / "last")
        write_state(self.folder / STATE, {"format": FORMAT, **state})
        self.board.flush()

    @cached_property
    def board(self) -> "SummaryWriter":
        from torch.utils.tensorboard import SummaryWriter

        return SummaryWriter(self.folder / "tensorboard", purge_step=self.step + 1)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Locks a folder against a second training while this one runs; the lock ends with the process.

    Args:
        folder: the folder of the training; made if it is not there.

    Raises:
        PspkitError: another training is running in the folder.
        CheckpointError: the folder cannot be written.
    """
    lock = FileLock(folder / LOCK, timeout=0, thread_local=False)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as error:
        raise PspkitError(
            f"{folder}: another training is running there. Wait until it has ended, or name another folder."
        ) from error
    except OSError as error:
        raise CheckpointError(f"{folder}: could not be written ({error}). Choose another folder.") from error
    try:
        yield
    finally:
        lock.release()


def read_state(folder: Path) -> dict[str, Any] | None:
    """Reads the state in the folder of a training; None if none was kept yet.

    Raises:
        CheckpointError: the state is damaged, foreign or unsafe.
    """
    path = folder / STATE
    if not path.exists():
        return None
    state, _ = read_file(path)
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise CheckpointError(
            f"{path}: it is not the state of a training by this version of pspkit. Name another folder."
        )
    try:
        check_number("step", state.get("step"), 0, whole=True)
        check_number("seconds", state.get("seconds"), 0)
        if state.get("best") != math.inf:  # There was no best model yet.
            check_number("best", state.get("best"))
    except PspkitError as error:
        raise CheckpointError(f"{path}: it is damaged ({error}) Train into another folder.") from error
    return state


def read_record(folder: Path) -> dict[str, Any] | None:
    """Reads what the training in a folder began with; None if there is none.

    Raises:
        CheckpointError: the record cannot be read.
    """
    path = folder / RECORD
    if not path.exists():
        return None
    try:
        check_ordinary(path)
        record = parse_json(path.read_text(encoding="utf-8"))
        return {"trains": "encoder", **record}
    except (OSError, ValueError, TypeError) as error:
        raise CheckpointError(f"{path}: it cannot be read ({error}). Train into another folder.") from error


def recorded(folder: str | Path, kind: str, config: type[Config]) -> Config | None:
    """Reads the configuration with which a training of this kind began; None if the folder holds no training.

    Raises:
        CheckpointError: something else is trained there, the record is missing, or another version wrote it.
    """
    record = read_record(Path(folder))
    if record is None:
        if (Path(folder) / STATE).exists():
            raise CheckpointError(f"{folder}: it holds a {STATE} without its {RECORD}. Name another folder.")
        return None
    if (trained := record.pop("trains")) != kind:
        raise CheckpointError(
            f"{Path(folder) / RECORD}: another kind of network is trained there ({trained}, not {kind}). Name another"
            " folder."
        )
    try:
        return _from_record(config, record)
    except PspkitError as error:
        raise CheckpointError(f"{Path(folder) / RECORD}: it is damaged. {error} Train into another folder.") from error
    except (TypeError, KeyError) as error:
        raise CheckpointError(
            f"{Path(folder) / RECORD}: it cannot be read ({error!r}); another version of pspkit wrote it. Go on with"
            " that version, or train into another folder."
        ) from error


def check_same(given: Mapping[str, Any], begun: Mapping[str, Any], changeable: Collection[str], folder: Path) -> None:
    """Refuses to go on with other settings than a training began with, unless they are `changeable`.

    Raises:
        PspkitError: a setting differs; gives its name and both values.
    """
    now, before = _flat(json.loads(json.dumps(given))), _flat(begun)
    for name in dict.fromkeys([*now, *before]):
        if now.get(name) != before.get(name) and name not in changeable:
            raise PspkitError(
                f"{name}: got {now.get(name)!r}, but the training in {folder} began with {before.get(name)!r}."
                " Give that value to go on, or name another folder."
            )


def read_log(folder: Path) -> list[dict[str, Any]]:
    """Reads the log: for each validation the step, the seconds, and the losses of training and validation by name.

    Raises:
        CheckpointError: a line is damaged.
    """
    path = folder / LOG
    if not path.exists():
        return []
    entries = []
    try:
        check_ordinary(path)
        for line in path.read_text(encoding="utf-8").splitlines():
            entry = parse_json(line)
            check_number("step", entry["step"], 0, whole=True)
            entries.append(entry)
    except (OSError, ValueError, KeyError, TypeError, PspkitError) as error:
        raise CheckpointError(
            f"{path}: it is damaged at line {len(entries) + 1} ({error!r}). Delete that line, or train into another"
            " folder."
        ) from error
    return entries


def draw_sheet(sheet: Tensor) -> Tensor:
    """Puts a report's sheet (rows, columns, 3, S, S) in [-1, 1] into one picture (3, H, W) in [0, 1]."""
    return make_grid(sheet.flatten(0, 1).clamp(-1, 1).add(1).div(2), nrow=sheet.shape[1], pad_value=1)


def _flat(record: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flattens nested records, with the names that the command line gives to their entries."""
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
        if nested and isinstance(value, dict):
            value = _from_record(nested, value)
        values[name] = tuple(value) if isinstance(value, list) else value
    return config(**values)
