"""Folders of one's own: what is held out, and whose; shapes, sizes, and an encoder made for another decoder."""

from dataclasses import replace

import pytest
import torch

from pspkit import PspkitError
from pspkit.cli import main
from pspkit.config import TRAININGS
from pspkit.data.heads import export, sample_factors
from pspkit.data.pictures import open_picture
from pspkit.data.tasks.transforms import to_square
from pspkit.inference import find_psp
from pspkit.models.encoders import Encoder
from pspkit.models.stylegan2 import Generator
from pspkit.psp import PSP
from pspkit.training import Run
from tests.examples import SMOKE, write_photo


def run(task="encode", **changed):
    names = Run.__dataclass_fields__.keys() - {"training"}
    given = {name: changed.pop(name) for name in names & changed.keys()}
    training = replace(TRAININGS["smoke"], **({"steps": 1, "validate_every": 1, "batch": 2} | changed))
    return Run("heads", task, "smoke", training, **given)


def divided(run):
    strategy = run.trainer().strategy
    return [sorted(pair.name for pair in pairs.pairs) for pairs in (strategy.training, strategy.validation)]


def pictures(folder, *names, size=(64, 64)):
    for number, name in enumerate(names):
        write_photo(folder / f"{name}.png", number, size)
    return str(folder)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class TestHeldOut:
    def test_a_folder_of_their_own(self, tmp_path):
        source, others = pictures(tmp_path / "in", "a", "b", "c"), pictures(tmp_path / "held", "d", "e")
        assert divided(run(source=source, validation=others)) == [["a", "b", "c"], ["d", "e"]]

    def test_a_folder_of_their_own_and_its_partners(self, tmp_path):
        for part, count in (("train", 3), ("held", 2)):
            export(sample_factors(count, 0), 64, tmp_path / part)
        folders = {
            name: str(tmp_path / "train" / kind) for name, kind in (("source", "sketches"), ("target", "images"))
        }
        own = run("sketch", **folders, validation=str(tmp_path / "held/sketches"))
        assert divided(replace(own, validation_target=str(tmp_path / "held/images"))) == [
            ["00000", "00001", "00002"],
            ["00000", "00001"],
        ]
        with pytest.raises(PspkitError, match="target: sketch needs a second folder"):
            own.trainer()

    def test_one_picture_can_be_learned_by_heart(self, tmp_path, capsys):
        source = pictures(tmp_path / "in", "a")
        given = (
            "train",
            "--profile",
            "smoke",
            "--source",
            source,
            "--validation",
            "none",
            "--batch",
            "1",
            "--steps",
            "1",
        )
        assert main([*given, "--out", str(tmp_path / "run")]) == 0
        assert "1 pairs, none held out: validation measures what is learned by heart" in capsys.readouterr().out
        assert Run.recorded(tmp_path / "run").training.validation == "none"

    def test_too_few_pictures_name_the_ways_out(self, tmp_path):
        with pytest.raises(
            PspkitError, match=r"holds 1 pictures, .* a tenth .*folder of pictures to hold out.*or validation='none'"
        ):
            run(source=pictures(tmp_path / "in", "a")).trainer()

    @pytest.mark.parametrize(
        ("group_by", "pattern"),
        [("folder", "{person}/{number}"), (r"(\w+)_", "{person}_{number}"), (r"^\w", "{person}{number}")],
    )
    def test_nobody_is_on_both_sides(self, group_by, pattern, tmp_path):
        people = "abcde"
        names = [pattern.format(person=person, number=number) for person in people for number in range(5)]
        training, validation = divided(run(source=pictures(tmp_path / "in", *names), group_by=group_by))
        assert len(training) + len(validation) == 25
        assert len(validation) == 5
        assert not {name[0] for name in training} & {name[0] for name in validation}

    @pytest.mark.parametrize(
        ("group_by", "message"),
        [
            ("folder", "group_by: 'folder' puts all pictures into one group"),
            ("(", "group_by: .* is not a regular expression"),
            ("x_", "group_by: 'x_' does not match the name a"),
        ],
    )
    def test_groups_that_hold_nobody_out(self, group_by, message, tmp_path):
        with pytest.raises(PspkitError, match=message):
            run(source=pictures(tmp_path / "in", *"abcdefghijkl"), group_by=group_by).trainer()

    def test_rendered_heads_are_held_out_by_number(self):
        with pytest.raises(
            PspkitError, match="validation: got 'none', but the pictures to learn from are the domain's own"
        ):
            run(validation="none").trainer()


