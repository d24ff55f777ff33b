"""The command `pspkit`: look into weights, fetch assets, render heads, check pictures, train, run the course."""

import argparse
import os
import sys
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pspkit import PspkitError, __version__

# Memory for a map of 1024 px costs as much as the arithmetic on it; less in huge pages. Torch reads this once.
HUGE_PAGES = {"THP_MEM_ALLOC_ENABLE": "1"}

RUN_OPTIONS = {
    "domain": "heads (rendered ones, default), faces (photographs) or objects (anything else)",
    "task": "encode (default), frontalize, sketch, segmentation, super_resolution, colorize, inpaint or toonify",
    "profile": "sizes and steps: smoke, cpu, gpu or paper (default: PSPKIT_PROFILE, else by device)",
    "kind": "of the encoder: gradual (default), w or w_plus",
    "decoder": "file of a decoder (default: the domain's own)",
    "identity": "file of a face-recognition network, for the loss and as a start (default: the domain's own)",
    "encoder": "file of a trained encoder or pSp to start from",
    "moco": "file of MoCo v2's ResNet-50, for domains without faces",
    "source": "folder of pictures, sketches or label maps; a tenth, 256 at most, is held out (default: the domain's)",
    "target": "folder of the pictures that belong to them",
}
TRAINING_OPTIONS = {
    "steps": (int, "steps in all"),
    "batch": (int, "pairs that a process sees at once"),
    "accumulate": (int, "batches whose gradients make one step"),
    "optimizer": (str, "ranger or adam"),
    "lr": (float, "learning rate"),
    "precision": (str, "float32, bfloat16, float16 or auto"),
    "heads": (int, "heads to render for training"),
    "validate_every": (int, "steps between two validations"),
    "save_every": (int, "steps between two saved states"),
    "workers": (int, "processes that read pictures"),
    "seed": (int, "of weights and of the pairs' order"),
}

