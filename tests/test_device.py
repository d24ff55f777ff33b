"""One choice of device."""

from types import SimpleNamespace

import pytest
import torch
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

from pspkit import device as module
from pspkit.config import CONFIGS, BackboneConfig
from pspkit.data.heads import Factors, HeadsDataset, render, sample_factors
from pspkit.device import choose_device
from pspkit.errors import PspkitError
from pspkit.inference import directions, metrics
from pspkit.inference.directions import CONTRASTS, find_direction
from pspkit.inference.metrics import YawMeter, likeness, precision_recall, translate_pairs
from pspkit.inference.projection import project
from pspkit.losses.perceptual import load_lpips
from pspkit.losses.terms import IdentityLoss, LossWeights, PSPLoss
from pspkit.models.backbone import Backbone
from pspkit.models.encoders import Encoder
from pspkit.models.mobile_facenet import load_mobile_facenet
from pspkit.models.mobile_stylegan import MobileStyleGAN, load_mobile_stylegan
from pspkit.models.stylegan2 import Generator
from pspkit.psp import PSP


@pytest.fixture
def two_gpus(monkeypatch):
    """A machine with two GPUs, the second of them current."""
    monkeypatch.delenv("PSPKIT_DEVICE", raising=False)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda check_available=False: torch.device("cuda"))
    monkeypatch.setattr(torch.accelerator, "current_device_index", lambda: 1)
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: 2)


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.delenv("PSPKIT_DEVICE", raising=False)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda check_available=False: None)


def test_without_a_gpu_the_cpu_is_chosen(no_gpu):
    assert choose_device() == torch.device("cpu")


def test_the_current_gpu_is_chosen_first(two_gpus):
    assert choose_device() == torch.device("cuda", 1)
    assert module.available_devices() == [torch.device("cuda", 1), torch.device("cuda", 0), torch.device("cpu")]


def test_a_name_without_a_number_means_the_current_gpu(two_gpus):
    assert choose_device("cuda") == torch.device("cuda", 1)
    assert choose_device("cuda:0") == torch.device("cuda", 0)


def test_the_environment_decides_unless_a_name_is_given(two_gpus, monkeypatch):
    monkeypatch.setenv("PSPKIT_DEVICE", "cpu")
    assert choose_device() == torch.device("cpu")
    assert choose_device("cuda:0") == torch.device("cuda", 0)


@pytest.mark.parametrize("name", ["cuda", "cuda:0", "mps", "meta", "gpu", "cpu:1"])
def test_a_device_that_is_not_there_is_named(no_gpu, name):
    with pytest.raises(PspkitError, match=f"device: got '{name}', and this machine has cpu"):
        choose_device(name)


def test_a_gpu_too_many_is_refused(two_gpus):
    with pytest.raises(PspkitError, match="got 'cuda:2', and this machine has cuda:1, cuda:0, cpu"):
        choose_device("cuda:2")


def test_a_wrong_variable_is_named(no_gpu, monkeypatch):
    monkeypatch.setenv("PSPKIT_DEVICE", "cuda")
    with pytest.raises(PspkitError, match="PSPKIT_DEVICE: got 'cuda'"):
        choose_device()


# Metadata without values: with it, a device that does not match fails on a machine without a GPU too.
@pytest.fixture
def fake_gpu():
    with FakeTensorMode(allow_non_fake_inputs=True):
        yield torch.device("cuda")


def fake_psp(device):
    config = CONFIGS["smoke"]
    with device:
        decoder = Generator.from_config(config.decoder)
        psp = PSP(Encoder.from_config(config.encoder), decoder, torch.zeros(decoder.style_dim))
    return psp.eval()


class Heads(torch.utils.data.Dataset):
    """Pictures on the CPU, as a data set gives them, and the yaw that belongs to them."""

    def __init__(self, count):
        self.factors, self.pictures = sample_factors(count, 0), torch.zeros(count, 3, 64, 64)

    def __len__(self):
        return len(self.pictures)

    def __getitem__(self, index):
        return {"image": self.pictures[index]}


def runs_to_its_numbers(function, *arguments):
    """Checks that a function gets as far as reading a number, which a tensor without values does not have."""
    with pytest.raises(DataDependentOutputException):
        function(*arguments)


