"""The reference's layouts: works out the sizes of a model from the shapes of its tensors.

Source: the reference implementation's state dicts; Richardson et al. 2021, section 3.1, for what follows from them.
"""

import math
import re
from itertools import groupby

from torch import Tensor

from pspkit.config import STAGE_UNITS, BackboneConfig, EncoderConfig, GeneratorConfig

INPUT_SIZE = 256  # side of the pictures that every encoder of the reference reads
MOST_PARTS = 200  # more units, blocks or layers than any model has

StateDict = dict[str, Tensor]


def part_of(state: StateDict, name: str) -> StateDict:
    """The tensors of a submodule, with their names inside it."""
    return {key.removeprefix(f"{name}."): tensor for key, tensor in state.items() if key.startswith(f"{name}.")}


def encoder_config(state: StateDict, decoder: GeneratorConfig) -> EncoderConfig:
    """Works out the configuration of an encoder; what its tensors leave open is taken from its decoder.

    Raises:
        ValueError: the tensors do not belong to an encoder that is known here.
        KeyError: a tensor that decides is missing.
    """
    kind = encoder_kind(state)
    common = {"kind": kind, **_body(state), "input_nc": state["input_layer.0.weight"].shape[1]}
    if kind in ("gradual", "last_map"):
        code_length, map2style_width = state["styles.0.linear.weight"].shape
        depth = (
            _count(state, r"styles\.0\.convs\.(\d+)\.") + 1
        ) // 2  # There is an activation between two convolutions.
        return EncoderConfig(
            **common,
            n_styles=_count(state, r"styles\.(\d+)\."),
            input_size=16 * 2**depth,
            style_dim=code_length,
            map2style_width=map2style_width,
        )
    if kind == "w":
        return EncoderConfig(
            **common,
            n_styles=decoder.n_styles,
            input_size=INPUT_SIZE,
            style_dim=state["linear.weight"].shape[0],
        )
    return EncoderConfig(
        **common,
        n_styles=state["linear.weight"].shape[0] // decoder.style_dim,
        input_size=INPUT_SIZE,
        style_dim=decoder.style_dim,
        map2style_width=state["linear.weight"].shape[1],
    )


def encoder_kind(state: StateDict) -> str:
    """Says to which kind of encoder the tensors belong.

    Raises:
        ValueError: they belong to none that is known here.
    """
    if "styles.0.linear.weight" in state:
        pyramid = "latlayer1.weight" in state or "latlayer2.weight" in state
        return "gradual" if pyramid else "last_map"
    if "output_layer_2.3.weight" in state:
        return "w_plus"
    if "linear.weight" in state:
        return "w"
    raise ValueError(f"its encoder is of no kind that is known here (it ends with {', '.join(list(state)[-3:])})")


def backbone_config(state: StateDict) -> BackboneConfig:
    """Works out the configuration of a face-recognition network; raises as `encoder_config` does."""
    body = _body(state)
    embedding_dim, features = state["output_layer.3.weight"].shape
    side = math.isqrt(features // body["widths"][-1])
    return BackboneConfig(**body, input_size=16 * side, embedding_dim=embedding_dim)


def generator_config(state: StateDict) -> GeneratorConfig:
    """Works out the configuration of a StyleGAN2 generator; raises as `encoder_config` does."""
    first, style_dim = state["style.1.weight"].shape[1], state["style.1.weight"].shape[0]
    if first > style_dim:
        raise ValueError(
            f"a class-conditional StyleGAN2: its mapping network takes {first} numbers, {style_dim} of z and the rest"
            " of a class, and pSp gives none"
        )
    channels = state["to_rgb1.conv.weight"].shape[1]
    if channels != 3:
        raise ValueError(
            f"a StyleGAN2 of pictures with {channels} channel{'s' * (channels > 1)}, where pSp draws in RGB"
        )
    widths = [state["conv1.conv.weight"].shape[1]]
    widths += [state[f"to_rgbs.{level}.conv.weight"].shape[2] for level in range(_count(state, r"to_rgbs\.(\d+)\."))]
    sides = [4 * 2**level for level in range(len(widths))]
    for channel_multiplier in (
        2,
        1,
        4,
        8,
        16,
    ):  # The usual one comes first; small models fit several, which are then equal.
        config = GeneratorConfig(
            size=sides[-1],
            style_dim=state["style.1.weight"].shape[1],
            n_mlp=_count(state, r"style\.(\d+)\.") - 1,
            channel_multiplier=channel_multiplier,
            max_channels=widths[0],
        )
        if widths == [config.channels(side) for side in sides]:
            return config
    raise ValueError(f"no channel multiplier gives its generator's channels, {widths} from 4 to {sides[-1]} px")


def _body(state: StateDict) -> dict:
    depths = [state[f"body.{unit}.res_layer.1.weight"].shape[0] for unit in range(_count(state, r"body\.(\d+)\."))]
    stages = [(width, len(list(units))) for width, units in groupby(depths)]
    found = tuple(units for _, units in stages)
    for num_layers, units in STAGE_UNITS.items():
        if units == found:
            mode = "ir_se" if "body.0.res_layer.5.fc1.weight" in state else "ir"
            return {"num_layers": num_layers, "mode": mode, "widths": tuple(width for width, _ in stages)}
    known = ", ".join(map(str, STAGE_UNITS.values()))
    raise ValueError(f"its body has {found} units in stages of {[width for width, _ in stages]} channels, not {known}")


def _count(state: StateDict, pattern: str) -> int:
    """Counts numbered parts: one more than the highest number that the pattern finds in the keys.

    Raises:
        ValueError: there are more than any model has.
    """
    count = 1 + max((int(match[1]) for key in state if (match := re.match(pattern, key))), default=-1)
    if count > MOST_PARTS:
        raise ValueError(f"its keys number more than {MOST_PARTS} parts of one kind")
    return count
