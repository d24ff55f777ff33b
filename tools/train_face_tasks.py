"""Trains the encoders of photographs for the tasks, one after another, within a given time, and measures them.

    python -m tools.train_face_tasks --photographs DIR --out OUT [--only sketch]

`DIR` is as `tools.train_faces` takes it. Every encoder learns from the same set: faces that the decoder draws in full,
among them some whose codes lie between those of two photographs, and the photographs themselves with the codes that
`encode` and some steps of refinement find for them. All have codes, so that one loss serves all. `OUT/NAME` gets the
weights of each encoder in pieces, its log, its sheets and its figures.
"""

import argparse
import copy
import json
import math
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.transforms.v2 import functional

from pspkit.data.faces.augment import CAMERA, augment, light, move
from pspkit.data.faces.drawn import PLAIN, WIDE, draw_codes
from pspkit.data.faces.photographs import read_photographs
from pspkit.data.faces.sketch import draw_sketch
from pspkit.data.labels import label_maps
from pspkit.data.tasks.transforms import MASKS, ToOneHot, draw_mask, low_resolution
from pspkit.domains import WEIGHTS
from pspkit.inference.evaluation import unseen_codes
from pspkit.inference.projection import optimise
from pspkit.inference.refine import RATE
from pspkit.inference.refine import WEIGHTS as NEARNESS
from pspkit.losses.identity import IdentityLoss
from pspkit.losses.perceptual import load_lpips
from pspkit.models.encoders import ENCODERS, Encoder
from pspkit.models.face_parser import FaceParser, load_face_parser
from pspkit.models.mobile_facenet import load_mobile_facenet
from pspkit.models.mobile_stylegan import MobileStyleGAN, load_mobile_stylegan
from pspkit.psp import estimate_latent_avg, load_encoder
from pspkit.storage.checkpoints.files import read_file, write_tensors, write_text
from pspkit.storage.checkpoints.layouts import part_of
from pspkit.training.start import start_heads
from tools.fused import FusedDecoder, dense_groups
from tools.train_faces import INPUT_SIDE, Meter, decode_full, describe, write_pieces, write_sheet

SIDE = 256  # of the pictures that are kept and measured, pixels
FACTORS = (2, 4, 8, 16)  # of super-resolution, at the encoder's 128 px: 64 to 8 px are left
REFINING = 25  # steps that find the codes of the photographs to learn from
BETWEEN = 0.3  # part of the drawn faces whose codes lie between those of two photographs
PHOTOGRAPHS = 0.15  # part of a batch that are photographs
SHOWN = 12
ONE_HOT = ToOneHot()

MakeInput = Callable[["Faces", Tensor, Tensor, torch.Generator], Tensor]


@dataclass(frozen=True)
class Plan:
    """How one encoder is trained.

    Attributes:
        input_nc: channels of its input.
        width: channels inside its map2style blocks.
        lpips: weight of LPIPS at 128 px.
        identity: weight of 1 - cosine of ArcFace's embeddings.
        pixels: weight of the mean squared error of pixels.
        codes: weight of the error of codes.
        body_lr: largest rate of the body, which starts from that of `encode`.
        kind: of the encoder, a key of `ENCODERS`.
        part: its time, relative to `--minutes`.
    """

    input_nc: int
    width: int
    lpips: float = 0.8
    identity: float = 0.5
    pixels: float = 1.0
    codes: float = 0.5
    body_lr: float = 2e-4
    kind: str = "gradual"
    part: float = 1.0


PLANS = {
    "restore": Plan(input_nc=4, width=64, part=1.3),
    "sketch": Plan(input_nc=1, width=48, identity=0.2, body_lr=5e-4),
    "segmentation": Plan(input_nc=19, width=48, identity=0.0, body_lr=5e-4),
    "frontalize": Plan(input_nc=3, width=48, lpips=0.2, identity=1.0, pixels=0.1, part=0.8),
    # For comparison: codes of W+ against a code of W, in equal time.
    "encode": Plan(input_nc=3, width=48),
    "encode_w": Plan(input_nc=3, width=48, kind="w"),
}
SHIPPED = ("restore", "sketch", "segmentation", "frontalize")


