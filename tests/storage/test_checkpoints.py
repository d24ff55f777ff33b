"""Weights and codes on disk: round trips, the reference's layouts, and files that must be refused."""

import argparse
import json
import math
import os
import pickle
import zipfile
from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from pspkit import CheckpointError, PspkitError
from pspkit.config import BackboneConfig, EncoderConfig, GeneratorConfig, MobileStyleGANConfig, PSPConfig
from pspkit.inference.inspect import inspect_checkpoint
from pspkit.models.backbone import Backbone
from pspkit.models.encoders import BackboneEncoderUsingLastLayerIntoW, Encoder, GradualStyleEncoder
from pspkit.models.mobile_stylegan import MobileStyleGAN
from pspkit.models.stylegan2 import Generator
from pspkit.psp import PSP, estimate_latent_avg
from pspkit.storage.checkpoints import load_backbone_weights, load_codes, read_checkpoint, save_codes
from tests import reference
from tests.examples import SMOKE, assert_equal_weights, small_psp

STYLES, LENGTH = SMOKE.encoder.n_styles, SMOKE.encoder.style_dim


def write_reference(path, model: PSP, latent_avg=None, **extra) -> None:
    """A pSp checkpoint as the reference writes it."""
    content = {"state_dict": {key: value for key, value in model.state_dict().items() if key != "latent_avg"}, **extra}
    torch.save(content | ({} if latent_avg is None else {"latent_avg": latent_avg}), path)


def write_backbone(path, **sizes) -> Backbone:
    torch.manual_seed(1)
    widths = {"widths": SMOKE.encoder.widths, "num_layers": 18, "input_size": 32, "embedding_dim": 16}
    backbone = Backbone(**(widths | sizes)).eval()
    torch.save(backbone.state_dict(), path)
    return backbone


def hollow(manifest: dict[str, list[int]], prefix: str = "") -> dict[str, torch.Tensor]:
    """Tensors of these shapes that all share one stored number, so that a file of any size is small."""
    one = torch.ones(())
    return {prefix + key: one.expand(shape) for key, shape in manifest.items()}


class TestOwnFormat:
    @pytest.mark.parametrize("kind", ["gradual", "w", "w_plus"])
    def test_round_trip_gives_the_same_codes_and_pictures(self, tmp_path, kind):
        model = small_psp(kind=kind)
        model.save_pretrained(tmp_path / "model")
        loaded = PSP.from_pretrained(tmp_path / "model")
        x = torch.randn(2, 3, 64, 64).clamp(-1, 1)
        assert loaded.config == model.config
        assert not loaded.training
        with torch.no_grad():
            assert torch.equal(loaded.encode(x), model.encode(x))
            assert torch.equal(loaded(x), model(x))

    def test_the_photographic_decoder(self, tmp_path):
        decoder = MobileStyleGANConfig(style_dim=LENGTH, n_mlp=2, channels=(16, 16, 8))
        config = replace(SMOKE, encoder=replace(SMOKE.encoder, n_styles=decoder.n_styles), decoder=decoder)
        model = PSP.from_config(config)
        model.save_pretrained(tmp_path)
        loaded = PSP.from_pretrained(tmp_path)
        assert loaded.config == config
        assert_equal_weights(loaded, model)
        assert_equal_weights(MobileStyleGAN.from_pretrained(tmp_path), model.decoder)
        assert inspect_checkpoint(tmp_path).loads

    def test_parts_load_alone(self, tmp_path):
        model = small_psp()
        model.save_pretrained(tmp_path)
        assert_equal_weights(Generator.from_pretrained(tmp_path), model.decoder)
        assert_equal_weights(Encoder.from_pretrained(tmp_path), model.encoder)
        assert_equal_weights(GradualStyleEncoder.from_pretrained(tmp_path / "model.safetensors"), model.encoder)

    def test_backbone(self, tmp_path):
        backbone = write_backbone(tmp_path / "face.pth", mode="ir")
        backbone.save_pretrained(tmp_path)
        assert_equal_weights(Backbone.from_pretrained(tmp_path), backbone)

    def test_one_file_is_enough_and_the_json_beside_it_is_readable(self, tmp_path):
        small_psp().save_pretrained(tmp_path)
        record = json.loads((tmp_path / "config.json").read_text())
        assert (record["format"], record["class"]) == ("pspkit", "PSP")
        assert record["config"]["encoder"]["widths"] == [8, 16, 32, 64]
        (tmp_path / "config.json").unlink()
        assert PSP.from_pretrained(tmp_path).config == SMOKE

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
    def test_half_precision_loads_as_float32(self, tmp_path, dtype):
        model = small_psp().to(dtype)
        model.save_pretrained(tmp_path)
        loaded = PSP.from_pretrained(tmp_path)
        assert loaded.latent_avg.dtype == torch.float32
        assert_equal_weights(loaded, model.float())

    def test_the_model_owns_its_weights(self, tmp_path):
        model = small_psp()
        model.save_pretrained(tmp_path)
        loaded = PSP.from_pretrained(tmp_path)
        (tmp_path / "model.safetensors").write_bytes(b"")  # in place: a mapped file would be gone
        assert_equal_weights(loaded, model)
        assert all(parameter.requires_grad for parameter in loaded.parameters())


