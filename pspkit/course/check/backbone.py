"""Exercises of notebook 01."""

from collections.abc import Callable, Mapping
from functools import cache

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from pspkit.course.check.verdict import Verdict, checker
from pspkit.models import backbone

NEAR = 0.15  # how far a prediction may be off


@cache
def body_costs(num_layers: int) -> dict[str, float]:
    """Weights and multiplications of a body of this depth, for one picture of 256 px."""
    with torch.device("meta"):  # shapes without memory
        body, picture = (
            backbone.ResidualBody(num_layers, "ir_se", 3, backbone.STAGE_WIDTHS),
            torch.empty(1, 3, 256, 256),
        )
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        body.eval().stages(picture)
    return {"weights": sum(p.numel() for p in body.parameters()), "multiplications": counter.get_total_flops() / 2}


@checker
def depth_costs(answer: Mapping[str, float]) -> Verdict:
    """Exercise 1: how many times the weights and the multiplications of depth 50 a body of depth 100 has."""
    shallow, deep = body_costs(50), body_costs(100)
    if answer.keys() != deep.keys():
        return Verdict(False, f"Predict {' and '.join(deep)}, and nothing else.", "names")
    right = {name: deep[name] / shallow[name] for name in deep}
    units = sum(backbone.STAGE_UNITS[100]) / sum(backbone.STAGE_UNITS[50])
    measured = " and ".join(f"{factor:.2f} times the {name}" for name, factor in right.items())
    near = {name: abs(answer[name] / factor - 1) <= NEAR for name, factor in right.items()}
    if all(near.values()):
        return Verdict(True, f"Measured: {measured}, for {units:.2f} times the units.")
    if not near["multiplications"]:
        return Verdict(False, "In every stage a unit multiplies equally often, so count units.", "unequal units")
    if abs(answer["weights"] / units - 1) <= 0.05:
        return Verdict(False, "The weights do not grow as the units do: the new units lie in stages 2 and 3, where "
                       "a unit has a quarter or less of the weights of one in stage 4.", "units alike")  # fmt: skip
    which = "more" if answer["weights"] < right["weights"] else "fewer"
    return Verdict(False, f"Depth 100 has {which} weights than that. Add up the units of each stage times the weights "
                   "of one.", "weights")  # fmt: skip


@checker
def se_gates(answer: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Verdict:
    """Exercise 2: maps (N, C, H, W), weights (C/r, C) and (C, C/r) to the gates (N, C)."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 8, 5, 5, generator=generator) + torch.randn(2, 8, 1, 1, generator=generator)
    squeeze, excite = torch.randn(4, 8, generator=generator), torch.randn(8, 4, generator=generator)
    came = answer(x, squeeze, excite)
    if came.ndim == 4:
        came = came.flatten(1)
    if came.shape != (2, 8):
        return Verdict(False, f"Needs one gate a channel, (2, 8); yours are {tuple(came.shape)}.", "shape")
    means = x.mean((2, 3))
    hidden = (means @ squeeze.T).relu()
    linear, largest = means @ squeeze.T, x.amax((2, 3)) @ squeeze.T
    wrong = {
        "no sigmoid": (hidden @ excite.T, "A gate lies between 0 and 1: something must squash it."),
        "softmax": ((hidden @ excite.T).softmax(1), "Softmax makes the channels compete; every gate is on its own."),
        "no ReLU": ((linear @ excite.T).sigmoid(), "Without a ReLU the two layers are one linear layer."),
        "maximum": ((largest.relu() @ excite.T).sigmoid(), "The squeeze is a mean, not a maximum."),
    }
    if torch.allclose(came, (hidden @ excite.T).sigmoid(), atol=1e-5):
        return Verdict(True, "Mean, linear, ReLU, linear, sigmoid: one number a channel.")
    for name, (value, hint) in wrong.items():
        if torch.allclose(came, value, atol=1e-5):
            return Verdict(False, hint, name)
    return Verdict(False, "The gates differ. Order: mean over height and width, squeeze, ReLU, excite, sigmoid.")
