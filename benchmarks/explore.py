"""From a moved control to the picture, for each explorer, against what a person takes for immediate.

Measured is all that the kernel does: the drawing, its packing and its words. The explorers' wiring asks for nothing
else; a browser needs some milliseconds more to show it.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from matplotlib.figure import Figure

from benchmarks.measure import machine
from pspkit.course.explore import blocks, curves, degradations, draw, easel, heads, portraits, pyramid, styles, walk
from pspkit.course.explore.wiring import drawing
from pspkit.data.heads import render, sample_factors
from pspkit.data.heads.dataset import FIRST_PERSON
from pspkit.domains import WEIGHTS, get_domain
from pspkit.inference.directions import FACE_DIRECTIONS, load_directions
from pspkit.inference.edit import People
from pspkit.models.mobile_stylegan import load_mobile_stylegan
from pspkit.storage.checkpoints import load_codes

HEADS, PREVIEWS, PHOTOGRAPHS = 0.1, 0.15, 1.0  # seconds a picture may take


def explorers() -> Iterator[tuple[str, float, Any, bool, Callable[[int], Any]]]:
    """Title, seconds allowed, what renders and describes, whether photographic, and the state of each interaction."""
    domain = get_domain("heads")
    people = render(sample_factors(8, seed=0, start=FIRST_PERSON["test"]), 64)
    encode = domain.psp("encode")
    yield "heads, the preview", HEADS, First(heads.preview, heads.describe), True, lambda n: heads.State(yaw=n - 50.0)
    yield "heads, all four", PHOTOGRAPHS, heads, True, lambda n: heads.State(yaw=n - 50.5)
    yield "blocks", HEADS, blocks, False, lambda n: blocks.State(unit=n)
    viewer = pyramid.PyramidViewer(encode.encoder, people.image)
    yield "pyramid", HEADS, viewer, True, lambda n: pyramid.State(channel=n)
    training = curves.TrainingCurves(WEIGHTS / "heads-encode")
    yield "curves", HEADS, training, True, lambda n: curves.State(smoothing=n / 100, step=training.steps[-1])
    for task in ("segmentation", "sketch"):
        drawn = draw.Drawing(task, domain.psp(task), people)
        first = First(drawn.stages[0], drawn.describe)
        yield f"draw, {task}", HEADS, first, True, lambda n: easel.State(0, (easel.Stroke(0, 5, ((n, n),)),))
    walker = walk.Walker(encode, people.image, load_directions())
    yield "walk", HEADS, walker, True, lambda n: walk.State(step=n / 100)
    degrader = degradations.Degrader(pyramid.faces())
    yield "degradations, photographs", PHOTOGRAPHS, degrader, True, lambda n: degradations.State(task="inpaint", draw=n)
    decoder = load_mobile_stylegan()
    w = load_codes(pyramid.SAMPLES / "codes.safetensors", "w")
    mixer = styles.StyleMixer(decoder, w[:, None].expand(-1, decoder.n_styles, -1))
    first = First(mixer.preview, mixer.describe)
    yield "style mixing, the preview", PREVIEWS, first, True, lambda n: styles.State(alpha=n / 100)
    yield "style mixing, in full", PHOTOGRAPHS, mixer, True, lambda n: styles.State(alpha=n / 100)
    people = People(decoder, mixer.people, [None] * len(w))
    walker = portraits.PortraitWalker(people, [f"face {n}" for n in range(len(w))], load_directions(FACE_DIRECTIONS))
    first = First(walker.preview, walker.describe)
    yield "portraits, the preview", PREVIEWS, first, True, lambda n: portraits.State(smile=n / 100)
    yield "portraits, in full", PHOTOGRAPHS, walker, True, lambda n: portraits.State(smile=n / 100)


class First(NamedTuple):
    """What an explorer shows at once, before the rest."""

    render: Callable[[Any], Figure]
    describe: Callable[[Any], str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=20, help="interactions with each explorer; 20 unless given")
    runs = parser.parse_args().runs
    print(f"\nFrom a moved control to the picture\n{machine()}, {runs} interactions each, after one to warm up")
    print(f"{'':28}{'median':>10}{'slowest':>10}{'allowed':>10}", flush=True)
    for title, allowed, explorer, photographic, state in explorers():
        show = drawing(explorer.render, explorer.describe, photographic)
        show(state(0))
        seconds = []
        for number in range(1, runs + 1):
            start = time.perf_counter()
            show(state(number))
            seconds.append(time.perf_counter() - start)
        times = (statistics.median(seconds), max(seconds), allowed)
        print(f"{title:28}" + "".join(f"{1000 * value:7.0f} ms" for value in times), flush=True)


if __name__ == "__main__":
    main()
