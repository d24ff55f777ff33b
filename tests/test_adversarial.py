"""The decoder's training: its penalty, that it goes on exactly, and what it refuses."""

import json
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.utils.data import Dataset

from pspkit import PspkitError
from pspkit.adversarial import (
    AdversarialConfig,
    AdversarialTrainer,
    gradient_penalty,
    read_config,
    run,
    train_decoder,
    trainer,
)
from pspkit.adversarial.known import WIDTH, KnownLatents, describe
from pspkit.checkpoints.files import read_file
from pspkit.config import GeneratorConfig
from pspkit.errors import CheckpointError
from pspkit.heads import sample_factors
from pspkit.stylegan2 import Generator

pytestmark = pytest.mark.usefixtures("one_thread")

TAUGHT_DECODER = GeneratorConfig(size=8, style_dim=WIDTH + 2, n_mlp=1, max_channels=4)
CONFIG = AdversarialConfig(
    decoder=GeneratorConfig(size=8, style_dim=8, n_mlp=1, max_channels=4),
    images=40,
    supervised=0,
    supervision=0,
    batch=4,
    penalty_every=3,
    ema_images=8,
)


EYE = torch.zeros(8, 8, dtype=torch.uint8)
EYE[:4, :4] = 4


class Pictures(Dataset):
    """As many as make an epoch of three steps."""

    def __len__(self):
        return 14

    factors = sample_factors(14, 0)

    def __getitem__(self, index):
        image = torch.linspace(-1, index / 14, 3 * 8 * 8).view(3, 8, 8)
        return {"image": image, "toon": -image, "labels": EYE}


@pytest.fixture(autouse=True)
def often(monkeypatch):
    """A report a step, and the state kept after it."""
    monkeypatch.setattr(run, "REPORT_IMAGES", 4)
    monkeypatch.setattr(run, "SAVE_SECONDS", 0)
    for name, count in (("FITTED_HEADS", 64), ("FITTED_STEPS", 40), ("FITTED_BATCH", 16)):
        monkeypatch.setattr(trainer, name, count)


def assert_equal(ours, theirs):
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


TAUGHT = replace(CONFIG, decoder=TAUGHT_DECODER, supervised=24, supervision=1.0)


@pytest.mark.parametrize("config", [CONFIG, TAUGHT], ids=["from pictures alone", "first from factors"])
def test_a_training_that_was_killed_goes_on_as_if_it_had_not_been(tmp_path, config):
    whole = list(train_decoder(config, Pictures(), tmp_path / "whole"))
    assert [report.images for report in whole] == list(range(4, 44, 4))

    killed = train_decoder(config, Pictures(), tmp_path / "killed")
    first = [next(killed) for _ in range(5)]  # the fifth step is reported, not yet kept
    second = list(train_decoder(read_config(tmp_path / "killed"), Pictures(), tmp_path / "killed", resume=True))
    assert [report.images for report in second] == list(range(20, 44, 4))
    assert replace(second[0], seconds=0) == replace(first[4], seconds=0)
    assert replace(second[-1], seconds=0) == replace(whole[-1], seconds=0)

    (ours, _), (theirs, _) = (read_file(tmp_path / name / "state.pt") for name in ("killed", "whole"))
    for name in ("generator", "average", "discriminator", "factors", "optimizers"):
        assert_equal(ours[name], theirs[name])
    model = Generator.from_pretrained(tmp_path / "killed" / "model")
    assert_equal(dict(model.state_dict()), dict(theirs["average"]))
    log = [json.loads(line)["images"] for line in (tmp_path / "killed" / "log.jsonl").read_text().splitlines()]
    assert log == list(range(4, 44, 4))
    assert (tmp_path / "killed" / "samples_0000040.png").exists()


def test_every_network_learns_and_the_average_lags():
    ours = AdversarialTrainer(CONFIG, Pictures())
    start = {name: tensor.clone() for name, tensor in ours.generator.named_parameters()}
    for _ in range(3):
        ours.train_step()
    now, average = dict(ours.generator.named_parameters()), dict(ours.average.named_parameters())
    for name, before in start.items():
        assert not torch.equal(now[name], before), name
    ahead = (now["input.input"] - start["input.input"]).norm()
    assert 0 < (average["input.input"] - now["input.input"]).norm() < ahead


@pytest.mark.parametrize(("anneal_from", "rate"), [(0.5, 0.4), (1.0, 1.0)])
def test_the_rate_falls_towards_the_end(anneal_from, rate):
    ours = AdversarialTrainer(replace(CONFIG, anneal_from=anneal_from), Pictures())
    ours.step = 8
    ours.train_step()
    assert ours.optimizers[0].param_groups[0]["lr"] == pytest.approx(CONFIG.lr * rate)


def test_each_stage_has_a_rate_of_its_own():
    ours, rates = AdversarialTrainer(replace(TAUGHT, anneal_from=0.5), Pictures()), []
    while ours.images < TAUGHT.images:
        ours.train_step()
        rates.append((ours.optimizers[1] if ours.images > TAUGHT.supervised else ours.teacher).param_groups[0]["lr"])
    shares = [rate / rates[0] for rate in rates]
    lazy = TAUGHT.penalty_every / (TAUGHT.penalty_every + 1)
    assert shares == pytest.approx([1, 1, 1, 1, 2 / 3, 1 / 3, lazy, lazy, lazy, lazy / 2])


def test_a_pixel_of_something_small_weighs_more():
    ours = AdversarialTrainer(TAUGHT, Pictures())
    real = torch.zeros(1, 3, 8, 8)
    eye, rest = real.clone(), real.clone()
    eye[..., :4, :4], rest[..., 4:, 4:] = 1, 1  # as many pixels
    differences = [ours._difference(drawn, real, [Pictures()[0]]).item() for drawn in (eye, rest)]
    assert differences[0] / differences[1] == pytest.approx((48 / 16) ** 0.5)


