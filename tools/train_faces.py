"""Trains the encoder of photographs within a given time, and measures it.

    python -m tools.train_faces --minutes 8 --photographs DIR --out OUT

`DIR` holds a folder of aligned photographs for each set; every third person of each is kept to measure on. Without
`DIR` it learns from drawn faces alone. `OUT` gets the weights in pieces, the log, sheets and the figures, again and
again while the training runs, so that an interrupted one leaves what it had. `--start OUT` goes on from there.
"""

import argparse
import json
import math
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pspkit.config import FACE_ENCODER
from pspkit.data.faces.augment import CAMERA, augment
from pspkit.data.faces.drawn import PLAIN, draw_codes
from pspkit.data.faces.photographs import read_photographs
from pspkit.data.pictures import save_picture
from pspkit.inference.evaluation import Judge, unseen_codes
from pspkit.losses.identity import IdentityLoss
from pspkit.losses.perceptual import load_lpips
from pspkit.models.encoders import GradualStyleEncoder
from pspkit.models.mobile_facenet import load_mobile_facenet, load_mobile_facenet_body
from pspkit.models.mobile_stylegan import MobileStyleGAN, load_mobile_stylegan, load_readouts
from pspkit.psp import estimate_latent_avg
from pspkit.storage.checkpoints.files import read_file, write_tensors, write_text
from pspkit.training.start import start_heads
from tools.face_trainer import LOSSES, SIDE, Decode, FaceTrainer, FaceTraining, to_input
from tools.fused import FusedDecoder, dense_groups

INPUT_SIDE = FACE_ENCODER.input_size
PIECE = 14_000_000  # bytes of weights in one file at most
SHOWN = 12  # pictures of each kind on a sheet
DECODE_HELP = "what the losses see; plain is full without the fused kernels (default: full)"


