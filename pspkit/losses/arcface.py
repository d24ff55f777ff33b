"""What a face-recognition network is trained on.

Source: Deng et al. 2019 (ArcFace), section 2.2.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ArcFace(nn.Module):
    """Softmax over people, with a margin that the right one has to beat.

        loss = cross entropy(scale * cos(angle_j + margin * [j = person]))

    Args:
        people: how many.
        embedding_dim: length of an embedding.
        margin: radians.
        scale: of the cosines.

    Source: Deng et al. 2019 (ArcFace), equation 3.
    """

    def __init__(self, people: int, embedding_dim: int, margin: float, scale: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(people, embedding_dim))
        self.margin, self.scale = margin, scale

    def forward(self, embeddings: Tensor, people: Tensor) -> Tensor:
        """Embeddings (N, embedding_dim) of length 1 and their people's numbers (N,) to the mean loss."""
        cosines = embeddings @ F.normalize(self.weight).T
        angle = cosines.gather(1, people[:, None]).clamp(-1 + 1e-6, 1 - 1e-6).acos()
        # Beyond a half turn the cosine would rise again.
        cosines = cosines.scatter(1, people[:, None], (angle + self.margin).clamp(max=math.pi).cos())
        return F.cross_entropy(cosines * self.scale, people)
