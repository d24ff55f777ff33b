"""How good the shipped models are on heads that no training has seen: what their cards say."""

from dataclasses import asdict

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.utils import make_grid

from pspkit.data.heads import HeadsDataset
from pspkit.data.heads.dataset import EXTRAS, picture_key
from pspkit.data.tasks import PairDataset
from pspkit.domains import get_domain
from pspkit.inference.metrics import (
    YawMeter,
    in_batches,
    likeness,
    mean_head,
    precision_recall,
    translate_pairs,
    unseen_pairs,
)
from pspkit.inference.projection import project
from pspkit.losses.identity import IdentityLoss
from pspkit.losses.perceptual import load_lpips
from pspkit.models.backbone import Backbone
from pspkit.models.encoders import Encoder
from pspkit.models.stylegan2 import Generator
from pspkit.psp import PSP
from pspkit.training.identity import verify
from pspkit.training.keeper import draw_sheet

UNSEEN, SHOWN, PROJECTED, DRAWN = 256, 16, 64, 512  # heads that are measured, shown, projected, drawn
CHECKED = 8  # heads that a test repeats a figure on

Measured = tuple[dict[str, float], Tensor | None]  # figures by name, and a sheet (3, H, W) in [0, 1]


def measure_identity(network: Backbone) -> Measured:
    """Verification of people of the split "test", see `identity.Verification`."""
    return asdict(verify(network, "test", UNSEEN)), None


def measure_decoder(decoder: Generator, look: str) -> Measured:
    """Fidelity, diversity, and how near unseen heads come by projection; 64 samples beside 64 heads."""
    real = _unseen(look, DRAWN, decoder.size)
    with torch.inference_mode():
        z = torch.randn(DRAWN, decoder.style_dim, generator=torch.Generator().manual_seed(0))
        drawn = in_batches(decoder, z).clamp(-1, 1)
        embed = _identity().embed
        precision, recall = precision_recall(in_batches(embed, real), in_batches(embed, drawn))
    _, errors = project(decoder, real[:PROJECTED])
    figures = {
        "projection_l2": errors.mean().item(),
        "projection_l2_worst": errors.max().item(),
        "identity_precision": precision,
        "identity_recall": recall,
    }
    sides = [make_grid(side[:64].add(1).div(2), nrow=8, pad_value=1) for side in (drawn, real)]
    return figures, torch.cat([sides[0], torch.ones(3, sides[0].shape[1], 16), sides[1]], 2)


def check_decoder(decoder: Generator, look: str) -> float:
    """How near unseen heads come by a short projection."""
    return project(decoder, _unseen(look, CHECKED, decoder.size), steps=20)[1].mean().item()


def _unseen(look: str, count: int, size: int) -> Tensor:
    heads = HeadsDataset("test", count, size, extras=tuple({look} & EXTRAS))
    return torch.stack([heads[index][picture_key(look)] for index in range(len(heads))])


def measure_task(encoder: Encoder, task: str) -> Measured:
    """Likeness to the truth on unseen heads, and what else the task promises."""
    psp = _psp(encoder, task)
    pairs = unseen_pairs(task, UNSEEN, encoder.config.input_size)
    source, output, target = translate_pairs(psp, pairs)
    found = asdict(likeness(output, target, _identity(), load_lpips(), mean_head(psp)))
    if task == "frontalize":
        meter = YawMeter(
            get_domain("heads").psp("encode"), HeadsDataset("validation", 1_024, encoder.config.input_size)
        )
        found |= {"yaw": meter(output).abs().mean().item(), "yaw_before": meter(source).abs().mean().item()}
        found |= {"yaw_of_targets": meter(target).abs().mean().item(), "yaw_error": meter.error}
    if task == "super_resolution":
        found |= {f"returned_l2_{factor}x": value for factor, value in _returned(output, target, pairs).items()}
    if task == "inpaint":
        seen = 1 - source[:, 3:]
        found["seen_l2"] = (((output - target) ** 2 * seen).sum() / (3 * seen.sum())).item()
    rows = torch.stack([pairs.task.show_source(source[:SHOWN]), output[:SHOWN], target[:SHOWN]])
    return found, draw_sheet(rows)


def check_task(encoder: Encoder, task: str) -> float:
    """The mean squared error."""
    _, output, target = translate_pairs(_psp(encoder, task), unseen_pairs(task, CHECKED, encoder.config.input_size))
    return F.mse_loss(output, target).item()


def _returned(output: Tensor, target: Tensor, pairs: PairDataset) -> dict[int, float]:
    """How far outputs, made small again, are from the small pictures that they were made from."""
    options, found = pairs.recipe.options, {}
    for place, factor in enumerate(options):
        here = slice(place, None, len(options))
        small = (F.interpolate(x[here], scale_factor=1 / factor, mode="area") for x in (output, target))
        found[factor] = F.mse_loss(*small).item()
    return found


def _identity() -> IdentityLoss:
    domain = get_domain("heads")
    return IdentityLoss(domain.identity("cpu"), domain.face_box)


def _psp(encoder: Encoder, task: str) -> PSP:
    decoder, average = get_domain("heads").decoder("cpu", task)
    return PSP(encoder, decoder, average).eval()
