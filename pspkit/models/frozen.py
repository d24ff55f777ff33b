"""Frozen networks: trained elsewhere, fetched as an asset, and used as they are."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from pspkit.errors import AssetError
from pspkit.storage.assets import fetch

Network = TypeVar("Network", bound=nn.Module)


def freeze(network: Network) -> Network:
    """Returns the network itself, in evaluation mode and without gradients for its weights."""
    return network.eval().requires_grad_(False)


def outline(build: Callable[[], Network]) -> Network:
    """Builds a network on the meta device: shapes without memory."""
    with torch.device("meta"):
        return build()


def load_frozen(
    build: Callable[[], Network], asset: str, member: str, read: Callable[[Path], dict[str, Tensor]]
) -> Network:
    """Builds a network around the trained weights of an asset, and freezes it.

    Args:
        build: makes the network; its class, for example.
        asset: name of the asset; it is fetched if it is not there yet.
        member: path of the weights inside the asset, a file or a folder.
        read: from that path to the network's state dict; raises AssetError if the weights cannot be read.

    Raises:
        AssetError: the weights could not be fetched or read; names their path and the remedy.
    """
    path = fetch(asset) / member
    try:
        state = read(path)
    except (OSError, AssetError) as error:
        raise AssetError(f"{path}: {error} Delete the folder and run `pspkit assets get {asset}`.") from error
    network = outline(build)  # Initial values would be replaced at once.
    network.load_state_dict(state, assign=True)
    return freeze(network)
