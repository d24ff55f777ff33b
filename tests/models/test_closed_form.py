import copy

import pytest
import torch

from pspkit import PspkitError
from pspkit.config import EncoderConfig
from pspkit.models.closed_form import (
    CELLS,
    ClosedFormEncoder,
    Moments,
    Regression,
    explained,
    fit_closed_form,
    pool_maps,
)
from pspkit.psp import load_encoder

SIZES = {"n_styles": 3, "input_size": 32, "style_dim": 8, "widths": (4, 4, 4, 4), "num_layers": 18}
FEATURES, CODES = 2 * 4 * CELLS**2, 3 * 8


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def moments_of(x, y, batch=50):
    moments = Moments(x.shape[1], y.shape[1])
    for part in zip(x.split(batch), y.split(batch), strict=True):
        moments.add(*part)
    return moments


@pytest.fixture
def data():
    """Features of very different size, far from 0, and codes that depend on them along four directions."""
    x = draw(300, 12) * torch.logspace(-2, 2, 12) + 50
    y = (x - 50) / torch.logspace(-2, 2, 12) @ draw(12, 4, seed=1) @ draw(4, 20, seed=2) + 3
    return x, y + 0.1 * draw(300, 20, seed=3)


def test_the_sums_give_what_all_pictures_at_once_give(data):
    x, y = (each.double() for each in data)
    z = (x - x.mean(0)) / x.std(0, correction=0)
    expected = torch.linalg.solve(z.T @ z / len(z) + 0.1 * torch.eye(12), z.T @ (y - y.mean(0)) / len(z))
    regression = Regression(moments_of(*data))
    weight = regression.solve(0.1)
    torch.testing.assert_close(weight, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(regression.standardise(x), z, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(regression.predict(x, 0.1), z @ expected + y.mean(0), rtol=1e-4, atol=1e-4)


def test_a_stronger_ridge_gives_a_smaller_map(data):
    regression = Regression(moments_of(*data))
    sizes = [regression.solve(ridge).norm().item() for ridge in (0.001, 0.1, 10)]
    assert sizes == sorted(sizes, reverse=True)


def test_the_rank_keeps_what_the_codes_depend_on(data):
    regression = Regression(moments_of(*data))
    weight = regression.solve(0.01)
    reduce, expand = regression.cut(0.01, 4)
    assert (reduce.shape, expand.shape) == ((4, 12), (20, 4))
    assert torch.dist((expand @ reduce).T, weight) < 0.05 * weight.norm()
    fitted = regression.standardise(data[0]) @ weight
    for rank in (1, 2):  # no other map of the rank comes nearer to the fitted codes than their principal directions
        reduce, expand = regression.cut(0.0, rank)
        left = torch.linalg.svdvals(fitted)[rank:].square().sum()
        found = regression.standardise(data[0]) @ (expand @ reduce).T
        assert (found - fitted).square().sum() == pytest.approx(left.item(), rel=0.05)


def test_one_picture_is_no_regression():
    with pytest.raises(PspkitError, match="moments: they hold 1 pictures"):
        Regression(moments_of(draw(1, 4), draw(1, 2)))


def test_what_is_explained_of_each_code():
    codes = draw(40, 3, 8)
    found = codes.clone()
    found[:, 1] = codes[:, 1].mean(0)
    found[:, 2] += 0.1
    assert explained(found, codes).tolist() == pytest.approx([1, 0, 0.99], abs=0.005)


def test_maps_are_averaged_in_cells():
    maps = [torch.arange(64.0).view(1, 1, 8, 8), torch.ones(1, 2, 4, 4)]
    pooled = pool_maps(maps, 4)
    assert pooled.shape == (1, 3 * 16)
    assert pooled[0, 0] == (0 + 1 + 8 + 9) / 4


def test_a_fitted_encoder_predicts_what_its_regression_does_and_is_loaded_again(tmp_path):
    torch.manual_seed(0)
    encoder = ClosedFormEncoder(map2style_width=5, **SIZES).eval()
    pictures, codes = draw(60, 3, 32, 32), draw(60, 3, 8, seed=1)
    x = encoder.features(pictures)
    assert x.shape == (60, FEATURES)
    regression = Regression(moments_of(x, codes.flatten(1)))
    before = copy.deepcopy(encoder.body.state_dict())
    fit_closed_form(encoder, regression, 0.1)
    reduce, expand = regression.cut(0.1, 5)
    expected = (regression.standardise(x) @ (expand @ reduce).T + regression.offset).view(60, 3, 8).float()
    with torch.no_grad():
        torch.testing.assert_close(encoder(pictures), expected, rtol=1e-3, atol=1e-4)
    assert all(torch.equal(value, before[key]) for key, value in encoder.body.state_dict().items())

    encoder.save_pretrained(tmp_path)
    kept = load_encoder(tmp_path)
    assert isinstance(kept, ClosedFormEncoder)
    assert isinstance(kept.config, EncoderConfig)
    with torch.no_grad():
        assert torch.equal(kept(pictures), encoder(pictures))


def test_a_regression_of_other_features_is_refused():
    encoder = ClosedFormEncoder(map2style_width=2, **SIZES)
    with pytest.raises(PspkitError, match=rf"shape \(2, 7\), and the encoder needs \(2, {FEATURES}\)"):
        fit_closed_form(encoder, Regression(moments_of(draw(9, 7), draw(9, CODES))), 1.0)
