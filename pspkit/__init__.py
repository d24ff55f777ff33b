"""pspkit: pixel2style2pixel, piece by piece and whole."""

from pspkit.errors import AssetError, CheckpointError, PspkitError

__version__ = "0.1.0"
__all__ = ["AssetError", "CheckpointError", "PspkitError", "__version__"]