class Faces:
    """Pictures (N, 3, 256, 256) as bytes on the device, and their codes (N, n_styles, style_dim); photographs last."""

    def __init__(self, kit: "Kit", drawn: int, chunk: int) -> None:
        began, random = time.perf_counter(), torch.Generator(kit.device).manual_seed(1)
        photographs, photo_codes = self._photographs(kit, chunk)
        print(f"{len(photographs)} photographs refined after {time.perf_counter() - began:.1f} s", flush=True)
        pictures, codes = [], []
        for start in range(0, drawn, chunk):
            part = draw_codes(kit.decoder, kit.average, min(chunk, drawn - start), random, WIDE)
            if between := round(BETWEEN * len(part)) if len(photographs) else 0:
                size = {"generator": random, "device": kit.device}
                first, second = photo_codes[torch.randint(len(photo_codes), (2, between), **size)]
                part[:between] = first.lerp(second, torch.rand(between, part.shape[1], 1, **size))
            with torch.no_grad():
                pictures.append(to_bytes(kit.decode(part)))
            codes.append(part.half())
        self.drawn = drawn
        self.pictures, self.codes = torch.cat([*pictures, photographs]), torch.cat([*codes, photo_codes.half()])
        self.masks = torch.stack([draw_mask(MASKS[i % 3], (INPUT_SIDE, INPUT_SIDE)) for i in range(kit.masks)])
        self.masks = self.masks[:, None].to(kit.device)
        self.labels: Tensor | None = None  # (N, 128, 128) as bytes
        self.parser = kit.parser
        print(f"{len(self.pictures)} faces after {time.perf_counter() - began:.1f} s", flush=True)

    def _photographs(self, kit: "Kit", chunk: int) -> tuple[Tensor, Tensor]:
        """The photographs to learn from and their mirror images, and the codes that refinement finds for them."""
        learned = [read_photographs(folder, kept=False)[1][: kit.most] for folder in kit.sets.values()]
        if not learned:
            none = torch.zeros(0, 3, SIDE, SIDE, dtype=torch.uint8, device=kit.device)
            return none, torch.zeros(0, kit.decoder.n_styles, kit.decoder.style_dim, device=kit.device)
        pictures = torch.cat(learned).to(kit.device)
        pictures, codes = torch.cat([pictures, pictures.flip(3)]), []
        for part, start in zip(pictures.split(chunk), kit.start["codes"].split(chunk), strict=True):
            part, start = from_bytes(part), start.float()
            codes.append(optimise(kit.fast, part, start, kit.refining, RATE, NEARNESS, kit.lpips, kit.identity, SIDE))
        return pictures, torch.cat(codes)

    def parse(self, chunk: int) -> None:
        """Finds the label map of every picture."""
        if self.labels is None:
            began = time.perf_counter()
            with torch.no_grad():
                parts = [find_labels(self.parser, from_bytes(part)) for part in self.pictures.split(chunk)]
            self.labels = torch.cat(parts)
            print(f"label maps after {time.perf_counter() - began:.1f} s", flush=True)

    def choose(self, n: int, random: torch.Generator) -> Tensor:
        """Indices (n,) of a batch at random: drawn faces, and photographs last."""
        photographs = round(PHOTOGRAPHS * n) if len(self.pictures) > self.drawn else 0
        size = {"generator": random, "device": self.pictures.device}
        drawn = torch.randint(self.drawn, (n - photographs,), **size)
        return (
            torch.cat([drawn, torch.randint(self.drawn, len(self.pictures), (photographs,), **size)])
            if photographs
            else drawn
        )


