"""The loop with the smallest thing that can be trained: what it does for every strategy."""

import json
import math
from dataclasses import dataclass
from itertools import count

import pytest
import torch
from torch import nn

from pspkit.errors import CheckpointError, PspkitError
from pspkit.storage.checkpoints.files import read_file
from pspkit.training import RunningAverage, Trainer
from pspkit.training.keeper import check_same, read_log, recorded
from pspkit.training.loop import RECENT, Pace
from pspkit.training.machine import Machine


@dataclass(frozen=True)
class LineConfig:
    steps: int = 25
    batch: int = 8
    lr: float = 0.1
    seed: int = 0


class Line:
    """A line through noisy points: all that a strategy needs, and nothing besides."""

    kind, changeable = "line", frozenset({"steps"})

    def __init__(self, config=LineConfig(), validate_every=10, save_every=10):
        self.config, self.machine = config, Machine("cpu")
        self.pace = Pace(config.steps, validate_every, save_every)
        torch.manual_seed(config.seed)
        self.line, kept = nn.Linear(1, 1), nn.Linear(1, 1)
        self.networks = {"line": self.line}
        self.average = RunningAverage([kept], [self.line], lambda done: 0.5 if done else 1.0)
        self.kept = kept
        self.optimizer = torch.optim.SGD(self.line.parameters(), config.lr, momentum=0.9)
        self.broken_at = math.inf

    @property
    def model(self):
        return self

    def save_pretrained(self, folder):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "line.json").write_text(json.dumps(self.kept.weight.item()))

    def batches(self, done):
        for number in count(done):
            yield torch.full((self.config.batch, 1), number / 10)

    def step(self, batch, done):
        noise = torch.randn_like(batch) / 10
        loss = (self.line(batch) - 2 * batch + noise).square().mean()
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()
        losses = {"squares": loss.detach() * (math.nan if done >= self.broken_at else 1)}
        return losses if done % 4 else losses | {"seldom": torch.tensor(1.0)}

    def validate(self):
        return {"total": abs(self.kept.weight.item() - 2)}, None

    def state_dict(self):
        parts = {"line": self.line, "kept": self.kept, "optimizer": self.optimizer}
        return {name: part.state_dict() for name, part in parts.items()}

    def load_state_dict(self, state):
        for name, part in {"line": self.line, "kept": self.kept, "optimizer": self.optimizer}.items():
            part.load_state_dict(state[name])


def test_it_takes_its_steps_and_reports(tmp_path):
    trainer = Trainer(Line(), tmp_path)
    reports = list(trainer.run())
    assert [report.step for report in reports] == [10, 20, 25]
    assert reports[0].training.keys() == {"squares", "seldom"}
    assert trainer.best == min(report.validation["total"] for report in reports)
    assert {path.name for path in tmp_path.iterdir()} == {
        *("run.json", "state.pt", "best", "last", "log.jsonl", "tensorboard", ".lock")
    }
    assert read_log(tmp_path)[-1]["training"] == reports[-1].training
    assert json.loads((tmp_path / "run.json").read_text())["trains"] == "line"


def test_in_two_parts_it_ends_as_one(tmp_path):
    whole = Trainer(Line())
    list(whole.run())
    for report in Trainer(Line(), tmp_path).run():
        if report.step == 20:  # reported and not yet saved
            break
    again = Trainer(Line(), tmp_path)
    again.resume()
    assert again.step == 10
    list(again.run())
    assert torch.equal(again.strategy.line.weight, whole.strategy.line.weight)
    assert torch.equal(again.strategy.kept.weight, whole.strategy.kept.weight)
    assert [line["step"] for line in read_log(tmp_path)] == [10, 20, 25]


def test_a_second_training_in_a_folder_is_refused_while_the_first_one_runs(tmp_path):
    first = Trainer(Line(), tmp_path).run()
    next(first)
    second = Trainer(Line(), tmp_path)
    second.resume()
    with pytest.raises(PspkitError, match=f"{tmp_path}: another training is running there. Wait"):
        next(second.run())
    first.close()
    assert [report.step for report in second.run()] == [10, 20, 25]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("state.pt", b"", r"state\.pt: the file is empty"),
        ("state.pt", {}, r"state\.pt: it is not the state of a training"),
        ("state.pt", {"format": "pspkit training"}, r"state\.pt: it is damaged \(step: got None"),
        ("state.pt", {"step": math.nan}, r"state\.pt: it is damaged \(step: got nan"),
        ("state.pt", {"strategy": None}, "its state is damaged, or belongs to another model"),
        ("state.pt", {"recent": 3}, "its state is damaged, or belongs to another model"),
        ("run.json", b"[1]", r"run\.json: it cannot be read"),
        ("run.json", b"[" * 100_000, r"run\.json: it cannot be read .*nested too deeply"),
        ("run.json", b'{"trains": "line", "lr": NaN}', r"run\.json: it cannot be read .*NaN"),
        ("log.jsonl", b'{"step": 10}\n{"ste', r"log\.jsonl: it is damaged at line 2"),
        ("log.jsonl", b'{"step": -1}\n', r"log\.jsonl: it is damaged at line 1"),
    ],
)
def test_a_damaged_file_of_a_training_is_named(tmp_path, name, content, message):
    list(Trainer(Line(), tmp_path).run())
    if isinstance(content, dict):
        good = read_file(tmp_path / "state.pt")[0] if content and "format" not in content else {}
        torch.save(good | content, tmp_path / "other.pt")  # beside it: the good one is still mapped
        (tmp_path / "other.pt").rename(tmp_path / "state.pt")
    else:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=message):
        again = Trainer(Line(), tmp_path)
        again.resume()
        list(again.run())


