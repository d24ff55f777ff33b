"""The one family of errors a user of pspkit meets, and the checks that raise it."""

import math
import re
from numbers import Integral, Real

# Characters that a terminal obeys instead of showing, that end a line, turn the direction of writing, or stand for
# bytes of a file's name that are no UTF-8.
UNSHOWN = r"\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff"
LONGEST = 80  # characters of a value in a message


class PspkitError(Exception):
    """Something given to pspkit cannot be used.

    The message says what was wrong, where (file or argument), and what to do. Of characters that a terminal would obey
    it keeps the line breaks alone; the others are escaped.
    """

    def __init__(self, message: str = "") -> None:
        super().__init__(re.sub(f"(?!\n)[{UNSHOWN}]", _escaped, message))


class CheckpointError(PspkitError):
    """A weights or codes file is damaged, foreign, unsafe, or does not fit the model."""


class UnregisteredError(PspkitError):
    """A name, or the class of a part in a file, is not known; a module that registers it may not be imported yet."""


class AssetError(PspkitError):
    """A file of the asset table could not be fetched, checked or unpacked."""


def told_once(reasons):
    """One line for each reason, however many files share it.

    Args:
        reasons: what is wrong with each file; the text may begin with the file's name.

    Returns:
        The reason as it is where it is one file's; else the count, the reason, and the first files by name.
    """
    alike = {}
    for path, reason in reasons.items():
        alike.setdefault(str(reason).removeprefix(f"{path}: "), []).append(path)
    lines = []
    for reason, paths in alike.items():
        more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
        several = f"{len(paths)} files: {reason} ({', '.join(map(str, paths[:3]))}{more})"
        lines.append(several if len(paths) > 1 else str(reasons[paths[0]]))
    return lines


def shown(text: object) -> str:
    """A name or text from a file in one line that any terminal can show: what it would obey is escaped."""
    return re.sub(f"[{UNSHOWN}]", _escaped, str(text))


def check_name(path: object) -> None:
    """Refuses a path that holds line breaks, escape sequences or bytes that are no UTF-8.

    Raises:
        PspkitError: shows the name, with those escaped.
    """
    if re.search(f"[{UNSHOWN}]", str(path)):
        raise PspkitError(f"{shown(path)}: its name holds characters that cannot be shown. Rename it.")


def check_number(
    name: str, value: object, low: float = -math.inf, high: float = math.inf, whole: bool = False, unit: str = ""
) -> None:
    """Refuses what is no number, not finite or out of range.

    Args:
        name: the argument or field.
        value: what came.
        low: the least that it may be.
        high: the most.
        whole: whether only whole numbers will do.
        unit: of the range, for the message.

    Raises:
        PspkitError: names the argument, what came and what is needed.
    """
    if isinstance(value, Integral if whole else Real) and not isinstance(value, bool):
        finite = isinstance(value, Integral) or math.isfinite(value)
        if finite and low <= value <= high:
            return
        needed = ""
    else:
        needed = "a whole number" if whole else "a number"
    if low > -math.inf:
        least, most = (f"{limit:g}" if isinstance(limit, float) else str(limit) for limit in (low, high))
        limits = f"at least {least}" if high == math.inf else f"{least} to {most}"
        needed = f"{needed}, {limits}" if needed else limits
    elif not needed:
        needed = "a finite number"
    raise PspkitError(f"{name}: got {in_short(value)}, needs {needed}{unit and ' ' + unit}.")


def in_short(value: object) -> str:
    """A value for a message, of a length that can be read, whatever it is."""
    if isinstance(value, int) and abs(value) >= 10**LONGEST:
        return "a number of more than 80 digits"  # Python refuses to write very long ones out
    text = f"{value:g}" if isinstance(value, float) else repr(value)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


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


def _escaped(found: re.Match) -> str:
    return found[0].encode("unicode_escape").decode("ascii")
