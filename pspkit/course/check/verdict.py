"""What a checker answers, and the comparison of two results."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from types import FunctionType
from typing import Any

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


def answered(answer: Any) -> Any:
    """The learner's answer; a stub, or a function that returns nothing, raises `Unanswered`."""
    if answer is None or answer is Ellipsis:
        raise Unanswered
    if not isinstance(answer, FunctionType):
        return answer

    @wraps(answer)
    def call(*arguments, **keywords):
        return answered(answer(*arguments, **keywords))

    return call


def checker(check: Callable[..., Verdict]) -> Callable[..., Verdict]:
    """Makes a checker answer instead of raise, also when the learner's code fails or returns nothing."""

    @wraps(check)
    def answer(*arguments, **keywords) -> Verdict:
        try:
            return check(*map(answered, arguments), **keywords)
        except Unanswered:
            return Verdict(False, "There is no answer yet.", "unanswered")
        except Exception as error:  # the learner's code may raise anything
            return Verdict(False, f"Your code raised {type(error).__name__}: {error}", "raises")

    return answer


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
