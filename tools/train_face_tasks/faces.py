"""The faces that every encoder learns from."""

import time

import torch
from torch import Tensor

from pspkit.data.faces.drawn import WIDE, draw_codes
from pspkit.data.faces.photographs import read_photographs
from pspkit.data.tasks.transforms import MASKS, draw_mask
from pspkit.inference.projection import optimise
from pspkit.inference.refine import RATE
from pspkit.inference.refine import WEIGHTS as NEARNESS
from tools.faces.pictures import INPUT_SIDE, SIDE, from_bytes, to_bytes
from tools.train_face_tasks.kit import Kit
from tools.train_face_tasks.labels import find_labels

BETWEEN = 0.3  # part of the drawn faces whose codes lie between those of two photographs
PHOTOGRAPHS = 0.15  # part of a batch that are photographs


class Faces:
    """Pictures (N, 3, 256, 256) as bytes on the device, and their codes (N, n_styles, style_dim); photographs last."""

    def __init__(self, kit: Kit, drawn: int, chunk: int) -> None:
        self.kit = kit
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
        print(f"{len(self.pictures)} faces after {time.perf_counter() - began:.1f} s", flush=True)

    def _photographs(self, kit: Kit, chunk: int) -> tuple[Tensor, Tensor]:
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
                parts = [find_labels(self.kit.parser, from_bytes(part)) for part in self.pictures.split(chunk)]
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
