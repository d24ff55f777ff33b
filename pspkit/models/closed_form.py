"""An encoder without training: ridge regression from the maps of a frozen network to W+ codes.

    x ─ frozen body ─ c1, c3 ─ averaged in cells, standardised: f ─ codes = B f + b

B minimises sum |B f + b - codes|² + ridge |B|² over pictures whose codes are known, and is then cut to a low rank. Only
a few sums over the pictures are needed, so that their number is not limited by memory.

Source: Hoerl and Kennard 1970 (ridge regression); Izenman 1975 (reduced-rank regression).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pspkit.config import EncoderConfig
from pspkit.errors import PspkitError
from pspkit.models.encoders import Encoder

CELLS = 4  # each map is averaged in CELLS x CELLS cells


class ClosedFormEncoder(Encoder):
    """Predicts all codes by one linear map of low rank from the averaged maps of the body.

        codes = expand(reduce(norm(f))),   f = the maps c1 and c3, averaged in CELLS x CELLS cells

    c1 and c3 are the finest and the coarsest map that pSp's pyramid reads; measurements showed that c2 adds nothing to
    them. `fit_closed_form` computes the weights. The rank is the configuration's map2style_width.
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
        """Computes the features (N, features) of pictures (N, input_nc, input_size, input_size) in [-1, 1]."""
        self.check_input(x)
        return pool_maps(self.stages(x.contiguous(memory_format=torch.channels_last))[-3::2])


def pool_maps(maps: list[Tensor], cells: int = CELLS) -> Tensor:
    """Averages feature maps (N, C_i, H_i, W_i) in cells: (N, cells² sum C_i)."""
    return torch.cat([F.adaptive_avg_pool2d(each, cells).flatten(1) for each in maps], 1)


class Moments:
    """The sums of features and codes that a linear regression needs, added up batch by batch.

    The means of the first batch are subtracted from both, so that the sums lose no digits.

    Args:
        features: number of features of a picture.
        codes: number of values in all its codes together.
        device: where the sums are kept.

    Attributes:
        count: number of pictures so far.
    """

    def __init__(self, features: int, codes: int, device: torch.device | str = "cpu") -> None:
        double = {"dtype": torch.double, "device": device}
        self.count = 0
        self.shift_x, self.shift_y = torch.zeros(features, **double), torch.zeros(codes, **double)
        self.x, self.y = torch.zeros(features, **double), torch.zeros(codes, **double)
        self.xx, self.xy = torch.zeros(features, features, **double), torch.zeros(features, codes, **double)

    def add(self, features: Tensor, codes: Tensor) -> None:
        """Adds the features (N, features) and codes (N, codes) of pictures. Large batches are quicker."""
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
    """Ridge regression on standardised features, solved for any strength of the ridge and any rank.

        B = S_fy (S_ff + ridge I)^-1,   S the covariances, S_ff with ones along its diagonal

    Args:
        moments: the sums over at least two pictures.

    Attributes:
        mean: the mean of the features, (features,).
        variance: the variance of the features, (features,).
        offset: the mean of the codes, (codes,).

    Raises:
        PspkitError: there are fewer than two pictures.

    Source: Hoerl and Kennard 1970, equation 2.1.
    """

    def __init__(self, moments: Moments) -> None:
        if moments.count < 2:
            raise PspkitError(
                f"moments: they hold {moments.count} pictures, and a regression needs at least 2. Add some."
            )
        self.mean, self.offset, self._xx, self._xy = moments.centred()
        self.variance = self._xx.diagonal().clamp_min(1e-12).clone()
        scale = self.variance.rsqrt()
        self._xx *= scale
        self._xx *= scale[:, None]
        self._xy *= scale[:, None]

    def solve(self, ridge: float) -> Tensor:
        """Computes the map (features, codes) from standardised features to codes minus their mean."""
        return torch.cholesky_solve(self._xy, self._factor(ridge))

    def predict(self, features: Tensor, ridge: float) -> Tensor:
        """Predicts codes (N, codes) for features (N, features).

        With fewer pictures than codes this is quicker than `solve`, because the map itself is not computed.
        """
        solved = torch.cholesky_solve(self.standardise(features).T, self._factor(ridge))
        return solved.T @ self._xy + self.offset

    def standardise(self, features: Tensor) -> Tensor:
        """Shifts and scales features (N, features) by the mean and variance of the moments' pictures, in float64."""
        return (features.double() - self.mean) * self.variance.rsqrt()

    def cut(self, ridge: float, rank: int) -> tuple[Tensor, Tensor]:
        """Computes the map of a given rank that comes closest to the fitted codes.

        The fitted codes vary along some directions much more than along others. The principal directions are kept.

        Args:
            ridge: as `solve` takes it.
            rank: the number of directions that are kept.

        Returns:
            reduce (rank, features) and expand (codes, rank), the strongest direction first. Their product
            expand @ reduce is the map of `solve`, transposed and cut.

        Source: Izenman 1975, section 2.
        """
        factor = self._factor(ridge)
        weight = torch.cholesky_solve(self._xy, factor)
        # If F'F is the covariance of the features, F B has the same principal directions as the fitted codes.
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
    """Gives an encoder the weights of a regression, cut to the rank that the encoder was built with.

    Args:
        encoder: changed in place; its body must be the one that gave the regression its features.
        regression: if the model starts from the average latent, it must predict offsets from it.
        ridge: as `Regression.solve` takes it.

    Raises:
        PspkitError: the encoder has other features or another number of codes.
    """
    reduce, expand = regression.cut(ridge, encoder.config.map2style_width)
    for have, need in ((reduce, encoder.reduce.weight), (expand, encoder.expand.weight)):
        if have.shape != need.shape:
            raise PspkitError(
                f"regression: it gives a weight of shape {tuple(have.shape)}, and the encoder needs"
                f" {tuple(need.shape)}. Fit it on the features and codes of this encoder."
            )
        need.copy_(have)
    encoder.expand.bias.copy_(regression.offset)
    encoder.norm.running_mean.copy_(regression.mean)
    encoder.norm.running_var.copy_(regression.variance - encoder.norm.eps)


def explained(found: Tensor, codes: Tensor) -> Tensor:
    """Computes R² of each code: the share of its variance that is predicted, 1 at best and 0 for the mean code.

    Args:
        found: predicted codes (N, n_styles, style_dim).
        codes: the true codes, of the same shape.

    Returns:
        (n_styles,)
    """
    error = (found - codes).square().sum((0, 2))
    return 1 - error / (codes - codes.mean(0)).square().sum((0, 2))
