"""Translates NVIDIA's names of StyleGAN2's tensors (stylegan2-ada-pytorch, stylegan3's networks_stylegan2) into ours.

Both networks use every weight in the same way, so that only names have to be changed.

Source: Karras et al. 2020 (StyleGAN2-ADA), official PyTorch code.
"""

import re

from torch import Tensor

from pspkit.storage.checkpoints.layouts import StateDict

LAYER = {  # of a convolution and of a ToRGB layer
    "weight": "conv.weight",
    "affine.weight": "conv.modulation.weight",
    "affine.bias": "conv.modulation.bias",
}
CONVOLUTION = LAYER | {"noise_strength": "noise.weight", "bias": "activate.bias"}
TO_RGB = LAYER | {"bias": "bias"}
MADE_ANEW = ("resample_filter",)  # blur kernels, which are constants


def renamed(state: StateDict) -> tuple[StateDict, Tensor | None]:
    """Renames the tensors of NVIDIA's state dict, and returns them with the average latent in it.

    Raises:
        ValueError: the model is class-conditional, or of another architecture of NVIDIA's.
    """
    if any(key.startswith("mapping.embed.") for key in state):
        raise ValueError(
            "a class-conditional StyleGAN2: its mapping network takes a class besides z, and pSp gives none"
        )
    ours: StateDict = {}
    for key, tensor in state.items():
        name, value = _ours(key, tensor)
        if name:
            ours[name] = value
    return ours, state.get("mapping.w_avg")


def _ours(key: str, tensor: Tensor) -> tuple[str, Tensor]:
    """The name and the value of a tensor in the layout used here; an empty name if it has no such tensor."""
    if key == "mapping.w_avg" or key.endswith(MADE_ANEW):
        return "", tensor
    if found := re.fullmatch(r"mapping\.fc(\d+)\.(weight|bias)", key):
        return f"style.{int(found[1]) + 1}.{found[2]}", tensor
    if key == "synthesis.b4.const":
        return "input.input", tensor[None]
    found = re.fullmatch(r"synthesis\.b(\d+)\.(conv0|conv1|torgb)\.(.+)", key)
    if not found:
        raise ValueError(f"a network of NVIDIA's whose {key} StyleGAN2 does not have")
    level, layer, what = int(found[1]).bit_length() - 3, found[2], found[3]  # 0 at 4 px
    if layer == "torgb":
        place = f"to_rgbs.{level - 1}" if level else "to_rgb1"
        name = f"{place}.{TO_RGB[what]}"
        return name, tensor.reshape(1, -1, 1, 1) if what == "bias" else tensor[None] if what == "weight" else tensor
    number = 2 * level - (layer == "conv0")  # of the convolutions, 0 the one at 4 px
    if what == "noise_const":
        return f"noises.noise_{number}", tensor[None, None]
    place = f"convs.{number - 1}" if number else "conv1"
    value = tensor[None] if what == "weight" else tensor.reshape(1) if what == "noise_strength" else tensor
    return f"{place}.{CONVOLUTION[what]}", value
