"""A network that guesses how old a face looks, to measure with: a tiny Xception.

Source: Chollet 2017 (Xception), figure 5, for the units; the sizes are those of the asset's file.
"""

import itertools
import json
from math import prod
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pspkit.errors import AssetError, check_tensor
from pspkit.models.frozen import load_frozen, outline

ASSET = "face-age"
MEMBER = "package/model/age_gender_model-weights_manifest.json"
MEAN = (122.782, 117.001, 104.298)  # of red, green and blue, out of 255; the network expects it to be subtracted
OTHER_HEAD = "fc/gender/"  # The file holds a second network head, which is not used.


def _separable(in_channels: int, out_channels: int) -> nn.Sequential:
    depthwise = nn.Conv2d(in_channels, in_channels, 3, padding=1, groups=in_channels, bias=False)
    return nn.Sequential(depthwise, nn.Conv2d(in_channels, out_channels, 1))


class XceptionUnit(nn.Module):
    """Separable convolutions, each after a ReLU; their result is added to the input.

    Args:
        channels: channels of the input, between the convolutions, and of the output.
        halved: whether maxima halve the side.
        activated: whether there is a ReLU before the first convolution, too.

    Source: Chollet 2017, figure 5.
    """

    def __init__(self, channels: tuple[int, ...], halved: bool, activated: bool = True) -> None:
        super().__init__()
        self.activated = activated
        self.layers = nn.ModuleList(_separable(*pair) for pair in itertools.pairwise(channels))
        self.shortcut = nn.Conv2d(channels[0], channels[-1], 1, 2) if halved else None

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for number, layer in enumerate(self.layers):
            y = layer(F.relu(y) if number or self.activated else y)
        if self.shortcut is None:
            return x + y
        return self.shortcut(x) + F.max_pool2d(y, 3, 2, ceil_mode=True)


class FaceAge(nn.Module):
    """Guesses from a face how many years old its owner looks."""

    input_size = 112

    def __init__(self) -> None:
        super().__init__()
        # TensorFlow's "SAME" padding adds zeros only below and on the right if the side is to be halved.
        self.stem = nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(3, 32, 3, 2), nn.ReLU())
        self.body = nn.Sequential(
            XceptionUnit((32, 64, 64), halved=True, activated=False),
            XceptionUnit((64, 128, 128), halved=True),
            *(XceptionUnit((128, 128, 128, 128), halved=False) for _ in range(2)),
            XceptionUnit((128, 256, 256), halved=True),
            _separable(256, 512),
            nn.ReLU(),
        )
        self.head = nn.Linear(512, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Guesses how old people look.

        Args:
            x: faces (N, 3, 112, 112) in [-1, 1], cropped so that each fills its picture.

        Returns:
            Years, (N,).

        Raises:
            PspkitError: x has another shape or is not floating-point.
        """
        check_tensor("x", x, ("N", 3, self.input_size, self.input_size))
        x = (x + 1) / 2 - x.new_tensor(MEAN).view(3, 1, 1) / 255
        return self.head(self.body(self.stem(x)).mean((2, 3)))[:, 0]


def load_face_age() -> FaceAge:
    """The trained network, in evaluation mode and with frozen weights.

    Raises:
        AssetError: the weights could not be fetched or read.
    """
    return load_frozen(FaceAge, ASSET, MEMBER, state_from_shards)


def state_from_shards(manifest: Path) -> dict[str, Tensor]:
    """Reads the state dict of `FaceAge` out of the asset's files.

    A number of one byte stands for `min + scale * number`. The module declares its layers in the order of the file.
    Parameters and arrays are therefore paired one by one.

    Args:
        manifest: the file that lists the arrays; the file beside it holds their numbers, one array after the other.

    Returns:
        The state dict, float32.

    Raises:
        AssetError: the file cannot be read, or belongs to another network.
    """
    values = []
    try:
        (group,) = json.loads(manifest.read_text(encoding="utf-8"))
        content, position = b"".join((manifest.parent / path).read_bytes() for path in group["paths"]), 0
        for entry in group["weights"]:
            coded = entry.get("quantization")
            dtype = np.dtype("u1" if coded else "<f4")
            array = np.frombuffer(content, dtype, prod(entry["shape"]), position).reshape(entry["shape"])
            position += array.nbytes
            value = torch.from_numpy(array.astype(np.float32))
            if not entry["name"].startswith(OTHER_HEAD):
                values.append(coded["min"] + coded["scale"] * value if coded else value)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise AssetError(f"it does not hold weights that can be read ({error}).") from error
    parameters = outline(FaceAge).state_dict()
    if len(values) != len(parameters):
        raise AssetError(f"it has {len(values)} arrays and FaceAge {len(parameters)}, so it is another network.")
    state = {}
    for (key, parameter), value in zip(parameters.items(), values, strict=True):
        if value.ndim == 4:  # The file has (height, width, in, out), or depthwise (height, width, channels, 1).
            value = value.permute(2, 3, 0, 1) if value.shape[3] == 1 else value.permute(3, 2, 0, 1)
        elif value.ndim == 2:
            value = value.T
        if value.shape != parameter.shape:
            raise AssetError(f"{key} has the shape {tuple(value.shape)} in it, so it is another network.")
        state[key] = value.contiguous()
    return state
