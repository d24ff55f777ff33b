"""A plugin: a world of striped pictures, with a decoder, an encoder, a loss, a task and a domain of its own.

pspkit train --plugin tests/doors/stripes.py --domain stripes --task thin_out --kind pooled --loss edges=0.5 ...
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pspkit import Domain, Task, register_decoder, register_domain, register_encoder, register_loss, register_task
from pspkit.config import TrainingConfig
from pspkit.data.pictures import Picture, to_picture
from pspkit.data.tasks import PairDataset, get_task
from pspkit.data.tasks.transforms import normalise

SIDE = 32


@register_decoder("stripes")
class StripeDecoder(nn.Module):
    """Two codes to a picture: its colours, and how it changes along the columns."""

    def __init__(self, size: int = SIDE, style_dim: int = 8) -> None:
        super().__init__()
        self.size, self.style_dim, self.n_styles = size, style_dim, 2
        self.network = nn.Linear(style_dim, style_dim)
        self.paint = nn.Linear(style_dim, 3 * size)

    def mapping(self, z: Tensor) -> Tensor:
        return torch.tanh(self.network(z))

    def synthesis(self, w_plus: Tensor) -> Tensor:
        columns = self.paint(w_plus[:, 0] + w_plus[:, 1]).unflatten(1, (3, 1, self.size))
        return columns.expand(-1, -1, self.size, -1)


@register_encoder("pooled")
class PooledEncoder(nn.Module):
    """The mean of each column, and one layer."""

    def __init__(self, n_styles: int, style_dim: int, input_nc: int = 3, input_size: int = SIDE) -> None:
        super().__init__()
        self.n_styles, self.style_dim, self.input_nc, self.input_size = n_styles, style_dim, input_nc, input_size
        self.layer = nn.Linear(input_nc * input_size, n_styles * style_dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x.mean(2).flatten(1)).unflatten(1, (self.n_styles, self.style_dim))


@register_loss("edges")
def edges(output: Tensor, target: Tensor, codes: Tensor) -> Tensor:
    """How the differences between neighbouring columns differ."""
    return F.l1_loss(output.diff(dim=-1), target.diff(dim=-1))


def thin_out(image: Tensor) -> Tensor:
    """A picture whose every other column is grey."""
    image = normalise(image)
    image[..., ::2] = 0
    return image


class Stripes(PairDataset):
    """Random stripes, the same ones for the same index."""

    def __init__(self, first: int, count: int, task: str, size: int, training: bool) -> None:
        found = get_task(task)
        super().__init__(found, found.folders, size, training, seed=0)
        self.first, self.count = first, count

    def __len__(self) -> int:
        return self.count

    def pictures(self, index: int) -> tuple[Picture, Picture]:
        colours = torch.rand(3, 1, 4, generator=torch.Generator().manual_seed(self.first + index)) * 2 - 1
        picture = to_picture(colours.repeat_interleave(SIDE // 4, 2).expand(-1, SIDE, -1))
        return picture, picture


def stripe_pairs(task: str, size: int, config: TrainingConfig) -> tuple[Stripes, Stripes]:
    """Stripes to learn from, and others to validate on."""
    training = Stripes(0, config.heads, task, size, training=True)
    return training, Stripes(config.heads, config.validation, task, size, training=False)


register_task("thin_out", Task("Thin out", "every other column", make_source=thin_out))
register_domain(
    Domain(
        "stripes",
        "striped pictures",
        own_decoder=lambda profile, look: StripeDecoder(),
        own_pairs=stripe_pairs,
        has_faces=False,
    )
)