def test_the_penalty_of_a_linear_discriminator_is_the_square_of_its_weights():
    discriminator = nn.Sequential(nn.Flatten(), nn.Linear(3 * 4 * 4, 1))
    penalty = gradient_penalty(discriminator, torch.randn(5, 3, 4, 4))
    weight = discriminator[1].weight
    torch.testing.assert_close(penalty, weight.square().sum())
    penalty.backward()
    torch.testing.assert_close(weight.grad, 2 * weight.detach())


def test_a_diverged_training_stops_and_leaves_what_was_kept(tmp_path):
    class Broken(Pictures):
        def __getitem__(self, index):
            return {"image": torch.full((3, 8, 8), torch.nan)}

    list(train_decoder(replace(CONFIG, images=8), Pictures(), tmp_path))
    kept = (tmp_path / "state.pt").read_bytes()
    with pytest.raises(PspkitError, match=r"step 2: a loss is no longer a number.*lower rate"):
        list(train_decoder(CONFIG, Broken(), tmp_path, resume=True))
    assert (tmp_path / "state.pt").read_bytes() == kept

    ours = AdversarialTrainer(CONFIG, Pictures())
    ours.generator.input.input.data[0] = torch.nan
    with pytest.raises(PspkitError, match="step 0: a weight of the generator is no longer a number"):
        ours.state_dict()


def test_refusals(tmp_path):
    with pytest.raises(PspkitError, match="heads: 14, but a step takes 20"):
        AdversarialTrainer(replace(CONFIG, batch=20), Pictures())
    with pytest.raises(CheckpointError, match=r"state\.pt: cannot be read"):
        read_config(tmp_path)
    list(train_decoder(replace(CONFIG, images=4), Pictures(), tmp_path))
    with pytest.raises(PspkitError, match=r"holds a training. Go on with it by --resume"):
        next(train_decoder(CONFIG, Pictures(), tmp_path))
    with pytest.raises(PspkitError, match=r"seed: got 1, but the training in .* began with 0"):
        next(train_decoder(replace(CONFIG, seed=1), Pictures(), tmp_path, resume=True))
    torch.save({"format": run.FORMAT, "config": {"decoder": {}, "momentum": 1}}, tmp_path / "state.pt")
    with pytest.raises(CheckpointError, match=r"'momentum'.*another version of pspkit wrote it"):
        read_config(tmp_path)
    torch.save({"weights": torch.zeros(1)}, tmp_path / "state.pt")
    with pytest.raises(CheckpointError, match="not the state of a decoder's training"):
        read_config(tmp_path)


def test_taught_by_factors_it_learns_to_draw_heads_and_then_its_mapping_network_to_name_them():
    ours = AdversarialTrainer(replace(TAUGHT, supervised=400, images=400, lr=0.01), Pictures())
    ours.train_step()
    before = ours.report().generator
    while ours.images < 400:
        mapping = ours.generator.style[1].weight.clone()
        ours.train_step()
    assert ours.report().generator < before / 2
    assert not torch.equal(ours.generator.style[1].weight, mapping)  # learned at the end
    assert_equal(ours.average.style.state_dict(), ours.generator.style.state_dict())


def test_the_mapping_network_comes_near_the_codes_of_the_factors(monkeypatch):
    monkeypatch.setattr(trainer, "FITTED_HEADS", 1_000)
    monkeypatch.setattr(trainer, "FITTED_STEPS", 400)
    ours = AdversarialTrainer(TAUGHT, Pictures())
    assert ours._fit_mapping() < 0.9  # 1: no better than their mean


def test_one_that_starts_from_another_keeps_its_codes(tmp_path):
    list(train_decoder(TAUGHT, Pictures(), tmp_path / "plain"))
    toon = replace(TAUGHT, look="toon", start=str(tmp_path / "plain"))
    list(train_decoder(toon, Pictures(), tmp_path / "toon"))
    plain, other = (read_file(tmp_path / name / "state.pt")[0] for name in ("plain", "toon"))
    assert_equal(other["factors"], plain["factors"])
    style = {name for name in plain["generator"] if name.startswith("style.")}
    assert_equal({n: other["generator"][n] for n in style}, {n: plain["generator"][n] for n in style})
    assert not torch.equal(other["generator"]["input.input"], plain["generator"]["input.input"])


def test_known_latents_are_standard_normal_and_say_what_the_heads_are():
    heads = sample_factors(4_000, 3)
    z = KnownLatents(WIDTH + 2)(heads)
    assert z.shape == (4_000, WIDTH + 2)
    assert z.mean(0).abs().max() < 0.1
    assert (z.std(0) - 1).abs().max() < 0.1
    numbers = describe(heads)
    assert numbers.shape == (4_000, WIDTH)
    apart = z[:, :WIDTH].T.corrcoef()  # entries do not depend on each other
    assert (apart - torch.eye(WIDTH)).abs().max() < 0.1
    scalars = numbers.std(0).sub(1).abs() < 0.05
    ranks = [
        (z[:, c].argsort().argsort() == numbers[:, c].argsort().argsort()).float().mean() for c in scalars.nonzero()
    ]
    assert min(ranks) > 0.9  # a number's entry keeps its order


def test_a_latent_too_short_for_the_factors():
    with pytest.raises(PspkitError, match=f"style_dim: 8, but the heads' factors take {WIDTH} entries"):
        AdversarialTrainer(replace(CONFIG, supervised=8), Pictures())