class TestWriting:
    def test_a_kill_before_the_last_step_leaves_the_old_file(self, tmp_path, monkeypatch):
        model = small_psp()
        model.save_pretrained(tmp_path)

        def killed(*_):
            raise KeyboardInterrupt

        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(os, "replace", killed)
            small_psp(kind="w").save_pretrained(tmp_path)
        assert_equal_weights(PSP.from_pretrained(tmp_path), model)
        assert sorted(os.listdir(tmp_path)) == ["config.json", "model.safetensors"]

    def test_a_kill_between_the_two_files_loses_nothing(self, tmp_path, monkeypatch):
        small_psp().save_pretrained(tmp_path)
        newer = small_psp(kind="w")
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(
                "pspkit.storage.checkpoints.pretrained.write_text", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)
            )
            newer.save_pretrained(tmp_path)
        assert_equal_weights(PSP.from_pretrained(tmp_path), newer)

    def test_a_full_disk_is_named_and_leaves_the_old_file(self, tmp_path):
        model = small_psp()
        model.save_pretrained(tmp_path)
        with (
            largest_file(1000),
            pytest.raises(CheckpointError, match=r"model\.safetensors: it could not be written .*space"),
        ):
            small_psp(kind="w").save_pretrained(tmp_path)
        assert_equal_weights(PSP.from_pretrained(tmp_path), model)
        assert sorted(os.listdir(tmp_path)) == ["config.json", "model.safetensors"]

    def test_a_folder_that_is_a_file(self, tmp_path):
        (tmp_path / "taken").touch()
        with pytest.raises(CheckpointError, match="could not be written"):
            small_psp().save_pretrained(tmp_path / "taken")

    def test_others_may_read_what_the_umask_lets_them(self, tmp_path):
        small_psp().save_pretrained(tmp_path)
        (tmp_path / "plain").touch()
        assert (tmp_path / "model.safetensors").stat().st_mode == (tmp_path / "plain").stat().st_mode