# The handlers import what they need themselves, so that `pspkit --help` does not wait for torch.


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
        argv: the arguments; those of the process when None.

    Returns:
        The exit code: 0, or 1 where something given cannot be used, or 130 after an interrupt.
    """
    arguments = _parser().parse_args(argv)
    os.environ.update(HUGE_PAGES | os.environ)
    try:
        return arguments.handler(arguments) or 0
    except PspkitError as error:
        print(f"pspkit: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="pspkit", description=__doc__)
    parser.add_argument("--version", action="version", version=f"pspkit {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    inspect = commands.add_parser("inspect", help="say what a weights file is, what it holds and whether it will load")
    inspect.add_argument("file", type=Path, metavar="FILE")
    inspect.set_defaults(handler=_inspect)

    assets = commands.add_parser("assets", help="the pretrained weights the project can fetch")
    actions = assets.add_subparsers(required=True, metavar="ACTION")
    actions.add_parser("list", help="what there is, under which licence").set_defaults(handler=_assets_list)
    get = actions.add_parser("get", help="fetch one into the cache")
    get.add_argument("name", metavar="NAME")
    get.set_defaults(handler=_assets_get)

    render = commands.add_parser("render", help="render heads with their labels, sketches and factors into a folder")
    render.add_argument("--seed", type=int, default=0, metavar="S", help="what the factors are drawn from (default: 0)")
    render.add_argument("--count", type=int, default=16, metavar="N", help="how many heads (default: 16)")
    render.add_argument("--size", type=int, default=128, metavar="PX", help="side: 64, 128 or 256 (default: 128)")
    render.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the files go")
    render.add_argument("--look", default="plain", help="plain or toon (default: plain)")
    render.add_argument(
        "--yaw", type=float, metavar="DEG", help="turn all heads alike: -60 to 60, positive to the right"
    )
    render.add_argument("--same-identity", action="store_true", help="one person in N scenes")
    render.set_defaults(handler=_render)

    pairs = commands.add_parser("pairs", help="check folders of your own for a task, and draw what it would be shown")
    pairs.add_argument("--task", required=True, help="such as encode, sketch or segmentation; notebook 06 has them all")
    pairs.add_argument("--source", type=Path, required=True, metavar="DIR", help="pictures, sketches or label maps")
    pairs.add_argument("--target", type=Path, metavar="DIR", help="the pictures that belong to sketches or label maps")
    pairs.add_argument("--size", type=int, default=256, metavar="PX", help="side of the pairs (default: 256)")
    pairs.add_argument("--on-bad-image", default="stop", help="stop (default), or skip what cannot be used")
    pairs.add_argument(
        "--out", type=Path, metavar="FILE", help="where to draw the first eight pairs, such as pairs.png"
    )
    pairs.set_defaults(handler=_pairs)

    train = commands.add_parser(
        "train",
        help="train an encoder for a task",
        description="Trains an encoder for a task, into DIR: run.json, state.pt, best/, last/, log.jsonl, sheets/ and"
        " tensorboard/. Several processes: torchrun --nproc-per-node N -m pspkit train ...",
    )
    train.add_argument("--out", type=Path, required=True, metavar="DIR", help="where everything is kept")
    train.add_argument("--resume", action="store_true", help="go on with what DIR holds, or begin where it holds none")
    for name, text in RUN_OPTIONS.items():
        train.add_argument(f"--{name}", metavar=name.upper(), help=text)
    train.add_argument(
        "--loss", action="append", metavar="NAME=WEIGHT", help="a weight that replaces the task's; repeatable"
    )
    for name, (kind, text) in TRAINING_OPTIONS.items():
        train.add_argument(f"--{name.replace('_', '-')}", type=kind, metavar="N" if kind is int else "X", help=text)
    train.add_argument("--train-decoder", action="store_true", default=None, help="train the decoder too")
    train.set_defaults(handler=_train)

    course = commands.add_parser("course", help="the notebooks")
    actions = course.add_subparsers(required=True, metavar="ACTION")
    run = actions.add_parser("run", help="run the notebooks in order and render them")
    run.add_argument("--only", action="append", default=[], metavar="NN", help="only this notebook; repeatable")
    run.add_argument("--in-place", action="store_true", help="write the outputs into the notebooks; render nothing")
    run.set_defaults(handler=_course_run)
    actions.add_parser("site", help="render the notebooks as they are").set_defaults(handler=_course_site)
    return parser


def _inspect(arguments: argparse.Namespace) -> int:
    from pspkit.psp import inspect_checkpoint

    report = inspect_checkpoint(arguments.file)
    print(report)
    return 0 if report.loads else 1


def _assets_list(arguments: argparse.Namespace) -> None:
    from pspkit.assets import ASSETS, is_cached

    rows = [("name", "cached", "MB", "purpose", "licence")]
    for name, asset in ASSETS.items():
        cached = "yes" if is_cached(name) else "no"
        rows.append((name, cached, f"{asset.size_mb:.1f}", asset.purpose, asset.licence + " †" * asset.restricted))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    print("† not for commercial use; data/README.md says more")


def _assets_get(arguments: argparse.Namespace) -> None:
    from pspkit.assets import fetch

    print(fetch(arguments.name))


def _render(arguments: argparse.Namespace) -> None:
    from pspkit.heads import export, sample_factors

    if arguments.count < 1:
        raise PspkitError(f"--count: got {arguments.count}, needs at least 1.")
    factors = sample_factors(arguments.count, arguments.seed, views=arguments.count if arguments.same_identity else 1)
    if arguments.yaw is not None:
        if not -60 <= arguments.yaw <= 60:
            raise PspkitError(f"--yaw: got {arguments.yaw:g}, needs -60 to 60 degrees.")
        factors = factors.replace(yaw=arguments.yaw)
    export(factors, arguments.size, arguments.out, look=arguments.look)
    print(arguments.out)


def _pairs(arguments: argparse.Namespace) -> None:
    from pspkit.folders import FolderPairs

    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_: print(message, file=sys.stderr)  # what is skipped, without its line
        pairs = FolderPairs(
            arguments.source,
            arguments.target,
            task=arguments.task,
            size=arguments.size,
            training=False,
            on_bad_image=arguments.on_bad_image,
        )
    print(f"{len(pairs)} pairs for {arguments.task}")
    if arguments.out:
        from pspkit.show import photos

        sources, targets = zip(*(pairs[index] for index in range(min(8, len(pairs)))), strict=True)
        shown = [pairs.task.show_source(source[None])[0] for source in sources]
        photos([*shown, *targets], columns=len(shown), rows=("source", "target")).savefig(arguments.out, dpi=110)
        print(arguments.out)


def _train(arguments: argparse.Namespace) -> None:
    import torch
    from tqdm.auto import tqdm

    from pspkit.config import CONFIGS, TRAININGS, choose_profile
    from pspkit.errors import check_choice
    from pspkit.psp import describe
    from pspkit.training import Run

    given = {name: getattr(arguments, name) for name in RUN_OPTIONS if getattr(arguments, name) is not None}
    for name in given.keys() - {"domain", "task", "profile", "kind"}:
        given[name] = str(Path(given[name]).resolve())
    if arguments.loss:
        given["losses"] = dict(map(_loss_weight, arguments.loss))
    changed = {name: getattr(arguments, name) for name in (*TRAINING_OPTIONS, "train_decoder")}
    changed = {name: value for name, value in changed.items() if value is not None}

    run = Run.recorded(arguments.out)
    if run and not arguments.resume:
        raise PspkitError(f"{arguments.out}: holds a training already. Go on with --resume, or name another folder.")
    if run:
        before = vars(run) | vars(run.training)
        other = [name for name, value in (given | changed).items() if before[name] != value and name != "steps"]
        if other:
            raise PspkitError(
                f"--{other[0].replace('_', '-')}: {arguments.out} began with {before[other[0]]!r}. Leave it out to go"
                " on, or name another folder."
            )
        run = replace(run, training=replace(run.training, **changed))
    else:
        given.setdefault("profile", choose_profile(torch.accelerator.is_available())[0])
        check_choice("profile", given["profile"], tuple(CONFIGS))
        run = Run(**given, training=replace(TRAININGS[given["profile"]], **changed))

    trainer = run.trainer(arguments.out)
    main_process = trainer.accelerator.is_main_process
    say = tqdm.write if main_process else lambda *_: None
    if main_process:
        run.record(arguments.out)
    if arguments.resume:
        trainer.resume()
    encoder = trainer.psp.encoder.config
    say(f"{run.domain}, {run.task}, {run.profile}: encoder {describe(encoder)}")
    say(f"decoder {describe(trainer.psp.decoder.config)}; first weights from {run.first_weights(encoder) or 'chance'}")
    say(f"{len(trainer.training)} pairs, {len(trainer.validation)} held out; {trainer.describe()}")
    for report in trainer.run():
        found = "  ".join(f"{name} {value:.4f}" for name, value in report.validation.items())
        say(f"step {report.step:>6}  {report.seconds:>7.0f} s  validation {found}{'  best' if report.best else ''}")
    say(str(arguments.out))


def _loss_weight(text: str) -> tuple[str, float]:
    name, _, weight = text.partition("=")
    try:
        return name, float(weight)
    except ValueError:
        raise PspkitError(f"--loss: got {text!r}, needs NAME=WEIGHT, such as identity=0.5.") from None


def _course_run(arguments: argparse.Namespace) -> None:
    from pspkit.course import run

    run(only=arguments.only, in_place=arguments.in_place)


def _course_site(arguments: argparse.Namespace) -> None:
    from pspkit.course import site

    site()
