"""Fits the encoder in closed form on drawn faces, and says what its features are worth.

    python -m tools.fit_closed_form --faces 40000 --out OUT

OUT gets the encoder in half precision, and log.jsonl with the share of the codes' variance (R²) that is predicted on
faces held out: by the number of faces, by the strength of the ridge, by the rank, and from other features, which are
the pixels and the maps of an untrained body. Every number of log.jsonl is the best of `RIDGES`. A GPU needs about a
minute; two cores with bfloat16 need a quarter of a second a face.
"""

import argparse
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm.auto import tqdm

from pspkit.data.faces.drawn import PLAIN, WIDE, Variety, draw_codes
from pspkit.device import choose_device, native_precision
from pspkit.errors import PspkitError, check_choice
from pspkit.models.closed_form import ClosedFormEncoder, Moments, Regression, explained, fit_closed_form
from pspkit.models.mobile_facenet import load_mobile_facenet, load_mobile_facenet_body
from pspkit.models.mobile_stylegan import MobileStyleGAN, load_mobile_stylegan
from pspkit.psp import estimate_latent_avg
from pspkit.storage.checkpoints.files import write_text
from tools.faces.decoding import decode_full, decode_preview
from tools.faces.meter import describe

SIDE = 128  # pixels that the encoder reads
RIDGES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
RANKS = (8, 16, 32, 64, 96, 128, 192, 256)
PIXELS = 32  # side of the picture whose pixels are the features, for comparison
OTHERS = 10_000  # faces at most that the other features are fitted on
HELD_OUT_SEED, SEED = 22_000, 30_000
VARIETIES = {"plain": PLAIN, "wide": WIDE}

Features = Callable[[Tensor], Tensor]  # pictures (N, 3, SIDE, SIDE) to (N, features)


class Faces:
    """Drawn faces whose codes are known.

    Args:
        decoder: in the precision that it draws in.
        average: (style_dim,), its average code.
        variety: of the codes.
        chunk: pictures that are decoded at once.
    """

    def __init__(self, decoder: MobileStyleGAN, average: Tensor, variety: Variety, chunk: int) -> None:
        self.decoder, self.average, self.variety, self.chunk = decoder, average, variety, chunk

    @torch.no_grad()
    def draw(self, count: int, seed: int, preview: bool) -> tuple[Tensor, Tensor]:
        """Codes less the average, (count, n_styles, style_dim), and pictures (count, 3, SIDE, SIDE) in [-1, 1].

        Args:
            count: how many.
            seed: of the codes.
            preview: draw pictures through the preview instead of decoding them in full.
        """
        generator = torch.Generator(self.average.device).manual_seed(seed)
        codes = draw_codes(self.decoder, self.average, count, generator, self.variety)
        decode = decode_preview if preview else decode_full
        pictures = [decode(self.decoder, part).clamp(-1, 1) for part in codes.split(self.chunk)]
        return codes - self.average, F.adaptive_avg_pool2d(torch.cat(pictures), SIDE)


class Fit:
    """A regression on one kind of features, measured on faces held out.

    Args:
        name: of the features.
        features: of pictures.
        held_out: codes and pictures, as `Faces.draw` gives them.
    """

    def __init__(self, name: str, features: Features, held_out: tuple[Tensor, Tensor]) -> None:
        self.name, self.features, self.codes = name, features, held_out[0]
        self.held_out = features(held_out[1])
        self.moments = Moments(self.held_out.shape[1], self.codes[0].numel(), self.codes.device)

    def add(self, codes: Tensor, pictures: Tensor) -> None:
        self.moments.add(self.features(pictures), codes.flatten(1))

    def solve(self) -> tuple[Regression, dict]:
        """The regression so far, and the record of its best ridge."""
        regression = Regression(self.moments)
        records = [self.record(regression.predict(self.held_out, ridge), ridge) for ridge in RIDGES]
        return regression, max(records, key=lambda record: record["r2"])

    def record(self, found: Tensor, ridge: float, **more: int) -> dict:
        """What predicted codes (N, codes) explain of the codes held out."""
        found, codes = found.view_as(self.codes), self.codes.double()
        total = 1 - (found - codes).square().sum() / (codes - codes.mean(0)).square().sum()
        by_code = [round(value, 4) for value in explained(found, codes).tolist()]
        head = {"features": self.name, "length": self.moments.xx.shape[0], "faces": self.moments.count, "ridge": ridge}
        return head | more | {"r2": round(total.item(), 4), "codes": by_code}


