"""The identity network's training: what it is measured by, and that it goes on exactly."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from pspkit.config import BackboneConfig, IdentityTrainingConfig
from pspkit.data.heads import sample_factors
from pspkit.domains import HEAD_BOX
from pspkit.errors import PspkitError
from pspkit.models.backbone import Backbone
from pspkit.training import Trainer
from pspkit.training import identity as identity_training
from pspkit.training.identity import COLOURS, IdentityTraining, Verification, verify
from pspkit.training.keeper import read_log

pytestmark = pytest.mark.usefixtures("one_thread")

TINY = IdentityTrainingConfig(
    network=BackboneConfig(18, "ir", 16, (4, 4, 8, 8), 8), heads=12, views=3, validation=4, epochs=3, batch=5
)


class Heads(torch.utils.data.Dataset):
    """Four people, each a colour of their own, in three noisy pictures."""

    def __len__(self):
        return 12

    def __getitem__(self, index):
        generator = torch.Generator().manual_seed(index)
        colour = torch.rand(3, 1, 1, generator=torch.Generator().manual_seed(index // 3)) * 2 - 1
        return {"image": (colour + 0.1 * torch.randn(3, 64, 64, generator=generator)).clamp(-1, 1)}


@pytest.fixture
def unverified(monkeypatch):
    """Verification renders people, which takes longer than training four."""
    monkeypatch.setattr(identity_training, "verify", lambda *_: Verification(0, 0, 0, 0, 0, 0))


def make(config=TINY, out=None):
    return Trainer(IdentityTraining(config, Heads()), out)


def test_it_learns_to_tell_people_apart(unverified):
    trainer = make(replace(TINY, epochs=20, batch=6, lr=2e-2, margin=0.1, scale=8))
    images = torch.stack([item["image"] for item in map(Heads().__getitem__, range(12))])

    def margin():
        with torch.no_grad():
            faces = trainer.model.eval()(HEAD_BOX.pool(images, 16))
        cosines, same = faces @ faces.T, torch.arange(12)[:, None] // 3 == torch.arange(12) // 3
        return (cosines[same].mean() - cosines[~same].mean()).item()

    before = margin()
    list(trainer.run())
    assert margin() > before + 0.3


def test_a_training_in_two_parts_ends_as_one(tmp_path, unverified):
    """Three epochs of three steps; it stops in the midst of the second."""
    whole = make(out=tmp_path / "whole")
    reports = list(whole.run())
    assert [report.step for report in reports] == [3, 6, 9]
    first = make(replace(TINY, save_every=4), tmp_path / "parts")
    for report in first.run():
        if report.step == 6:
            break
    again = make(replace(TINY, save_every=4), tmp_path / "parts")
    again.resume()
    assert again.step == 4
    list(again.run())
    ours, theirs = (Backbone.from_pretrained(tmp_path / name / "last").state_dict() for name in ("parts", "whole"))
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == []
    log = read_log(tmp_path / "parts")
    assert [line["training"] for line in log] == [report.training for report in reports]


def test_an_epoch_shows_every_head_once():
    trainer = make()
    batches = trainer.strategy.batches(0)
    heads = torch.cat([next(batches)[0] for _ in range(3)])
    assert sorted(heads.tolist()) == list(range(12))


def test_what_differs_is_named(tmp_path, unverified):
    list(make(replace(TINY, epochs=1), tmp_path).run())
    with pytest.raises(PspkitError, match=r"margin: got 0\.1, but the training in .* began with 0\.3"):
        make(replace(TINY, margin=0.1), tmp_path).resume()


def test_a_loss_that_is_no_number(unverified):
    trainer = make()
    nn.init.constant_(trainer.model.input_layer[0].weight, float("nan"))
    with pytest.raises(PspkitError, match=r"step 1: no number any more: arcface nan"):
        list(trainer.run())


class Colours(nn.Module):
    """Knows people by the mean colour of the middle of their face alone."""

    input_size = 6

    def __init__(self):
        super().__init__()
        self.none = nn.Parameter(torch.zeros(()))

    def forward(self, x):
        return nn.functional.normalize(x[:, :, 2:5, 2:5].mean((2, 3)), dim=1)


def test_verification_tells_who_knows_people_by_colour_alone():
    found = verify(Colours(), people=16)
    assert found.alike > found.different + 0.1
    assert found.accuracy > found.lookalikes


def test_verification_of_a_network_that_knows_nothing():
    class Nothing(Colours):
        def forward(self, x):
            return torch.ones(len(x), 1)

    assert verify(Nothing(), people=4).accuracy == 0.5


def test_lookalikes_share_what_a_colour_is():
    factors = sample_factors(1, 0).identity.as_dict(0)
    colours = {name for name in factors if name.split("_")[-1] in ("colour", "tone", "warmth", "shade")}
    assert set(COLOURS) == colours - {"glasses_colour"}  # which can be taken off
