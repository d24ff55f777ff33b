"""A training from its first step to its last, and what it keeps in its folder.

state.pt          what the next step depends on, the configuration included
model/            the running average of the generator, for `Generator.from_pretrained`
log.jsonl         one line a report
samples_*.png     drawn heads, always from the same z; below them two rows of real ones
"""

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, fields
from pathlib import Path

from torch.utils.data import Dataset

from pspkit.adversarial.trainer import AdversarialConfig, AdversarialReport, AdversarialTrainer
from pspkit.checkpoints.files import read_file, write_state, write_text
from pspkit.config import GeneratorConfig
from pspkit.errors import CheckpointError, PspkitError
from pspkit.pictures import write_picture

FORMAT = "pspkit adversarial training"
STATE, MODEL, LOG = "state.pt", "model", "log.jsonl"
REPORT_IMAGES, SAMPLE_IMAGES, SAVE_SECONDS = 1_000, 10_000, 300
# What may be another when a training goes on.
CHANGEABLE = ("images", "supervised", "supervision", "lr", "generator_rate", "gamma")


def train_decoder(
    config: AdversarialConfig, heads: Dataset, out: str | Path, resume: bool = False
) -> Iterator[AdversarialReport]:
    """Trains until `config.images` real heads were shown, and keeps its state, model, log and samples in the folder.

    Args:
        config: how; see `read_config` for that of a training to go on with.
        heads: items with "image", (3, size, size) in [-1, 1].
        out: the folder, made where it is not there.
        resume: whether to go on with the training in the folder; of its configuration only `CHANGEABLE` may be others
            then.

    Yields:
        A report every thousand heads.

    Raises:
        PspkitError: a training in the folder that is not to be resumed, or of another configuration; too few heads;
            a loss or a weight that is no number. The state kept last stays.
        CheckpointError: the state cannot be read or written.
    """
    out = Path(out)
    trainer, lines = AdversarialTrainer(config, heads), []
    if resume:
        _check_same(config, read_config(out), out)
        trainer.load_state_dict(_read_state(out))
        log = (out / LOG).read_text(encoding="utf-8").splitlines() if (out / LOG).exists() else []
        lines = [line for line in log if json.loads(line)["images"] <= trainer.images]
    elif (out / STATE).exists():
        raise PspkitError(f"{out}: holds a training. Go on with it by --resume, or name another folder.")
    elif config.start:
        trainer.start_from(_read_state(Path(config.start)))
    saved = time.monotonic()
    while trainer.images < config.images:
        trainer.train_step()
        finished = trainer.images >= config.images
        if finished or _passed(trainer, SAMPLE_IMAGES):
            write_picture(out / f"samples_{trainer.images:07}.png", trainer.sheet())
        if finished or _passed(trainer, REPORT_IMAGES):
            report = trainer.report()
            lines.append(json.dumps(asdict(report)))
            write_text(out / LOG, "".join(f"{line}\n" for line in lines))
            yield report
        if finished or time.monotonic() - saved >= SAVE_SECONDS:
            state = trainer.state_dict()
            trainer.average.save_pretrained(out / MODEL)
            write_state(out / STATE, {"format": FORMAT, **state})
            saved = time.monotonic()


def read_config(out: str | Path) -> AdversarialConfig:
    """The configuration of the training in a folder.

    Raises:
        CheckpointError: there is none, or it cannot be read.
    """
    state = _read_state(Path(out))
    try:
        record = state["config"]
        return AdversarialConfig(**{**record, "decoder": GeneratorConfig(**record["decoder"])})
    except (KeyError, TypeError) as error:
        raise CheckpointError(
            f"{Path(out) / STATE}: its configuration cannot be read ({error!r}); another version of pspkit wrote it."
            " Go on with that version."
        ) from error


def _read_state(out: Path) -> dict:
    state, _ = read_file(out / STATE)
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise CheckpointError(f"{out / STATE}: not the state of a decoder's training. Name the folder of one.")
    return state


def _check_same(config: AdversarialConfig, kept: AdversarialConfig, out: Path) -> None:
    for name in (field.name for field in fields(config) if field.name not in CHANGEABLE):
        have, came = getattr(kept, name), getattr(config, name)
        if have != came:
            raise PspkitError(f"{name}: got {came!r}, but the training in {out} began with {have!r}. Give that.")


def _passed(trainer: AdversarialTrainer, every: int) -> bool:
    """Whether the last step reached a multiple of so many images."""
    return trainer.images % every < trainer.config.batch