def restore_input(faces: Faces, pictures: Tensor, chosen: Tensor, random: torch.Generator) -> Tensor:
    """Small, grey and masked pictures, some of them two of that at once: (N, 4, 128, 128), the mask last."""
    x = augment(F.avg_pool2d(pictures, 2), random, CAMERA)
    order = torch.randperm(len(x), generator=random, device=x.device)
    x, back = x[order], order.argsort()
    half = len(x) // 2
    small = x[half:].chunk(len(FACTORS))
    x = torch.cat(
        [x[:half], *(low_resolution(part / 2 + 0.5, factor) for part, factor in zip(small, FACTORS, strict=True))]
    )
    chance = torch.rand(len(x), 1, 1, 1, generator=random, device=x.device)
    chance[half:] += 1
    # Of the pictures of full size every one is grey or masked or both, of the small ones three tenths are.
    is_grey = (chance < 0.5) | ((chance > 1.7) & (chance < 1.9))
    is_masked = ((chance > 0.4) & (chance < 1)) | (chance > 1.9)
    x = torch.where(is_grey, functional.rgb_to_grayscale(x, num_output_channels=3), x)
    turn = torch.randint(len(faces.masks), (len(x),), generator=random, device=x.device)
    mask = faces.masks[turn] * is_masked
    return torch.cat([x * (1 - mask), mask], 1)[back]


def sketch_input(faces: Faces, pictures: Tensor, chosen: Tensor, random: torch.Generator) -> Tensor:
    """Line drawings (N, 1, 128, 128), of four sorts of pen in a batch."""
    x = augment(pictures, random, (move, light))
    parts = []
    for part in x.chunk(4):
        width, threshold, sharpness = torch.rand(3, generator=random, device=x.device)
        part = draw_sketch(
            part, (1 + 1.2 * width).item(), (0.006 + 0.018 * threshold).item(), (60 + 90 * sharpness).item()
        )
        parts.append(F.avg_pool2d(part, 2))
    return torch.cat(parts)


def segmentation_input(faces: Faces, pictures: Tensor, chosen: Tensor, random: torch.Generator) -> Tensor:
    """Label maps as one channel a class: (N, 19, 128, 128)."""
    return ONE_HOT(faces.labels[chosen])


def encode_input(faces: Faces, pictures: Tensor, chosen: Tensor, random: torch.Generator) -> Tensor:
    """Pictures (N, 3, 128, 128) as a camera takes them."""
    return augment(F.avg_pool2d(pictures, 2), random, CAMERA)


def frontalize_input(faces: Faces, pictures: Tensor, chosen: Tensor, random: torch.Generator) -> Tensor:
    """Pictures (N, 3, 128, 128), half of them mirrored, which their targets are not."""
    x = augment(F.avg_pool2d(pictures, 2), random, CAMERA)
    coin = torch.rand(len(x), 1, 1, 1, generator=random, device=x.device) < 0.5
    return torch.where(coin, x.flip(3), x)


INPUTS: dict[str, MakeInput] = {
    "restore": restore_input,
    "sketch": sketch_input,
    "segmentation": segmentation_input,
    "frontalize": frontalize_input,
    "encode": encode_input,
    "encode_w": encode_input,
}


def to_bytes(pictures: Tensor) -> Tensor:
    """Pictures in [-1, 1] as bytes; values outside are clamped."""
    return ((pictures.clamp(-1, 1) + 1) * 127.5).round().byte()


def from_bytes(pictures: Tensor) -> Tensor:
    """Bytes as pictures in [-1, 1], float32."""
    return pictures.float() / 127.5 - 1


def find_labels(parser: FaceParser, pictures: Tensor) -> Tensor:
    """Label maps (N, 128, 128) of pictures (N, 3, 256, 256), as bytes."""
    large = F.interpolate(pictures, size=parser.input_size, mode="bilinear", align_corners=False, antialias=False)
    labels = label_maps(parser(large.bfloat16()))[:, None].float()
    return F.interpolate(labels, size=INPUT_SIDE, mode="nearest-exact")[:, 0].byte()


