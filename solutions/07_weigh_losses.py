"""Solutions of notebook 07."""

import torch.nn.functional as F


def layer_distance(f, g, weights):
    difference = (F.normalize(f, dim=1) - F.normalize(g, dim=1)) ** 2
    return (difference * weights[:, None, None]).sum(1).mean((1, 2))


def dissimilarity(output, target):
    return 1 - (F.normalize(output) * F.normalize(target)).sum(1).mean()


diagnosis = {"A": "too few pictures", "B": "healthy", "C": "stopped too early", "D": "rate too high"}
