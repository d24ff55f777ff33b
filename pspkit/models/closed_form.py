"""An encoder without training: ridge regression from the maps of a frozen network to W+ codes.

    x ─ frozen body ─ c1, c3 ─ averaged in cells, standardised: f ─ codes = B f + b

B is the minimum of sum |B f + b - codes|² + ridge |B|² over pictures whose codes are known, cut to a low rank. All that
it needs of the pictures is a few sums, so their number is not bounded by memory.

Source: Hoerl and Kennard 1970 (ridge regression); Izenman 1975 (reduced-rank regression).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pspkit.config import EncoderConfig
from pspkit.errors import PspkitError
from pspkit.models.encoders import Encoder

CELLS = 4  # a side: each map is averaged in so many times so many cells


class ClosedFormEncoder(Encoder):
    """All codes by one linear map of low rank from the averaged maps of the body.

        codes = expand(reduce(norm(f))),   f = the maps c1 and c3, averaged in CELLS x CELLS cells

    c1 and c3 are the finest and the coarsest map that pSp's pyramid reads; c2 was measured to add nothing to them.
    `fit_closed_form` gives it its weights; its rank is the configuration's map2style_width.
    """

    kind = "closed_form"

    def build_code_layers(self, config: EncoderConfig) -> None:
        features = (config.widths[-3] + config.widths[-1]) * CELLS**2
        self.norm = nn.BatchNorm1d(features, affine=False)
        self.reduce = nn.Linear(features, config.map2style_width, bias=False)
        self.expand = nn.Linear(config.map2style_width, config.n_styles * config.style_dim)

    def codes(self, maps: list[Tensor]) -> Tensor:
        codes = self.expand(self.reduce(self.norm(pool_maps(maps[-3::2]))))
        return codes.unflatten(1, (self.config.n_styles, self.config.style_dim))

    @torch.no_grad()
    def features(self, x: Tensor) -> Tensor:
        """Pictures (N, input_nc, input_size, input_size) in [-1, 1] to what is regressed on, (N, features)."""
        self.check_input(x)
        return pool_maps(self.stages(x.contiguous(memory_format=torch.channels_last))[-3::2])


def pool_maps(maps: list[Tensor], cells: int = CELLS) -> Tensor:
    """Feature maps (N, C_i, H_i, W_i) to their means in cells: (N, cells² sum C_i)."""
    return torch.cat([F.adaptive_avg_pool2d(each, cells).flatten(1) for each in maps], 1)


class Moments:
    """The sums of features and codes that a linear regression needs, added up batch by batch.

    Both are taken less the means of the first batch, so that the sums lose no digits.

    Args:
        features: length of a picture's features.
        codes: length of its codes, all of them in one row.
        device: where the sums are.

    Attributes:
        count: pictures so far.
    """

    def __init__(self, features: int, codes: int, device: torch.device | str = "cpu") -> None:
        double = {"dtype": torch.double, "device": device}
        self.count = 0
        self.shift_x, self.shift_y = torch.zeros(features, **double), torch.zeros(codes, **double)
        self.x, self.y = torch.zeros(features, **double), torch.zeros(codes, **double)
        self.xx, self.xy = torch.zeros(features, features, **double), torch.zeros(features, codes, **double)

    def add(self, features: Tensor, codes: Tensor) -> None:
        """Adds pictures: features (N, features) and codes (N, codes). Large batches are quicker."""
        if not self.count:
            self.shift_x, self.shift_y = features.double().mean(0), codes.double().mean(0)
        x, y = (features.double() - self.shift_x).float(), (codes.double() - self.shift_y).float()
        self.count += len(x)
        self.x += x.sum(0)
        self.y += y.sum(0)
        self.xx += x.T @ x
        self.xy += x.T @ y

    def centred(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Means of features and codes, and the covariances of features with themselves and with codes."""
        x, y = self.x / self.count, self.y / self.count
        xx = self.xx / self.count - torch.outer(x, x)
        xy = self.xy / self.count - torch.outer(x, y)
        return x + self.shift_x, y + self.shift_y, xx, xy


