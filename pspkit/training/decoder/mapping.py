"""The second stage, between two steps: the mapping network learns the codes that F makes from the factors."""

import torch
import torch.nn.functional as F
from torch import nn
from tqdm.auto import tqdm

from pspkit.data.heads import Factors
from pspkit.training.decoder.known import WIDTH, FactorNetwork, KnownLatents, factor_numbers

HEADS, STEPS, BATCH = 200_000, 12_000, 256
RATE = 5.0  # It falls to 0 along a line. The layers themselves multiply it by 0.01.


def fit_mapping(style: nn.Module, factors: FactorNetwork, known: KnownLatents, heads: Factors) -> float:
    """Fits the mapping network to the codes that F makes from the factors f of many heads.

        min_style  (style(z(f)) - F(f))²

    Returns:
        The error of the last step, as a share of the codes' variance.
    """
    device = next(style.parameters()).device
    optimizer = torch.optim.Adam(style.parameters(), betas=(0.9, 0.99))
    with torch.no_grad():
        wanted = factors(factor_numbers(heads).to(device))
    z = known(heads)
    for step in tqdm(range(STEPS), "fitting the mapping network", disable=None):
        optimizer.param_groups[0]["lr"] = RATE * (1 - step / STEPS)
        rows = torch.randint(len(z), (BATCH,), device="cpu")
        here = z[rows]
        here[:, WIDTH:].normal_()
        loss = F.mse_loss(style(here.to(device)), wanted[rows.to(device)])
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return (loss / wanted.var(0).mean()).item()
