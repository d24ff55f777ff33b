"""The losses: the reference's numbers, what is built and computed, where gradients go, and what is refused."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torchvision.models import resnet50

from pspkit.data.tasks import TASKS
from pspkit.errors import CheckpointError, PspkitError
from pspkit.losses import terms as losses
from pspkit.losses.identity import FACE_BOX, Box, IdentityLoss, MocoLoss
from pspkit.losses.terms import OUR_TERMS, LossWeights, PSPLoss, codes_error, w_norm
from pspkit.models.backbone import Backbone
from tests.reference import answers, draw

NONE = dict.fromkeys(OUR_TERMS, 0.0)


def only(**weights: float) -> LossWeights:
    return LossWeights(**NONE | weights)


def tiny_backbone() -> Backbone:
    torch.manual_seed(0)
    return Backbone(18, "ir", input_size=32, widths=(8, 8, 16, 16), embedding_dim=16)


@pytest.fixture
def batch() -> dict[str, torch.Tensor]:
    return {
        "known": draw("loss.known", (2, 10, 16)),
        "output": draw("loss.output", (2, 3, 64, 64)).clamp(-1, 1),
        "target": draw("loss.target", (2, 3, 64, 64)).clamp(-1, 1),
        "codes": draw("loss.codes", (2, 10, 16)),
    }


@pytest.fixture(scope="module")
def moco_file(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("moco") / "moco.pt"
    state = resnet50().state_dict()
    torch.save({"epoch": 1, "state_dict": {f"module.encoder_q.{key}": value for key, value in state.items()}}, path)
    return path


def test_w_norm_equals_the_reference():
    codes, average = draw("latent.w", (3, 18, 512)), draw("latent.mean", (18, 512))
    ours = torch.stack((w_norm(codes, average), w_norm(codes)))
    torch.testing.assert_close(ours, answers()["w_norm"].to(ours.dtype), rtol=1e-5, atol=0)


def test_codes_are_as_wrong_as_the_average_or_less():
    known, average = draw("codes.known", (4, 10, 16)), draw("codes.mean", (10, 16))
    assert codes_error(known, known, average) == 0
    assert codes_error(average.expand(4, 10, 16), known, average) == 1
    assert codes_error(known.lerp(average, 0.5), known, average) == pytest.approx(0.25)
    assert codes_error(torch.zeros_like(known), known) == 1
    with pytest.raises(PspkitError, match="known: got float32 of shape"):
        codes_error(known, known[:2])


def test_the_weight_of_codes_needs_codes_that_are_known(batch):
    loss = PSPLoss(only(codes=2.0))
    total, parts = loss(**batch)
    assert total == 2 * parts["codes"] == 2 * codes_error(batch["codes"], batch["known"])
    del batch["known"]
    with pytest.raises(
        PspkitError, match=r"codes: their loss has the weight 2\.0, but the codes of the targets are not known"
    ):
        loss(**batch)


def test_the_face_box_is_the_reference_crop():
    images = draw("box", (1, 3, 256, 256))
    assert torch.equal(FACE_BOX.crop(images), images[:, :, 35:223, 32:220])
    assert FACE_BOX.crop(images[:, :, ::4, ::4]).shape == (1, 3, 47, 47)


@pytest.mark.parametrize("task", TASKS)
def test_the_total_is_the_weighted_sum_of_the_parts_of_the_task(task, batch):
    weights = TASKS[task].folders.losses
    total, parts = PSPLoss(weights, tiny_backbone(), lpips_trunk="random")(**batch)
    assert set(parts) == set(weights.counted())
    torch.testing.assert_close(total, sum(getattr(weights, name) * part for name, part in parts.items()))


def test_each_part_is_what_its_name_says(batch):
    everything = only(lpips=1, l2=1, identity=1, w_norm=1, lpips_crop=1, l2_crop=1)
    network, box, average = tiny_backbone(), Box(0.25, 0.75, 0.0, 0.5), draw("loss.average", (10, 16))
    loss = PSPLoss(everything, network, box, lpips_trunk="random")
    _, parts = loss(**batch, average=average)
    output, target = batch["output"], batch["target"]
    faces = output[:, :, 16:48, :32], target[:, :, 16:48, :32]
    torch.testing.assert_close(parts["l2"], (output - target).square().mean())
    torch.testing.assert_close(parts["l2_crop"], (faces[0] - faces[1]).square().mean())
    torch.testing.assert_close(parts["lpips"], loss.lpips(output, target).mean())
    torch.testing.assert_close(parts["lpips_crop"], loss.lpips(*faces).mean())
    torch.testing.assert_close(parts["w_norm"], w_norm(batch["codes"], average))
    cosine = (network(faces[0]) * network(faces[1])).sum(1)  # the faces have the network's side already
    torch.testing.assert_close(parts["identity"], 1 - cosine.mean())


def test_equal_pictures_lose_nothing_and_their_gradients_are_finite(batch):
    black = torch.full((1, 3, 64, 64), -1.0)
    loss = PSPLoss(LossWeights(w_norm=0), tiny_backbone(), lpips_trunk="random")
    for images in (batch["target"], black):
        output = images.clone().requires_grad_()
        total, _ = loss(output, images, batch["codes"][: len(images)])
        total.backward()
        assert total.abs() < 1e-6 and output.grad.isfinite().all()


def test_gradients_reach_output_and_codes_alone(batch):
    network = tiny_backbone()
    loss = PSPLoss(LossWeights(), network, lpips_trunk="random")
    tensors = {name: tensor.requires_grad_() for name, tensor in batch.items()}
    loss(**tensors)[0].backward()
    assert tensors["output"].grad.abs().sum() > 0 and tensors["codes"].grad.abs().sum() > 0
    assert tensors["target"].grad is None
    assert not any(parameter.requires_grad for parameter in loss.parameters())


def test_its_networks_stay_in_evaluation_mode(batch):
    loss = PSPLoss(LossWeights(), tiny_backbone(), lpips_trunk="random")
    before = loss(**batch)[0]
    statistics = loss.identity.network.input_layer[1].running_mean.clone()
    loss.train()
    assert torch.equal(loss(**batch)[0], before)
    assert torch.equal(loss.identity.network.input_layer[1].running_mean, statistics)


def test_what_has_no_weight_is_neither_built_nor_fetched(batch, monkeypatch):
    monkeypatch.setattr(losses, "load_lpips", lambda trunk: pytest.fail("LPIPS was built"))
    loss = PSPLoss(only(l2=1))
    assert not list(loss.parameters())
    assert set(loss(**batch)[1]) == {"l2"}


def test_any_embedder_measures_identity(batch):
    class Means(nn.Module):
        input_size = 8

        def forward(self, x):
            return x.flatten(1)

    pooled = [F.adaptive_avg_pool2d(FACE_BOX.crop(batch[name]), 8).flatten(1) for name in ("output", "target")]
    expected = 1 - F.cosine_similarity(*pooled).mean()
    torch.testing.assert_close(IdentityLoss(Means())(batch["output"], batch["target"]), expected)


def test_moco_reads_its_file_and_tells_pictures_apart(moco_file, batch):
    loss = PSPLoss(only(moco=0.5), moco_path=moco_file)
    assert loss(batch["target"], batch["target"], batch["codes"])[1]["moco"].abs() < 1e-5
    output = batch["output"][:1].requires_grad_()
    total, parts = loss(output, batch["target"][:1], batch["codes"][:1])
    total.backward()
    assert parts["moco"] > 1e-5 and output.grad.abs().sum() > 0
    torch.testing.assert_close(total, 0.5 * parts["moco"])


def test_moco_embeds_as_its_network_does_without_the_last_layer(moco_file):
    network = resnet50()
    state = torch.load(moco_file, weights_only=True)["state_dict"]
    network.load_state_dict({key.removeprefix("module.encoder_q."): value for key, value in state.items()})
    network.fc = nn.Identity()
    images = draw("moco", (1, 3, 224, 224))
    with torch.no_grad():
        torch.testing.assert_close(MocoLoss(moco_file).embed(images), network.eval()(images))


def test_a_file_without_moco_is_refused(tmp_path):
    torch.save({"state_dict": {"module.encoder_q.conv1.weight": torch.zeros(1)}}, tmp_path / "other.pt")
    with pytest.raises(CheckpointError, match=r"other\.pt: it holds no ResNet-50 of MoCo v2: .* missing"):
        MocoLoss(tmp_path / "other.pt")
    with pytest.raises(CheckpointError, match=r"absent\.pt: cannot be read"):
        MocoLoss(tmp_path / "absent.pt")


@pytest.mark.parametrize(
    "weights, message",
    [
        ({}, "weights: all of them are 0.*at least one"),
        ({"identity": 1, "moco": 1}, "identity is 1 and moco 1.*Set moco=0 for faces"),
        ({"identity": 0.1}, "identity_network: none is given, but identity has the weight 0.1.*set identity=0"),
        ({"moco": 0.5}, "moco_path: none is given, but moco has the weight 0.5.*set moco=0"),
    ],
)
def test_weights_without_what_they_need_are_refused(weights, message):
    with pytest.raises(PspkitError, match=message):
        PSPLoss(only(**weights))


@pytest.mark.parametrize(
    "name, tensor, message",
    [
        ("output", torch.zeros(2, 1, 64, 64), r"output: .*\(N, 3, H, W\)"),
        ("target", torch.zeros(2, 3, 32, 32), r"target: .*\(2, 3, 64, 64\)"),
        ("codes", torch.zeros(3, 10, 16), r"codes: .*\(2, n_styles, style_dim\)"),
        ("average", torch.zeros(16), r"average: .*\(10, 16\)"),
    ],
)
def test_tensors_that_do_not_belong_together_are_refused(batch, name, tensor, message):
    with pytest.raises(PspkitError, match=message):
        PSPLoss(only(w_norm=1))(**batch | {name: tensor})


def test_pictures_too_small_for_lpips_are_refused(batch):
    loss = PSPLoss(only(lpips=1), lpips_trunk="random")
    small = {name: batch[name][:, :, :31, :31] for name in ("output", "target")}
    assert loss(**small, codes=batch["codes"])[0].isfinite()
    with pytest.raises(PspkitError, match="output: LPIPS would see 30x30 pixels, and it needs at least 31"):
        loss(small["output"][..., 1:, 1:], small["target"][..., 1:, 1:], batch["codes"])
