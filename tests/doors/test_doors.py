"""What a researcher writes: each of these has to stay a few lines."""

import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch
from PIL import Image
from torch import nn

import pspkit
from pspkit import (
    PSP,
    PspkitError,
    Run,
    encode_file,
    find_psp,
    inspect_checkpoint,
    register_decoder,
    register_encoder,
    register_loss,
    register_task,
    save_picture,
    translate,
)
from pspkit.config import CONFIGS, TRAININGS
from pspkit.data.tasks import TASKS, Task
from pspkit.domains import DOMAINS, Domain, get_domain, register_domain
from pspkit.inference.directions import load_directions, save_directions
from pspkit.losses.terms import TERMS, LossWeights, PSPLoss
from pspkit.models.registry import CLASSES, DECODERS, ENCODERS, AnyDecoder, AnyEncoder, build_encoder, check_part
from pspkit.models.stylegan2 import Generator
from pspkit.psp import load_decoder, load_encoder
from pspkit.storage.checkpoints.pretrained import CONFIG_TYPES

ROOT = Path(__file__).resolve().parents[2]
PLUGIN = ROOT / "tests" / "doors" / "stripes.py"
SHORT = {"steps": 4, "validate_every": 2, "save_every": 2, "workers": 0, "batch": 2, "heads": 8, "validation": 2}
NO_FACES = {"lpips": 0.0, "moco": 0.0, "identity": 0.0}


