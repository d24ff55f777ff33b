"""The identity network's training: its loss, what it is measured by, and that it goes on exactly."""

import json
import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from pspkit import recognition
from pspkit.backbone import Backbone
from pspkit.config import BackboneConfig
from pspkit.domains import HEAD_BOX
from pspkit.errors import CheckpointError, PspkitError
from pspkit.heads import sample_factors
from pspkit.recognition import (
    COLOURS,
    ArcFace,
    RecognitionConfig,
    RecognitionTrainer,
    Verification,
    train_identity,
    verify,
)

pytestmark = pytest.mark.usefixtures("one_thread")

TINY = RecognitionConfig(
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
    monkeypatch.setattr(recognition, "verify", lambda *_: Verification(0, 0, 0, 0, 0, 0))


def train(out, config=TINY, resume=False):
    return list(train_identity(config, Heads(), out, resume))


def test_arcface_adds_the_margin_to_the_right_angle():
    torch.manual_seed(0)
    loss = ArcFace(3, 2, margin=0.5, scale=10)
    angles = torch.tensor([0.0, 1.0, 2.0])  # of the people; somebody at 0.3 is person 1
    loss.weight.data = torch.stack([angles.cos(), angles.sin()], 1) * 7  # lengths do not matter
    embedding = torch.tensor([[math.cos(0.3), math.sin(0.3)]])
    scores = torch.tensor([math.cos(0.3), math.cos(0.7 + 0.5), math.cos(1.7)]) * 10
    expected = -scores.log_softmax(0)[1]
    torch.testing.assert_close(loss(embedding, torch.tensor([1])), expected)


def test_arcface_never_rewards_an_angle_beyond_a_half_turn():
    loss = ArcFace(2, 2, margin=0.5, scale=1)
    loss.weight.data = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    opposite, almost = torch.tensor([[-1.0, 0.0]]), torch.tensor([[math.cos(2.9), math.sin(2.9)]])
    assert loss(opposite, torch.tensor([0])) >= loss(almost, torch.tensor([0])) - 0.2
    assert loss(opposite, torch.tensor([0])).isfinite()


def test_it_learns_to_tell_people_apart():
    trainer = RecognitionTrainer(replace(TINY, epochs=20, batch=6, lr=2e-2, margin=0.1, scale=8), Heads())
    images = torch.stack([item["image"] for item in map(trainer.heads.__getitem__, range(12))])

    def margin():
        with torch.no_grad():
            faces = trainer.network.eval()(HEAD_BOX.pool(images, 16))
        cosines, same = faces @ faces.T, torch.arange(12)[:, None] // 3 == torch.arange(12) // 3
        return (cosines[same].mean() - cosines[~same].mean()).item()

    before = margin()
    for _ in range(20):
        trainer.train_epoch()
    assert margin() > before + 0.3


def test_a_training_in_two_parts_ends_as_one(tmp_path, unverified):
    whole = train(tmp_path / "whole")
    parts = train_identity(TINY, Heads(), tmp_path / "parts")
    next(parts), parts.close()
    assert [line["epoch"] for line in train(tmp_path / "parts", resume=True)] == [2, 3]
    ours, theirs = (Backbone.from_pretrained(tmp_path / name / "model").state_dict() for name in ("parts", "whole"))
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == []
    log = [json.loads(line) for line in (tmp_path / "parts" / "log.jsonl").read_text().splitlines()]
    assert [line["loss"] for line in log] == [line["loss"] for line in whole]


def test_a_folder_with_a_training_is_not_written_over(tmp_path, unverified):
    train(tmp_path, replace(TINY, epochs=1))
    with pytest.raises(PspkitError, match=r"holds a training\. Go on with it by --resume"):
        train(tmp_path)


def test_a_foreign_state(tmp_path):
    torch.save({"weights": 1}, tmp_path / "state.pt")
    with pytest.raises(CheckpointError, match="not the state of an identity network"):
        train(tmp_path, resume=True)


def test_a_loss_that_is_no_number(tmp_path):
    trainer = RecognitionTrainer(TINY, Heads())
    nn.init.constant_(trainer.network.input_layer[0].weight, float("nan"))
    with pytest.raises(PspkitError, match=r"the loss is nan\. Train anew with a lower --lr"):
        trainer.train_epoch()


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