@contextmanager
def largest_file(size: int):
    """Writing fails beyond this size, as on a full disk."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


class TestReferencePSP:
    @pytest.mark.parametrize("shape", [(STYLES, LENGTH), (1, LENGTH), (LENGTH,)])
    def test_every_shape_of_the_average(self, tmp_path, shape):
        model, average = small_psp(), torch.randn(shape)
        write_reference(tmp_path / "psp.pt", model, average, opts={"learn_in_w": False})
        loaded = PSP.from_pretrained(tmp_path / "psp.pt")
        assert torch.equal(loaded.latent_avg, average.expand(STYLES, LENGTH))
        assert loaded.config.start_from_latent_avg
        assert f"stored, shape {shape}" in str(inspect_checkpoint(tmp_path / "psp.pt"))

    def test_an_average_of_another_shape(self, tmp_path):
        write_reference(tmp_path / "psp.pt", small_psp(), torch.randn(5, LENGTH))
        with pytest.raises(CheckpointError, match=rf"latent_avg: \(5, {LENGTH}\), needs \({STYLES}, {LENGTH}\)"):
            PSP.from_pretrained(tmp_path / "psp.pt")

    def test_no_average_is_estimated(self, tmp_path):
        model = small_psp()
        write_reference(tmp_path / "psp.pt", model, opts=argparse.Namespace(start_from_latent_avg=False))
        loaded = PSP.from_pretrained(tmp_path / "psp.pt")
        assert not loaded.config.start_from_latent_avg
        assert torch.equal(loaded.latent_avg[3], estimate_latent_avg(model.decoder))
        assert "none stored, will be estimated; codes do not start" in str(inspect_checkpoint(tmp_path / "psp.pt"))

    @pytest.mark.parametrize("legacy", [False, True])
    @pytest.mark.parametrize("kind", ["gradual", "w", "w_plus"])
    def test_encoders_of_every_kind(self, tmp_path, kind, legacy):
        model = small_psp(kind=kind, input_size=256)
        content = {"state_dict": model.state_dict(), "opts": {"encoder_type": "any"}, "latent_avg": model.latent_avg}
        del content["state_dict"]["latent_avg"]
        torch.save(content, tmp_path / "psp.pt", _use_new_zipfile_serialization=not legacy)
        loaded = PSP.from_pretrained(tmp_path / "psp.pt")
        sizes = replace(loaded.config.encoder, map2style_width=SMOKE.encoder.map2style_width)  # "w" has none
        assert sizes == model.config.encoder
        assert_equal_weights(loaded, model)
        assert_equal_weights(Encoder.from_pretrained(tmp_path / "psp.pt"), model.encoder)
        assert ("no trace of the input size" in str(inspect_checkpoint(tmp_path / "psp.pt"))) == (kind != "gradual")

    @pytest.mark.parametrize("side", [64, 128, 256, 512])
    def test_the_heads_tell_the_input_size(self, tmp_path, side):
        model = small_psp(input_size=side, input_nc=19, mode="ir")
        write_reference(tmp_path / "psp.pt", model, model.latent_avg)
        assert PSP.from_pretrained(tmp_path / "psp.pt").config == model.config

    def test_weights_of_the_reference_give_its_numbers(self, tmp_path):
        """A label-map encoder and a 64 px generator under the reference's keys, without the blur kernels."""
        state, parts = {}, {"encoder": "gradual_50_irse_in19_n10", "decoder": "generator_64"}
        for part, module in parts.items():
            for key, shape in reference.state_dicts()[module].items():
                if not key.endswith("kernel"):
                    state[f"{part}.{key}"] = reference.weight(key, torch.zeros(shape), f"{part}.")
        average = reference.draw("latent_avg", (512,))
        torch.save({"state_dict": state, "latent_avg": average}, tmp_path / "psp.pt")
        model = PSP.from_pretrained(tmp_path / "psp.pt")
        with torch.no_grad():
            codes = model.encode(reference.draw("input.labels", (2, 19, 256, 256))) - average
            pictures = model.decode(reference.draw("latent.w_64", (2, 10, 512)))
        assert reference.relative_error(codes, reference.answers()["gradual_50_irse_in19_n10"]) < 1e-4
        assert reference.relative_error(pictures, reference.answers()["generator_64_w"]) < 1e-4

    def test_missing_unexpected_and_misshapen_keys_are_counted(self, tmp_path):
        model = small_psp()
        state = model.state_dict()
        del state["latent_avg"], state["encoder.latlayer1.weight"], state["encoder.latlayer2.bias"]
        state["encoder.extra"] = torch.zeros(1)
        state["decoder.conv1.activate.bias"] = torch.zeros(7)
        torch.save({"state_dict": state}, tmp_path / "psp.pt")
        wrong = (
            r"2 missing \(encoder.latlayer1.weight, .*1 unexpected \(encoder.extra\), 1 misshapen \(.*\(7,\), needs \("
        )
        with pytest.raises(CheckpointError, match=wrong):
            PSP.from_pretrained(tmp_path / "psp.pt")
        report = inspect_checkpoint(tmp_path / "psp.pt")
        assert not report.loads
        assert "2 missing" in str(report)
        assert "Will not load" in str(report)

    def test_parts_that_do_not_fit_each_other(self, tmp_path):
        model = small_psp()
        model.encoder = Encoder.from_config(replace(SMOKE.encoder, n_styles=8))
        write_reference(tmp_path / "psp.pt", model, torch.zeros(LENGTH))
        with pytest.raises(
            CheckpointError, match=r"psp\.pt: its parts do not fit each other\. encoder: it predicts 8 codes"
        ):
            PSP.from_pretrained(tmp_path / "psp.pt")
        assert not inspect_checkpoint(tmp_path / "psp.pt").loads

    def test_a_body_that_no_depth_has(self, tmp_path):
        model = small_psp()
        model.encoder.body.append(model.encoder.body[-1])
        write_reference(tmp_path / "psp.pt", model)
        with pytest.raises(CheckpointError, match=r"its body has \(2, 2, 2, 3\) units in stages of \[8, 16, 32, 64\]"):
            read_checkpoint(tmp_path / "psp.pt")


