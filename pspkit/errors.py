"""The one family of errors a user of pspkit meets, and the checks that raise it."""

import math


class PspkitError(Exception):
    """Something given to pspkit cannot be used.

    The message says what was wrong, where (file or argument), and what to do.
    """


class CheckpointError(PspkitError):
    """A weights or codes file is damaged, foreign, unsafe, or does not fit the model."""


class UnregisteredError(PspkitError):
    """A name, or the class of a part in a file, is not known; a module that registers it may not be imported yet."""


class AssetError(PspkitError):
    """A file of the asset table could not be fetched, checked or unpacked."""


def check_tensor(name, tensor, shape, remedy=""):
    """Refuses a tensor that is not floating-point or not of the given shape.

    Args:
        name: the argument's name, as the caller wrote it.
        tensor: what came.
        shape: one entry per dimension; an int must match, a string stands for any size.
        remedy: a sentence on what to do where the shape is another.

    Raises:
        PspkitError: names the argument, what came and what is needed.
    """
    needed = f"a floating-point tensor of shape ({', '.join(map(str, shape))})"
    if not hasattr(tensor, "is_floating_point"):
        raise PspkitError(f"{name}: got {type(tensor).__name__}, needs {needed}. Convert it to a torch tensor first.")
    fits = tensor.ndim == len(shape) and all(
        isinstance(want, str) or have == want for have, want in zip(tensor.shape, shape, strict=True)
    )
    if fits and tensor.is_floating_point():
        return
    came = f"{str(tensor.dtype).removeprefix('torch.')} of shape {tuple(tensor.shape)}"
    if not tensor.is_floating_point():
        remedy = "Convert it to float first (images to [-1, 1])."
    raise PspkitError(f"{name}: got {came}, needs {needed}. {remedy}".rstrip())


def check_power_of_two(name, value, minimum):
    """Refuses a side that is not a power of two of at least `minimum`.

    Raises:
        PspkitError: names the argument, what came and what is needed.
    """
    if not isinstance(value, int) or value < minimum or 2 ** int(math.log2(value)) != value:
        raise PspkitError(f"{name}: got {value!r}, needs a power of two of at least {minimum}.")


def check_choice(name, value, choices):
    """Refuses a value that is not among `choices`.

    Raises:
        PspkitError: names the argument, what came and what it may be.
    """
    if value not in choices:
        raise PspkitError(f"{name}: got {value!r}, needs one of {', '.join(map(repr, choices))}.")


def check_registered(name, value, known):
    """Refuses a name under which nothing is registered, neither by pspkit nor by a module of one's own.

    Raises:
        UnregisteredError: names the argument, what came and what is known.
    """
    if value not in known:
        raise UnregisteredError(
            f"{name}: got {value!r}, needs one of {', '.join(map(repr, known))}."
            " If it is your own, first import the module that registers it."
        )
