"""The decoder's training: its penalty, that it goes on exactly, and what it refuses."""

from dataclasses import replace
from itertools import islice

import pytest
import torch
from torch import nn
from torch.utils.data import Dataset

from pspkit import PspkitError
from pspkit.config import DecoderTrainingConfig, GeneratorConfig
from pspkit.data.heads import sample_factors
from pspkit.errors import CheckpointError
from pspkit.models.stylegan2 import Generator
from pspkit.storage.checkpoints.files import read_file
from pspkit.training import Trainer
from pspkit.training.decoder import DecoderTraining, gradient_penalty, mapping
from pspkit.training.decoder.known import WIDTH, KnownLatents, factor_numbers
from pspkit.training.decoder.supervised import difference
from pspkit.training.keeper import read_log

pytestmark = pytest.mark.usefixtures("one_thread")

CONFIG = DecoderTrainingConfig(
    decoder=GeneratorConfig(size=8, style_dim=8, n_mlp=1, max_channels=4),
    images=40,
    supervised=0,
    supervision=0,
    batch=4,
    penalty_every=3,
    ema_images=8,
    validate_every=4,
    save_every=4,
)
TAUGHT = replace(
    CONFIG,
    decoder=GeneratorConfig(size=8, style_dim=WIDTH + 2, n_mlp=1, max_channels=4),
    supervised=24,
    supervision=1.0,
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
def short(monkeypatch):
    """A second stage of milliseconds."""
    for name, count in (("HEADS", 64), ("STEPS", 40), ("BATCH", 16)):
        monkeypatch.setattr(mapping, name, count)


def make(config=CONFIG, out=None, heads=None):
    return Trainer(DecoderTraining(config, heads or Pictures()), out)


def learn(trainer, steps):
    return [trainer.learn(batch) for batch in islice(trainer.strategy.batches(trainer.step), steps)]


def assert_equal(ours, theirs):
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


@pytest.mark.parametrize("config", [CONFIG, TAUGHT], ids=["from pictures alone", "first from factors"])
def test_a_training_that_was_killed_goes_on_as_if_it_had_not_been(tmp_path, config):
    whole = list(make(config, tmp_path / "whole").run())
    assert [report.step for report in whole] == list(range(1, 11))

    killed = make(config, tmp_path / "killed").run()
    first = [next(killed) for _ in range(5)]  # the fifth step is reported, not yet kept
    killed.close()  # as the end of a process, it lets go of the folder
    again = make(config, tmp_path / "killed")
    again.resume()
    second = list(again.run())
    assert [report.step for report in second] == list(range(5, 11))
    assert second[0].training == first[4].training
    assert second[-1].training == whole[-1].training
    assert torch.equal(second[-1].sheet, whole[-1].sheet)

    ours, theirs = (read_file(tmp_path / name / "state.pt")[0]["strategy"] for name in ("killed", "whole"))
    for name in ("generator", "average", "discriminator", "factors", "adversarial"):
        assert_equal(ours[name], theirs[name])
    model = Generator.from_pretrained(tmp_path / "killed" / "last")
    assert_equal(dict(model.state_dict()), dict(theirs["average"]))
    assert [line["step"] for line in read_log(tmp_path / "killed")] == list(range(1, 11))
    assert (tmp_path / "killed" / "sheets" / "000010.jpg").exists()


def test_every_network_learns_and_the_average_lags():
    ours = make()
    generator, average = ours.strategy.generator, ours.model
    start = {name: tensor.clone() for name, tensor in generator.named_parameters()}
    learn(ours, 3)
    now, lagging = dict(generator.named_parameters()), dict(average.named_parameters())
    for name, before in start.items():
        assert not torch.equal(now[name], before), name
    ahead = (now["input.input"] - start["input.input"]).norm()
    assert 0 < (lagging["input.input"] - now["input.input"]).norm() < ahead


def test_each_loss_is_named_and_the_penalty_comes_every_few_steps():
    losses = learn(make(), 4)
    assert [set(step) for step in losses[1:3]] == [{"generator", "discriminator", "real", "drawn"}] * 2
    assert ["penalty" in step for step in losses] == [True, False, False, True]


@pytest.mark.parametrize(("anneal_from", "rate"), [(0.5, 0.4), (1.0, 1.0)])
def test_the_rate_falls_towards_the_end(anneal_from, rate):
    ours = make(replace(CONFIG, anneal_from=anneal_from))
    ours.step = 8
    learn(ours, 1)
    assert ours.strategy.adversarial.optimizers[0].param_groups[0]["lr"] == pytest.approx(CONFIG.lr * rate)


def test_each_stage_has_a_rate_of_its_own():
    ours, rates = make(replace(TAUGHT, anneal_from=0.5)), []
    strategy = ours.strategy
    for _ in range(ours.pace.steps):
        learn(ours, 1)
        adversarial = strategy.images > TAUGHT.supervised
        optimizer = strategy.adversarial.optimizers[1] if adversarial else strategy.supervised.optimizer
        rates.append(optimizer.param_groups[0]["lr"])
    shares = [rate / rates[0] for rate in rates]
    lazy = TAUGHT.penalty_every / (TAUGHT.penalty_every + 1)
    assert shares == pytest.approx([1, 1, 1, 1, 2 / 3, 1 / 3, lazy, lazy, lazy, lazy / 2])


def test_a_pixel_of_something_small_weighs_more():
    real = torch.zeros(1, 3, 8, 8)
    eye, rest = real.clone(), real.clone()
    eye[..., :4, :4], rest[..., 4:, 4:] = 1, 1  # as many pixels
    differences = [difference(drawn, real, EYE[None].long()).item() for drawn in (eye, rest)]
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

    list(make(replace(CONFIG, images=8), tmp_path).run())
    kept = (tmp_path / "state.pt").read_bytes()
    broken = make(out=tmp_path, heads=Broken())
    broken.resume()
    with pytest.raises(PspkitError, match=r"step 3: no number any more: .*discriminator nan.*lower learning rate"):
        list(broken.run())
    assert (tmp_path / "state.pt").read_bytes() == kept


def test_refusals(tmp_path, monkeypatch):
    with pytest.raises(PspkitError, match="heads: there are 14, but a step takes 20"):
        make(replace(CONFIG, batch=20))
    with pytest.raises(PspkitError, match="look: got 'oil'"):
        make(replace(CONFIG, look="oil"))
    with pytest.raises(PspkitError, match=f"style_dim: got 8, but the factors of the heads need {WIDTH} entries"):
        make(replace(CONFIG, supervised=8))
    with pytest.raises(CheckpointError, match="holds no training of a decoder to start from"):
        make(replace(CONFIG, start=str(tmp_path)))
    list(make(replace(CONFIG, images=4), tmp_path).run())
    with pytest.raises(PspkitError, match=r"decoder_n_mlp: got 2, but the training in .* began with 1"):
        make(replace(CONFIG, decoder=replace(CONFIG.decoder, n_mlp=2)), tmp_path).resume()
    longer = make(replace(CONFIG, images=8, gamma=0.5, lr=1e-4), tmp_path)
    longer.resume()  # what may change
    assert [report.step for report in longer.run()] == [2]
    monkeypatch.setenv("WORLD_SIZE", "1")
    strategy = make().strategy
    strategy.machine.processes = 2
    with pytest.raises(PspkitError, match="processes: there are 2, but a decoder is trained in one"):
        DecoderTraining(CONFIG, Pictures(), strategy.machine)


def test_bfloat16_learns_too():
    (losses,) = learn(make(replace(CONFIG, precision="bfloat16")), 1)
    assert all(value.isfinite() for value in losses.values())


def test_taught_by_factors_it_learns_to_draw_heads_and_then_its_mapping_network_to_name_them():
    ours = make(replace(TAUGHT, supervised=400, images=400, lr=0.01))
    strategy = ours.strategy
    before = learn(ours, 1)[0]["generator"]
    learn(ours, 98)
    style = strategy.generator.style[1].weight.clone()
    (after,) = learn(ours, 1)
    assert after["generator"] < before / 2
    assert not torch.equal(strategy.generator.style[1].weight, style)  # learned at the end
    assert_equal(ours.model.style.state_dict(), strategy.generator.style.state_dict())


def test_the_mapping_network_comes_near_the_codes_of_the_factors(monkeypatch):
    monkeypatch.setattr(mapping, "HEADS", 1_000)
    monkeypatch.setattr(mapping, "STEPS", 400)
    assert make(TAUGHT).strategy.fit_mapping() < 0.9  # 1: no better than their mean


def test_one_that_starts_from_another_keeps_its_codes(tmp_path):
    list(make(TAUGHT, tmp_path / "plain").run())
    toon = replace(TAUGHT, look="toon", start=str(tmp_path / "plain"))
    list(make(toon, tmp_path / "toon").run())
    plain, other = (read_file(tmp_path / name / "state.pt")[0]["strategy"] for name in ("plain", "toon"))
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
    numbers = factor_numbers(heads)
    assert numbers.shape == (4_000, WIDTH)
    apart = z[:, :WIDTH].T.corrcoef()  # entries do not depend on each other
    assert (apart - torch.eye(WIDTH)).abs().max() < 0.1
    scalars = numbers.std(0).sub(1).abs() < 0.05
    ranks = [
        (z[:, c].argsort().argsort() == numbers[:, c].argsort().argsort()).float().mean() for c in scalars.nonzero()
    ]
    assert min(ranks) > 0.9  # a number's entry keeps its order