class TestReferenceStyleGAN2:
    def test_g_ema(self, tmp_path):
        generator = small_psp().decoder
        average = torch.randn(LENGTH)
        content = {"g_ema": generator.state_dict(), "latent_avg": average, "g_optim": {"lr": 0.1}}
        torch.save(content, tmp_path / "stylegan.pt")
        loaded = Generator.from_pretrained(tmp_path / "stylegan.pt")
        assert loaded.config == SMOKE.decoder
        assert_equal_weights(loaded, generator)
        assert torch.equal(read_checkpoint(tmp_path / "stylegan.pt").latent_avg, average)
        assert "left aside: g_optim" in str(inspect_checkpoint(tmp_path / "stylegan.pt"))

    def test_noise_and_kernels_may_be_absent(self, tmp_path):
        generator = small_psp().decoder
        state = {k: v for k, v in generator.state_dict().items() if "noises" not in k and not k.endswith("kernel")}
        torch.save({"g_ema": state}, tmp_path / "stylegan.pt")
        first, second = (Generator.from_pretrained(tmp_path / "stylegan.pt") for _ in range(2))
        assert_equal_weights(first, second)
        assert first.noises.noise_0.std() > 0
        assert torch.equal(first.convs[0].conv.blur.kernel, generator.convs[0].conv.blur.kernel)
        report = inspect_checkpoint(tmp_path / "stylegan.pt")
        assert report.loads
        assert "noise maps and blur kernels that are not stored" in str(report)

    @pytest.mark.parametrize(
        "config",
        [
            GeneratorConfig(size=128, style_dim=32, n_mlp=3, channel_multiplier=1),
            GeneratorConfig(size=256, style_dim=32, n_mlp=8, max_channels=96),
        ],
    )
    def test_sizes_come_from_the_tensors(self, tmp_path, config):
        with torch.device("meta"):
            manifest = {key: list(value.shape) for key, value in Generator.from_config(config).state_dict().items()}
        torch.save({"g_ema": hollow(manifest)}, tmp_path / "stylegan.pt")
        found = read_checkpoint(tmp_path / "stylegan.pt").config
        assert [found.channels(side) for side in (4, 64, config.size)] == [
            config.channels(side) for side in (4, 64, config.size)
        ]
        assert replace(found, channel_multiplier=config.channel_multiplier) == config

    def test_channels_that_no_multiplier_gives(self, tmp_path):
        state = small_psp().decoder.state_dict()
        state["to_rgbs.1.conv.weight"] = torch.zeros(1, 3, 48, 1, 1)
        torch.save({"g_ema": state}, tmp_path / "stylegan.pt")
        with pytest.raises(CheckpointError, match=r"no channel multiplier gives .* \[64, 64, 48\]"):
            Generator.from_pretrained(tmp_path / "stylegan.pt")


FULL = {  # every printed state dict, the generator it is paired with, and what must be found
    "gradual_50_irse_n18": (1024, EncoderConfig()),
    "gradual_50_ir_n14": (256, EncoderConfig(mode="ir", n_styles=14)),
    "gradual_50_irse_in19_n10": (64, EncoderConfig(input_nc=19, n_styles=10)),
    "w_50_irse": (1024, EncoderConfig(kind="w")),
    "wplus_50_irse_n18": (1024, EncoderConfig(kind="w_plus")),
    **{
        f"arcface_{depth}_{mode}": (None, BackboneConfig(depth, mode))
        for depth in (50, 100, 152)
        for mode in ("ir", "ir_se")
    },
    **{f"generator_{size}": (size, GeneratorConfig(size=size)) for size in (64, 256, 1024)},
}


class TestFullSize:
    @pytest.fixture(autouse=True)
    def hollow_files_are_read(self, monkeypatch):
        monkeypatch.setattr("pspkit.storage.checkpoints.files.SPARE", math.inf)  # they claim more than they hold

    def test_every_printed_state_dict_has_its_row(self):
        assert FULL.keys() == reference.state_dicts().keys()

    @pytest.mark.parametrize("name", FULL)
    def test_sizes_come_from_the_tensors(self, tmp_path, name):
        size, expected = FULL[name]
        manifest = reference.state_dicts()[name]
        if isinstance(expected, BackboneConfig):
            content = hollow(manifest)
        elif isinstance(expected, GeneratorConfig):
            content = {"g_ema": hollow(manifest)}
        else:
            decoder = hollow(reference.state_dicts()[f"generator_{size}"], "decoder.")
            content = {"state_dict": hollow(manifest, "encoder.") | decoder, "latent_avg": torch.zeros(512)}
            expected = PSPConfig(expected, GeneratorConfig(size=size))
        torch.save(content, tmp_path / "file.pt")
        assert read_checkpoint(tmp_path / "file.pt").config == expected
        assert inspect_checkpoint(tmp_path / "file.pt").loads

    def test_looking_into_a_file_of_a_gigabyte_takes_no_memory(self, tmp_path):
        encoder = hollow(reference.state_dicts()["gradual_50_irse_n18"], "encoder.")
        decoder = hollow(reference.state_dicts()["generator_1024"], "decoder.")
        torch.save({"state_dict": encoder | decoder, "opts": {"output_size": 1024}}, tmp_path / "psp.pt")
        with Allocations() as allocations:
            report = inspect_checkpoint(tmp_path / "psp.pt")
        assert allocations.largest < 1e6
        assert "267,136,704 parameters" in str(report)
        assert "30,370,060 parameters" in str(report)
        assert f'Will load: PSP.from_pretrained("{tmp_path / "psp.pt"}")' in str(report)


