"""Which device computes: one choice, made in one place."""

import os

import torch

from pspkit.errors import PspkitError

VARIABLE = "PSPKIT_DEVICE"


def choose_device(name: str | None = None) -> torch.device:
    """Chooses the device for models that are loaded, trained or used.

    Args:
        name: "cpu", "cuda", "cuda:1", "mps" or another of PyTorch's names. Without it, the environment variable
            PSPKIT_DEVICE decides; if that is not set either, the first of CUDA, MPS and CPU that the machine has.

    Returns:
        A device that this machine has. A GPU always carries its number, so that devices can be compared.

    Raises:
        PspkitError: there is no such device, or this machine does not have it.
    """
    where = "device" if name else VARIABLE
    name = name or os.environ.get(VARIABLE)
    there = available_devices()
    if not name:
        return there[0]
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is not None and device.type != "cpu" and device.index is None:
        first = torch.accelerator.current_device_index() if _accelerates(device.type) else 0
        device = torch.device(device.type, first)
    if device == torch.device("cpu", 0):
        device = torch.device("cpu")
    if device not in there:
        raise PspkitError(
            f"{where}: got {name!r}, and this machine has {', '.join(map(str, there))}. Choose one of these."
        )
    return device


def available_devices() -> list[torch.device]:
    """The devices of this machine, the fastest first; the CPU is always among them."""
    current = torch.accelerator.current_accelerator(check_available=True)
    if current is None:
        return [torch.device("cpu")]
    first = torch.accelerator.current_device_index()
    others = [index for index in range(torch.accelerator.device_count()) if index != first]
    return [*(torch.device(current.type, index) for index in (first, *others)), torch.device("cpu")]


def native_precision(device: torch.device) -> str:
    """Returns "bfloat16" if the device computes in it natively, else "float32": emulation is many times slower."""
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = device.type == "cpu" and any(
            torch.cpu.get_capabilities().get(name) for name in ("avx512_bf16", "amx_bf16")
        )
    return "bfloat16" if native else "float32"


def _accelerates(kind: str) -> bool:
    current = torch.accelerator.current_accelerator(check_available=True)
    return current is not None and current.type == kind
