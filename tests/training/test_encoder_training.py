"""Training: what it keeps, how it goes on, what it leaves alone, and what it refuses."""

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from pspkit.cli import main
from pspkit.config import TRAININGS
from pspkit.data.heads import export, sample_factors
from pspkit.data.tasks import TASKS
from pspkit.device import choose_device, native_precision
from pspkit.domains import DOMAINS, get_domain
from pspkit.errors import CheckpointError, PspkitError
from pspkit.models.encoders import Encoder
from pspkit.models.stylegan2 import Generator
from pspkit.psp import PSP, load_decoder
from pspkit.storage.checkpoints.files import read_file
from pspkit.training import Run, Trainer
from pspkit.training.encoder import EncoderTraining, make_optimizer, to_side
from pspkit.training.keeper import Keeper, read_log
from tests.reference import answers, draw
from tests.storage.test_checkpoints import largest_file

SMOKE = ("train", "--domain", "heads", "--task", "encode", "--profile", "smoke")


def smoke(task: str = "encode", losses: dict | None = None, encoder: str | None = None, **changed) -> Run:
    changed = {"steps": 4, "validate_every": 2, "save_every": 2} | changed
    training = replace(TRAININGS["smoke"], **changed)
    return Run("heads", task, "smoke", training, losses=losses or {}, encoder=encoder)


def train(run: Run, out=None) -> Trainer:
    trainer = run.trainer(out)
    for _ in trainer.run():
        pass
    return trainer