class Allocations(TorchDispatchMode):
    """Watches the largest tensor that an operation makes in memory, in bytes."""

    largest = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, torch.Tensor) and leaf.device.type != "meta":
                self.largest = max(self.largest, leaf.untyped_storage().nbytes())
        return result


class TestWrongClass:
    def test_the_message_names_the_class_that_loads_it(self, tmp_path):
        model = small_psp(kind="w")
        model.decoder.save_pretrained(tmp_path / "decoder")
        write_reference(tmp_path / "psp.pt", model)
        write_backbone(tmp_path / "face.pth")
        with pytest.raises(CheckpointError, match=r"weights of Generator, not of PSP\. .*Generator\.from_pretrained"):
            PSP.from_pretrained(tmp_path / "decoder")
        with pytest.raises(CheckpointError, match="weights of PSP, not of Backbone"):
            Backbone.from_pretrained(tmp_path / "psp.pt")
        with pytest.raises(CheckpointError, match="weights of Backbone, not of Encoder"):
            Encoder.from_pretrained(tmp_path / "face.pth")
        with pytest.raises(CheckpointError, match="is a BackboneEncoderUsingLastLayerIntoW, not a GradualStyleEncoder"):
            GradualStyleEncoder.from_pretrained(tmp_path / "psp.pt")
        assert BackboneEncoderUsingLastLayerIntoW.from_pretrained(tmp_path / "psp.pt").config.kind == "w"


class Malicious:
    def __init__(self, canary):
        self.canary = canary

    def __reduce__(self):
        return os.system, (f"touch {self.canary}",)