class TestOnTheDeviceOfTheInputs:
    def test_the_model(self, fake_gpu):
        psp = fake_psp(fake_gpu)
        x = torch.zeros(2, 3, 64, 64, device=fake_gpu)
        codes = psp.encode(x)
        mixed = psp.mix(codes, None, range(3, 6), 0.5)
        assert psp.decode(mixed).device.type == "cuda"
        assert psp.decode(codes, noise="random").device.type == "cuda"

    def test_the_photographic_decoder(self, fake_gpu):
        with fake_gpu:
            decoder = MobileStyleGAN(style_dim=16, n_mlp=1, channels=(8, 8)).eval()
        codes = decoder.mapping(torch.zeros(2, 16, device=fake_gpu))[:, None].expand(-1, decoder.n_styles, -1)
        for noise in ("fixed", "random"):
            assert decoder.synthesis(codes, noise).device.type == "cuda"

    def test_projection(self, fake_gpu):
        decoder = fake_psp(fake_gpu).decoder
        images, start = torch.zeros(2, 3, 16, 16), torch.zeros(1, decoder.n_styles, decoder.style_dim)
        codes, errors = project(decoder, images, steps=0, start=start)  # a backward pass needs a GPU
        assert codes.device.type == errors.device.type == "cuda"

    def test_losses(self, fake_gpu):
        with fake_gpu:
            identity = Backbone.from_config(BackboneConfig(18, "ir", 16, (4, 4, 8, 8), 8)).eval()
        loss = PSPLoss(LossWeights(lpips=0, identity=0.1, l2_crop=1), identity)
        images = torch.zeros(2, 3, 64, 64, device=fake_gpu)
        total, _ = loss(images, images, torch.zeros(2, 6, 64, device=fake_gpu), torch.zeros(6, 64, device=fake_gpu))
        assert total.device.type == "cuda"

    def test_likeness(self, fake_gpu):
        with fake_gpu:
            identity = IdentityLoss(Backbone.from_config(BackboneConfig(18, "ir", 16, (4, 4, 8, 8), 8)))
        here = torch.zeros(4, 3, 64, 64)
        lpips = torch.nn.PairwiseDistance()
        runs_to_its_numbers(likeness, here, here, identity, lpips, torch.zeros(1, 3, 64, 64, device=fake_gpu))

    def test_yaw(self, fake_gpu):
        runs_to_its_numbers(YawMeter, fake_psp(fake_gpu), Heads(6))

    def test_precision_and_recall(self, fake_gpu):
        features = torch.zeros(8, 4, device=fake_gpu)
        runs_to_its_numbers(precision_recall, features, features)

    def test_translated_pairs_come_back_to_the_cpu(self, fake_gpu, monkeypatch):
        batches = [(torch.zeros(2, 3, 64, 64), torch.zeros(2, 3, 16, 16))] * 2
        monkeypatch.setattr(metrics, "DataLoader", lambda pairs, batch_size: pairs)
        assert {side.device.type for side in translate_pairs(fake_psp(fake_gpu), batches)} == {"cpu"}

    def test_a_direction(self, fake_gpu, monkeypatch):
        picture = SimpleNamespace(image=torch.zeros(2, 3, 64, 64))
        monkeypatch.setattr(directions.heads, "render", lambda factors, size: picture)
        psp = fake_psp(fake_gpu)
        way = find_direction(psp.encode, CONTRASTS["yaw"], sample_factors(2, 0), 64, fake_gpu)
        assert way.device.type == "cuda"


@pytest.fixture
def other_default():
    """A default device that is not the CPU: what is made without a device lands there, without values."""
    with torch.device("meta"):
        yield


class TestUnderAnotherDefaultDevice:
    def test_heads_are_rendered_where_they_are_asked_for(self, other_default):
        factors = sample_factors(1, 0)
        found = render(factors.replace(yaw=10.0), 64)
        assert found.image.device.type == found.landmarks.device.type == "cpu"
        assert Factors.from_json(factors.to_json()).person.device.type == "cpu"

    def test_heads_are_kept_and_read(self, other_default, tmp_path):
        heads = HeadsDataset("train", 2, 64, cache=tmp_path)
        assert heads[0]["image"].device.type == "cpu"

    def test_a_meter_is_fitted(self, other_default):
        with torch.device("cpu"):
            psp, heads = fake_psp(torch.device("cpu")), Heads(6)
        meter = YawMeter(psp, heads)
        assert meter(heads.pictures).device.type == "cpu"

    def test_a_file_is_loaded_onto_the_cpu(self, other_default, tmp_path):
        psp = fake_psp(torch.device("cpu"))
        psp.decoder.save_pretrained(tmp_path)
        assert {tensor.device.type for tensor in Generator.from_pretrained(tmp_path).state_dict().values()} == {"cpu"}

    def test_fetched_networks_are_on_the_cpu(self, other_default):
        for network in (load_mobile_stylegan(), load_mobile_facenet(), load_lpips()):
            assert {tensor.device.type for tensor in network.state_dict().values()} == {"cpu"}


def test_what_a_file_lacks_is_drawn_without_touching_the_gpu(tmp_path, monkeypatch):
    psp = fake_psp(torch.device("cpu"))
    state = {key: value for key, value in psp.decoder.state_dict().items() if "noises." not in key}
    torch.save({"g_ema": state}, tmp_path / "decoder.pt")
    monkeypatch.setattr(torch.cuda, "manual_seed_all", lambda seed: pytest.fail("the GPU was reseeded"))
    before = torch.random.get_rng_state()
    first, second = (Generator.from_pretrained(tmp_path / "decoder.pt") for _ in range(2))
    assert torch.equal(first.noises.noise_0, second.noises.noise_0)
    assert torch.equal(torch.random.get_rng_state(), before)
