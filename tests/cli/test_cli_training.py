"""The training commands: every field has an option, and what the options do."""

import argparse
from dataclasses import replace

import pytest

from pspkit.cli import _parser, main, train, train_decoder, train_identity
from pspkit.cli.options import option_kinds, with_options
from pspkit.config import DecoderTrainingConfig, IdentityTrainingConfig, TrainingConfig
from pspkit.storage.checkpoints.files import read_file
from pspkit.training import Run
from pspkit.training.keeper import read_log, recorded

COMMANDS = {
    "train": (train, TrainingConfig),
    "train-decoder": (train_decoder, DecoderTrainingConfig),
    "train-identity": (train_identity, IdentityTrainingConfig),
}
PEOPLE = ("--heads", "16", "--views", "2", "--batch", "8")
TINY = {
    "train-decoder": (
        *PEOPLE,
        *("--decoder-n-mlp", "1", "--decoder-max-channels", "8", "--decoder-style-dim", "8"),
        *("--supervised", "0", "--supervision", "0", "--images", "16", "--validate-every", "8"),
    ),
    "train-identity": (*PEOPLE, "--validation", "4", "--epochs", "1", "--network-widths", "4,4,8,8"),
}


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch, one_thread):
    monkeypatch.setenv("PSPKIT_CACHE", str(tmp_path_factory.getbasetemp() / "heads"))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_field_has_an_option_and_a_text(command):
    module, config = COMMANDS[command]
    assert list(option_kinds(config)) == list(module.TEXTS)
    arguments = _parser().parse_args([command, "--out", "somewhere"])
    assert option_kinds(config).keys() | {"out", "resume", "device", "minutes"} <= vars(arguments).keys()
    default = config()
    assert with_options(default, arguments) == default


def test_every_part_of_a_run_has_an_option():
    arguments = vars(_parser().parse_args(["train", "--out", "somewhere"]))
    assert vars(Run()).keys() - {"training", "losses"} <= arguments.keys()


def test_options_reach_nested_configurations():
    arguments = argparse.Namespace(**dict.fromkeys(option_kinds(IdentityTrainingConfig)))
    arguments.network_widths, arguments.epochs = (1, 2, 3, 4), 3
    changed = with_options(IdentityTrainingConfig(), arguments)
    assert changed.network.widths == (1, 2, 3, 4) and changed.epochs == 3
    assert replace(changed, epochs=10, network=IdentityTrainingConfig().network) == IdentityTrainingConfig()


@pytest.mark.parametrize("command", TINY)
def test_it_trains_and_goes_on(command, tmp_path, capsys):
    kind, config = command.removeprefix("train-"), COMMANDS[command][1]
    assert main([command, *TINY[command], "--out", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "16 heads of" in said and "cpu, float32, 1 process" in said and "step      2" in said
    assert read_file(tmp_path / "state.pt")[0]["step"] == 2
    length = {"decoder": ("--images", "24"), "identity": ("--epochs", "2")}[kind]
    assert main([command, "--resume", *length, "--out", str(tmp_path)]) == 0
    assert read_log(tmp_path)[-1]["step"] == {"decoder": 3, "identity": 4}[kind]
    assert str(getattr(recorded(tmp_path, kind, config), length[0][2:])) == length[1]
    assert "finished" not in capsys.readouterr().out
    assert main([command, "--resume", "--out", str(tmp_path)]) == 0
    assert "This training is finished: it took all of its" in capsys.readouterr().out
    assert main(["inspect", str(tmp_path)]) == 0
    assert f"{tmp_path / 'last'}" in capsys.readouterr().out

    assert main([command, "--out", str(tmp_path)]) == 1
    assert "holds a training already. Go on with --resume" in capsys.readouterr().err
    assert main([command, "--resume", "--seed", "5", "--out", str(tmp_path)]) == 1
    assert "--seed: got 5, but the training in" in capsys.readouterr().err
    assert main(["train", "--resume", "--out", str(tmp_path)]) == 1
    assert f"another kind of network is trained there ({kind}, not encoder)" in capsys.readouterr().err


@pytest.mark.parametrize("command", COMMANDS)
def test_a_device_that_is_not_there(command, tmp_path, capsys):
    assert main([command, "--device", "tpu", "--out", str(tmp_path / "run")]) == 1
    assert "--device: got 'tpu'" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
