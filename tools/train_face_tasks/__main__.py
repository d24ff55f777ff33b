"""The command line."""

import argparse
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pspkit.models.mobile_stylegan import load_mobile_stylegan
from pspkit.psp import estimate_latent_avg
from pspkit.storage.checkpoints.files import write_tensors
from tools import train_face_tasks
from tools.train_face_tasks.faces import Faces
from tools.train_face_tasks.kit import REFINING, Kit
from tools.train_face_tasks.plans import PLANS, SHIPPED
from tools.train_face_tasks.start import find_start
from tools.train_face_tasks.training import Training


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tools.train_face_tasks", description=train_face_tasks.__doc__.partition("\n")[0]
    )
    parser.add_argument("--photographs", type=Path, metavar="DIR", help="a folder for each set of aligned photographs")
    parser.add_argument("--out", type=Path, required=True, help="where everything is written")
    parser.add_argument("--minutes", type=float, default=1.4, help="of steps for each encoder (default: 1.4)")
    parser.add_argument("--steps", type=int, default=0, help="stop after so many steps instead of by the clock")
    parser.add_argument("--only", nargs="+", choices=tuple(PLANS), default=SHIPPED, help="these encoders alone")
    parser.add_argument("--drawn", type=int, default=40_000, help="faces that are drawn to learn from (default: 40000)")
    parser.add_argument("--batch", type=int, default=96, help="pictures in a step (default: 96)")
    parser.add_argument("--chunk", type=int, default=34, help="pictures that are drawn at once (default: 34)")
    parser.add_argument(
        "--refining", type=int, default=REFINING, help="steps that find a photograph's codes (default: 25)"
    )
    parser.add_argument("--masks", type=int, default=3000, help="masks to choose from")
    parser.add_argument("--most", type=int, default=None, help="photographs of each set at most (default: all)")
    parser.add_argument("--unseen", type=int, default=96, help="drawn faces that are measured (default: 96)")
    parser.add_argument("--start", type=Path, metavar="FILE", help="what --write-start wrote, on another machine")
    parser.add_argument("--write-start", type=Path, metavar="FILE", help="only write what another machine starts from")
    arguments = parser.parse_args()
    if arguments.write_start:
        folders = sorted(arguments.photographs.iterdir())
        average = estimate_latent_avg(load_mobile_stylegan())
        start = find_start({folder.name: folder for folder in folders}, arguments.most, average)
        write_tensors(arguments.write_start, start, {"format": "pspkit-start"})
        return
    began = time.perf_counter()
    kit = Kit(arguments)
    print(f"ready after {time.perf_counter() - began:.1f} s", flush=True)
    faces = Faces(kit, arguments.drawn, arguments.chunk)
    trainings = []
    for name in arguments.only:
        with attempt():
            training = Training(kit, faces, name, arguments.batch, arguments.out)
            print(f"{name}: begins after {time.perf_counter() - began:.1f} s", flush=True)
            training.train(arguments.minutes, arguments.steps)
            trainings.append(training)
    for training in trainings:
        with attempt():
            training.evaluate()
            print(f"{training.name}: measured after {time.perf_counter() - began:.1f} s", flush=True)


@contextmanager
def attempt() -> Iterator[None]:
    """What fails here must not end the trainings that follow."""
    try:
        yield
    except Exception:
        traceback.print_exc()


if __name__ == "__main__":
    main()
