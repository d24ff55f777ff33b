"""An encoder of heads, trained from the shipped decoder and identity network as `pspkit train --profile cpu` does it.

How long that takes here, and how good it is on unseen heads, beside the encoder that ships.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.measure import machine
from pspkit.domains import WEIGHTS
from pspkit.models.encoders import Encoder
from pspkit.training.keeper import read_log
from tools.measuring import measure_task

FIGURES = ("l2", "lpips", "identity")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, help="of training; the profile's unless given")
    parser.add_argument("--out", type=Path, help="where to keep the run; nowhere unless given")
    arguments = parser.parse_args()
    command = [sys.executable, "-m", "pspkit", "train", "--domain", "heads", "--task", "encode", "--profile", "cpu"]
    command += ["--steps", str(arguments.steps)] if arguments.steps else []
    print(f"\nAn encoder of heads on this machine\n{machine()}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        run = arguments.out or Path(folder)
        subprocess.run([*command, "--out", str(run)], check=True)
        last = read_log(run)[-1]
        here, _ = measure_task(Encoder.from_pretrained(run / "best"), "encode")
    shipped = json.loads((WEIGHTS / "heads-encode" / "card.json").read_text(encoding="utf-8"))
    print(f"{'':10}{'steps':>8}{'minutes':>9}" + "".join(f"{name:>10}" for name in FIGURES))
    rows = {"here": (last["step"], last["seconds"], here)}
    rows["shipped"] = (shipped["steps"], shipped["seconds"], shipped["metrics"])
    for name, (steps, seconds, found) in rows.items():
        figures = "".join(f"{found[figure]:10.3f}" for figure in FIGURES)
        print(f"{name:10}{steps:8,}{seconds / 60:9.1f}{figures}", flush=True)


if __name__ == "__main__":
    main()
