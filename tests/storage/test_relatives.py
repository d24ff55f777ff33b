"""Checkpoints of the pSp family and of StyleGAN2's other homes: each on a file of its layout that the test makes."""

import argparse
import pickle
import re

import pytest
import torch
import torch.nn.functional as F

from pspkit import CheckpointError
from pspkit.config import EncoderConfig, PSPConfig
from pspkit.inference.inspect import inspect_checkpoint
from pspkit.models.encoders import BackboneEncoder, Encoder
from pspkit.models.fast import fast_encoder
from pspkit.models.stylegan2 import Generator
from pspkit.psp import PSP, load_decoder, load_encoder
from pspkit.storage.checkpoints import read_checkpoint
from tests.examples import SMOKE, assert_equal_weights, small_psp

STYLES, LENGTH = SMOKE.encoder.n_styles, SMOKE.encoder.style_dim


def states(psp: PSP) -> dict[str, torch.Tensor]:
    return {key: value for key, value in psp.state_dict().items() if key != "latent_avg"}


def write(path, psp: PSP, opts=None, **more):
    """As the reference and its relatives write a checkpoint."""
    content = {"state_dict": states(psp) | more, "latent_avg": psp.latent_avg}
    torch.save(content | ({} if opts is None else {"opts": opts}), path)
    return path


def pictures(count=2, channels=3):
    return torch.rand(count, channels, 64, 64, generator=torch.Generator().manual_seed(1)) * 2 - 1


class TestE4E:
    """w_0 = first block, w_i = w_0 + block i, all added to the average."""

    @pytest.fixture
    def file(self, tmp_path):
        opts = {"encoder_type": "Encoder4Editing", "stylegan_size": 16, "start_from_latent_avg": True}
        return write(tmp_path / "e4e.pt", small_psp(), opts)

    def test_its_codes_are_offsets_from_the_first(self, file, tmp_path):
        plain, psp, x = small_psp(), PSP.from_pretrained(file), pictures()
        with torch.no_grad():
            blocks = plain.encoder(x)
            formula = blocks.clone()
            for i in range(1, STYLES):
                formula[:, i] = blocks[:, 0] + blocks[:, i]
            torch.testing.assert_close(psp.encode(x), formula + plain.latent_avg)
            torch.testing.assert_close(fast_encoder(psp.encoder, torch.float32)(x), formula, atol=1e-4, rtol=1e-4)
            psp.save_pretrained(tmp_path / "ours")
            assert torch.equal(PSP.from_pretrained(tmp_path / "ours").encode(x), psp.encode(x))

    def test_inspect_says_whose_it_is(self, file):
        report = str(inspect_checkpoint(file))
        assert "an e4e checkpoint" in report
        assert "offsets from the first" in report

    def test_without_its_options_nobody_can_tell_and_that_is_said(self, tmp_path):
        report = str(inspect_checkpoint(write(tmp_path / "bare.pt", small_psp())))
        assert "no encoder_type in its options, so read as psp's; e4e has tensors of the same shapes" in report


