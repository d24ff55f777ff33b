"""The notebooks: `course`."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager

from pspkit.cli.parsing import add_command, add_group
from pspkit.errors import PspkitError


def add(commands: argparse._SubParsersAction) -> None:
    """Adds the commands."""
    actions = add_group(commands, "course", "the notebooks")
    run = add_command(
        actions,
        "run",
        _course_run,
        "run the notebooks in order and render them",
        """Runs the notebooks in order, under the smallest profile, and renders them to site/index.html. It stops at the
        first cell that fails.""",
        ["pspkit course run", "pspkit course run --only 03"],
    )
    run.add_argument("--only", action="append", default=[], metavar="NN", help="only this notebook; repeatable")
    run.add_argument("--in-place", action="store_true", help="write the outputs into the notebooks; render nothing")
    add_command(actions, "site", _course_site, "render the notebooks as they are")


def _course_run(arguments: argparse.Namespace) -> None:
    with _its_packages():
        from pspkit.course.run import run

    run(only=arguments.only, in_place=arguments.in_place)


def _course_site(arguments: argparse.Namespace) -> None:
    with _its_packages():
        from pspkit.course.run import site

    site()


@contextmanager
def _its_packages() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        raise PspkitError(
            f"{error.name}: the course needs this package, and it is not installed. Install the course's packages: in a"
            " clone of the project, pip install --editable '.[course]'."
        ) from error