def pixels(pictures: Tensor) -> Tensor:
    """The pixels of a small picture."""
    return F.adaptive_avg_pool2d(pictures, PIXELS).flatten(1)


def new_encoder(rank: int) -> ClosedFormEncoder:
    """The encoder, untrained."""
    return ClosedFormEncoder(n_styles=16, input_size=SIDE, map2style_width=rank, backbone="mobile_facenet").eval()


def face_encoder(rank: int) -> ClosedFormEncoder:
    """The encoder on the body that knows faces."""
    encoder = new_encoder(rank)
    load_mobile_facenet_body(encoder, load_mobile_facenet())
    return encoder


def milestones(faces: int, batch: int) -> list[int]:
    """Numbers of faces, whole batches, at which the regression is solved: the last is the largest up to `faces`."""
    batches = faces // batch
    return sorted({max(1, batches // part) * batch for part in (32, 16, 8, 4, 2, 1)})


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tools.fit_closed_form", description=__doc__.partition("\n")[0])
    parser.add_argument("--faces", type=int, default=40_000, help="drawn faces to fit on (default: 40000)")
    parser.add_argument("--held-out", type=int, default=500, help="others to measure on (default: 500)")
    parser.add_argument("--rank", type=int, default=160, help="of the encoder that is stored (default: 160)")
    parser.add_argument("--variety", default="plain", help="of the faces: plain (default) or wide")
    parser.add_argument("--preview", action="store_true", help="draw through the preview: quicker, without fine codes")
    parser.add_argument("--batch", type=int, default=500, help="faces that are added at once (default: 500)")
    parser.add_argument("--chunk", type=int, default=50, help="pictures that are decoded at once (default: 50)")
    parser.add_argument("--device", help="where to compute (default: CUDA where there is one)")
    parser.add_argument("--out", type=Path, required=True, metavar="OUT", help="folder for the encoder and the figures")
    run(parser.parse_args())


def run(arguments: argparse.Namespace) -> None:
    """Draws, fits, measures and stores.

    Raises:
        PspkitError: too few faces, or no such variety.
    """
    check_choice("variety", arguments.variety, tuple(VARIETIES))
    if arguments.faces < arguments.batch or min(arguments.batch, arguments.held_out) < 2:
        raise PspkitError("--faces, --batch and --held-out: need at least one batch, of 2 faces or more, and 2 others.")
    began, records, device = time.perf_counter(), [], choose_device(arguments.device)

    def log(record: dict) -> None:
        records.append(record | {"seconds": round(time.perf_counter() - began, 1)})
        print(json.dumps(records[-1]), flush=True)
        write_text(arguments.out / "log.jsonl", "".join(json.dumps(each) + "\n" for each in records))

    decoder = load_mobile_stylegan().to(device)
    average = estimate_latent_avg(decoder)  # in float32
    decoder.to(getattr(torch, native_precision(device)))
    log({"device": describe(device), "variety": arguments.variety, "preview": arguments.preview})

    torch.manual_seed(0)
    encoder, untrained = face_encoder(arguments.rank).to(device), new_encoder(1).to(device)
    held_out = Faces(decoder, average, PLAIN, arguments.chunk).draw(arguments.held_out, HELD_OUT_SEED, preview=False)
    make = partial(Fit, held_out=held_out)
    ours = make("face network", encoder.features)
    others = [make("pixels", pixels), make("untrained network", untrained.features)]
    faces = Faces(decoder, average, VARIETIES[arguments.variety], arguments.chunk)
    stops = milestones(arguments.faces, arguments.batch)
    compared = max([stop for stop in stops if stop <= OTHERS], default=stops[0])
    for step in tqdm(range(stops[-1] // arguments.batch), "drawing", unit="batch", disable=None):
        drawn = faces.draw(arguments.batch, SEED + step, arguments.preview)
        ours.add(*drawn)
        for other in others if ours.moments.count <= compared else ():
            other.add(*drawn)
        if ours.moments.count in stops:
            regression, best = ours.solve()
            log(best)
        if ours.moments.count == compared:
            for other in others:
                log(other.solve()[1])
    ridge = best["ridge"]
    reduce, expand = regression.cut(ridge, max(RANKS))
    reduced = regression.standardise(ours.held_out) @ reduce.T
    for rank in RANKS:
        found = reduced[:, :rank] @ expand[:, :rank].T + regression.offset
        log(ours.record(found, ridge, rank=rank))
    fit_closed_form(encoder, regression, ridge)
    for parameter in encoder.parameters():
        parameter.data = parameter.half()
    encoder.save_pretrained(arguments.out)


if __name__ == "__main__":
    main()