class TestReStyle:
    """w_t = w_{t-1} + E(x, G(w_{t-1})), from the average on; the last answer is pooled to the encoder's side."""

    @pytest.mark.parametrize(
        ("encoder_type", "kind", "progressive"),
        [
            ("BackboneEncoder", "last_map", False),
            ("ProgressiveBackboneEncoder", "last_map", True),
            ("GradualStyleEncoder", "gradual", False),
        ],
    )
    def test_it_runs_by_its_own_formula(self, encoder_type, kind, progressive, tmp_path):
        parts = small_psp(kind=kind, input_nc=6)
        opts = argparse.Namespace(encoder_type=encoder_type, input_nc=6, n_iters_per_batch=3)
        file = write(tmp_path / "restyle.pt", parts, opts)
        psp, x = PSP.from_pretrained(file), pictures()
        assert psp.input_nc == 3
        with torch.no_grad():
            latent = parts.latent_avg.expand(2, -1, -1)
            for _ in range(3):
                last = F.interpolate(parts.decode(latent), size=64)  # 16 px: each pixel becomes a square, as by pooling
                blocks = parts.encoder(torch.cat([x, last], 1))
                if progressive:
                    blocks = torch.cat([blocks[:, :1], blocks[:, :1] + blocks[:, 1:]], 1)
                latent = latent + blocks
            torch.testing.assert_close(psp.encode(x), latent, atol=1e-4, rtol=1e-4)
            steps = psp.iterate(x, 3)
        assert torch.equal(steps[:, -1], psp.encode(x).detach())
        assert "3; the encoder sees its last answer" in str(inspect_checkpoint(file))
        psp.save_pretrained(tmp_path / "ours")
        assert PSP.from_pretrained(tmp_path / "ours").config == psp.config

    def test_three_channels_are_answered_once(self, tmp_path):
        parts = small_psp(kind="last_map")
        psp = PSP.from_pretrained(write(tmp_path / "once.pt", parts, {"encoder_type": "BackboneEncoder"}))
        assert psp.iterations == 0
        assert isinstance(psp.encoder, BackboneEncoder)
        with torch.no_grad():
            torch.testing.assert_close(psp.encode(pictures()), parts.encoder(pictures()) + parts.latent_avg)

    def test_the_fast_copy_of_an_encoder_without_a_pyramid(self):
        encoder = small_psp(kind="last_map").encoder.eval()
        with torch.no_grad():
            torch.testing.assert_close(
                fast_encoder(encoder, torch.float32)(pictures()), encoder(pictures()), atol=1e-4, rtol=1e-4
            )


class TestNamedAndRefused:
    @pytest.mark.parametrize(
        ("key", "name"),
        [
            ("hypernet.refinement_blocks.0.conv.weight", "HyperStyle"),
            ("residue.conv_layer1.0.weight", "HFGI"),
            ("encoder.featlayer.weight", "StyleGANEX"),
            ("mapper.course_mapping.mapping.1.weight", "StyleCLIP's mapper"),
            ("encoder.transformerlayer_coarse.norm.weight", "Style Transformer"),
            ("encoder.body.0.conv1.weight", "an encoder on ResNet-34"),
        ],
    )
    def test_a_stranger_is_named_and_its_decoder_taken(self, key, name, tmp_path):
        psp = small_psp()
        file = write(tmp_path / "file.pt", psp, {"encoder_type": "Encoder4Editing"}, **{key: torch.zeros(1)})
        message = f"this is {name}.* does not run: .*load_decoder takes from it"
        with pytest.raises(CheckpointError, match=message) as error:
            PSP.from_pretrained(file)
        assert "again" not in str(error.value)
        report = inspect_checkpoint(file)
        assert not report.loads
        assert re.search(message, str(report))
        assert_equal_weights(load_decoder(file)[0], psp.decoder)

    def test_sam_is_no_inpainting_model(self, tmp_path):
        psp, first = small_psp(input_nc=4), small_psp(input_nc=3)
        pretrained = {f"pretrained_encoder.{key}": value for key, value in first.encoder.state_dict().items()}
        file = write(tmp_path / "sam.pt", psp, {"start_from_encoded_w_plus": True, "input_nc": 4}, **pretrained)
        with pytest.raises(CheckpointError, match=r"this is SAM .* ages faces.*load_encoder and load_decoder"):
            PSP.from_pretrained(file)
        assert not inspect_checkpoint(file).loads
        assert_equal_weights(load_encoder(file), first.encoder)
        assert_equal_weights(load_decoder(file)[0], psp.decoder)

    def test_sam_that_starts_from_the_average_is_known_by_its_options(self, tmp_path):
        psp = small_psp(input_nc=4)
        file = write(tmp_path / "sam.pt", psp, {"aging_lambda": 5, "input_nc": 4})
        with pytest.raises(CheckpointError, match=r"this is SAM .* load_decoder takes from it"):
            PSP.from_pretrained(file)

    @pytest.mark.parametrize(
        ("wrap", "keys", "name"),
        [
            ("params_ema", ("conv_body_first.weight", "stylegan_decoder.style_mlp.2.weight"), "GFPGAN"),
            ("generator_smooth", ("mapping.dense0.weight", "synthesis.layer0.weight"), "a StyleGAN of GenForce's"),
            ("state_dict", ("G_mapping.main.0.weight", "G_synthesis.const"), "a StyleGAN2 of adriansahlman's"),
        ],
    )
    def test_generators_of_other_homes(self, wrap, keys, name, tmp_path):
        torch.save({wrap: {key: torch.zeros(2) for key in keys}}, tmp_path / "generator.pt")
        for read in (load_decoder, inspect_checkpoint):
            with pytest.raises(CheckpointError, match=rf"this is {name}.* Nothing in it can be used here"):
                read(tmp_path / "generator.pt")

    def test_a_decoder_of_stylegan3(self, tmp_path):
        state = {f"encoder.{key}": value for key, value in small_psp().encoder.state_dict().items()}
        torch.save({"state_dict": state | {"decoder.synthesis.L0_36_512.weight": torch.zeros(1)}}, tmp_path / "sg3.pt")
        for read in (PSP.from_pretrained, inspect_checkpoint):
            with pytest.raises(CheckpointError, match=r"a model with StyleGAN3 .* Nothing in it can be used"):
                read(tmp_path / "sg3.pt")

    def test_an_encoder_type_that_is_not_known_is_read_by_its_tensors_and_noted(self, tmp_path):
        file = write(tmp_path / "own.pt", small_psp(), {"encoder_type": "MyEncoder"})
        assert "call the encoder MyEncoder, which is not known here" in str(inspect_checkpoint(file))
        assert_equal_weights(PSP.from_pretrained(file), small_psp())