class TestRefusedFiles:
    """Each file is refused by reading, inspecting and loading alike: all go through `read_checkpoint`."""

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"", "the file is empty"),
            (b"\n<!DOCTYPE html><html>Quota exceeded</html>", "an HTML page, probably a download quota notice"),
            (b"\xef\xbb\xbf<html><head>", "an HTML page"),
            (b"\x89PNG\r\n\x1a\n" + bytes(100), r"neither a PyTorch nor a safetensors file; it starts with b'\\x89PNG"),
            (b"\x08\x07\x12\x07pytorch\x1a", "neither a PyTorch nor a safetensors file"),
            (b"abc", "neither a PyTorch nor a safetensors file"),
            (b"\x80", "a Python pickle, but not a weights file"),
            (b"P", "neither a PyTorch nor a safetensors file"),
            (pickle.dumps({"a": 1}), "a Python pickle, but not a weights file"),
            (pickle.dumps({"a": 1}, 2), "not a weights file"),
            (bytes([200, 0, 0, 0, 0, 0, 0, 0]) + b'{"a":', "a safetensors file, but cut off or damaged"),
        ],
    )
    def test_foreign(self, tmp_path, content, message):
        path = tmp_path / "file.pt"
        path.write_bytes(content)
        for read in (PSP.from_pretrained, inspect_checkpoint, load_codes):
            with pytest.raises(CheckpointError, match=rf"file\.pt: .*{message}"):
                read(path)

    def test_not_there(self, tmp_path):
        with pytest.raises(CheckpointError, match=r"nowhere\.pt: cannot be read \(No such file"):
            PSP.from_pretrained(tmp_path / "nowhere.pt")
        with pytest.raises(CheckpointError, match=r"model\.safetensors: cannot be read"):
            PSP.from_pretrained(tmp_path)

    @pytest.mark.parametrize("legacy", [False, True])
    @pytest.mark.parametrize("share", [0.02, 0.5, 0.999])
    def test_truncated(self, tmp_path, legacy, share):
        path = tmp_path / "psp.pt"
        torch.save({"state_dict": small_psp().state_dict()}, path, _use_new_zipfile_serialization=not legacy)
        os.truncate(path, int(path.stat().st_size * share))
        with pytest.raises(CheckpointError, match=r"psp\.pt: .*cut off.*again"):
            PSP.from_pretrained(path)

    @pytest.mark.parametrize("share", [0.001, 0.5, 0.999])
    def test_truncated_safetensors(self, tmp_path, share):
        small_psp().save_pretrained(tmp_path)
        os.truncate(tmp_path / "model.safetensors", int((tmp_path / "model.safetensors").stat().st_size * share))
        with pytest.raises(CheckpointError, match=r"model\.safetensors: it is a safetensors file, but cut off"):
            PSP.from_pretrained(tmp_path)

    @pytest.mark.parametrize("protocol", [2, 4, 5])
    def test_a_pickle_that_runs_code(self, tmp_path, protocol):
        path, canary = tmp_path / "file.pt", tmp_path / "canary"
        path.write_bytes(pickle.dumps(Malicious(canary), protocol))
        with pytest.raises(CheckpointError, match=r"wants to call \w+\.system .*nothing was run"):
            PSP.from_pretrained(path)
        assert not canary.exists()

    @pytest.mark.parametrize("legacy", [False, True])
    def test_weights_that_run_code(self, tmp_path, legacy):
        path, canary = tmp_path / "file.pt", tmp_path / "canary"
        content = {"state_dict": small_psp().state_dict(), "opts": Malicious(canary)}
        torch.save(content, path, _use_new_zipfile_serialization=not legacy)
        with pytest.raises(CheckpointError, match=r"wants to call \w+\.system .*nothing was run"):
            PSP.from_pretrained(path)
        assert not canary.exists()

    def test_zip_archives(self, tmp_path):
        path = tmp_path / "file.pt"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("letter.txt", "hello")
        with pytest.raises(CheckpointError, match=r"a zip archive that torch\.save did not write"):
            PSP.from_pretrained(path)
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr("net/data.pkl", "")
            archive.writestr("net/constants.pkl", "")
        with pytest.raises(CheckpointError, match="a TorchScript program, not weights"):
            PSP.from_pretrained(path)

    @pytest.mark.parametrize("way", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
    def test_a_file_that_was_zipped_again_with_compression(self, tmp_path, way):
        path = zipped_again(tmp_path, way)
        for read in (PSP.from_pretrained, inspect_checkpoint):
            with pytest.raises(CheckpointError, match=r"psp\.pt: it was zipped again with compression .*zip -0"):
                read(path)

    def test_a_file_that_was_zipped_again_as_it_was(self, tmp_path):
        assert_equal_weights(PSP.from_pretrained(zipped_again(tmp_path, zipfile.ZIP_STORED)), small_psp())

    def test_one_changed_byte_of_the_weights_is_found(self, tmp_path):
        path = tmp_path / "psp.pt"
        write_reference(path, small_psp())
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match=r"damaged, as the checksum of .* does not agree"):
            inspect_checkpoint(path)

    @pytest.mark.parametrize(
        ("tensor", "kind"),
        [
            (torch.eye(4).to_sparse(), "sparse_coo"),
            (torch.empty(4, device="meta"), "meta"),
            (torch.ones(4, dtype=torch.complex64), "complex64"),
        ],
    )
    def test_tensors_that_no_weights_have(self, tmp_path, tensor, kind):
        write_reference(tmp_path / "psp.pt", small_psp(), tensor)
        with pytest.raises(CheckpointError, match=rf"psp\.pt: it holds a tensor of a kind .*\({kind}\)"):
            inspect_checkpoint(tmp_path / "psp.pt")

    def test_a_small_file_that_would_fill_the_memory(self, tmp_path):
        write_reference(tmp_path / "psp.pt", small_psp(), torch.ones(()).expand(1 << 40))
        with pytest.raises(CheckpointError, match=r"psp\.pt: its .* MB would take 4,398,.* MB of memory"):
            inspect_checkpoint(tmp_path / "psp.pt")

    @pytest.mark.parametrize("value", [math.nan, math.inf])
    def test_weights_that_are_no_numbers_are_named(self, tmp_path, value):
        model = small_psp()
        model.decoder.conv1.conv.weight.data[..., 0] = value
        model.save_pretrained(tmp_path)
        message = r"model\.safetensors: 1 of its tensors holds NaN or infinity \((decoder\.)?conv1\.conv\.weight\)"
        for load in (PSP.from_pretrained, Generator.from_pretrained):
            with pytest.raises(CheckpointError, match=message):
                load(tmp_path)
        assert not inspect_checkpoint(tmp_path).loads
        assert Encoder.from_pretrained(tmp_path).config == model.encoder.config

    @pytest.mark.parametrize("key", ["encoder.styles.20000000.linear.weight", "decoder.to_rgbs.9999999.conv.weight"])
    def test_a_key_that_numbers_millions_of_parts(self, tmp_path, key):
        content = {"state_dict": {**small_psp().state_dict(), key: torch.zeros(4, 4)}}
        torch.save(content, tmp_path / "psp.pt")
        with pytest.raises(CheckpointError, match="its keys number more than 200 parts"):
            inspect_checkpoint(tmp_path / "psp.pt")

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"n_styles": 10**9}, "n_styles: got 1000000000, needs 1 to 64"),
            ({"n_styles": None}, "n_styles: got None, needs a whole number, 1 to 64"),
            ({"style_dim": "many"}, "style_dim: got 'many', needs a whole number"),
            ({"widths": [8, 16, 0, 64]}, "widths: got 0, needs 1 to 8192"),
            ({"input_size": -64}, "input_size: got -64"),
        ],
    )
    def test_a_configuration_that_claims_too_much(self, tmp_path, change, message):
        path = with_record(tmp_path, lambda record: record["config"]["encoder"].update(change))
        for read in (PSP.from_pretrained, inspect_checkpoint):
            with pytest.raises(CheckpointError, match=rf"model\.safetensors: .*{message}"):
                read(path)

    def test_a_configuration_nested_too_deeply(self, tmp_path):
        path = with_record(tmp_path, lambda record: None, text="[" * 100_000)
        with pytest.raises(CheckpointError, match="nested too deeply"):
            inspect_checkpoint(path)

    def test_parts_of_the_wrong_kind(self, tmp_path):
        path = with_record(tmp_path, lambda record: record["config"].update(encoder={"type": "BackboneConfig"}))
        with pytest.raises(CheckpointError, match="no PSP can be built from its configuration"):
            PSP.from_pretrained(path)

    def test_weights_of_something_else(self, tmp_path):
        torch.save(torch.nn.Linear(2, 2).state_dict(), tmp_path / "linear.pt")
        with pytest.raises(CheckpointError, match=r"holds 2 entries \(weight, bias\), which is neither"):
            PSP.from_pretrained(tmp_path / "linear.pt")
        torch.save(torch.zeros(2), tmp_path / "tensor.pt")
        with pytest.raises(CheckpointError, match="holds a Tensor, which is neither"):
            PSP.from_pretrained(tmp_path / "tensor.pt")
        save_file({"weight": torch.zeros(2)}, tmp_path / "other.safetensors")
        with pytest.raises(CheckpointError, match=r"holds 1 entries \(weight\), which is neither"):
            PSP.from_pretrained(tmp_path / "other.safetensors")

    def test_a_configuration_from_elsewhere(self, tmp_path):
        small_psp().save_pretrained(tmp_path)
        record = {"format": "pspkit", "class": "PSP", "config": {"type": "PSPConfig", "colour": 3}}
        path = tmp_path / "model.safetensors"
        save_file(load_file(path), path, {"format": "pspkit", "model": json.dumps(record)})
        with pytest.raises(CheckpointError, match=r"configuration cannot be read .*another version of pspkit"):
            PSP.from_pretrained(tmp_path)


