"""The command line."""

import argparse
import time
from functools import partial
from pathlib import Path

from tools import train_faces
from tools.faces.meter import describe
from tools.train_faces.run import Run
from tools.train_faces.timing import profile
from tools.train_faces.trainer import FaceTraining

DECODE_HELP = "what the losses see; plain is full without the fused kernels (default: full)"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tools.train_faces", description=train_faces.__doc__.partition("\n")[0]
    )
    parser.add_argument("--minutes", type=float, default=8, help="until the weights are written (default: 8)")
    parser.add_argument("--steps", type=int, default=0, help="stop after so many steps instead of by the clock")
    parser.add_argument("--photographs", type=Path, metavar="DIR", help="a folder for each set of aligned photographs")
    parser.add_argument("--decoder", type=Path, metavar="DIR", help="a saved MobileStyleGAN (default: the asset)")
    parser.add_argument("--start", type=Path, metavar="OUT", help="go on from the weights of another run")
    parser.add_argument("--decode", choices=("full", "plain", "preview"), default="full", help=DECODE_HELP)
    parser.add_argument("--batch", type=int, default=64, help="pictures in a step (default: 64)")
    parser.add_argument("--chunk", type=int, default=32, help="pictures that are decoded at once (default: 32)")
    parser.add_argument("--lr", type=float, default=FaceTraining.lr, help="largest rate of the new layers")
    parser.add_argument("--body-lr", type=float, default=FaceTraining.body_lr, help="largest rate of the body")
    parser.add_argument("--photo-share", type=float, default=FaceTraining.photo_share, help="part of a batch")
    parser.add_argument("--faces", type=int, default=200, help="drawn faces that are measured (default: 200)")
    parser.add_argument("--out", type=Path, required=True, help="where everything is written")
    run = Run(parser.parse_args())
    print(f"ready after {time.perf_counter() - run.began:.1f} s, {describe(run.device)}", flush=True)
    run.attempt(run.choose_layout, benchmark=True)
    run.attempt(partial(profile, run), benchmark=True)
    run.attempt(run.train, benchmark=True)
    run.attempt(run.snapshot)
    run.attempt(run.evaluate)


if __name__ == "__main__":
    main()