def several_devices(psp):
    return {"state_dict": {f"module.{key}": value for key, value in states(psp).items()}, "latent_avg": psp.latent_avg}


def a_part_on_several_devices(psp):
    state = {re.sub("^(encoder|decoder)", r"\1.module", key): value for key, value in states(psp).items()}
    return {"state_dict": state, "latent_avg": psp.latent_avg}


def ganinverter(psp):
    encoder = {f"encoder.module.{key}": value for key, value in psp.encoder.state_dict().items()}
    opts = {"encoder_type": "GradualStyleEncoder", "start_from_latent_avg": True}
    return {
        "encoder": encoder | {"latent_avg": psp.latent_avg},
        "decoder": psp.decoder.state_dict(),
        "opts": opts,
        "global_step": 7,
        "best_val_loss": None,
    }


def flat(psp):
    return psp.state_dict()


@pytest.mark.parametrize("wrapped", [several_devices, a_part_on_several_devices, ganinverter, flat])
def test_whatever_a_training_wraps_around_a_psp(wrapped, tmp_path):
    psp = small_psp()
    torch.save(wrapped(psp), tmp_path / "file.pt")
    assert_equal_weights(PSP.from_pretrained(tmp_path / "file.pt"), psp)
    assert inspect_checkpoint(tmp_path / "file.pt").loads


GENERATORS = {
    "bare": lambda state: state,
    "g_ema": lambda state: {
        "g_ema": state,
        "g": {"style.1.bias": torch.zeros(1)},
        "d": {},
        "args": argparse.Namespace(),
    },
    "g_ema on several devices": lambda state: {"g_ema": {f"module.{key}": value for key, value in state.items()}},
    "g": lambda state: {"g": state, "g_optim": {"lr": 0.1}},
    "params_ema": lambda state: {"params_ema": state},
    "decoder.": lambda state: {f"decoder.{key}": value for key, value in state.items()},
}


@pytest.mark.parametrize("wrapped", GENERATORS)
def test_whatever_a_training_wraps_around_a_generator(wrapped, tmp_path):
    decoder = small_psp().decoder
    torch.save(GENERATORS[wrapped](decoder.state_dict()), tmp_path / "generator.pt")
    assert_equal_weights(Generator.from_pretrained(tmp_path / "generator.pt"), decoder)
    assert_equal_weights(load_decoder(tmp_path / "generator.pt")[0], decoder)


