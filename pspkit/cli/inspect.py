"""`inspect`: what a weights file is."""

import argparse
from pathlib import Path

from pspkit.cli.parsing import add_command


def add(commands: argparse._SubParsersAction) -> None:
    """Adds the command."""
    inspect = add_command(
        commands,
        "inspect",
        _inspect,
        "say what a weights file is, what it holds and whether it will load",
        """Says what a weights file is, what it holds, and by which call it will load. Nothing that the file brings is
        run. The exit code is 1 where it will not load.""",
        ["pspkit inspect psp_ffhq_encode.pt", "pspkit inspect runs/sketch"],
    )
    inspect.add_argument(
        "file",
        type=Path,
        metavar="FILE",
        help="a file of pspkit or of the reference, a folder of save_pretrained, or that of a training",
    )


def _inspect(arguments: argparse.Namespace) -> int:
    from pspkit.inference.inspect import inspect_checkpoint

    models = [arguments.file / name for name in ("best", "last")]  # of a training
    inspection = inspect_checkpoint(next((model for model in models if model.is_dir()), arguments.file))
    print(inspection)
    return 0 if inspection.loads else 1