def test_losses_stay_on_the_device_until_they_are_due():
    trainer = Trainer(Line())
    batches = trainer.strategy.batches(0)
    for _ in range(RECENT - 1):
        trainer.learn(next(batches))
    assert len(trainer.pending) == RECENT - 1 and trainer.recent == []


@pytest.mark.parametrize("broken_at", [3, 9, 14])
def test_a_loss_that_is_no_number_is_found_before_anything_is_saved(tmp_path, broken_at):
    strategy = Line(save_every=1 if broken_at == 3 else 10)
    strategy.broken_at = broken_at
    with pytest.raises(PspkitError, match=rf"step {broken_at + 1}: no number any more: squares nan"):
        list(Trainer(strategy, tmp_path).run())
    if broken_at < 10 and not (tmp_path / "state.pt").exists():
        return
    assert read_file(tmp_path / "state.pt")[0]["step"] <= broken_at


def test_weights_that_are_no_numbers_are_not_saved(tmp_path):
    trainer = Trainer(Line(), tmp_path)
    with torch.no_grad():
        trainer.strategy.line.bias.fill_(math.inf)
    with pytest.raises(PspkitError, match="step 0: no number any more: weights of the line"):
        trainer.save()
    assert not (tmp_path / "state.pt").exists()


def test_it_stops_when_it_is_asked_to_and_goes_on(tmp_path):
    trainer = Trainer(Line(), tmp_path)
    for _ in trainer.run():
        trainer.stop()
    assert trainer.step == 10 and read_file(tmp_path / "state.pt")[0]["step"] == 10
    list(trainer.run())
    assert trainer.step == 25


def test_it_stops_when_its_time_is_over(tmp_path):
    trainer = Trainer(Line(), tmp_path)
    assert list(trainer.run(minutes=0)) == []
    assert trainer.step == 1 and read_file(tmp_path / "state.pt")[0]["step"] == 1


@pytest.mark.parametrize("name, value", [("lr", 0.2), ("seed", 3), ("batch", 4)])
def test_what_differs_from_the_beginning_is_named(tmp_path, name, value):
    list(Trainer(Line(), tmp_path).run())
    began = getattr(LineConfig(), name)
    with pytest.raises(PspkitError, match=f"{name}: got {value}, but the training in .* began with {began}"):
        Trainer(Line(LineConfig(**{name: value})), tmp_path).resume()
    longer = Trainer(Line(LineConfig(steps=30)), tmp_path)
    longer.resume()
    assert [report.step for report in longer.run()] == [30]
    assert recorded(tmp_path, "line", LineConfig) == LineConfig(steps=30)


def test_nested_configurations_are_compared_by_their_options_names(tmp_path):
    given = {"decoder": {"size": 64, "widths": (1, 2)}, "training": {"lr": 1.0}}
    check_same(given, {"decoder": {"size": 64, "widths": [1, 2]}, "training": {"lr": 1.0}}, (), tmp_path)
    with pytest.raises(PspkitError, match=r"decoder_size: got 64, but .* began with 32"):
        check_same(given, {"decoder": {"size": 32, "widths": [1, 2]}, "training": {"lr": 1.0}}, (), tmp_path)


def test_a_folder_that_is_not_resumed_is_left_alone(tmp_path):
    list(Trainer(Line(), tmp_path).run())
    kept = (tmp_path / "state.pt").read_bytes()
    with pytest.raises(PspkitError, match=r"holds a training already\. Resume it, or name another folder"):
        next(Trainer(Line(), tmp_path).run())
    assert (tmp_path / "state.pt").read_bytes() == kept


def test_records_of_others(tmp_path):
    assert recorded(tmp_path, "line", LineConfig) is None
    (tmp_path / "run.json").write_text('{"trains": "line", "momentum": 1}')
    with pytest.raises(CheckpointError, match=r"'momentum'.*another version of pspkit wrote it"):
        recorded(tmp_path, "line", LineConfig)
    with pytest.raises(CheckpointError, match=r"another kind of network is trained there \(line, not encoder\)"):
        recorded(tmp_path, "encoder", LineConfig)
    torch.save({"weights": torch.zeros(1)}, tmp_path / "state.pt")
    (tmp_path / "run.json").unlink()
    with pytest.raises(CheckpointError, match="it is not the state of a training"):
        Trainer(Line(), tmp_path).resume()


def test_processes_that_stand_at_different_steps_refuse(tmp_path, monkeypatch):
    list(Trainer(Line(), tmp_path).run())
    trainer = Trainer(Line(), tmp_path)
    monkeypatch.setattr(trainer.machine, "gather", lambda step: [step, 0])
    with pytest.raises(PspkitError, match=r"states of different steps \(25, 0\)"):
        trainer.resume()


@pytest.mark.parametrize("name", ["steps", "validate_every", "save_every"])
def test_counts_below_1(name):
    with pytest.raises(PspkitError, match=f"{name}: got 0, needs at least 1"):
        Pace(**{"steps": 1, "validate_every": 1, "save_every": 1, name: 0})


def test_the_running_average_lags_behind():
    now, kept = nn.BatchNorm1d(2), nn.BatchNorm1d(2)
    average = RunningAverage([kept], [now], lambda done: 0.25 if done else 1.0)
    average.update(0)
    with torch.no_grad():
        now.running_mean.fill_(4.0)
        now.num_batches_tracked.fill_(7)
    average.update(1)
    assert kept.running_mean.tolist() == [1.0, 1.0]
    assert kept.num_batches_tracked == 7
    assert not kept.training and not kept.weight.requires_grad