class TestEncoderAlone:
    @pytest.mark.parametrize("prefix", ["", "encoder.", "module.encoder."])
    @pytest.mark.parametrize("wrapped", [lambda state: state, lambda state: {"state_dict": state}])
    def test_it_loads_and_says_which_decoder_it_wants(self, prefix, wrapped, tmp_path):
        encoder = small_psp().encoder
        state = {prefix + key: value for key, value in encoder.state_dict().items()}
        torch.save(wrapped(state), tmp_path / "encoder.pt")
        assert_equal_weights(Encoder.from_pretrained(tmp_path / "encoder.pt"), encoder)
        assert_equal_weights(load_encoder(tmp_path / "encoder.pt"), encoder)
        report = inspect_checkpoint(tmp_path / "encoder.pt")
        assert report.loads
        assert f"it wants a decoder of {STYLES} codes of {LENGTH}: in a StyleGAN2 those of 16 px" in str(report)

    @pytest.mark.parametrize("kind", ["w", "w_plus"])
    def test_the_options_tell_what_the_tensors_of_a_baseline_leave_open(self, kind, tmp_path):
        config = EncoderConfig(kind, 18, "ir", n_styles=6, widths=(8, 16, 32, 64), map2style_width=64)
        encoder = Encoder.from_config(config)
        state = {f"encoder.{key}": value for key, value in encoder.state_dict().items()}
        torch.save({"state_dict": state, "opts": {"output_size": 16}}, tmp_path / "encoder.pt")
        loaded = Encoder.from_pretrained(tmp_path / "encoder.pt")
        assert (loaded.n_styles, loaded.style_dim) == (6, 512)
        assert_equal_weights(loaded, encoder)


def nvidias_names(generator: Generator) -> dict[str, torch.Tensor]:
    """A generator's state dict as stylegan2-ada-pytorch's `G_ema.state_dict()` has it, written out by hand."""
    state, theirs = generator.state_dict(), {"mapping.w_avg": torch.full((generator.style_dim,), 0.5)}
    for layer in range(generator.config.n_mlp):
        for what in ("weight", "bias"):
            theirs[f"mapping.fc{layer}.{what}"] = state[f"style.{layer + 1}.{what}"]
    theirs["synthesis.b4.const"] = state["input.input"][0]

    def convolution(place, ours, noise):
        theirs[f"{place}.weight"] = state[f"{ours}.conv.weight"][0]
        theirs[f"{place}.noise_strength"] = state[f"{ours}.noise.weight"].reshape(())
        theirs[f"{place}.noise_const"] = state[f"noises.noise_{noise}"][0, 0]
        theirs[f"{place}.bias"] = state[f"{ours}.activate.bias"]
        for what in ("weight", "bias"):
            theirs[f"{place}.affine.{what}"] = state[f"{ours}.conv.modulation.{what}"]

    def to_rgb(place, ours):
        theirs[f"{place}.weight"] = state[f"{ours}.conv.weight"][0]
        theirs[f"{place}.bias"] = state[f"{ours}.bias"].reshape(-1)
        for what in ("weight", "bias"):
            theirs[f"{place}.affine.{what}"] = state[f"{ours}.conv.modulation.{what}"]

    convolution("synthesis.b4.conv1", "conv1", 0)
    to_rgb("synthesis.b4.torgb", "to_rgb1")
    side, number = 8, 0
    while side <= generator.size:
        convolution(f"synthesis.b{side}.conv0", f"convs.{2 * number}", 2 * number + 1)
        convolution(f"synthesis.b{side}.conv1", f"convs.{2 * number + 1}", 2 * number + 2)
        to_rgb(f"synthesis.b{side}.torgb", f"to_rgbs.{number}")
        theirs[f"synthesis.b{side}.resample_filter"] = torch.ones(4, 4) / 16
        theirs[f"synthesis.b{side}.conv0.resample_filter"] = torch.ones(4, 4) / 16
        side, number = 2 * side, number + 1
    return theirs