class Regression:
    """Ridge regression on standardised features, for as many strengths of the ridge and ranks as one asks for.

        B = S_fy (S_ff + ridge I)^-1,   S the covariances, S_ff with ones along its diagonal

    Args:
        moments: of at least two pictures.

    Attributes:
        mean: (features,), of the features.
        variance: (features,), likewise.
        offset: (codes,), the mean of the codes.

    Raises:
        PspkitError: fewer than two pictures.

    Source: Hoerl and Kennard 1970, equation 2.1.
    """

    def __init__(self, moments: Moments) -> None:
        if moments.count < 2:
            raise PspkitError(f"moments: of {moments.count} pictures; a regression takes at least 2. Add some.")
        self.mean, self.offset, self._xx, self._xy = moments.centred()
        self.variance = self._xx.diagonal().clamp_min(1e-12).clone()
        scale = self.variance.rsqrt()
        self._xx *= scale
        self._xx *= scale[:, None]
        self._xy *= scale[:, None]

    def solve(self, ridge: float) -> Tensor:
        """The map (features, codes) from standardised features to codes less their mean."""
        return torch.cholesky_solve(self._xy, self._factor(ridge))

    def predict(self, features: Tensor, ridge: float) -> Tensor:
        """The codes (N, codes) that the map predicts for features (N, features).

        For fewer pictures than codes this is quicker than `solve`, as the map itself is not needed.
        """
        solved = torch.cholesky_solve(self.standardise(features).T, self._factor(ridge))
        return solved.T @ self._xy + self.offset

    def standardise(self, features: Tensor) -> Tensor:
        """Features (N, features) with the mean 0 and the variance 1 over the pictures of the moments, float64."""
        return (features.double() - self.mean) * self.variance.rsqrt()

    def cut(self, ridge: float, rank: int) -> tuple[Tensor, Tensor]:
        """The map of a given rank that comes nearest to the fitted codes.

        The fitted codes vary along some directions much more than along others: their principal directions span
        what is kept.

        Args:
            ridge: as `solve`.
            rank: how many directions.

        Returns:
            reduce (rank, features) and expand (codes, rank), the strongest direction first; their product is the map
            of `solve`, transposed and cut.

        Source: Izenman 1975, section 2.
        """
        factor = self._factor(ridge)
        weight = torch.cholesky_solve(self._xy, factor)
        # F B, with F'F the covariance of the features, has the fitted codes' principal directions.
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(0)
            directions = torch.svd_lowrank((factor.T @ weight).float(), min(rank + 16, *weight.shape), niter=4)[2]
        expand = directions[:, :rank].double()
        return expand.T @ weight.T, expand

    def _factor(self, ridge: float) -> Tensor:
        ridged = self._xx.clone()
        ridged.diagonal().add_(ridge)
        return torch.linalg.cholesky(ridged)


@torch.no_grad()
def fit_closed_form(encoder: ClosedFormEncoder, regression: Regression, ridge: float) -> None:
    """Gives an encoder its weights, at the rank that it was built with.

    Args:
        encoder: changed in place; its body is that from which the features of the regression came.
        regression: of codes that are offsets from the average latent where the model starts from it.
        ridge: as `Regression.solve` takes it.

    Raises:
        PspkitError: the encoder has other features, or another number of codes.
    """
    reduce, expand = regression.cut(ridge, encoder.config.map2style_width)
    for have, need in ((reduce, encoder.reduce.weight), (expand, encoder.expand.weight)):
        if have.shape != need.shape:
            raise PspkitError(
                f"regression: gives a weight of shape {tuple(have.shape)}, the encoder needs {tuple(need.shape)}."
                " Fit it on the features and codes of this encoder."
            )
        need.copy_(have)
    encoder.expand.bias.copy_(regression.offset)
    encoder.norm.running_mean.copy_(regression.mean)
    encoder.norm.running_var.copy_(regression.variance - encoder.norm.eps)


def explained(found: Tensor, codes: Tensor) -> Tensor:
    """R² of each code: the share of its variance that is predicted, 1 at best and 0 for its mean.

    Args:
        found: predicted codes (N, n_styles, style_dim).
        codes: the true ones, alike.

    Returns:
        (n_styles,)
    """
    error = (found - codes).square().sum((0, 2))
    return 1 - error / (codes - codes.mean(0)).square().sum((0, 2))
