"""The loss with which a face-recognition network is trained.

Source: Deng et al. 2019 (ArcFace), section 2.2.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ArcFace(nn.Module):
    """Softmax over people, in which the right person has to lead by a margin.

        loss = cross entropy(scale * cos(angle_j + margin * [j = person]))

    Args:
        people: number of people.
        embedding_dim: length of an embedding.
        margin: lead that is asked of the right person, radians.
        scale: factor of the cosines.

    Source: Deng et al. 2019 (ArcFace), equation 3.
    """

    def __init__(self, people: int, embedding_dim: int, margin: float, scale: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(people, embedding_dim))
        self.margin, self.scale = margin, scale

    def forward(self, embeddings: Tensor, people: Tensor) -> Tensor:
        """Computes the mean loss of embeddings (N, embedding_dim) of length 1; `people` holds their numbers (N,)."""
        cosines = embeddings @ F.normalize(self.weight).T
        angle = cosines.gather(1, people[:, None]).clamp(-1 + 1e-6, 1 - 1e-6).acos()
        # Beyond a half turn the cosine would rise again.
        cosines = cosines.scatter(1, people[:, None], (angle + self.margin).clamp(max=math.pi).cos())
        return F.cross_entropy(cosines * self.scale, people)