class TestNVIDIA:
    def test_their_names_load_as_ours(self, tmp_path):
        generator = small_psp().decoder
        torch.save(nvidias_names(generator), tmp_path / "nvidia.pt")
        loaded, average = load_decoder(tmp_path / "nvidia.pt")
        assert_equal_weights(loaded, generator)
        assert torch.equal(average, torch.full((LENGTH,), 0.5))
        assert "StyleGAN2 file under NVIDIA's names" in str(inspect_checkpoint(tmp_path / "nvidia.pt"))

    def test_within_a_psp(self, tmp_path):
        psp = small_psp()
        state = {f"encoder.{key}": value for key, value in psp.encoder.state_dict().items()}
        state |= {f"decoder.{key}": value for key, value in nvidias_names(psp.decoder).items()}
        torch.save({"state_dict": state, "latent_avg": psp.latent_avg}, tmp_path / "psp.pt")
        assert_equal_weights(PSP.from_pretrained(tmp_path / "psp.pt"), psp)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"mapping.embed.weight": torch.zeros(LENGTH, 10)}, "a class-conditional StyleGAN2"),
            ({"synthesis.b8.skip.weight": torch.zeros(1)}, "a network of NVIDIA's whose synthesis.b8.skip.weight"),
        ],
    )
    def test_other_architectures_are_said_so(self, change, message, tmp_path):
        torch.save(nvidias_names(small_psp().decoder) | change, tmp_path / "nvidia.pt")
        with pytest.raises(CheckpointError, match=message):
            load_decoder(tmp_path / "nvidia.pt")

    def test_classes_and_channels_of_a_converted_file(self, tmp_path):
        state = small_psp().decoder.state_dict()
        wide = state | {"style.1.weight": torch.zeros(LENGTH, LENGTH + 10)}
        grey = state | {"to_rgb1.conv.weight": torch.zeros(1, 1, LENGTH, 1, 1)}
        for content, message in (
            (wide, f"takes {LENGTH + 10} numbers, {LENGTH} of z"),
            (grey, "pictures with 1 channel,"),
        ):
            torch.save({"g_ema": content}, tmp_path / "generator.pt")
            with pytest.raises(CheckpointError, match=message):
                load_decoder(tmp_path / "generator.pt")

    @pytest.mark.parametrize("protocol", [2, 4])
    @pytest.mark.parametrize("module", ["torch_utils.persistence", "dnnlib.tflib.network"])
    def test_a_pickle_is_refused_with_the_lines_that_export_it(self, module, protocol, tmp_path):
        name = f"c{module}\n_reconstruct\n".encode() if protocol == 2 else None
        short = [b"\x8c" + bytes([len(text)]) + text.encode() for text in (module, "_reconstruct")]
        body = name or short[0] + short[1] + b"\x93"
        (tmp_path / "ffhq.pkl").write_bytes(
            b"\x80" + bytes([protocol]) + b"}" + b"\x8c\x01G" * (protocol > 2) + body + b")R."
        )
        for read in (load_decoder, inspect_checkpoint):
            with pytest.raises(
                CheckpointError, match=r'NVIDIA.*nothing was run.*\n.*\n.*load_network_pkl\(open\("ffhq.pkl"'
            ):
                read(tmp_path / "ffhq.pkl")


def test_a_file_that_is_whole_is_never_to_be_got_again(tmp_path):
    psp = small_psp()
    partial = {key: value for key, value in states(psp).items() if "latlayer" not in key and "styles.2" not in key}
    for name, content in {
        "partial": {"state_dict": partial},
        "no body": {"state_dict": {key: value for key, value in states(psp).items() if ".body." not in key}},
        "other": {"state_dict": {"a.weight": torch.zeros(1), "b.weight": torch.zeros(1)}},
        "number": 3,
        "pickle": None,
    }.items():
        file = tmp_path / f"{name}.pt"
        torch.save(content, file) if content is not None else file.write_bytes(pickle.dumps({"a": 1}))
        with pytest.raises(CheckpointError) as error:
            PSP.from_pretrained(file)
        assert not re.search("[Gg]et .*again|incomplete", str(error.value)), str(error.value)
        try:
            assert not inspect_checkpoint(file).loads
        except CheckpointError as refused:
            assert str(refused) == str(error.value)


def test_a_wrapped_file_reads_as_what_it_is(tmp_path):
    torch.save(several_devices(small_psp()), tmp_path / "psp.pt")
    assert isinstance(read_checkpoint(tmp_path / "psp.pt").config, PSPConfig)


def test_hyperstyles_encoder_into_w(tmp_path):
    """It adds the average whatever its options say, and gives one code to all layers."""
    parts = small_psp(kind="w", input_size=256)
    psp = PSP.from_pretrained(write(tmp_path / "w.pt", parts, {"encoder_type": "WEncoder"}))
    x = torch.zeros(1, 3, 256, 256)
    with torch.no_grad():
        torch.testing.assert_close(psp.encode(x), parts.encoder(x)[:, None] + parts.latent_avg)
    assert "that HyperStyle starts from" in str(inspect_checkpoint(tmp_path / "w.pt"))