def zipped_again(folder, way):
    write_reference(folder / "first.pt", small_psp(), small_psp().latent_avg)
    with zipfile.ZipFile(folder / "first.pt") as old, zipfile.ZipFile(folder / "psp.pt", "w", way) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    return folder / "psp.pt"


def with_record(folder, change, text=""):
    """Weights of ours whose configuration was changed."""
    small_psp().save_pretrained(folder)
    record, path = json.loads((folder / "config.json").read_text()), folder / "model.safetensors"
    change(record)
    save_file(load_file(path), path, {"format": "pspkit", "model": text or json.dumps(record)})
    return path


class TestBackboneWeights:
    @pytest.mark.parametrize("own", [False, True])
    def test_stem_and_body_are_taken(self, tmp_path, own):
        backbone = write_backbone(tmp_path / "face.pth")
        backbone.save_pretrained(tmp_path)
        encoder = Encoder.from_config(SMOKE.encoder)
        assert load_backbone_weights(encoder, tmp_path if own else tmp_path / "face.pth") == ("input_layer", "body")
        assert_equal_weights(encoder.input_layer, backbone.input_layer)
        assert_equal_weights(encoder.body, backbone.body)

    def test_the_stem_stays_where_the_input_is_not_rgb(self, tmp_path):
        backbone = write_backbone(tmp_path / "face.pth")
        encoder = Encoder.from_config(replace(SMOKE.encoder, input_nc=19))
        before = encoder.input_layer[0].weight.clone()
        assert load_backbone_weights(encoder, tmp_path / "face.pth") == ("body",)
        assert torch.equal(encoder.input_layer[0].weight, before)
        assert_equal_weights(encoder.body, backbone.body)

    @pytest.mark.parametrize("other", [{"num_layers": 34}, {"mode": "ir"}, {"widths": (8, 16, 24, 64)}])
    def test_another_body_is_refused(self, tmp_path, other):
        write_backbone(tmp_path / "face.pth", **other)
        name = next(iter(other))
        with pytest.raises(CheckpointError, match=f"its body has {name}=.*Build the encoder with {name}="):
            load_backbone_weights(Encoder.from_config(SMOKE.encoder), tmp_path / "face.pth")

    def test_an_incomplete_file_leaves_the_encoder_alone(self, tmp_path):
        state = write_backbone(tmp_path / "face.pth").state_dict()
        del state["body.3.res_layer.2.weight"]
        torch.save(state, tmp_path / "face.pth")
        encoder = Encoder.from_config(SMOKE.encoder)
        before = {key: value.clone() for key, value in encoder.state_dict().items()}
        with pytest.raises(CheckpointError, match=r"its body does not fit: 1 missing \(3\.res_layer\.2\.weight\)"):
            load_backbone_weights(encoder, tmp_path / "face.pth")
        assert all(torch.equal(value, before[key]) for key, value in encoder.state_dict().items())


