"""One encoder, from its first step to its figures."""

import copy
import json
import math
import time
from dataclasses import asdict
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.transforms.v2 import functional

from pspkit.data.faces.sketch import draw_sketch
from pspkit.data.tasks.transforms import MASKS, low_resolution
from pspkit.models.encoders import ENCODERS, Encoder
from pspkit.storage.checkpoints.files import write_text
from pspkit.storage.checkpoints.layouts import part_of
from pspkit.training.start import start_heads
from tools.faces.fused import dense_groups
from tools.faces.meter import describe
from tools.faces.pictures import INPUT_SIDE, SHOWN, SIDE, from_bytes, write_sheet
from tools.faces.pieces import write_pieces
from tools.train_face_tasks.faces import Faces
from tools.train_face_tasks.inputs import INPUTS
from tools.train_face_tasks.kit import Kit
from tools.train_face_tasks.labels import ONE_HOT, find_labels
from tools.train_face_tasks.plans import PLANS


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


def run_encoder(encoder: nn.Module, inputs: Tensor) -> Tensor:
    """Inputs to offsets from the average, with gradients, in bfloat16 where it is safe."""
    inputs = inputs.contiguous(memory_format=torch.channels_last)
    with torch.autocast(inputs.device.type, torch.bfloat16):
        codes = encoder.codes(encoder.stages(inputs)).float()
    return codes if codes.ndim == 3 else codes[:, None].expand(-1, encoder.n_styles, -1)
