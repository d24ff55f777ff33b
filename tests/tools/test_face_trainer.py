"""The training on drawn faces and photographs: what one step changes, and what it leaves."""

import pytest
import torch

from pspkit.losses.identity import IdentityLoss
from pspkit.losses.perceptual import load_lpips
from pspkit.models.encoders import GradualStyleEncoder
from pspkit.models.mobile_facenet import load_mobile_facenet, load_mobile_facenet_body
from pspkit.models.mobile_stylegan import load_mobile_stylegan
from pspkit.psp import estimate_latent_avg
from tools.faces.pictures import SIDE
from tools.train_faces.trainer import LOSSES, FaceTrainer, FaceTraining


@pytest.fixture(scope="module")
def trainer() -> FaceTrainer:
    torch.manual_seed(0)
    encoder = GradualStyleEncoder(n_styles=16, input_size=128, map2style_width=8, backbone="mobile_facenet")
    network, decoder = load_mobile_facenet(), load_mobile_stylegan()
    load_mobile_facenet_body(encoder, network)
    average = estimate_latent_avg(decoder)
    photographs = torch.randint(256, (3, 3, SIDE, SIDE), dtype=torch.uint8)
    config = FaceTraining(batch=4, chunk=2, photo_share=0.5, photos_from=0.5, body_from=0.5)

    def decode(codes):
        return decoder.preview(codes, SIDE)

    identity = IdentityLoss(network)
    return FaceTrainer(encoder, decoder, decode, average, load_lpips("random"), identity, photographs, config)


def weights(trainer: FaceTrainer) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in trainer.encoder.state_dict().items()}


def test_heads_learn_first_and_photographs_come_later(trainer):
    before = weights(trainer)
    early = dict(zip(LOSSES, trainer.step(0.1).tolist(), strict=True))
    middle = weights(trainer)
    late = dict(zip(LOSSES, trainer.step(0.6).tolist(), strict=True))
    after = weights(trainer)
    for name in ("codes", "pixels", "lpips", "identity"):
        assert early[name] > 0 and late[name] > 0
    for name in ("photo_lpips", "photo_identity", "photo_reach"):
        assert early[name] != early[name] and late[name] > 0  # there were no photographs at first
    changed = {name.partition(".")[0] for name in before if not torch.equal(before[name], middle[name])}
    assert changed == {"styles", "latlayer1", "latlayer2"}
    changed = {name.partition(".")[0] for name in before if not torch.equal(middle[name], after[name])}
    assert changed == {"styles", "latlayer1", "latlayer2", "body"}
    averages = trainer.ema.state_dict()
    assert not torch.equal(averages["styles.0.linear.weight"], before["styles.0.linear.weight"])