def copied(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def changed_keys(before: dict[str, torch.Tensor], module: torch.nn.Module) -> set[str]:
    return {name for name, value in module.state_dict().items() if not torch.equal(value, before[name])}


def assert_same(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> None:
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == []


def command(*arguments: str, processes: int = 0) -> list[str]:
    launcher = ["-m", "torch.distributed.run", f"--nproc-per-node={processes}"] if processes else []
    return [sys.executable, *launcher, "-m", "pspkit", *map(str, arguments)]


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    """One cache of heads for the module; and one thread, which is faster at this size, and no slower beside others."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PSPKIT_CACHE", os.environ.get("PSPKIT_CACHE") or str(tmp_path_factory.mktemp("cache")))
        patch.setenv("OMP_NUM_THREADS", "1")
        yield
    torch.set_num_threads(threads)


class TestOptimizer:
    def test_ranger_takes_the_reference_steps(self):
        model = torch.nn.ParameterList(
            [draw("opt.conv", (4, 3, 3, 3)), draw("opt.linear", (5, 7)), draw("opt.bias", (6,))]
        )
        targets = [draw(f"opt.target.{i}", parameter.shape) for i, parameter in enumerate(model)]
        optimizer = make_optimizer(model, replace(TRAININGS["paper"], lr=1e-2))
        losses = []
        for _ in range(60):
            loss = sum(torch.nn.functional.mse_loss(p, t) for p, t in zip(model, targets, strict=True))
            losses.append(loss.item())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        torch.testing.assert_close(torch.tensor(losses), answers()["ranger_loss_60"].float(), rtol=1e-5, atol=1e-5)
        for i, parameter in enumerate(model):
            torch.testing.assert_close(parameter.detach(), answers()[f"ranger_param_{i}"], rtol=1e-4, atol=1e-5)

    def test_the_rate_falls_along_a_cosine(self):
        trainer = smoke(steps=100, lr=1.0, anneal_from=0.5).trainer()
        rates = []
        for done in (0, 50, 75, 99):
            trainer.strategy._set_rate(done)
            rates.append(trainer.strategy.optimizer.param_groups[0]["lr"])
        assert rates == pytest.approx([1, 1, 0.5, 0], abs=2e-3)

    def test_a_rate_that_never_falls_holds_beyond_the_last_step(self):
        trainer = smoke(steps=2, lr=1.0).trainer()
        trainer.strategy._set_rate(5)
        assert trainer.strategy.optimizer.param_groups[0]["lr"] == 1

    def test_the_paper_profile_is_the_reference(self):
        paper = TRAININGS["paper"]
        assert (paper.batch, paper.lr, paper.optimizer, paper.steps, paper.anneal_from) == (
            8,
            1e-4,
            "ranger",
            300_000,
            1,
        )


class TestWhatLearns:
    def test_the_encoder_learns_and_nothing_else(self):
        trainer = smoke().trainer()
        before, judge = copied(trainer.strategy.psp), copied(trainer.strategy.judge.loss)
        list(trainer.run())
        changed = changed_keys(before, trainer.strategy.psp)
        assert changed and all(name.startswith("encoder.") for name in changed)
        assert changed_keys(judge, trainer.strategy.judge.loss) == set()
        frozen = [*trainer.strategy.psp.decoder.parameters(), *trainer.strategy.judge.loss.parameters()]
        assert all(parameter.grad is None and not parameter.requires_grad for parameter in frozen)

    def test_the_decoder_learns_where_it_is_told_to(self):
        trainer = smoke(train_decoder=True).trainer()
        before = copied(trainer.strategy.psp)
        list(trainer.run())
        changed = changed_keys(before, trainer.strategy.psp)
        assert "decoder.conv1.conv.weight" in changed
        assert not any(name.startswith("decoder.style.") for name in changed)  # the mapping network takes no part

    def test_the_average_of_the_weights_is_kept(self, tmp_path):
        trainer = train(smoke(ema_decay=0.9), tmp_path)
        kept = load_file(tmp_path / "last" / "model.safetensors")
        assert_same(kept, trainer.model.state_dict())
        name = "encoder.styles.0.linear.weight"
        assert not torch.equal(kept[name], trainer.strategy.psp.state_dict()[name])

    @pytest.mark.parametrize("task", TASKS)
    def test_every_task_trains(self, task):
        trainer = train(smoke(task, steps=1, heads=4, validation=3))
        assert trainer.strategy.psp.encoder.config.input_nc == TASKS[task].input_nc

    @pytest.mark.parametrize("kind", ["w", "w_plus"])
    def test_the_baselines_train(self, kind):
        assert train(replace(smoke(steps=1), kind=kind)).step == 1

    def test_an_encoder_of_pictures_sees_label_maps_in_their_colours(self, tmp_path):
        train(smoke(steps=2), tmp_path)
        given = Encoder.from_pretrained(tmp_path / "best").eval()
        trainer = smoke("segmentation", encoder=str(tmp_path / "best")).trainer()
        maps = torch.stack([trainer.strategy.validation[index][0] for index in range(3)])
        shown = TASKS["segmentation"].show_source(maps)
        torch.testing.assert_close(trainer.strategy.psp.encoder.eval()(maps), given(shown), atol=1e-5, rtol=1e-4)

    @pytest.mark.parametrize("task", ["sketch", "inpaint"])
    def test_an_encoder_of_pictures_starts_from_what_it_knows(self, task, tmp_path):
        train(smoke(steps=2), tmp_path)
        given = Encoder.from_pretrained(tmp_path / "best")
        ours = smoke(task, encoder=str(tmp_path / "best")).trainer().strategy.psp.encoder
        assert changed_keys(given.state_dict(), ours) == {"input_layer.0.weight"}
        before, after = given.input_layer[0].weight, ours.input_layer[0].weight
        expected = before.sum(1, keepdim=True) if task == "sketch" else before
        torch.testing.assert_close(after[:, : expected.shape[1]], expected)

    def test_an_encoder_of_sketches_gives_all_but_its_first_kernel_to_one_of_label_maps(self, tmp_path):
        train(smoke("sketch", steps=2), tmp_path)
        given = Encoder.from_pretrained(tmp_path / "best").state_dict()
        ours = smoke("segmentation", encoder=str(tmp_path / "best")).trainer().strategy.psp.encoder
        assert changed_keys(given, ours) == {"input_layer.0.weight"}

    def test_batch_1(self):
        assert train(smoke(steps=2, batch=1)).step == 2

    def test_one_batch_can_be_learned_by_heart(self):
        """The first test of any trainer: pictures that the decoder can draw, seen again and again."""
        run = smoke(steps=60, batch=4, lr=3e-3, validate_every=60, losses={"identity": 0, "lpips": 0})
        trainer = run.trainer()
        z = draw("training.z", (4, 64))
        pictures = to_side(trainer.strategy.psp.decode_z(z), 64).detach().clamp(-1, 1)
        known = Pictures(pictures, trainer.strategy.training.task)
        old = trainer.strategy
        trainer = Trainer(EncoderTraining(old.psp, old.judge.loss, known, known, run.training))
        first = trainer.validate().validation["l2"]
        (last,) = trainer.run()
        assert last.training["l2"] < first and trainer.recent == []
        assert trainer.strategy.objective(pictures, pictures)[1]["l2"] < 0.3 * first

    def test_bfloat16_learns_too(self):
        trainer = train(smoke(steps=1, batch=1, heads=4, validation=1, precision="bfloat16"))
        assert {parameter.dtype for parameter in trainer.strategy.psp.parameters()} == {torch.float32}

    def test_auto_is_a_precision_the_processor_has(self):
        native = any(torch.cpu.get_capabilities().get(name) for name in ("avx512_bf16", "amx_bf16"))
        if torch.cuda.is_available():
            native = torch.cuda.is_bf16_supported(including_emulation=False)
        device = choose_device()
        assert native_precision(device) == ("bfloat16" if native else "float32")


class Pictures(torch.utils.data.Dataset):
    """Pictures that are their own targets."""

    def __init__(self, pictures, task):
        self.pictures, self.task = pictures, task

    def __len__(self):
        return len(self.pictures)

    def __getitem__(self, index):
        return self.pictures[index], self.pictures[index]

    def set_epoch(self, epoch):
        pass


class TestValidation:
    def test_it_is_the_same_every_time_and_changes_nothing(self):
        trainer = train(smoke(steps=2))
        before = copied(trainer.strategy.psp)
        first, second = trainer.validate(), trainer.validate()
        assert first.validation == second.validation
        assert torch.equal(first.sheet, second.sheet)
        assert changed_keys(before, trainer.strategy.psp) == set()

    @pytest.mark.parametrize("batch", [1, 4, 6])
    def test_no_pair_is_left_out(self, batch):
        losses = {"identity": 0, "lpips": 0}
        trainer = smoke(batch=batch, losses=losses).trainer()
        each = [
            trainer.strategy.judge(source[None], target[None])[1]["l2"]
            for source, target in trainer.strategy.validation
        ]
        assert len(each) == 6
        assert trainer.validate().validation["l2"] == pytest.approx(torch.stack(each).mean().item(), rel=1e-5)

    def test_people_are_held_out(self):
        trainer = smoke().trainer()
        seen, held_out = (
            {item["person"] for item in pairs.items}
            for pairs in (trainer.strategy.training, trainer.strategy.validation)
        )
        assert seen and held_out and not seen & held_out

    def test_the_best_is_the_one_of_the_lowest_total(self, tmp_path):
        trainer = smoke(steps=6, lr=0.05, validate_every=1, ema_decay=0.0).trainer(tmp_path)
        kept = {}
        for report in trainer.run():
            if report.best:
                kept = copied(trainer.model)
        totals = [line["validation"]["total"] for line in read_log(tmp_path)]
        assert len(totals) == 6
        assert trainer.best == min(totals)
        assert_same(load_file(tmp_path / "best" / "model.safetensors"), kept)


class TestWhatIsKept:
    def test_files(self, tmp_path):
        run = smoke()
        trainer = train(run, tmp_path)
        assert {path.name for path in tmp_path.iterdir()} == {
            *(".lock", "run.json", "state.pt", "best", "last", "log.jsonl", "sheets", "tensorboard")
        }
        assert Run.recorded(tmp_path) == run
        lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
        assert [line["step"] for line in lines] == [2, 4]
        assert lines[0]["validation"].keys() == {"total", "lpips", "l2", "identity"} == lines[0]["training"].keys()
        assert [path.name for path in sorted((tmp_path / "sheets").iterdir())] == ["000002.jpg", "000004.jpg"]
        assert Image.open(tmp_path / "sheets" / "000004.jpg").size == (6 * 66 + 2, 3 * 66 + 2)
        loaded = PSP.from_pretrained(tmp_path / "best")
        x = torch.rand(1, 3, 64, 64) * 2 - 1
        assert torch.equal(loaded(x), trainer.model(x))

    def test_tensorboard_can_read_it(self, tmp_path):
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        train(smoke(), tmp_path)
        events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
        assert {"training/total", "training/l2", "validation/total"} <= set(events.Tags()["scalars"])
        assert [event.step for event in events.Scalars("validation/total")] == [2, 4]
        assert [event.step for event in events.Images("validation")] == [2, 4]

    def test_nothing_is_written_where_nothing_is_to_be_kept(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        train(smoke(steps=2))
        assert list(tmp_path.iterdir()) == []


class TestResume:
    @pytest.mark.parametrize("changed", [{}, {"optimizer": "adam"}, {"batch": 2, "accumulate": 2}, {"heads": 6}])
    def test_a_run_in_two_parts_ends_as_one(self, tmp_path, changed):
        """Six steps; the state is that of step 3 when it stops after 4. With 6 heads every step is an epoch."""
        run = smoke(steps=6, save_every=3, lr=1e-2, **changed)
        whole = train(run, tmp_path / "whole")
        parts = run.trainer(tmp_path / "parts")
        for report in parts.run():
            if report.step == 4:
                break
        again = run.trainer(tmp_path / "parts")
        again.resume()
        assert again.step == 3
        list(again.run())
        assert_same(again.strategy.psp.state_dict(), whole.strategy.psp.state_dict())
        assert_same(again.model.state_dict(), whole.model.state_dict())
        ours, theirs = read_log(tmp_path / "parts"), read_log(tmp_path / "whole")
        assert [line["validation"] for line in ours] == [line["validation"] for line in theirs]
        assert [line["training"] for line in ours] == [line["training"] for line in theirs]

    def test_a_run_that_has_ended_takes_no_further_step(self, tmp_path):
        run = smoke()
        trainer = train(run, tmp_path)
        again = run.trainer(tmp_path)
        again.resume()
        assert list(again.run()) == []
        assert_same(again.model.state_dict(), trainer.model.state_dict())

    def test_the_state_is_read_without_running_code(self, tmp_path):
        train(smoke(steps=2), tmp_path)
        state, _ = read_file(tmp_path / "state.pt")
        assert {"step", "best"} <= state.keys()
        assert {"psp", "average", "optimizer", "scaler"} == state["strategy"].keys()
        assert not [name for name in state["strategy"]["average"] if "decoder" in name]  # it is frozen: kept once

    def test_a_damaged_state(self, tmp_path):
        run = smoke(steps=2)
        train(run, tmp_path)
        content = (tmp_path / "state.pt").read_bytes()
        (tmp_path / "state.pt").write_bytes(content[: len(content) // 2])
        with pytest.raises(CheckpointError, match=r"state\.pt: .*cut off"):
            run.trainer(tmp_path).resume()

    def test_another_task_than_it_began_with(self, tmp_path):
        train(smoke(steps=2), tmp_path)
        with pytest.raises(PspkitError, match=r"task: got 'sketch', but the training in .* began with 'encode'"):
            smoke("sketch", steps=2).trainer(tmp_path).resume()

    @pytest.mark.slow
    def test_killed_at_any_moment_and_resumed_it_equals_the_uninterrupted_run(self, tmp_path):
        options = (*SMOKE, "--steps", "40", "--save-every", "7", "--validate-every", "10")
        subprocess.run(command(*options, "--out", tmp_path / "whole"), check=True, capture_output=True)
        killed = command(*options, "--out", tmp_path / "killed", "--resume")
        for state in ("run.json", "state.pt", "best"):  # before the first step, and twice in the midst of it
            with subprocess.Popen(killed, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
                wait_for(tmp_path / "killed" / state, process)
                time.sleep(0.1)
                process.send_signal(signal.SIGKILL)
        assert len(read_log(tmp_path / "killed")) < 4
        subprocess.run(killed, check=True, capture_output=True)
        for name in ("last", "best"):
            assert_same(*(load_file(tmp_path / run / name / "model.safetensors") for run in ("killed", "whole")))
        states = [read_file(tmp_path / run / "state.pt")[0] for run in ("killed", "whole")]
        assert_same(states[0]["strategy"]["psp"], states[1]["strategy"]["psp"])


def wait_for(path, process):
    while not path.exists():
        if process.poll() is not None:
            raise AssertionError(process.stderr.read().decode())
        time.sleep(0.01)


@pytest.mark.slow
def test_two_processes_take_the_steps_of_one_that_accumulates_two_batches(tmp_path):
    options = (*SMOKE, "--steps", "5", "--batch", "3", "--heads", "16", "--optimizer", "adam")
    one = command(*options, "--accumulate", "2", "--out", tmp_path / "one")
    two = command(*options, "--out", tmp_path / "two", processes=2)
    for run in (one, two):
        done = subprocess.run(run, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert "cpu, float32, 2 processes" in done.stdout
    ours, theirs = (read_file(tmp_path / run / "state.pt")[0]["strategy"]["psp"] for run in ("two", "one"))
    parameters = [name for name in ours if "running_" not in name and "num_batches" not in name]
    for name in parameters:
        torch.testing.assert_close(ours[name], theirs[name], rtol=0, atol=1e-6)
    ours, theirs = (read_log(tmp_path / run) for run in ("two", "one"))
    assert len(ours) == len(theirs) == 1


class TestTwoTrainers:
    """Nothing in a trainer belongs to the process: each ends with the weights that it has when it trains alone."""

    RUNS = (
        dict(accumulate=2, batch=2, optimizer="adam"),
        dict(precision="bfloat16", optimizer="adam", seed=1),
    )

    def test_in_turns_they_end_as_each_alone(self):
        runs = [smoke(steps=3, validate_every=3, heads=8, lr=1e-2, **changed) for changed in self.RUNS]
        alone = [train(run) for run in runs]
        turns = [run.trainer() for run in runs]  # both are built before either takes a step
        assert [trainer.machine.precision for trainer in turns] == ["float32", "bfloat16"]
        batches = [trainer.strategy.batches(0) for trainer in turns]
        for _ in range(3):
            for trainer, own in zip(turns, batches, strict=True):
                trainer.learn(next(own))
        for ours, theirs in zip(turns, alone, strict=True):
            assert ours.step == 3
            assert_same(ours.strategy.psp.state_dict(), theirs.strategy.psp.state_dict())
            assert_same(ours.model.state_dict(), theirs.model.state_dict())

    def test_the_running_average_shares_the_frozen_decoder(self, tmp_path):
        trainer = smoke().trainer()
        assert trainer.model.decoder is trainer.strategy.psp.decoder
        assert trainer.model.encoder is not trainer.strategy.psp.encoder
        learning = smoke(train_decoder=True).trainer()
        assert learning.model.decoder is not learning.strategy.psp.decoder


class Drawn:
    """Pairs that come as whole batches, made from their number alone."""

    task = TASKS["encode"]

    def batches(self, done, size, machine):
        for number in itertools.count(done):
            generator = torch.Generator().manual_seed(number * machine.processes + machine.rank)
            pictures = torch.rand(size, 3, 64, 64, generator=generator).to(machine.device) * 2 - 1
            yield pictures, pictures


def test_batches_may_come_from_elsewhere(tmp_path):
    def trainer(out):
        given = smoke(steps=4, save_every=2).trainer().strategy
        return Trainer(EncoderTraining(given.psp, given.judge.loss, Drawn(), given.validation, given.config), out)

    whole = trainer(tmp_path / "whole")
    list(whole.run())
    parts = trainer(tmp_path / "parts")
    next(parts.run())
    parts.save()
    again = trainer(tmp_path / "parts")
    again.resume()
    assert again.step == 2
    list(again.run())
    assert_same(again.model.state_dict(), whole.model.state_dict())


class TestRefusals:
    def test_a_folder_is_not_written_over_from_python_either(self, tmp_path):
        run = smoke(steps=1)
        train(run, tmp_path)
        with pytest.raises(PspkitError, match=r"holds a training already\. Resume it, or name another folder"):
            train(run, tmp_path)

    def test_the_state_of_another_model(self, tmp_path):
        train(smoke(steps=2), tmp_path)
        other = smoke("sketch", steps=2).trainer(tmp_path)
        state = read_file(tmp_path / "state.pt")[0]
        with pytest.raises(RuntimeError, match="size mismatch"):
            other.load_state_dict(state)
        (tmp_path / "run.json").unlink()
        with pytest.raises(
            CheckpointError, match=r"another model .*Resume with the settings that the training began with"
        ):
            other.resume()

    def test_a_loss_that_is_no_number_stops_it_and_the_last_checkpoint_stays(self, tmp_path, monkeypatch):
        trainer = smoke(steps=8).trainer(tmp_path)
        reports = trainer.run()
        next(reports)
        trainer.save()
        kept = (tmp_path / "last" / "model.safetensors").read_bytes()
        with torch.no_grad():
            trainer.strategy.psp.encoder.latlayer1.weight.fill_(float("nan"))
        monkeypatch.setattr(trainer, "save", lambda: None)  # due after step 2, which has been saved
        with pytest.raises(PspkitError, match=r"step 3: no number any more: total nan.*with a lower learning rate"):
            list(reports)
        assert read_file(tmp_path / "state.pt")[0]["step"] == 2
        assert kept == (tmp_path / "last" / "model.safetensors").read_bytes()

    def test_weights_that_are_no_numbers_are_not_kept(self, tmp_path):
        trainer = train(smoke(steps=2), tmp_path)
        with torch.no_grad():
            trainer.strategy.psp.encoder.latlayer1.weight.fill_(float("inf"))
        with pytest.raises(PspkitError, match="no number any more: weights of the encoder"):
            trainer.save()

    def test_too_little_memory(self, monkeypatch):
        trainer = smoke(batch=4, accumulate=2).trainer()

        def full(*_):
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 TB")

        monkeypatch.setattr(trainer.strategy.psp.decoder, "synthesis", full)
        with pytest.raises(PspkitError, match=r"batch: 4 does not fit .*Halve it and double accumulate \(now 2\)"):
            list(trainer.run())

    def test_other_errors_stay_as_they_are(self, monkeypatch):
        trainer = smoke().trainer()
        monkeypatch.setattr(trainer.strategy.psp.decoder, "synthesis", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            list(trainer.run())

    def test_a_full_disk_leaves_the_last_checkpoint(self, tmp_path):
        train(smoke(steps=2), tmp_path)
        before = {path: path.read_bytes() for path in tmp_path.rglob("*.*") if "tensorboard" not in path.parts}
        more = smoke(steps=4).trainer(tmp_path)
        more.resume()
        with largest_file(1000), pytest.raises(CheckpointError, match=r"could not be written .*Free some space"):
            list(more.run())
        changed = {path.name for path in before if path.read_bytes() != before[path]}
        assert changed == {"run.json"}  # which names the new number of steps

    @pytest.mark.parametrize("file", ["state.pt", "last/model.safetensors"])
    def test_a_disk_that_fills_up_in_a_state(self, tmp_path, file):
        trainer = train(smoke(steps=2), tmp_path)
        size = (tmp_path / file).stat().st_size
        with largest_file(size // 2), pytest.raises(CheckpointError, match="could not be written"):
            trainer.save()
        assert (tmp_path / file).stat().st_size == size
        assert not list(tmp_path.rglob("*.part"))

    def test_fewer_pairs_than_a_step_takes(self):
        with pytest.raises(PspkitError, match=r"5 pairs, but one step takes 8 \(batch 4, accumulate 2, processes 1\)"):
            smoke(heads=5, accumulate=2).trainer()

    def test_no_such_things(self):
        for run, message in (
            (replace(smoke(), domain="cats"), "domain: got 'cats', needs one of 'heads', 'faces', 'objects'"),
            (smoke("sing"), "task: got 'sing', needs one of 'encode'"),
            (replace(smoke(), profile="huge"), "profile: got 'huge'"),
            (smoke(losses={"beauty": 1}), "loss: got 'beauty', needs one of 'lpips'"),
            (smoke(optimizer="sgd"), "optimizer: got 'sgd'"),
            (smoke(precision="int8"), "precision: got 'int8'"),
            (replace(smoke(), kind="cubic"), "kind: got 'cubic'"),
        ):
            with pytest.raises(PspkitError, match=message):
                run.trainer()

    @pytest.mark.parametrize("name", ["steps", "batch", "accumulate", "validate_every", "save_every"])
    def test_counts_below_1(self, name):
        with pytest.raises(PspkitError, match=f"{name}: got 0, needs at least 1"):
            smoke(**{name: 0}).trainer()

    @pytest.mark.skipif(torch.accelerator.is_available(), reason="a GPU is there, which has float16")
    def test_float16_without_a_gpu(self):
        with pytest.raises(PspkitError, match="precision: float16 needs a GPU"):
            smoke(precision="float16").trainer()

    def test_a_decoder_of_another_number_of_codes(self, tmp_path):
        train(smoke(steps=2), tmp_path / "smoke")
        Generator(32, style_dim=64, n_mlp=2, max_channels=16).save_pretrained(tmp_path / "decoder")
        run = replace(smoke(encoder=str(tmp_path / "smoke" / "best")), decoder=str(tmp_path / "decoder"))
        with pytest.warns(UserWarning, match="makes 6 codes, and the decoder takes 8: its first 6 map2style blocks"):
            assert run.trainer().strategy.psp.encoder.n_styles == 8
        assert replace(run, encoder=None).trainer().strategy.psp.encoder.config.n_styles == 8

    def test_files_without_a_decoder(self, tmp_path):
        smoke().trainer().strategy.psp.encoder.save_pretrained(tmp_path)
        with pytest.raises(CheckpointError, match="weights of Encoder, and no decoder"):
            load_decoder(tmp_path)


class TestDomains:
    def test_own_folders(self, tmp_path):
        export(sample_factors(24, 0), 64, tmp_path)
        run = replace(
            smoke("sketch", steps=2, workers=1),
            source=str(tmp_path / "sketches"),
            target=str(tmp_path / "images"),
        )
        trainer = train(run)
        names = [
            {pair.name for pair in pairs.pairs} for pairs in (trainer.strategy.training, trainer.strategy.validation)
        ]
        assert [len(found) for found in names] == [22, 2]
        assert not names[0] & names[1]

    def test_a_picture_that_goes_bad_is_named_without_a_traceback(self, tmp_path):
        export(sample_factors(12, 0), 64, tmp_path)
        trainer = replace(smoke(workers=1), source=str(tmp_path / "images")).trainer()
        for pair in trainer.strategy.training.pairs:
            pair.source.write_bytes(b"")
        with pytest.raises(PspkitError, match=r"^\S+\.png") as refused:
            list(trainer.run())
        assert "Traceback" not in str(refused.value)

    def test_a_folder_too_small_to_hold_some_out(self, tmp_path):
        export(sample_factors(9, 0), 64, tmp_path)
        with pytest.raises(PspkitError, match="holds 9 pictures, and at least 10 are needed"):
            replace(smoke(), source=str(tmp_path / "images")).trainer()

    @pytest.mark.parametrize(
        "domain, task, decoder, message",
        [
            ("objects", "encode", False, "decoder: none is given, and none comes with objects"),
            ("objects", "encode", True, "moco_path: none is given, but moco has the weight 0.5"),
            ("faces", "toonify", False, "decoder: none is given, and no toon decoder of faces"),
        ],
    )
    def test_what_a_domain_does_not_bring(self, tmp_path, domain, task, decoder, message):
        Generator(16, style_dim=64, n_mlp=2, max_channels=16).save_pretrained(tmp_path)
        run = replace(smoke(task), domain=domain, decoder=str(tmp_path) if decoder else None)
        with pytest.raises(PspkitError, match=message):
            run.trainer()

    @pytest.mark.parametrize(
        "what, message",
        [
            ("decoder", r"profile: got 'paper', and heads has decoders for smoke, cpu only"),
            ("identity", r"identity: none is given, and the weights .* are not at .*heads-identity"),
        ],
    )
    def test_weights_that_do_not_ship(self, what, message, tmp_path, monkeypatch):
        monkeypatch.setattr("pspkit.domains.domain.WEIGHTS", tmp_path)
        arguments = ("paper", "encode") if what == "decoder" else ("paper",)
        with pytest.raises(PspkitError, match=message):
            getattr(get_domain("heads"), what)(*arguments)

    def test_objects_bring_no_pictures(self):
        with pytest.raises(PspkitError, match="source: none is given, and no pictures come with objects"):
            get_domain("objects").pairs("encode", 256, TRAININGS["paper"])
        with pytest.raises(PspkitError, match="from_photograph: it makes sources from the pictures of a folder"):
            get_domain("heads").pairs("sketch", 64, TRAININGS["smoke"], from_photograph=True)

    def test_moco_takes_the_place_of_identity_where_there_are_no_faces(self):
        weights = DOMAINS["objects"].losses("encode")
        assert (weights.identity, weights.moco, weights.lpips) == (0, 0.5, 0.8)
        assert DOMAINS["objects"].losses("sketch").moco == 0

    def test_an_identity_network_of_the_encoder_body_is_its_start(self, tmp_path):
        network = get_domain("heads").identity("smoke")
        torch.nn.init.constant_(network.body[0].res_layer[1].weight, 0.125)
        network.save_pretrained(tmp_path)
        trainer = replace(smoke(), identity=str(tmp_path)).trainer()
        assert (trainer.strategy.psp.encoder.body[0].res_layer[1].weight == 0.125).all()
        sketches = replace(smoke("sketch"), identity=str(tmp_path)).trainer().strategy.psp.encoder
        torch.testing.assert_close(sketches.input_layer[0].weight, network.input_layer[0].weight.sum(1, keepdim=True))


class TestRun:
    def test_the_profile_brings_its_training(self):
        assert Run(profile="paper").training == TRAININGS["paper"]
        assert Run().training == TRAININGS["cpu"]
        with pytest.raises(PspkitError, match="profile: got 'huge'"):
            Run(profile="huge")

    def test_pictures_that_cannot_be_used_may_be_skipped(self, tmp_path):
        export(sample_factors(12, 0), 64, tmp_path)
        (tmp_path / "images" / "00003.png").write_bytes(b"")
        run = replace(smoke(batch=2), source=str(tmp_path / "images"))
        with pytest.raises(PspkitError, match=r"00003\.png"):
            run.trainer()
        with pytest.warns(UserWarning, match=r"00003\.png"):
            trainer = replace(run, on_bad_image="skip").trainer()
        assert len(trainer.strategy.training) + len(trainer.strategy.validation) == 11


class TestCommand:
    def test_an_interrupt_is_one_line_and_a_saved_state(self, tmp_path):
        options = ("--steps", "5000", "--validate-every", "5000", "--save-every", "5000", "--workers", "1")
        with subprocess.Popen(
            command(*SMOKE, *options, "--out", tmp_path), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        ) as process:
            wait_for(tmp_path / "run.json", process)
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=120)
        assert process.returncode == 130
        assert "Traceback" not in said
        last = said.splitlines()[-1]
        step = read_file(tmp_path / "state.pt")[0]["step"]
        assert last == f"pspkit: stopped after step {step} and saved. Go on with --resume --out {tmp_path}"

    def test_time_that_runs_out_leaves_a_state(self, tmp_path, capsys):
        assert main([*SMOKE, "--minutes", "0", "--out", str(tmp_path)]) == 0
        assert "stopped after step 1 and saved" in capsys.readouterr().err
        assert read_file(tmp_path / "state.pt")[0]["step"] == 1

    def test_it_trains_and_goes_on(self, tmp_path, capsys):
        out = tmp_path / "run"
        assert main([*SMOKE, "--steps", "2", "--out", str(out)]) == 0
        said = capsys.readouterr().out
        assert "heads, encode, smoke: encoder gradual, ir_se 18, 3 channels of 64 px to 6 codes of 64" in said
        assert "16 pairs, 6 held out; cpu, float32, 1 process" in said
        assert "step      2" in said
        assert main(["train", "--steps", "3", "--resume", "--out", str(out)]) == 0
        assert "step      3" in capsys.readouterr().out
        assert Run.recorded(out).training.steps == 3

    def test_a_folder_with_a_run_is_not_written_over(self, tmp_path, capsys):
        Keeper(tmp_path).begin(asdict(smoke()), 0)
        assert main([*SMOKE, "--out", str(tmp_path)]) == 1
        assert "holds a training already. Go on with --resume" in capsys.readouterr().err

    def test_a_run_goes_on_as_it_began(self, tmp_path, capsys):
        Keeper(tmp_path).begin(asdict(smoke()), 0)
        assert main([*SMOKE, "--lr", "0.5", "--resume", "--out", str(tmp_path)]) == 1
        assert f"--lr: got 0.5, but the training in {tmp_path} began with 0.001" in capsys.readouterr().err

    @pytest.mark.parametrize("text", ["identity", "identity=much"])
    def test_a_loss_without_a_weight(self, text, tmp_path, capsys):
        assert main([*SMOKE, "--loss", text, "--out", str(tmp_path)]) == 1
        assert "--loss: got" in capsys.readouterr().err

    def test_a_record_that_cannot_be_read(self, tmp_path, capsys):
        (tmp_path / "run.json").write_text('{"domain": "heads"')
        assert main(["train", "--resume", "--out", str(tmp_path)]) == 1
        assert "run.json: it cannot be read" in capsys.readouterr().err

    def test_a_refused_start_leaves_no_folder(self, tmp_path):
        assert main([*SMOKE, "--batch", "99", "--out", str(tmp_path / "run")]) == 1
        assert not (tmp_path / "run").exists()
