"""pspkit: pixel2style2pixel, piece by piece and whole.

What is used every day is imported from here, in the order in which a reader needs it; it is loaded when first asked
for, so that `import pspkit` does not wait for PyTorch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from pspkit.errors import AssetError, CheckpointError, PspkitError

if TYPE_CHECKING:
    from pspkit.data.pictures import save_picture
    from pspkit.data.tasks import Task, register_task
    from pspkit.domains import Domain, register_domain
    from pspkit.inference import encode_file, find_psp, inspect_checkpoint, translate
    from pspkit.losses.terms import register_loss
    from pspkit.models.registry import register_decoder, register_encoder
    from pspkit.psp import PSP
    from pspkit.training import Run

__version__ = "0.1.0"

HALL = {
    "PSP": "pspkit.psp",
    "find_psp": "pspkit.inference",
    "encode_file": "pspkit.inference",
    "save_picture": "pspkit.data.pictures",
    "translate": "pspkit.inference",
    "inspect_checkpoint": "pspkit.inference",
    "Run": "pspkit.training",
    "register_decoder": "pspkit.models.registry",
    "register_encoder": "pspkit.models.registry",
    "register_loss": "pspkit.losses.terms",
    "Task": "pspkit.data.tasks",
    "register_task": "pspkit.data.tasks",
    "Domain": "pspkit.domains",
    "register_domain": "pspkit.domains",
}

__all__ = [  # noqa: RUF022 (in the order in which a reader needs them)
    "PSP",
    "find_psp",
    "encode_file",
    "save_picture",
    "translate",
    "inspect_checkpoint",
    "Run",
    "register_decoder",
    "register_encoder",
    "register_loss",
    "Task",
    "register_task",
    "Domain",
    "register_domain",
    "PspkitError",
    "CheckpointError",
    "AssetError",
    "__version__",
]


def __getattr__(name: str) -> Any:
    if name not in HALL:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value = getattr(import_module(HALL[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *HALL})