class Meter:
    """Measures an encoder on pictures; everything is decoded in full."""

    def __init__(self, decode: Decode, average: Tensor, lpips: nn.Module, identity: IdentityLoss, batch: int) -> None:
        self.decode, self.average, self.batch = decode, average, batch
        self.judge = Judge(average.device, {"arcface": identity}, lpips)

    @torch.no_grad()
    def outputs(self, encoder: nn.Module, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Codes (N, n_styles, style_dim) of pictures (N, 3, 256, 256), and what is decoded from them, clamped."""
        codes = torch.cat([encoder(to_input(encoder, part)) for part in pictures.split(self.batch)]) + self.average
        return codes, torch.cat([self.decode(part).clamp(-1, 1) for part in codes.split(self.batch)])

    def compare(self, outputs: Tensor, pictures: Tensor) -> dict[str, float]:
        """Likeness of outputs to pictures, both (N, 3, 256, 256): means over the set."""
        return {name: round(values.mean().item(), 5) for name, values in self.judge(outputs, pictures).items()}


class Run:
    """One training from the first step to the figures, and everything it writes."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.began = time.perf_counter()
        self.out, self.minutes, self.max_steps = arguments.out, arguments.minutes, arguments.steps
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
        given = ("batch", "chunk", "lr", "body_lr", "photo_share")
        self.config = FaceTraining(**{name: getattr(arguments, name) for name in given})
        if arguments.start:  # nothing in it is random any more
            self.config = replace(self.config, photos_from=0, body_from=0)
        decoder = MobileStyleGAN.from_pretrained(arguments.decoder) if arguments.decoder else load_mobile_stylegan()
        decoder.requires_grad_(False)
        decoder.readouts = load_readouts()
        decoder.to(self.device)
        self.average = estimate_latent_avg(decoder)
        self.drawn_codes = unseen_codes(decoder, self.average, arguments.faces)
        self.decoder = decoder.to(torch.bfloat16)
        with torch.no_grad():
            drawn = [decode_full(self.decoder, part).clamp(-1, 1) for part in self.drawn_codes.split(8)]
        self.drawn = torch.cat(drawn)
        self.decode = self._decode(arguments.decode, arguments.chunk)
        self.lpips = load_lpips().to(self.device)
        self.identity = IdentityLoss(load_mobile_facenet().to(self.device, torch.float32))
        self.meter = Meter(partial(decode_full, self.decoder), self.average, self.lpips, self.identity, arguments.chunk)
        self.sets = (
            {folder.name: folder for folder in sorted(arguments.photographs.iterdir())} if arguments.photographs else {}
        )
        learned = [read_photographs(folder, kept=False)[1] for folder in self.sets.values()]
        self.photographs = torch.cat(learned).to(self.device) if learned else None
        self.encoder = self._encoder(arguments.start)
        self.trainer = FaceTrainer(
            self.encoder,
            self.decoder,
            self.decode,
            self.average,
            self.lpips,
            self.identity,
            self.photographs,
            self.config,
        )
        self.records: list[dict] = []
        self.progress: list[Tensor] = []  # outputs (N, 3, 256, 256) of every snapshot, for the same inputs

    def _decode(self, kind: str, chunk: int) -> Decode:
        """What the losses see: the preview, or the full decode in the fastest way that gives the same."""
        if kind == "preview":
            return partial(decode_preview, self.decoder)
        plain = partial(decode_full, self.decoder)
        if kind == "plain" or self.device.type != "cuda":
            return plain
        try:
            generator = torch.Generator(self.device).manual_seed(1)
            codes = draw_codes(self.decoder, self.average, chunk, generator, PLAIN)
            fused = FusedDecoder(self.decoder, SIDE)
            (wanted, _), (found, _) = _decode_back(plain, codes), _decode_back(fused, codes)  # compiles, too
            errors = [((x - y).norm() / y.norm()).item() for x, y in zip(found, wanted, strict=True)]
            seconds = [_decode_back(decode, codes)[1] for decode in (fused, plain)]
            print(f"fused decoder: errors {errors}, {seconds[0]:.4f} s a chunk; plain: {seconds[1]:.4f} s", flush=True)
            return fused if max(errors) < 0.2 and seconds[0] < seconds[1] else plain
        except Exception:  # the plain decoder is always there
            traceback.print_exc()
            return plain

    def _encoder(self, start: Path | None) -> GradualStyleEncoder:
        torch.manual_seed(0)
        encoder = new_encoder()
        if start:
            encoder.load_state_dict(read_pieces(start))
            return encoder.to(self.device)
        load_mobile_facenet_body(encoder, self.identity.network.cpu())
        self.identity.to(self.device)
        encoder.to(self.device)
        scale = (self.drawn_codes - self.average).square().mean().sqrt().item()
        start_heads(encoder, to_input(encoder, self.drawn[:64]), scale)
        return encoder

    def choose_layout(self) -> None:
        """On a GPU: dense convolutions for grouped ones, and the memory layout in which the encoder is faster."""
        if self.device.type != "cuda":
            return
        dense_groups(self.encoder.input_layer)
        dense_groups(self.identity.network)
        pictures, seconds = self.drawn[:1].repeat(self.config.batch, 1, 1, 1), {}
        for layout in (torch.contiguous_format, torch.channels_last):
            self.trainer.layout = layout
            self.encoder.to(memory_format=layout)
            for _ in range(3):
                torch.cuda.synchronize()
                began = time.perf_counter()
                self.trainer.encode(pictures).square().mean().backward()
                torch.cuda.synchronize()
                seconds[layout] = time.perf_counter() - began
        self.trainer.layout = layout = min(seconds, key=seconds.get)
        self.encoder.to(memory_format=layout)
        self.trainer.ema.to(memory_format=layout)  # else the averages would be taken one weight at a time
        self.encoder.zero_grad()
        print(f"encoder: {seconds}", flush=True)

    def train(self) -> None:
        """Steps until the time is over; every now and then a record and a snapshot."""
        logged = saved = time.perf_counter()
        losses, budget = [], 60 * self.minutes
        self.trainer.keep()
        while True:
            elapsed = time.perf_counter() - self.began
            taken = self.trainer.taken
            share = taken / self.max_steps if self.max_steps else elapsed / budget
            if share >= 1:
                break
            losses.append(self.trainer.step(share))
            now = time.perf_counter()
            if len(losses) == 100 or now - logged > 20:
                self.record(share, torch.stack(losses), now - logged)
                losses, logged = [], time.perf_counter()
            if now - saved > min(75, 5 + elapsed / 3):  # more often at first, when most changes
                self.attempt(self.snapshot)
                saved = time.perf_counter()
        if losses:
            self.record(1, torch.stack(losses), time.perf_counter() - logged)

    def record(self, share: float, losses: Tensor, seconds: float) -> None:
        means = losses.nanmean(0).tolist()  # waits for the device
        if math.isfinite(means[0]):
            self.trainer.keep()
        else:
            print(
                f"step {self.trainer.taken}: no number any more; back to the last record, at half the rate", flush=True
            )
            self.trainer.restore()
        pace = len(losses) * self.config.batch / seconds
        entry = {
            "step": self.trainer.taken,
            "seconds": round(time.perf_counter() - self.began, 1),
            "share": round(share, 4),
        }
        entry |= {"pictures_a_second": round(pace, 1)}
        entry |= {name: round(value, 5) for name, value in zip(LOSSES, means, strict=True) if math.isfinite(value)}
        self._log(entry)

    def _log(self, entry: dict) -> None:
        self.records.append(entry)
        print(json.dumps(entry), flush=True)
        write_text(self.out / "log.jsonl", "".join(json.dumps(record) + "\n" for record in self.records))

    def snapshot(self) -> None:
        """Writes the weights, measures the drawn faces, and draws a sheet of them and of photographs learned from."""
        write_pieces(self.out, self.trainer.ema.state_dict())
        codes, outputs = self.meter.outputs(self.trainer.ema, self.drawn)
        figures = self.meter.compare(outputs, self.drawn)
        figures["codes"] = self._code_error(codes)
        entry = {"step": self.trainer.taken, "seconds": round(time.perf_counter() - self.began, 1), "drawn": figures}
        rows = [self.drawn[:SHOWN], outputs[:SHOWN]]
        if self.photographs is not None:
            pictures = self.photographs[:: max(len(self.photographs) // 64, 1)].float() / 127.5 - 1
            outputs = self.meter.outputs(self.trainer.ema, pictures)[1]
            entry["learned_photographs"] = self.meter.compare(outputs, pictures)
            rows += [
                pictures[:: max(len(pictures) // SHOWN, 1)][:SHOWN],
                outputs[:: max(len(pictures) // SHOWN, 1)][:SHOWN],
            ]
        self._log(entry)
        write_sheet(self.out / "sheet.jpg", rows)
        self.progress.append(torch.cat([row[: SHOWN // 2].cpu() for row in rows[1::2]]))
        write_sheet(self.out / "progress.jpg", self.progress)

    def _code_error(self, codes: Tensor) -> float:
        error, spread = (codes - self.drawn_codes).square().mean(), (self.drawn_codes - self.average).square().mean()
        return round((error / spread).item(), 5)

    def evaluate(self) -> None:
        """Measures drawn faces and every set's kept photographs, against the mean face; writes the figures."""
        encoder, result = self.trainer.ema, {"config": vars(self.config), "steps": self.trainer.taken}
        result |= {"seconds": round(time.perf_counter() - self.began, 1), "device": describe(self.device)}
        sets, rows = {"drawn": self.drawn}, []
        for name, folder in self.sets.items():
            files, pictures = read_photographs(folder, kept=True)
            sets[name] = pictures.to(self.device).float() / 127.5 - 1
            neutral = [file.startswith("neutral") for file in files]
            if any(neutral):  # one picture a person, so that the right one can come first
                sets[f"{name}_neutral"] = sets[name][torch.tensor(neutral)]
        mean = decode_full(self.decoder, self.average.expand(1, self.decoder.n_styles, -1)).clamp(-1, 1)
        for name, pictures in sets.items():
            codes, outputs = self.meter.outputs(encoder, pictures)
            result[name] = self.meter.compare(outputs, pictures)
            result[f"{name}_mean_face"] = self.meter.compare(mean.expand_as(pictures), pictures)
            if name == "drawn":
                result[name]["codes"] = self._code_error(codes)
            every = max(len(pictures) // SHOWN, 1)
            rows += [pictures[::every][:SHOWN], outputs[::every][:SHOWN]]
            write_text(self.out / "result.json", json.dumps(result, indent=2) + "\n")
        print(json.dumps(result, indent=2), flush=True)
        write_sheet(self.out / "sheet_kept.jpg", rows)

    def attempt(self, part: Callable[[], None], benchmark: bool = False) -> None:
        """Runs a part whose failure must not end the training.

        Args:
            part: what to do.
            benchmark: whether cuDNN may try out its algorithms: worth it for steps, not for batches of many lengths.
        """
        before = torch.backends.cudnn.benchmark
        torch.backends.cudnn.benchmark = benchmark
        try:
            part()
        except Exception:
            traceback.print_exc()
        finally:
            torch.backends.cudnn.benchmark = before


def new_encoder() -> GradualStyleEncoder:
    """The encoder of photographs, untrained: for MobileStyleGAN's sixteen codes, on MobileFaceNet's body."""
    return GradualStyleEncoder.from_config(FACE_ENCODER)


def decode_full(decoder: MobileStyleGAN, codes: Tensor) -> Tensor:
    """Codes (N, n_styles, style_dim) to pictures (N, 3, 256, 256), averaged down from the full decode; not clamped."""
    return F.adaptive_avg_pool2d(decoder.synthesis(codes).float(), SIDE)


def decode_preview(decoder: MobileStyleGAN, codes: Tensor) -> Tensor:
    """As `decode_full`, but through the preview: several times as fast, and without the finest codes."""
    return decoder.preview(codes, SIDE).float()


def write_pieces(folder: Path, state: dict[str, Tensor]) -> None:
    """Writes a state dict in half precision as files `weights-0.safetensors`, …, none larger than `PIECE` bytes."""
    pieces, room = [{}], PIECE
    for name, tensor in state.items():
        size = 2 * tensor.numel()
        if size > room:
            pieces.append({})
            room = PIECE
        pieces[-1][name] = tensor.half()
        room -= size
    for index, piece in enumerate(pieces):
        write_tensors(folder / f"weights-{index}.safetensors", piece, {"format": "pspkit-pieces"})


def read_pieces(folder: Path) -> dict[str, Tensor]:
    """The state dict that `write_pieces` wrote, float32."""
    state = {}
    for file in sorted(folder.glob("weights-*.safetensors")):
        state |= {name: tensor.float() for name, tensor in read_file(file)[0].items()}
    return state


def join_pieces(encoder: nn.Module, run: Path, folder: Path) -> None:
    """Stores the encoder whose weights a training's folder holds in pieces as one model, in half precision."""
    encoder.load_state_dict(read_pieces(run))
    for parameter in encoder.parameters():
        parameter.data = parameter.half()
    encoder.save_pretrained(folder)


def write_sheet(path: Path, rows: list[Tensor]) -> None:
    """Writes rows of pictures (N, 3, 256, 256) in [-1, 1], at half their side."""
    width = max(map(len, rows))
    padded = [F.pad(F.avg_pool2d(row, 2), (0, 0, 0, 0, 0, 0, 0, width - len(row)), value=1) for row in rows]
    sheet = torch.cat([torch.cat(list(row), 2) for row in padded], 1)
    save_picture(path, sheet.cpu())


def describe(device: torch.device) -> str:
    """The device's name."""
    return torch.cuda.get_device_name() if device.type == "cuda" else "CPU"


def _decode_back(decode: Decode, codes: Tensor) -> tuple[tuple[Tensor, Tensor], float]:
    """Pictures and a gradient of theirs at the codes; and the seconds that both took."""
    torch.cuda.synchronize()
    began = time.perf_counter()
    codes = codes.clone().requires_grad_()
    pictures = decode(codes)
    pictures.square().mean().backward()
    torch.cuda.synchronize()
    return (pictures.detach(), codes.grad), time.perf_counter() - began


def profile(run: Run) -> None:
    """Prints how long the parts of a step take, in milliseconds a picture."""
    config, trainer = run.config, run.trainer
    codes, pictures = run.drawn_codes[: config.chunk], run.drawn[: config.chunk]
    batch = pictures.repeat(-(-config.batch // len(pictures)), 1, 1, 1)[: config.batch]
    generator = torch.Generator(run.device).manual_seed(0)

    def encode() -> None:
        trainer.encode(batch).square().mean().backward()

    def decode_back() -> None:
        wanted = codes.clone().requires_grad_()
        run.decode(wanted).square().mean().backward()

    def draw() -> None:
        with torch.no_grad():
            run.decode(codes)

    parts = {
        "encoder, forward and back": (encode, config.batch),
        "decoder, forward": (draw, config.chunk),
        "decoder, forward and back": (decode_back, config.chunk),
        "all picture losses, decoder included": (
            lambda: trainer._picture_gradient(codes, pictures, True),
            config.chunk,
        ),
        "augmentation": (lambda: augment(batch, generator, CAMERA), config.batch),
    }
    for name, (part, count) in parts.items():
        times = []
        for _ in range(4):
            _wait(run.device)
            began = time.perf_counter()
            part()
            _wait(run.device)
            times.append(time.perf_counter() - began)
        print(f"{name}: {1000 * min(times) / count:.3f} ms a picture (first {times[0]:.2f} s)", flush=True)
    run.encoder.zero_grad()
    if run.device.type == "cuda":
        print(f"memory {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB", flush=True)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tools.train_faces", description=__doc__.partition("\n")[0])
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