def python(code: str, *, folder: Path | None = None) -> str:
    """What a fresh process prints."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=folder, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def pspkit_command(*arguments: object) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "pspkit", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment)


@pytest.fixture(scope="module", autouse=True)
def stripes() -> Iterator[ModuleType]:
    """The plugin; what it and the tests register is forgotten afterwards."""
    tables = (DECODERS, ENCODERS, CLASSES, CONFIG_TYPES, TERMS, TASKS, DOMAINS)
    before = [dict(table) for table in tables]
    yield importlib.import_module("tests.doors.stripes")
    for table, entries in zip(tables, before, strict=True):
        table.clear()
        table.update(entries)
    del sys.modules["tests.doors.stripes"]


@pytest.fixture
def picture(tmp_path) -> Path:
    path = tmp_path / "anna.png"
    Image.effect_mandelbrot((64, 64), (-2, -1, 1, 1), 40).convert("RGB").save(path)
    return path


class TestHall:
    def test_importing_pspkit_does_not_import_torch(self):
        code = "import sys, pspkit; print('torch' in sys.modules, 'numpy' in sys.modules)"
        assert python(code).split() == ["False", "False"]

    def test_importing_pspkit_takes_no_time(self):
        code = "import time; start = time.perf_counter(); import pspkit; print(time.perf_counter() - start)"
        assert min(float(python(code)) for _ in range(3)) < 0.3

    def test_every_name_is_there_and_listed(self):
        names = [name for name in pspkit.__all__ if not name.startswith("__")]
        assert [name for name in names if getattr(pspkit, name, None) is None] == []
        assert set(pspkit.__all__) <= set(dir(pspkit))
        assert len(names) <= 18

    def test_a_name_that_is_not_there_is_refused(self):
        with pytest.raises(AttributeError, match="module 'pspkit' has no attribute 'psps'"):
            _ = pspkit.psps

    def test_a_module_is_imported_as_before(self):
        assert python("from pspkit import psp, domains; print(psp.__name__, domains.__name__)") == (
            "pspkit.psp pspkit.domains\n"
        )


class TestUse:
    def test_a_checkpoint_is_loaded_onto_a_device(self, tmp_path):
        find_psp(device="cpu").save_pretrained(tmp_path)
        assert PSP.from_pretrained(tmp_path, device="meta").latent_avg.device.type == "meta"
        assert PSP.from_pretrained(tmp_path).latent_avg.device.type == "cpu"

    def test_a_picture_is_encoded_moved_and_saved(self, picture, tmp_path):
        psp = find_psp(device="cpu")
        codes = encode_file(psp, picture)
        assert codes.shape == (1, 10, 256)
        assert not codes.is_inference()
        save_directions(tmp_path / "mine.safetensors", {"older, and wiser": torch.randn(10, 256)})
        direction = load_directions(tmp_path / "mine.safetensors")["older, and wiser"]
        moved = psp.decode(codes + 1.5 * direction)
        save_picture(tmp_path / "OLDER.PNG", moved)
        with Image.open(tmp_path / "OLDER.PNG") as saved:
            assert (saved.format, saved.size) == ("PNG", (64, 64))

    def test_codes_take_part_in_an_optimisation(self, picture):
        psp = find_psp(device="cpu")
        codes = encode_file(psp, picture).requires_grad_()
        psp.decode(codes).mean().backward()
        assert codes.grad.abs().sum() > 0

    def test_a_picture_is_clamped(self, tmp_path):
        images = torch.tensor([-3.0, 0.0, 3.0])[:, None, None, None].expand(3, 3, 4, 4)
        save_picture(tmp_path / "three.png", images)
        save_picture(str(tmp_path / "one.webp"), images[2])
        with Image.open(tmp_path / "three.png") as saved:
            assert saved.size == (12, 4)
            assert [saved.getpixel((x, 0)) for x in (0, 4, 8)] == [(0,) * 3, (128,) * 3, (255,) * 3]

    @pytest.mark.parametrize("name", ["face.txt", "face", "face.mpg"])
    def test_a_name_of_no_picture_is_refused(self, name, tmp_path):
        with pytest.raises(PspkitError, match=r"its name has no ending of a picture format. Let it end in \.png"):
            save_picture(tmp_path / name, torch.zeros(3, 4, 4))

    def test_a_folder_is_trained_on_in_three_lines(self, tmp_path):
        for number in range(12):
            Image.effect_noise((64, 64), 20 + number).convert("RGB").save(tmp_path / f"{number}.png")
        training = TRAININGS["smoke"].__class__(**vars(TRAININGS["smoke"]) | SHORT)
        run = Run("heads", profile="smoke", source=str(tmp_path), training=training)
        reports = list(run.trainer(tmp_path.parent / "run").run())
        assert [report.step for report in reports] == [2, 4]


class TestDecoder:
    def test_nothing_but_the_protocol_is_used(self, stripes):
        class Bare(nn.Module):
            """Raises where anything else is read."""

            n_styles, style_dim, size = 3, 5, 8

            def mapping(self, z):
                return z + 1

            def synthesis(self, w_plus):
                return w_plus.mean((1, 2))[:, None, None, None].expand(-1, 3, 8, 8)

        psp = PSP(stripes.PooledEncoder(3, 5), Bare())
        assert psp(torch.zeros(2, 3, 32, 32), layers=[1]).shape == (2, 3, 8, 8)
        assert psp.decode_z(torch.zeros(2, 5)).shape == (2, 3, 8, 8)
        torch.testing.assert_close(psp.latent_avg, torch.ones(3, 5), atol=0.1, rtol=0)
        with pytest.raises(PspkitError, match=r"decoder: Bare is not registered.*Decorate the class with register"):
            psp.save_pretrained("nowhere")

    def test_what_is_missing_is_named(self, stripes):
        decoder = nn.Linear(2, 2)
        with pytest.raises(PspkitError, match="decoder: Linear has no mapping, synthesis, n_styles, style_dim, size"):
            PSP(stripes.PooledEncoder(2, 8), decoder)
        with pytest.raises(PspkitError, match="encoder: Linear has no n_styles, style_dim, input_nc, input_size"):
            check_part("encoder", decoder, AnyEncoder)
        check_part("decoder", Generator(8, 16, 1), AnyDecoder)

    def test_its_constructor_is_stored_with_its_weights(self, stripes, tmp_path):
        decoder = stripes.StripeDecoder(size=16, style_dim=4)
        decoder.save_pretrained(tmp_path)
        loaded, average = load_decoder(tmp_path)
        assert isinstance(loaded, stripes.StripeDecoder)
        assert (loaded.size, loaded.style_dim, average) == (16, 4, None)
        torch.testing.assert_close(loaded.state_dict(), decoder.state_dict())
        assert "StripeDecoder, 2 codes of 4 to 16 px" in str(inspect_checkpoint(tmp_path))

    def test_its_name_stands_for_its_defaults(self, stripes):
        decoder, average = load_decoder("stripes")
        assert isinstance(decoder, stripes.StripeDecoder)
        assert average is None

    def test_loading_leaves_random_numbers_alone(self, stripes, tmp_path):
        stripes.StripeDecoder().save_pretrained(tmp_path)
        torch.manual_seed(0)
        load_decoder(tmp_path)
        drawn = torch.rand(1)
        torch.manual_seed(0)
        assert torch.equal(drawn, torch.rand(1))

    def test_a_cell_may_be_run_twice(self, stripes):
        def cell():
            @register_decoder("twice")
            class Twice(stripes.StripeDecoder):
                pass

            return Twice

        assert cell() is not cell()

    def test_a_class_without_a_constructor_is_built_without_arguments(self, stripes, tmp_path):
        @register_decoder("fixed")
        class Fixed(nn.Module):
            n_styles, style_dim, size = 2, 8, 16
            mapping, synthesis = stripes.StripeDecoder.mapping, stripes.StripeDecoder.synthesis

        Fixed().save_pretrained(tmp_path)
        assert isinstance(load_decoder(tmp_path)[0], Fixed)

    def test_what_cannot_be_stored_is_refused(self, stripes, tmp_path):
        @register_decoder("wrapped")
        class Wrapped(stripes.StripeDecoder):
            def __init__(self, network: nn.Module) -> None:
                super().__init__()

        with pytest.raises(
            PspkitError, match=r"network: Wrapped was built with a Linear, which a file .* does not hold"
        ):
            Wrapped(nn.Linear(1, 1)).save_pretrained(tmp_path)
        with pytest.raises(PspkitError, match="its constructor takes arguments without names"):

            @register_decoder("loose")
            class Loose(stripes.StripeDecoder):
                def __init__(self, **sizes: int) -> None:
                    super().__init__(**sizes)

    def test_a_name_that_is_taken_is_refused(self, stripes):
        with pytest.raises(
            PspkitError, match=r"StripeDecoder: the name stylegan2 is registered already, by pspkit.models"
        ):
            register_decoder("stylegan2")(stripes.StripeDecoder)
        with pytest.raises(PspkitError, match="Linear: it has no method mapping, synthesis"):
            register_decoder("linear")(nn.Linear)


class TestEncoder:
    def test_it_is_built_by_its_kind(self, stripes):
        sizes = CONFIGS["smoke"].encoder
        encoder = build_encoder(sizes.__class__(**vars(sizes) | {"kind": "pooled"}))
        assert isinstance(encoder, stripes.PooledEncoder)
        assert (encoder.n_styles, encoder.style_dim, encoder.input_size) == (6, 64, 64)

    def test_it_is_saved_and_loaded(self, stripes, tmp_path):
        encoder = stripes.PooledEncoder(2, 8)
        psp = PSP(encoder, stripes.StripeDecoder()).eval()
        psp.save_pretrained(tmp_path)
        loaded, x = PSP.from_pretrained(tmp_path), torch.rand(2, 3, 32, 32)
        torch.testing.assert_close(loaded(x), psp(x))
        torch.testing.assert_close(load_encoder(tmp_path)(x), encoder(x))
        assert psp.config == loaded.config

    def test_a_constructor_without_the_sizes_is_refused(self):
        with pytest.raises(
            PspkitError, match="its constructor does not take n_styles, style_dim, input_nc, input_size"
        ):
            register_encoder("linear")(nn.Linear)

    def test_without_its_module_the_file_names_the_class(self, stripes, tmp_path):
        PSP(stripes.PooledEncoder(2, 8), stripes.StripeDecoder()).save_pretrained(tmp_path)
        code = f"from pspkit import PSP; PSP.from_pretrained({str(tmp_path)!r})"
        failed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
        remedy = (
            "holds a PooledEncoder, a class that the module tests.doors.stripes registers. Import tests.doors.stripes"
        )
        assert remedy in failed.stderr
        assert pspkit_command("inspect", tmp_path).stderr.endswith(
            "before you load it. On the command line: --plugin MODULE.\n"
        )


class TestLoss:
    def test_it_counts_with_its_weight(self, stripes):
        weights = LossWeights(lpips=0, identity=0, w_norm=0).changed({"edges": 0.5})
        loss = PSPLoss(weights)
        output, target = torch.rand(2, 3, 8, 8), torch.rand(2, 3, 8, 8)
        total, parts = loss(output, target, torch.zeros(2, 2, 8))
        assert list(parts) == ["l2", "edges"]
        torch.testing.assert_close(total, parts["l2"] + 0.5 * stripes.edges(output, target, None))
        assert weights.counted() == {"l2": 1.0, "edges": 0.5}

    def test_a_module_is_built_once_and_frozen(self):
        @register_loss("learned")
        class Learned(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.layer = nn.Conv2d(3, 1, 1)

            def forward(self, output, target, codes):
                return (self.layer(output) - self.layer(target)).square().mean()

        loss = PSPLoss(LossWeights(lpips=0, identity=0, w_norm=0, own={"learned": 1}))
        assert [parameter.requires_grad for parameter in loss.parameters()] == [False, False]
        output = torch.rand(1, 3, 8, 8, requires_grad=True)
        loss(output, torch.zeros(1, 3, 8, 8), torch.zeros(1, 2, 8))[0].backward()
        assert output.grad.abs().sum() > 0

    def test_a_name_that_is_not_known_is_refused(self):
        with pytest.raises(PspkitError, match="loss: got 'sharpness', needs one of 'lpips', 'l2'"):
            LossWeights().changed({"sharpness": 1})
        with pytest.raises(PspkitError, match=r"loss: got 'sharpness', needs one of .*first import the module"):
            PSPLoss(LossWeights(lpips=0, identity=0, own={"sharpness": 1}))
        with pytest.raises(PspkitError, match="name: 'l2' is a loss of pspkit already"):
            register_loss("l2")


class TestTaskAndDomain:
    def test_names_of_ours_are_refused(self):
        with pytest.raises(PspkitError, match="name: 'encode' is a task of pspkit already"):
            register_task("encode", Task("Encode", "nothing"))
        with pytest.raises(PspkitError, match="name: 'heads' is a domain of pspkit already"):
            register_domain(Domain("heads", "heads"))

    def test_what_a_domain_does_not_bring_is_named(self):
        bare = Domain("bare", "nothing")
        with pytest.raises(PspkitError, match="decoder: none is given, and none comes with bare"):
            bare.decoder("cpu", "encode")
        with pytest.raises(PspkitError, match="identity: no network is given, and none comes with bare"):
            bare.identity("cpu")
        with pytest.raises(PspkitError, match="source: none is given, and no pictures come with bare"):
            bare.pairs("encode", 32, TRAININGS["smoke"])
        with pytest.raises(PspkitError, match=r"task: got 'paint', needs one of 'encode'.*first import the module"):
            bare.psp("paint")


class TestProfile:
    @pytest.fixture(autouse=True)
    def no_wish(self, monkeypatch):
        monkeypatch.delenv("PSPKIT_PROFILE")

    @pytest.mark.parametrize("accelerator", [False, True])
    @pytest.mark.parametrize("domain", ["heads", "faces", "objects"])
    def test_the_default_has_weights_on_every_machine(self, domain, accelerator):
        profile, why = get_domain(domain).choose_profile(accelerator)
        assert profile in get_domain(domain).profiles
        assert why.startswith("a GPU is there" if accelerator else "no GPU is there")

    def test_heads_are_trained_at_laptop_size_on_a_gpu_too(self):
        heads = get_domain("heads")
        assert heads.choose_profile(True)[0] == "cpu"
        assert heads.decoder("cpu", "encode")[0].size == 64
        assert get_domain("faces").choose_profile(True) == ("gpu", "a GPU is there")
        with pytest.raises(PspkitError, match="profile: got 'gpu', and heads has decoders for smoke, cpu only"):
            heads.decoder("gpu", "encode")

    def test_the_environment_decides(self, monkeypatch):
        monkeypatch.setenv("PSPKIT_PROFILE", "smoke")
        assert get_domain("heads").choose_profile(True) == ("smoke", "PSPKIT_PROFILE says so")
        monkeypatch.setenv("PSPKIT_PROFILE", "huge")
        with pytest.raises(PspkitError, match="PSPKIT_PROFILE: got 'huge', needs one of 'smoke'"):
            get_domain("heads").choose_profile(True)


class TestAllTogether:
    """Decoder, encoder, loss, task and domain of one's own: trained, saved, loaded, resumed, and used."""

    @pytest.fixture
    def run(self) -> Run:
        training = TRAININGS["smoke"].__class__(**vars(TRAININGS["smoke"]) | SHORT)
        return Run("stripes", "thin_out", "smoke", training, "pooled", losses={"edges": 0.5, **NO_FACES})

    def test_from_python(self, stripes, run, tmp_path):
        whole = run.trainer(tmp_path / "whole")
        assert [set(report.validation) for report in whole.run()] == [{"total", "l2", "w_norm", "edges"}] * 2

        first = run.trainer(tmp_path / "run")
        next(first.run())
        first.save()
        second = run.trainer(tmp_path / "run")
        second.resume()
        assert second.step == 2
        list(second.run())
        torch.testing.assert_close(second.model.state_dict(), whole.model.state_dict(), rtol=0, atol=0)

        psp = PSP.from_pretrained(tmp_path / "run" / "last")
        assert isinstance(psp.encoder, stripes.PooledEncoder)
        save_picture(tmp_path / "in" / "one.png", torch.rand(3, 40, 40) * 2 - 1)
        summary = translate(psp, tmp_path / "in", tmp_path / "out", task="thin_out", variants=1, save_codes=True)
        assert len(summary.written) == 3
        assert "stripes" in DOMAINS

    def test_from_the_command_line(self, tmp_path):
        out, sizes = tmp_path / "run", [f"--{name.replace('_', '-')}={value}" for name, value in SHORT.items()]
        losses = [f"--loss={name}={weight}" for name, weight in {"edges": 0.5, **NO_FACES}.items()]
        own = ["--domain", "stripes", "--task", "thin_out", "--kind", "pooled", "--profile", "smoke"]
        sizes = [size for size in sizes if not size.startswith("--validation")]
        trained = pspkit_command("--plugin", PLUGIN, "train", *own, *losses, *sizes, "--out", out)
        assert trained.returncode == 0, trained.stderr
        assert "decoder StripeDecoder, 2 codes of 8 to 32 px" in trained.stdout
        resumed = pspkit_command("train", "--plugin", PLUGIN, "--out", out, "--resume")
        assert resumed.returncode == 0, resumed.stderr
        save_picture(tmp_path / "in.png", torch.zeros(3, 40, 40))
        model = ["--task", "thin_out", "--model", out, "--out", tmp_path / "out", tmp_path / "in.png"]
        translated = pspkit_command("translate", *model, "--plugin", PLUGIN)
        assert translated.returncode == 0, translated.stderr
        assert (tmp_path / "out" / "in.png").exists()
        assert pspkit_command("translate", *model).stderr.endswith("On the command line: --plugin MODULE.\n")

    def test_a_plugin_by_its_module_name(self):
        given = [
            "--plugin",
            "tests.doors.stripes",
            "translate",
            "--task",
            "encode",
            "--domain",
            "stripes",
            "--out",
            "x",
        ]
        error = pspkit_command(*given, "nothing.png").stderr
        assert "no trained encoder for encode comes with stripes" in error

    @pytest.mark.parametrize(
        ("module", "message"),
        [
            ("nowhere.py", "--plugin: nowhere.py: no such file."),
            ("no_such_module", "--plugin: no_such_module: cannot be imported (ModuleNotFoundError"),
        ],
    )
    def test_a_plugin_that_is_none(self, module, message):
        failed = pspkit_command("--plugin", module, "assets", "list")
        assert failed.returncode == 1
        assert failed.stderr.startswith(f"pspkit: {message}")

    def test_a_plugin_with_the_name_of_another_module(self, tmp_path):
        (tmp_path / "json.py").write_text("")
        failed = pspkit_command("--plugin", tmp_path / "json.py", "assets", "list")
        assert "there is a module json already" in failed.stderr
