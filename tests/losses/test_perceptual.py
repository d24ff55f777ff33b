"""LPIPS: the reference's numbers with the trained trunk, the random one, and pickles that hold more than arrays."""

import os
import pickle

import pytest
import torch
import torch.nn.functional as F

from pspkit.errors import AssetError, PspkitError
from pspkit.losses import perceptual
from pspkit.losses.perceptual import MEMBER, load_lpips
from tests.reference import draw


def test_the_trained_trunk_meets_the_known_answers():
    images = F.interpolate(draw("lpips.a", (2, 3, 8, 8)), size=64, mode="bilinear").clamp(-1, 1)
    noisy = (images + 0.3 * draw("lpips.noise", (2, 3, 64, 64))).clamp(-1, 1)
    network = load_lpips()
    with torch.no_grad():
        answers = torch.stack([network(images, other).flatten() for other in (noisy, images.flip(3))])
    torch.testing.assert_close(answers, torch.tensor([[0.229106, 0.287503], [0.180745, 0.225279]]), rtol=0, atol=2e-6)


def test_the_random_trunk_fetches_nothing_repeats_and_leaves_the_random_state(monkeypatch):
    monkeypatch.setattr(perceptual, "fetch", lambda name: pytest.fail("it was fetched"))
    images = draw("lpips.a", (2, 3, 64, 64)).chunk(2)
    state = torch.get_rng_state()
    first = load_lpips("random")(*images)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(1)
    assert torch.equal(load_lpips("random")(*images), first) and first > 0


def test_building_it_prints_and_warns_nothing(capsys, recwarn):
    load_lpips("random")
    assert capsys.readouterr() == ("", "") and not recwarn.list


def test_another_trunk_is_refused():
    with pytest.raises(PspkitError, match="trunk: got 'vgg', needs one of 'alexnet', 'random'"):
        load_lpips("vgg")


class Evil:
    def __reduce__(self):
        return os.mkdir, ("opened",)


@pytest.mark.parametrize(
    "content, reason",
    [
        (pickle.dumps(Evil(), protocol=2), f"wants to call {os.mkdir.__module__}.mkdir, which was not run"),
        (pickle.dumps({"AlexNet_0": {}}), "Conv_0"),
        (b"", "Ran out of input"),
    ],
)
def test_a_pickle_that_is_not_the_trunk_is_refused_and_runs_nothing(tmp_path, monkeypatch, content, reason):
    monkeypatch.chdir(tmp_path)
    (tmp_path / MEMBER).parent.mkdir(parents=True)
    (tmp_path / MEMBER).write_bytes(content)
    monkeypatch.setattr(perceptual, "fetch", lambda name: tmp_path)
    with pytest.raises(AssetError, match=f"alexnet.ckpt: it does not hold AlexNet's weights .*{reason}"):
        load_lpips()
    assert not (tmp_path / "opened").exists()
