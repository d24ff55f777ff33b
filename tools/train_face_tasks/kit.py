"""The networks, photographs and figures that all trainings share."""

import argparse
import traceback
from collections.abc import Callable
from functools import cached_property, partial

import torch
from torch import Tensor, nn

from pspkit.data.faces.drawn import PLAIN, draw_codes
from pspkit.data.faces.photographs import read_photographs
from pspkit.inference.evaluation import unseen_codes
from pspkit.losses.identity import IdentityLoss
from pspkit.losses.perceptual import load_lpips
from pspkit.models.faces.parser import FaceParser, load_face_parser
from pspkit.models.mobile_facenet import load_mobile_facenet
from pspkit.models.mobile_stylegan import MobileStyleGAN, load_mobile_stylegan
from pspkit.psp import estimate_latent_avg
from pspkit.storage.checkpoints.files import read_file
from tools.faces.decoding import decode_full
from tools.faces.fused import FusedDecoder
from tools.faces.meter import Meter
from tools.faces.pictures import INPUT_SIDE, SIDE, from_bytes
from tools.train_face_tasks.start import find_start

REFINING = 25  # steps that find the codes of the photographs to learn from


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

    @cached_property
    def parser(self) -> FaceParser:
        """The network that finds label maps; loaded when a task first needs it."""
        return load_face_parser().to(self.device, torch.bfloat16)

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


def look_back(decoder: nn.Module, codes: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """A preview of codes, and the gradient of its mean square at them."""
    codes = codes.clone().requires_grad_()
    pictures = decoder.preview(codes, side).float()
    pictures.square().mean().backward()
    return pictures.detach(), codes.grad