@pytest.mark.parametrize("task", ["sketch", "segmentation"])
@pytest.mark.parametrize("command", ["pairs", "train"])
def test_one_folder_as_source_and_target(command, task, tmp_path, capsys):
    export(sample_factors(12, 0), 64, tmp_path / "heads")
    folder = tmp_path / "heads" / ("sketches" if task == "sketch" else "labels")
    given = ["--task", task, "--source", str(folder), "--target", str(folder / ".." / folder.name)]
    given += (
        ["--out", str(tmp_path / "out.png")]
        if command == "pairs"
        else ["--profile", "smoke", "--out", str(tmp_path / "r")]
    )
    assert main([command, *given]) == 1
    assert (
        f"--target: {folder} is also the folder of the {'sketch' if task == 'sketch' else 'labels'}"
        in capsys.readouterr().err
    )


@pytest.mark.parametrize("fit", ["pad", "crop"])
def test_training_sees_what_translation_sees(fit, tmp_path):
    source = pictures(tmp_path / "in", *"abcdefghij", size=(96, 64))
    trainer = run(source=source, fit=fit).trainer()
    x, y = trainer.strategy.validation[0]
    held = trainer.strategy.validation.pairs[0].source
    expected = trainer.strategy.validation.task.inference_source(open_picture(held), 64, fit=fit)
    assert torch.equal(x, expected) and torch.equal(y, expected)
    assert torch.equal(to_square(open_picture(held), fit), to_square(to_square(open_picture(held), fit), fit))


def test_the_size_of_the_input(tmp_path):
    assert run(input_size=128, heads=4, validation=2).trainer().strategy.psp.encoder.input_size == 128
    Encoder.from_config(SMOKE.encoder).save_pretrained(tmp_path)
    with pytest.raises(PspkitError, match=r"input_size: got 128, but the encoder in .* was made for 64 px"):
        run(input_size=128, encoder=str(tmp_path)).trainer()
    assert main(["train", "--profile", "smoke", "--input-size", "big", "--out", str(tmp_path / "run")]) == 1


@pytest.mark.parametrize(
    ("n_styles", "said"),
    [(4, "first 4 map2style blocks are taken, the other 2 are made anew"), (8, "no use for the rest")],
)
def test_an_encoder_of_another_output_size(n_styles, said, tmp_path):
    torch.manual_seed(1)
    had = Encoder.from_config(replace(SMOKE.encoder, n_styles=n_styles))
    had.save_pretrained(tmp_path)
    with pytest.warns(UserWarning, match=f"makes {n_styles} codes, and the decoder takes 6.*{said}"):
        encoder = run(encoder=str(tmp_path)).trainer().strategy.psp.encoder
    assert encoder.n_styles == 6
    shared = [key for key in had.state_dict() if key in encoder.state_dict()]
    assert all(torch.equal(had.state_dict()[key], encoder.state_dict()[key]) for key in shared)
    assert f"styles.{min(n_styles, 6) - 1}.linear.weight" in shared


class TestAnotherDecoder:
    def test_it_draws_in_place_of_the_models(self, tmp_path):
        PSP(Encoder.from_config(SMOKE.encoder), Generator.from_config(SMOKE.decoder)).save_pretrained(
            tmp_path / "model"
        )
        other = Generator.from_config(SMOKE.decoder)
        other.save_pretrained(tmp_path / "decoder")
        psp = find_psp("heads", "encode", tmp_path / "model", decoder=tmp_path / "decoder")
        assert torch.equal(psp.decoder.input.input, other.input.input)
        pictures(tmp_path / "in", "a")
        given = ["translate", "--task", "encode", "--model", str(tmp_path / "model"), "--out", str(tmp_path / "out")]
        assert main([*given, "--decoder", str(tmp_path / "decoder"), str(tmp_path / "in")]) == 0

    def test_one_of_other_codes_is_named_with_the_size_that_is_wanted(self, tmp_path):
        Encoder.from_config(SMOKE.encoder).save_pretrained(tmp_path / "encoder")
        Generator.from_config(replace(SMOKE.decoder, size=32)).save_pretrained(tmp_path / "decoder")
        message = r"encoder: the encoder makes 6 codes of 64, and the decoder takes 8 of 64\. It wants .* that of 16 px"
        with pytest.raises(PspkitError, match=message):
            find_psp("heads", "encode", tmp_path / "encoder", decoder=tmp_path / "decoder")