class TestCodes:
    CODES = {"z": torch.randn(2, 64), "w": torch.randn(2, 64), "w_plus": torch.randn(2, 6, 64)}

    @pytest.mark.parametrize("space", CODES)
    def test_round_trip(self, tmp_path, space):
        save_codes(tmp_path / "codes.safetensors", self.CODES[space], space)
        assert torch.equal(load_codes(tmp_path / "codes.safetensors", space), self.CODES[space])

    def test_saved_codes_decode_to_the_same_picture(self, tmp_path):
        model = small_psp()
        with torch.no_grad():
            codes = model.encode(torch.randn(1, 3, 64, 64))
            save_codes(tmp_path / "codes.safetensors", codes, "w_plus")
            assert torch.equal(model.decode(load_codes(tmp_path / "codes.safetensors")), model.decode(codes))

    def test_another_space_is_refused_with_the_method_that_decodes(self, tmp_path):
        save_codes(tmp_path / "codes.safetensors", self.CODES["z"], "z")
        with pytest.raises(CheckpointError, match=r"holds codes of z, not of w_plus\..*PSP\.decode_z"):
            load_codes(tmp_path / "codes.safetensors")
        with pytest.raises(CheckpointError, match=r"holds codes of z, not of w\..*PSP\.decode_z"):
            load_codes(tmp_path / "codes.safetensors", "w")

    def test_the_shape_must_fit_the_space(self, tmp_path):
        with pytest.raises(PspkitError, match=r"codes: got .*\(2, 64\), needs .*n_styles"):
            save_codes(tmp_path / "codes.safetensors", self.CODES["w"], "w_plus")
        with pytest.raises(PspkitError, match="space: got 's', needs one of"):
            save_codes(tmp_path / "codes.safetensors", self.CODES["w"], "s")
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize(
        ("codes", "message"),
        [
            (torch.full((2, 6, 64), math.nan), "numbers that are not finite"),
            (torch.ones(2, 6, 64, dtype=torch.int32), "torch.int32, but codes are arrays of floating-point numbers"),
            (torch.ones(2, 6, 64, dtype=torch.complex64), "of a kind that no weights have"),
            (torch.ones(0, 6, 64), r"an array of shape \(0, 6, 64\), which no codes have"),
            (torch.ones(6, 64), r"codes: got float32 of shape \(6, 64\), needs"),
        ],
    )
    def test_codes_that_are_none(self, tmp_path, codes, message):
        path = tmp_path / "codes.safetensors"
        save_file({"codes": codes}, path, {"format": "pspkit codes", "space": "w_plus"})
        with pytest.raises(CheckpointError, match=rf"codes\.safetensors: .*{message}"):
            load_codes(path)
        save_file({"other": torch.ones(1)}, path, {"format": "pspkit codes", "space": "w_plus"})
        with pytest.raises(CheckpointError, match="without any codes in it"):
            load_codes(path)

    def test_codes_and_weights_are_not_mistaken_for_each_other(self, tmp_path):
        save_codes(tmp_path / "codes.safetensors", self.CODES["w"], "w")
        small_psp().save_pretrained(tmp_path)
        save_file({"codes": self.CODES["w"]}, tmp_path / "foreign.safetensors")
        for name in ("model.safetensors", "foreign.safetensors"):
            with pytest.raises(CheckpointError, match=f"{name}: .*not a file of codes"):
                load_codes(tmp_path / name, "w")
        with pytest.raises(CheckpointError, match="holds codes, not weights"):
            PSP.from_pretrained(tmp_path / "codes.safetensors")
