"""One training of the encoder of photographs, and everything it writes."""

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
from torch import Tensor

from pspkit.config import FACE_ENCODER
from pspkit.data.faces.drawn import PLAIN, draw_codes
from pspkit.data.faces.photographs import read_photographs
from pspkit.inference.evaluation import unseen_codes
from pspkit.losses.identity import IdentityLoss
from pspkit.losses.perceptual import load_lpips
from pspkit.models.encoders import GradualStyleEncoder
from pspkit.models.mobile_facenet import load_mobile_facenet, load_mobile_facenet_body
from pspkit.models.mobile_stylegan import MobileStyleGAN, load_mobile_stylegan, load_readouts
from pspkit.psp import estimate_latent_avg
from pspkit.storage.checkpoints.files import write_text
from pspkit.training.start import start_heads
from tools.faces.decoding import Decode, decode_full, decode_preview
from tools.faces.fused import FusedDecoder, dense_groups
from tools.faces.meter import Meter, describe, to_input
from tools.faces.pictures import SHOWN, SIDE, from_bytes, write_sheet
from tools.faces.pieces import read_pieces, write_pieces
from tools.train_faces.trainer import LOSSES, FaceTrainer, FaceTraining


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
            pictures = from_bytes(self.photographs[:: max(len(self.photographs) // 64, 1)])
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
            sets[name] = from_bytes(pictures.to(self.device))
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


def _decode_back(decode: Decode, codes: Tensor) -> tuple[tuple[Tensor, Tensor], float]:
    """Pictures and a gradient of theirs at the codes; and the seconds that both took."""
    torch.cuda.synchronize()
    began = time.perf_counter()
    codes = codes.clone().requires_grad_()
    pictures = decode(codes)
    pictures.square().mean().backward()
    torch.cuda.synchronize()
    return (pictures.detach(), codes.grad), time.perf_counter() - began
