"""The errors that pspkit raises on purpose, and the checks that raise them."""

import difflib
import math
import re
from numbers import Integral, Real

# Characters that a terminal obeys instead of showing them, that end a line or reverse the direction of writing, and
# those that stand for bytes of a file's name that are not UTF-8.
UNSHOWN = r"\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff"
LONGEST = 80  # characters of a value in a message


class PspkitError(Exception):
    """Something given to pspkit cannot be used.

    The message says what was wrong, where (file or argument), and what to do. Line breaks are kept; all other
    characters that a terminal would obey are escaped.
    """

    def __init__(self, message: str = "") -> None:
        super().__init__(re.sub(f"(?!\n)[{UNSHOWN}]", _escaped, message))


class CheckpointError(PspkitError):
    """A weights or codes file is damaged, foreign, unsafe, or does not fit the model."""


class UnregisteredError(PspkitError):
    """A name, or the class of a part in a file, is unknown. The module that registers it may not be imported yet."""


class AssetError(PspkitError):
    """A file of the asset table could not be fetched, checked or unpacked."""


def told_once(reasons):
    """Groups reasons: one line for each, however many files share it.

    Args:
        reasons: by file, what is wrong with it; the text may begin with the file's name.

    Returns:
        A line for each reason. If several files share it, the line has their number, the reason and the first names.
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
    """Returns a name or text from a file as one line that is safe to print: control characters are escaped."""
    return re.sub(f"[{UNSHOWN}]", _escaped, str(text))


def check_name(path: object) -> None:
    """Refuses a path that holds line breaks, escape sequences or bytes that are not UTF-8.

    Raises:
        PspkitError: the path holds such characters; the message shows them escaped.
    """
    if re.search(f"[{UNSHOWN}]", str(path)):
        raise PspkitError(f"{shown(path)}: its name holds characters that cannot be shown. Rename it.")


def check_number(
    name: str, value: object, low: float = -math.inf, high: float = math.inf, whole: bool = False, unit: str = ""
) -> None:
    """Refuses a value that is not a number, not finite or out of range.

    Args:
        name: name of the argument or field, for the message.
        value: the value to check.
        low: the smallest allowed value.
        high: the largest allowed value.
        whole: whether only whole numbers are allowed.
        unit: unit of the range, for the message.

    Raises:
        PspkitError: names the argument, its value and what is allowed.
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
    """Writes any value for a message, shortened to a length that can be read."""
    if isinstance(value, int) and abs(value) >= 10**LONGEST:
        return "a number of more than 80 digits"  # Python refuses to write very long ones out
    text = f"{value:g}" if isinstance(value, float) else repr(value)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def check_tensor(name, tensor, shape, remedy=""):
    """Refuses a tensor that is not floating-point or not of the given shape.

    Args:
        name: the argument's name, as the caller wrote it.
        tensor: the tensor to check.
        shape: one entry per dimension; an int must match, a string stands for any size.
        remedy: a sentence that says what to do about a wrong shape.

    Raises:
        PspkitError: names the argument, its value and what is needed.
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
        PspkitError: names the argument, its value and what is needed.
    """
    if not isinstance(value, int) or value < minimum or 2 ** int(math.log2(value)) != value:
        raise PspkitError(f"{name}: got {value!r}, needs a power of two of at least {minimum}.")


def check_choice(name, value, choices):
    """Refuses a value that is not among `choices`.

    Raises:
        PspkitError: names the argument, its value and the choices.
    """
    if value not in choices:
        needed = ", ".join(map(repr, choices))
        raise PspkitError(f"{name}: got {value!r}, needs one of {needed}.{did_you_mean(value, choices)}")


def did_you_mean(value, choices):
    """Returns a question that names the choice most like a misspelt value, with a space before it; "" if none is."""
    if not isinstance(value, str):
        return ""
    alike = difflib.get_close_matches(value, [choice for choice in choices if isinstance(choice, str)], 1)
    return f" Did you mean {alike[0]!r}?" if alike else ""


def check_registered(name, value, known):
    """Refuses a name that neither pspkit nor a module of the user has registered.

    Raises:
        UnregisteredError: names the argument, its value and the known names.
    """
    if value not in known:
        raise UnregisteredError(
            f"{name}: got {value!r}, needs one of {', '.join(map(repr, known))}.{did_you_mean(value, known)}"
            " If it is your own, first import the module that registers it."
        )


def _escaped(found: re.Match) -> str:
    return found[0].encode("unicode_escape").decode("ascii")