class Kit:
    """The networks that all the trainings share."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
        decoder = load_mobile_stylegan()
        decoder.to(self.device)
        self.average = estimate_latent_avg(decoder)
        codes = unseen_codes(decoder, self.average, arguments.unseen)
        self.scale = (codes - self.average).square().mean().sqrt()
        self.decoder: MobileStyleGAN = decoder.to(torch.bfloat16)
        self.fast, self.decode = self._fast()
        self.lpips = load_lpips().to(self.device)
        self.identity = IdentityLoss(load_mobile_facenet().to(self.device, torch.float32))
        self.parser = load_face_parser().to(self.device, torch.bfloat16)
        self.meter = Meter(self.decode, self.average, self.lpips, self.identity, arguments.chunk)
        folders = sorted(arguments.photographs.iterdir()) if arguments.photographs else []
        self.sets = {folder.name: folder for folder in folders}
        self.refining, self.masks, self.most = arguments.refining, arguments.masks, arguments.most
        start = read_file(arguments.start)[0] if arguments.start else find_start(self.sets, self.most, self.average)
        self.start = {name: tensor.to(self.device).float() for name, tensor in start.items()}
        with torch.no_grad():
            unseen = torch.cat([decode_full(self.decoder, part).clamp(-1, 1) for part in codes.split(8)])
        self.unseen = {"drawn": unseen}
        for name, folder in self.sets.items():
            self.unseen[name] = from_bytes(read_photographs(folder, kept=True)[1][: self.most]).to(self.device)

    def _fast(self) -> tuple[nn.Module, Callable[[Tensor], Tensor]]:
        """What previews, and what decodes in full: by the fused kernels where they give the same."""
        plain = self.decoder, partial(decode_full, self.decoder)
        if self.device.type != "cuda":
            return plain
        try:
            fused = FusedDecoder(self.decoder, SIDE)
            random = torch.Generator(self.device).manual_seed(1)
            codes = draw_codes(self.decoder, self.average, 8, random, PLAIN)
            found = [look_back(fused, codes, side) for side in (INPUT_SIDE, SIDE)]
            wanted = [look_back(self.decoder, codes, side) for side in (INPUT_SIDE, SIDE)]
            errors = [
                ((x - y).norm() / y.norm()).item()
                for a, b in zip(found, wanted, strict=True)
                for x, y in zip(a, b, strict=True)
            ]
            print(f"fused previews and their gradients: errors {errors}", flush=True)
            return (fused, fused) if max(errors) < 0.2 else plain
        except Exception:  # the plain decoder is always there
            traceback.print_exc()
            return plain


class Training:
    """One encoder, from its first step to its figures."""

    def __init__(self, kit: Kit, faces: Faces, name: str, batch: int, out: Path) -> None:
        self.kit, self.faces, self.name, self.plan, self.batch = kit, faces, name, PLANS[name], batch
        self.out, self.make_input, self.records = out / name, INPUTS[name], []
        self.random = torch.Generator(kit.device).manual_seed(2)
        self.encoder = self._encoder()
        self.ema = copy.deepcopy(self.encoder).requires_grad_(False)
        names = [name for name, weight in self.encoder.named_parameters() if weight.requires_grad]
        weights, averages = dict(self.encoder.named_parameters()), dict(self.ema.named_parameters())
        self.learned, self.averages = [weights[name] for name in names], [averages[name] for name in names]
        body = [weights[name] for name in names if name.startswith("body.")]
        new = [weights[name] for name in names if not name.startswith("body.")]
        if kit.device.type == "cuda":
            dense_groups(self.encoder.input_layer)
        groups = [{"params": new, "peak": 1e-3, "from": 0.0}, {"params": body, "peak": self.plan.body_lr, "from": 0.06}]
        self.optimizer = torch.optim.AdamW(groups, lr=0.0, betas=(0.9, 0.99), weight_decay=1e-4, fused=True)
        self.taken = 0

    def _encoder(self) -> Encoder:
        """A new encoder, its body that of `encode`."""
        torch.manual_seed(0)
        encoder = ENCODERS[self.plan.kind](
            n_styles=self.kit.decoder.n_styles,
            input_nc=self.plan.input_nc,
            input_size=INPUT_SIDE,
            map2style_width=self.plan.width,
            backbone="mobile_facenet",
        )
        encoder.body.load_state_dict(part_of(self.kit.start, "body"))
        stem = part_of(self.kit.start, "input_layer")
        if self.plan.input_nc >= 4 and self.name == "restore":  # the mask's channel starts at zero
            stem["0.0.weight"] = F.pad(stem["0.0.weight"], (0, 0, 0, 0, 0, self.plan.input_nc - 3))
        elif self.plan.input_nc == 1:  # a grey picture's layer
            stem["0.0.weight"] = stem["0.0.weight"].sum(1, keepdim=True)
        elif self.plan.input_nc != 3:
            stem["0.0.weight"] = encoder.input_layer[0][0].weight.detach()
        encoder.input_layer.load_state_dict(stem)
        encoder.input_layer[1].requires_grad_(False)
        encoder.to(self.kit.device)
        if self.name == "segmentation":
            self.faces.parse(self.batch)
        if self.plan.kind == "gradual":
            start_heads(encoder, self._batch(96)[0], self.kit.scale.item())
        else:
            encoder.linear.weight.data.mul_(0.01)
        return encoder.to(memory_format=torch.channels_last)

    def _batch(self, n: int) -> tuple[Tensor, Tensor, Tensor]:
        """Inputs, targets (N, 3, 128, 128) and codes."""
        chosen = self.faces.choose(n, self.random)
        pictures = from_bytes(self.faces.pictures[chosen])
        inputs = self.make_input(self.faces, pictures, chosen, self.random)
        return inputs, F.avg_pool2d(pictures, 2), self.faces.codes[chosen].float()

    def step(self, share: float) -> Tensor:
        """Takes a step; gives the losses (4,) before weighting: codes, pixels, LPIPS, identity."""
        plan, kit = self.plan, self.kit
        inputs, targets, codes = self._batch(self.batch)
        self._set_rates(share)
        offsets = run_encoder(self.encoder, inputs)
        output = kit.fast.preview(offsets + kit.average, INPUT_SIDE).float()
        error = F.smooth_l1_loss(offsets / kit.scale, (codes - kit.average) / kit.scale)
        pixels = F.mse_loss(output, targets)
        lpips = kit.lpips(output, targets).mean()
        with torch.autocast(kit.device.type, torch.bfloat16):
            identity = kit.identity(output, targets).float() if plan.identity else pixels.detach() * 0
        loss = plan.codes * error + plan.pixels * pixels + plan.lpips * lpips + plan.identity * identity
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.learned, 1.0)
        self.optimizer.step()
        self.taken += 1
        with torch.no_grad():
            decay = min(0.995, (1 + self.taken) / (10 + self.taken))
            torch._foreach_lerp_(self.averages, [weight.detach() for weight in self.learned], 1 - decay)
        return torch.stack([error, pixels, lpips, identity]).detach()

    def _set_rates(self, share: float) -> None:
        falling = min(max(share - 0.4, 0) / 0.6, 1)
        for group in self.optimizer.param_groups:
            rise = min(max((share - group["from"]) / 0.02, 0.01), 1)
            group["lr"] = group["peak"] * rise * (1 + math.cos(math.pi * falling)) / 2

    def train(self, minutes: float, max_steps: int) -> None:
        """Steps until the time is over."""
        began = logged = time.perf_counter()
        minutes *= self.plan.part
        losses: list[Tensor] = []
        torch.backends.cudnn.benchmark = True
        while True:
            elapsed = time.perf_counter() - began
            share = self.taken / max_steps if max_steps else elapsed / (60 * minutes)
            if share >= 1:
                break
            losses.append(self.step(share))
            if len(losses) == 100:
                self.record(losses, began, logged)
                losses, logged = [], time.perf_counter()
        if losses:
            self.record(losses, began, logged)
        torch.backends.cudnn.benchmark = False  # what follows has batches of many lengths
        write_pieces(self.out, self.ema.state_dict())

    def record(self, losses: list[Tensor], began: float, logged: float) -> None:
        means = torch.stack(losses).mean(0).tolist()  # waits for the device
        now = time.perf_counter()
        entry = {"step": self.taken, "seconds": round(now - began, 1)}
        entry["pictures_a_second"] = round(len(losses) * self.batch / (now - logged), 1)
        entry |= {name: round(x, 5) for name, x in zip(("codes", "pixels", "lpips", "identity"), means, strict=True)}
        self.records.append(entry)
        print(self.name, json.dumps(entry), flush=True)
        write_text(self.out / "log.jsonl", "".join(json.dumps(record) + "\n" for record in self.records))

    @torch.no_grad()
    def evaluate(self) -> None:
        """Measures pictures that it never learned from, and draws sheets of them."""
        result: dict = {"plan": asdict(self.plan), "steps": self.taken, "device": describe(self.kit.device)}
        meter = self.kit.meter
        for name, pictures in self.kit.unseen.items():
            rows = []
            for kind, (inputs, shown) in self._measured(pictures).items():
                codes = (
                    torch.cat([run_encoder(self.ema, part) for part in inputs.split(meter.batch)]) + self.kit.average
                )
                outputs = torch.cat([meter.decode(part).clamp(-1, 1) for part in codes.split(meter.batch)])
                result[f"{name}, {kind}"] = meter.compare(outputs, pictures)
                every = max(len(pictures) // SHOWN, 1)
                rows += [F.interpolate(shown[::every][:SHOWN], SIDE), outputs[::every][:SHOWN]]
            write_sheet(self.out / f"sheet_{name}.jpg", [*rows, pictures[::every][:SHOWN]])
        write_text(self.out / "result.json", json.dumps(result, indent=1) + "\n")
        print(self.name, json.dumps(result), flush=True)

    def _measured(self, pictures: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
        """By the kind of input: inputs, and what of them can be shown, (N, 3, 128, 128)."""
        x = F.avg_pool2d(pictures, 2)
        if self.name == "sketch":
            lines = F.avg_pool2d(draw_sketch(pictures), 2)
            return {"lines": (lines, (2 * lines - 1).expand(-1, 3, -1, -1))}
        if self.name == "segmentation":
            labels = torch.cat([find_labels(self.kit.parser, part) for part in pictures.split(16)])
            return {"labels": (ONE_HOT(labels), (labels[:, None].float() / 9 - 1).expand(-1, 3, -1, -1))}
        if self.name.startswith("encode"):
            return {"as it is": (x, x)}
        if self.name == "frontalize":
            return {"as it is": (x, x), "mirrored": (x.flip(3), x.flip(3))}
        none = torch.zeros_like(x[:, :1])
        small = {f"factor {factor}": low_resolution(x / 2 + 0.5, factor) for factor in (4, 8, 16)}
        kinds = small | {"grey": functional.rgb_to_grayscale(x, num_output_channels=3)}
        inputs = {kind: (torch.cat([y, none], 1), y) for kind, y in kinds.items()}
        for i, kind in enumerate(MASKS):
            mask = self.faces.masks[i::3].repeat(-(-3 * len(x) // len(self.faces.masks)), 1, 1, 1)[: len(x)]
            inputs[f"mask, {kind}"] = (torch.cat([x * (1 - mask), mask], 1), x * (1 - mask))
        return inputs


@torch.no_grad()
def find_start(sets: dict[str, Path], most: int | None, average: Tensor) -> dict[str, Tensor]:
    """What the trainings take from the encoder of `encode`, which is too large to carry.

    Returns:
        Its stem and body, by their keys, and "codes" (N, n_styles, style_dim): those of the photographs to learn from
        and then of their mirror images.
    """
    encoder = load_encoder(WEIGHTS / "faces-encode").eval()
    learned = [read_photographs(folder, kept=False)[1][:most] for folder in sets.values()]
    pictures = torch.cat(learned)
    parts = torch.cat([pictures, pictures.flip(3)]).split(16)
    codes = torch.cat([encoder(F.avg_pool2d(from_bytes(part), 2)) for part in parts]) + average.cpu()
    state = {
        name: tensor for name, tensor in encoder.state_dict().items() if name.startswith(("input_layer.", "body."))
    }
    return {name: tensor.half() for name, tensor in state.items()} | {"codes": codes.half()}


def look_back(decoder: nn.Module, codes: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """A preview of codes, and the gradient of its mean square at them."""
    codes = codes.clone().requires_grad_()
    pictures = decoder.preview(codes, side).float()
    pictures.square().mean().backward()
    return pictures.detach(), codes.grad


def run_encoder(encoder: nn.Module, inputs: Tensor) -> Tensor:
    """Inputs to offsets from the average, with gradients, in bfloat16 where it is safe."""
    inputs = inputs.contiguous(memory_format=torch.channels_last)
    with torch.autocast(inputs.device.type, torch.bfloat16):
        codes = encoder.codes(encoder.stages(inputs)).float()
    return codes if codes.ndim == 3 else codes[:, None].expand(-1, encoder.n_styles, -1)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tools.train_face_tasks", description=__doc__.partition("\n")[0])
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
