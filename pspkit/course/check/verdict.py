"""What a checker answers, and the comparison of two results."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any, get_args, get_origin, get_type_hints

import torch
from torch import Tensor


@dataclass(frozen=True)
class Verdict:
    """A checker's answer; shown in a notebook as one sentence.

    Attributes:
        right: whether the exercise is solved.
        message: what was found, and a hint where it is not solved.
        misconception: a short name of what was misunderstood, empty where nothing was recognised.
    """

    right: bool
    message: str
    misconception: str = ""

    def __repr__(self) -> str:
        return f"{'Right.' if self.right else 'Not yet.'} {self.message}"


class Unanswered(Exception):
    """The learner's stub is as it was."""


class WrongType(Exception):
    """The answer is not of the type that the exercise asks for; the message says which type it needs."""


def answered(answer: Any, kind: Any = Any) -> Any:
    """The learner's answer, checked against the type that the checker's signature gives it.

    Args:
        answer: a function, a prediction, or a stub.
        kind: the annotation. What a function returns is checked when it returns.

    Raises:
        Unanswered: a stub, or a dictionary with a stub in it.
        WrongType: no function where one is asked for, no dictionary, no number, no tensor.
    """
    if answer is None or answer is Ellipsis:
        raise Unanswered
    wanted, parts = get_origin(kind), get_args(kind)
    if wanted is Mapping:
        if not isinstance(answer, Mapping):
            raise WrongType(f"Needs a dictionary, as in the stub; yours is of type {type(answer).__name__}.")
        if Ellipsis in answer.values():
            raise Unanswered
    if kind is float and not isinstance(answer, float | int):
        raise WrongType(f"Needs a number; yours is of type {type(answer).__name__}.")
    if kind is Tensor and not isinstance(answer, Tensor | float | int):
        raise WrongType(f"Needs a tensor; your function returns something of type {type(answer).__name__}.")
    if wanted is not Callable:
        return answer
    if not callable(answer):
        raise WrongType(f"Needs a function; yours is of type {type(answer).__name__}. Begin with def.")

    @wraps(answer)
    def call(*arguments, **keywords):
        return answered(answer(*arguments, **keywords), parts[1])

    return call


def checker(check: Callable[..., Verdict]) -> Callable[..., Verdict]:
    """Makes a checker answer instead of raise, also when the learner's code fails, returns nothing or another type."""
    kinds = [kind for name, kind in get_type_hints(check).items() if name != "return"]

    @wraps(check)
    def answer(*arguments) -> Verdict:
        try:
            return check(*map(answered, arguments, kinds))
        except Unanswered:
            return Verdict(False, "There is no answer yet.", "unanswered")
        except WrongType as error:
            return Verdict(False, str(error), "type")
        except Exception as error:  # the learner's code may raise anything
            return Verdict(False, f"Your code raised {type(error).__name__}: {error}", "raises")

    return answer


def check_choices(answer: Mapping[str, Any], names: Collection[str], choices: Collection[Any]) -> Verdict | None:
    """What is wrong with the names or the values of a prediction, and None where they are as they should be.

    Args:
        answer: the learner's.
        names: its keys.
        choices: the values that can be chosen.
    """
    if answer.keys() != set(names):
        return Verdict(False, f"Predict something for each of {', '.join(names)}, and for nothing else.", "names")
    for name, given in answer.items():
        if given not in choices:
            return Verdict(False, f"{name}: {given!r} is none of {', '.join(map(str, choices))}.", "choices")
    return None


def compare(name: str, ours: Tensor, theirs: Tensor) -> None:
    """Prints whether two results are equal, close (float32 rounding), and how far apart they are at most.

    Args:
        name: what is compared.
        ours: the notebook's result.
        theirs: the package's, of the same shape.
    """
    if ours.shape != theirs.shape:
        print(f"{name}: shapes differ, {tuple(ours.shape)} and {tuple(theirs.shape)}")
        return
    exact = torch.equal(ours, theirs)
    difference = (ours - theirs).abs().max().item()
    close = difference <= 1e-4 * theirs.abs().max().item()
    print(f"{name}: exact {exact} | close {close} | max difference {difference:.1e}")
