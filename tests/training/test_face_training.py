"""Training on drawn faces: what a step looks at, what learns when, and the whole of it from the command line."""

import copy
import os
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pspkit.cli import main
from pspkit.config import CONFIGS, FACE_ENCODER, FACE_TRAININGS, TRAININGS
from pspkit.data.tasks import FacePairs, get_task
from pspkit.domains import get_domain
from pspkit.errors import PspkitError
from pspkit.losses.terms import LossWeights, PSPLoss, codes_error
from pspkit.models.encoders import GradualStyleEncoder
from pspkit.psp import PSP, load_encoder
from pspkit.storage.places import cache_folder, shipped_weights
from pspkit.training import Run
from pspkit.training.encoder import EncoderTraining, Objective
from pspkit.training.keeper import read_log
from pspkit.training.start import code_scale, start_heads

STYLES, LENGTH = 8, 16


class Painter(nn.Module):
    """A decoder whose pictures are bright, and whose preview is dark, so that a test sees which was looked at."""

    n_styles, style_dim, size = STYLES, LENGTH, 64
    preview_sides = (32,)

    def __init__(self) -> None:
        super().__init__()
        self.mapping = nn.Linear(LENGTH, LENGTH)

    def synthesis(self, w_plus):
        return self.preview(w_plus, 64) + 1

    def preview(self, w_plus, side):
        return F.interpolate(w_plus.mean((1, 2))[:, None, None, None].expand(-1, 3, 1, 1), size=side).tanh() / 4


@pytest.fixture
def psp() -> PSP:
    torch.manual_seed(0)
    encoder = GradualStyleEncoder(
        n_styles=STYLES, input_size=32, style_dim=LENGTH, map2style_width=8, backbone="mobile_facenet"
    )
    return PSP(encoder, Painter())


def pairs(training: bool = True, task: str = "encode", count: int = 4) -> FacePairs:
    generator = torch.Generator().manual_seed(0)
    items = [
        {
            "image": torch.randint(256, (3, 32, 32), generator=generator, dtype=torch.uint8),
            "codes": torch.randn(STYLES, LENGTH, generator=generator),
        }
        for _ in range(count)
    ]
    return FacePairs(items, task, 32, training)


def training(psp: PSP, shown: FacePairs | None = None, **changed) -> EncoderTraining:
    config = replace(TRAININGS["smoke"], batch=2, steps=4, optimizer="adam", lpips_trunk="random", **changed)
    loss = PSPLoss(LossWeights(lpips=0, identity=0, w_norm=0, codes=1), lpips_trunk="random")
    return EncoderTraining(psp, loss, shown or pairs(), shown or pairs(False), config)


def test_a_step_sees_the_preview_where_the_decoder_has_one_and_validation_never(psp):
    strategy = training(psp, preview=32)
    source, target, known = (torch.stack(part) for part in zip(*(pairs(False)[i] for i in range(4)), strict=True))
    with torch.no_grad():
        codes = psp.eval().encode(source)
        previewed = strategy.objective(source, target, known)[1]
        whole = strategy.judge(source, target, known)[1]
        assert previewed["l2"] == pytest.approx(F.mse_loss(psp.decoder.preview(codes, 32), target).item())
        assert whole["l2"] == pytest.approx(F.mse_loss(psp.decode(codes)[:, :, ::2, ::2], target).item())
        assert whole["codes"] == pytest.approx(codes_error(codes, known, psp.latent_avg).item())
        for preview in (0, 128):  # none is asked for, or the decoder has none of that side
            assert Objective(psp, strategy.judge.loss, preview)(source, target, known)[1]["l2"] == whole["l2"]


def test_the_body_waits_and_then_learns_at_its_own_rate(psp):
    strategy = training(psp, body_rate=0.25, body_from=0.5, lr=1e-2, anneal_from=1.0)
    batches = strategy.batches(0)
    kept = [copy.deepcopy(psp.encoder.state_dict())]
    rates = []
    for done in range(4):
        strategy.step(next(batches), done)
        kept.append(copy.deepcopy(psp.encoder.state_dict()))
        rates.append({group["body"]: group["lr"] for group in strategy.optimizer.param_groups})

    def changed(before: int, after: int) -> set[str]:
        return {name.partition(".")[0] for name in kept[0] if not torch.equal(kept[before][name], kept[after][name])}

    above = {"styles", "latlayer1", "latlayer2"}
    assert changed(0, 2) == above
    assert changed(2, 4) == above | {"body", "input_layer"}
    assert rates == [{False: 1e-2, True: 0}] * 2 + [{False: 1e-2, True: 2.5e-3}] * 2


