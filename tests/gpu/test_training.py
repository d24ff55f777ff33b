"""Training on the GPU: every precision, accumulated batches, going on, and the whole of the smallest run."""

import json

import pytest
import torch

from pspkit.cli import main
from pspkit.psp import PSP
from tests.gpu.conftest import REHEARSAL, error, smoke_run, trained_weights


def pairs(device: torch.device, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Sources that are their own targets, the same on every device."""
    pictures = torch.rand(count, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    return pictures.to(device), pictures.to(device)


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_steps_in_every_precision(device, record, precision):
    if REHEARSAL and precision == "float16":
        pytest.skip("float16 needs a GPU")
    trainer = smoke_run(precision=precision).trainer()
    assert next(trainer.strategy.psp.parameters()).device == device
    before, batch = trained_weights(trainer), pairs(device, 4)
    for _ in range(3 if precision != "float16" else 12):  # in float16 the first steps find out the loss's scale
        losses = trainer.learn([batch])
    assert torch.stack(list(losses.values())).isfinite().all()
    after = trained_weights(trainer)
    assert all(tensor.isfinite().all() for tensor in after.values() if tensor.is_floating_point())
    record(moved=error(after["input_layer.0.weight"], before["input_layer.0.weight"]))
    assert not torch.equal(after["input_layer.0.weight"], before["input_layer.0.weight"])


def test_a_step_is_that_of_the_cpu(device, monkeypatch, record):
    found = {}
    for name in ("cpu", device.type):
        monkeypatch.setenv("PSPKIT_DEVICE", name)
        trainer = smoke_run(optimizer="adam").trainer()
        losses = trainer.learn([pairs(torch.device(name), 4)])
        found[name] = torch.stack(list(losses.values())).cpu()
    errors = error(found[device.type], found["cpu"])
    record(losses=errors)
    assert errors < 1e-3


def test_two_accumulated_batches_are_one_of_twice_the_size(device, record):
    source, target = pairs(device, 2)  # the same twice, so that the norms see the same statistics
    whole = smoke_run(batch=4, lr=1.0).trainer()
    before = trained_weights(whole)
    whole.learn([(source.repeat(2, 1, 1, 1), target.repeat(2, 1, 1, 1))])
    halves = smoke_run(batch=2, accumulate=2, lr=1.0).trainer()
    halves.learn([(source, target), (source, target)])
    # Ranger's first step is lr times the gradient.
    ours, theirs = (
        torch.cat([(after[name] - before[name]).flatten() for name in after if after[name].is_floating_point()])
        for after in map(trained_weights, (halves, whole))
    )
    record(step=error(ours, theirs))
    assert theirs.norm() > 0
    assert error(ours, theirs) < 1e-2


def test_a_run_in_two_parts_ends_as_one(device, tmp_path):
    changes = {"steps": 6, "save_every": 3, "validate_every": 2}
    whole = smoke_run(**changes).trainer(tmp_path / "whole")
    list(whole.run())
    parts = smoke_run(**changes).trainer(tmp_path / "parts")
    for report in parts.run():
        if report.step == 4:
            break
    again = smoke_run(**changes).trainer(tmp_path / "parts")
    again.resume()
    assert again.step == 3
    list(again.run())
    ours, theirs = trained_weights(again), trained_weights(whole)
    # Sums on a GPU may come in another order each time.
    assert all(error(ours[name], theirs[name]) < 1e-2 for name in ours if ours[name].ndim == 4)


def test_the_whole_smoke_training_from_the_command_line(device, tmp_path, capsys):
    out = tmp_path / "run"
    assert main(["train", "--profile", "smoke", "--out", str(out)]) == 0, capsys.readouterr().err
    assert device.type in capsys.readouterr().out
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert lines[-1]["step"] == 12
    psp = PSP.from_pretrained(out / "best").to(device)
    with torch.no_grad():
        assert psp(pairs(device, 2)[0]).isfinite().all()
