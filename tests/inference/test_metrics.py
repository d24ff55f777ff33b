"""What the metrics say of models whose answers are known."""

import pytest
import torch
from torch import nn

from pspkit.config import CONFIGS, BackboneConfig
from pspkit.data.heads import HeadsDataset
from pspkit.inference import metrics
from pspkit.inference.metrics import (
    YawMeter,
    in_batches,
    likeness,
    mean_head,
    precision_recall,
    translate_pairs,
    unseen_pairs,
)
from pspkit.losses.identity import IdentityLoss
from pspkit.losses.perceptual import load_lpips
from pspkit.models.backbone import Backbone
from pspkit.models.encoders import Encoder
from pspkit.models.stylegan2 import Generator
from pspkit.psp import PSP, estimate_latent_avg


@pytest.fixture(scope="module")
def identity():
    torch.manual_seed(0)
    return IdentityLoss(Backbone.from_config(BackboneConfig(18, "ir", 16, (4, 4, 8, 8), 8)).eval())


def pictures(count):
    return torch.rand(count, 3, 32, 32, generator=torch.Generator().manual_seed(1)) * 2 - 1


def test_a_perfect_model_is_as_like_as_can_be(identity):
    found = likeness(pictures(4), pictures(4), identity, load_lpips("random"), torch.zeros(1, 3, 32, 32))
    assert found.l2 == 0
    assert found.lpips == 0
    assert found.identity == pytest.approx(1)
    assert found.random_identity < 1
    assert found.mean_head_lpips > 0


def test_likeness_is_the_mean_over_pairs_whatever_the_batch(identity, monkeypatch):
    output, target = pictures(5), pictures(5).flip(3)
    arguments = (identity, load_lpips("random"), torch.zeros(1, 3, 32, 32))
    whole = likeness(output, target, *arguments)
    monkeypatch.setattr(metrics, "BATCH", 2)
    parts = likeness(output, target, *arguments)
    assert vars(parts) == pytest.approx(vars(whole), rel=1e-4)
    assert whole.l2 == pytest.approx((output - target).square().mean().item())


def test_the_mean_head_is_the_average_latents():
    torch.manual_seed(0)
    config = CONFIGS["smoke"]
    psp = PSP(Encoder.from_config(config.encoder), Generator.from_config(config.decoder)).eval()
    codes = estimate_latent_avg(psp.decoder).expand(1, psp.decoder.n_styles, -1)
    torch.testing.assert_close(mean_head(psp), psp.decoder.synthesis(codes).detach().clamp(-1, 1))


def test_pairs_are_translated_in_their_order(tmp_path, monkeypatch):
    monkeypatch.setenv("PSPKIT_CACHE", str(tmp_path))

    class Negative(nn.Module):
        latent_avg = torch.zeros(1)

        def forward(self, x):
            return -2 * x

    pairs = unseen_pairs("toonify", 3)
    source, output, target = translate_pairs(Negative(), pairs)
    torch.testing.assert_close(output, (-2 * source).clamp(-1, 1))
    for index in range(3):
        assert torch.equal(source[index], pairs[index][0])
        assert torch.equal(target[index], pairs[index][1])


def test_yaw_is_read_from_codes_that_tell_it():
    heads = HeadsDataset("validation", 40, 64)
    pictures = torch.stack([heads[index]["image"] for index in range(40)])
    yaw = {picture.sum().item(): angle for picture, angle in zip(pictures, heads.factors.scene.yaw, strict=True)}

    class Telling:
        latent_avg = torch.zeros(1)

        def encode(self, batch):
            known = torch.stack([yaw[picture.sum().item()] for picture in batch])
            return torch.stack([known / 7, torch.ones_like(known)], 1)[:, None]

    meter = YawMeter(Telling(), heads)
    assert meter.error < 0.5
    torch.testing.assert_close(meter(pictures[:5]), heads.factors.scene.yaw[:5], atol=0.5, rtol=0)


def test_precision_and_recall_of_sets_that_overlap_in_part():
    line = torch.arange(10.0)[:, None]
    assert precision_recall(line, line.clone()) == (1, 1)
    assert precision_recall(line, line + 100) == (0, 0)
    precision, recall = precision_recall(line, line[:5] + 0.1)  # real ones, but only half of them
    assert precision == 1
    assert 0.5 <= recall < 1


def test_in_batches_keeps_the_order(monkeypatch):
    monkeypatch.setattr(metrics, "BATCH", 3)
    assert torch.equal(in_batches(lambda x, y: x - y, torch.arange(7), torch.ones(7)), torch.arange(7) - 1.0)