def test_codes_that_are_not_known_or_another_decoders_are_refused_before_the_first_step(psp):
    with pytest.raises(
        PspkitError, match=r"codes: their loss has a weight, but the codes of the pairs are not known\. Set codes=0"
    ):
        training(psp, pairs(task="frontalize"))
    psp.decoder.n_styles = 6
    with pytest.raises(
        PspkitError, match=r"codes: the pairs have 8 of length 16, and the decoder takes 6 of length 16\. Set"
    ):
        training(psp)


def test_random_layers_start_with_signals_of_one_scale(psp):
    encoder, sources = psp.encoder, torch.randn(64, 3, 32, 32).clamp(-1, 1)
    start_heads(encoder, sources, code_scale(psp))
    with torch.no_grad():
        maps = encoder.stages(sources)
        for style, level in ((0, 0), (4, 1), (7, 2)):
            head, x = encoder.styles[style], encoder.pyramid(*maps)[level]
            y = head.convs[:-1](x)  # before the last activation
            assert abs(y.mean()) < 0.05 and 0.9 < y.std() < 1.1
        assert encoder(sources).std() < 0.3 * code_scale(psp)


def test_the_scale_of_codes_is_that_of_the_mapping_network(psp):
    nn.init.eye_(psp.decoder.mapping.weight)
    assert code_scale(psp) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("name", ["sketch", "segmentation"])
def test_the_first_layer_sees_a_source_in_the_colours_in_which_it_is_shown(psp, name, tmp_path):
    psp.encoder.save_pretrained(tmp_path)
    task = get_task(name)
    encoder = Run("faces", name, "smoke", encoder=str(tmp_path))._encoder(STYLES, LENGTH)
    source = torch.rand(1, 1, 16, 16)
    if task.source == "labels":
        source = task.make_source(torch.randint(19, (1, 16, 16)))
    with torch.no_grad():
        seen = encoder.input_layer[0][0](source)
        wanted = psp.encoder.input_layer[0][0](task.show_source(source))
    torch.testing.assert_close(seen[..., 1:, 1:], wanted[..., 1:, 1:])  # at the border the padding differs


class TestDomain:
    def test_the_encoder_of_photographs_has_the_sizes_of_the_one_that_ships(self):
        shipped = load_encoder(shipped_weights() / "faces-encode").config
        assert shipped == FACE_ENCODER == get_domain("faces").encoder_config("cpu")
        assert get_domain("faces").encoder_config("paper") == CONFIGS["paper"].encoder
        assert get_domain("heads").encoder_config("cpu") == CONFIGS["cpu"].encoder

    def test_the_profile_brings_the_training_of_the_domain(self):
        assert Run("faces", profile="cpu").training == FACE_TRAININGS["cpu"]
        assert Run("faces", profile="paper").training == TRAININGS["paper"]

    @pytest.mark.parametrize("task", ["encode", "sketch", "frontalize"])
    def test_codes_count_for_drawn_faces_and_not_for_a_folder(self, task):
        faces = get_domain("faces")
        assert bool(faces.losses(task).codes) == (task != "frontalize")
        assert faces.losses(task, "photos").codes == 0


@pytest.fixture
def drawn_elsewhere(tmp_path, monkeypatch):
    """A cache of its own for what is drawn, with the weights that are there already."""
    shared = cache_folder()
    (tmp_path / "cache").mkdir()
    monkeypatch.setenv("PSPKIT_CACHE", str(tmp_path / "cache"))
    for path in shared.iterdir():
        if not path.name.startswith(("faces-", "heads-")):
            os.symlink(path, tmp_path / "cache" / path.name)


def test_the_domain_trains_with_no_folder_at_all_and_its_model_translates(drawn_elsewhere, tmp_path, capsys):
    """The command of README, whole: faces are drawn, the encoder learns from them, and a photograph is inverted."""
    out = tmp_path / "run"
    given = ["train", "--domain", "faces", "--profile", "smoke", "--steps", "2", "--out", str(out)]
    assert main(given) == 0
    said = capsys.readouterr().out
    assert "faces, encode, smoke: encoder gradual, ir_se 50, 3 channels of 64 px to 16 codes of 512" in said
    assert "first weights from arcface-mobilefacenet" in said and "8 pairs, 2 held out" in said
    measured = read_log(out)[-1]["validation"]
    assert measured.keys() == {"total", "lpips", "l2", "identity", "codes"}
    assert measured["codes"] < 1.1  # it starts near the average, whose error is 1
    assert main(["train", "--out", str(out), "--resume", "--steps", "3"]) == 0
    photograph = str(shipped_weights().parent / "samples" / "collins_aligned.jpg")
    translate = ["translate", "--domain", "faces", "--task", "encode", "--refine", "0", "--model", str(out)]
    assert main([*translate, "--out", str(tmp_path / "out"), photograph]) == 0
    assert (tmp_path / "out" / "collins_aligned.png").is_file()
