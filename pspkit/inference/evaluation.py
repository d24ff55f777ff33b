"""How good an encoder of photographed faces is: likeness of its pictures, with an interval for each figure.

Every picture is decoded in full. Pictures are compared at 256 px; the identity networks see `FACE_BOX` of that.

Source: Richardson et al. 2021, section 4.1 (identity similarity, LPIPS and MSE); Efron 1979 (bootstrap).
"""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm.auto import tqdm

from pspkit.data.alignment.crop import align_face
from pspkit.data.alignment.finder import FaceFinder
from pspkit.data.faces.drawn import PLAIN, draw_codes
from pspkit.data.faces.known import find_photographs
from pspkit.data.pictures import open_picture
from pspkit.errors import PspkitError
from pspkit.inference.align import faces_of
from pspkit.inference.metrics import in_batches
from pspkit.losses.perceptual import load_lpips
from pspkit.losses.terms import IdentityLoss
from pspkit.models.faces.facenet import load_facenet
from pspkit.models.mobile_facenet import load_mobile_facenet
from pspkit.models.registry import AnyDecoder

SIDE = 256  # pixels at which pictures are compared
LPIPS_SIDES = (128, 256)
UNSEEN_SEED = 20_000  # of the drawn faces: no training draws from it
RESAMPLES = 2_000
LEVEL = 0.95  # of the intervals

Invert = Callable[[Tensor], Tensor]  # pictures (N, 3, 256, 256) in [-1, 1] to W+ codes


class Figure(NamedTuple):
    """A mean over pictures, and the bounds between which it lies in 95 of 100 resamples of them."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True)
class FaceSet:
    """Faces to measure on, one of each person.

    Attributes:
        name: of the set.
        pictures: (N, 3, 256, 256) in [-1, 1], aligned.
        codes: (N, n_styles, style_dim) that they were drawn from; None for photographs.
        remark: what is unusual about the set; empty where nothing is.
        failed: photographs that could not be used, and why.
    """

    name: str
    pictures: Tensor
    codes: Tensor | None = None
    remark: str = ""
    failed: dict[Path, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Result:
    """What was measured on one set.

    Attributes:
        name: of the set.
        count: its pictures.
        figures: by name: arcface and facenet (cosine to the own input), arcface_others and facenet_others (to other
            people's inputs), arcface_first and facenet_first (share whose own input is the nearest of all), lpips_128,
            lpips_256, mse, and codes (squared error by the codes' variance) where codes are known.
        mean_face: the same where every picture is the decoder's mean face.
        seconds: for one face, encoded and decoded.
        remark: as in `FaceSet`.
    """

    name: str
    count: int
    figures: dict[str, Figure]
    mean_face: dict[str, Figure]
    seconds: float
    remark: str = ""

    def record(self) -> dict:
        """The same as plain dicts and numbers, for JSON."""
        record = asdict(self)
        for part in ("figures", "mean_face"):
            record[part] = {name: figure._asdict() for name, figure in getattr(self, part).items()}
        return record


class Judge:
    """Compares pictures by identity networks and LPIPS.

    Args:
        device: where the networks run.
        identity: the identity networks by name; unless given, "arcface", which trainings use, and "facenet", which none
            does.
        lpips: as `load_lpips` gives it, which it is unless given.

    Raises:
        AssetError: a network could not be fetched or read.
    """

    def __init__(
        self,
        device: torch.device | None = None,
        identity: dict[str, IdentityLoss] | None = None,
        lpips: nn.Module | None = None,
    ) -> None:
        if identity is None:
            identity = {"arcface": IdentityLoss(load_mobile_facenet()), "facenet": IdentityLoss(load_facenet())}
        self.identity = {name: network.to(device) for name, network in identity.items()}
        self.lpips, self.device = (load_lpips() if lpips is None else lpips).to(device), device

    @torch.no_grad()
    def __call__(self, outputs: Tensor, inputs: Tensor) -> dict[str, Tensor]:
        """Measures each output against its input, and against those of others.

        Args:
            outputs: (N, 3, 256, 256) in [-1, 1], N at least 2.
            inputs: alike, each of another person.

        Returns:
            (N) values by their names in `Result.figures`, on the CPU.
        """
        values = {}
        for name, network in self.identity.items():
            made, wanted = (in_batches(network.embed, x, device=self.device).cpu() for x in (outputs, inputs))
            cosines = F.normalize(made) @ F.normalize(wanted).T
            own = cosines.diag()
            values[name] = own
            values[f"{name}_others"] = (cosines.sum(1) - own) / (len(own) - 1)
            values[f"{name}_first"] = (cosines.argmax(1) == torch.arange(len(own))).float()
        for side in LPIPS_SIDES:
            small = [F.adaptive_avg_pool2d(pictures, side) for pictures in (outputs, inputs)]
            distances = in_batches(lambda a, b: self.lpips(a, b).flatten(), *small, device=self.device)
            values[f"lpips_{side}"] = distances.cpu()
        values["mse"] = (outputs - inputs).square().flatten(1).mean(1).cpu()
        return values


def bootstrap(values: Tensor, seed: int = 0) -> Figure:
    """The mean of values (N), and its percentile interval over resamples with replacement.

    Source: Efron 1979 (bootstrap methods).
    """
    chosen = torch.randint(len(values), (RESAMPLES, len(values)), generator=torch.Generator().manual_seed(seed))
    means = values.double()[chosen].mean(1)
    low, high = torch.quantile(means, torch.tensor([(1 - LEVEL) / 2, (1 + LEVEL) / 2], dtype=torch.double)).tolist()
    return Figure(values.double().mean().item(), low, high)


def evaluate(
    invert: Invert, decoder: AnyDecoder, average: Tensor, sets: list[FaceSet], judge: Judge, batch: int = 4
) -> list[Result]:
    """Measures an encoder on sets of faces.

    Args:
        invert: gives the codes of pictures.
        decoder: draws them.
        average: (n_styles, style_dim) or (style_dim,), the codes of the mean face.
        sets: what to measure on.
        judge: compares.
        batch: pictures at once.

    Returns:
        What was measured, a result for each set.

    Raises:
        PspkitError: a set of fewer than two faces.
    """
    mean_face = decode(decoder, average.expand(1, decoder.n_styles, -1))
    results = []
    for one in sets:
        if len(one.pictures) < 2:
            raise PspkitError(f"{one.name}: {len(one.pictures)} faces; it takes 2 to tell people apart. Add some.")
        codes, outputs, start = [], [], time.perf_counter()
        for pictures in tqdm(one.pictures.split(batch), one.name, unit="batch", disable=None):
            with torch.no_grad():
                codes.append(invert(pictures.to(average.device)).float())
            outputs.append(decode(decoder, codes[-1]))
        seconds = (time.perf_counter() - start) / len(one.pictures)
        found, means = torch.cat(codes).cpu(), average.float().cpu().expand(len(one.pictures), decoder.n_styles, -1)
        sides = [
            _figures(judge(pictures, one.pictures), one.codes, its_codes, means)
            for pictures, its_codes in ((torch.cat(outputs), found), (mean_face.expand_as(one.pictures), means))
        ]
        results.append(Result(one.name, len(one.pictures), *sides, seconds, one.remark))
    return results


def _figures(values: dict[str, Tensor], truth: Tensor | None, codes: Tensor, means: Tensor) -> dict[str, Figure]:
    if truth is not None:
        spread = (truth - means).square().mean()
        values = values | {"codes": (codes - truth).square().flatten(1).mean(1) / spread}
    return {name: bootstrap(value) for name, value in values.items()}


@torch.no_grad()
def decode(decoder: AnyDecoder, codes: Tensor) -> Tensor:
    """W+ codes (N, n_styles, style_dim) to pictures (N, 3, 256, 256) in [-1, 1], averaged from a full decode."""
    precision = next(decoder.parameters()).dtype
    pictures = decoder.synthesis(codes.to(precision)).float().clamp(-1, 1)
    return F.adaptive_avg_pool2d(pictures, SIDE).cpu()


def unseen_codes(decoder: AnyDecoder, average: Tensor, count: int = 200) -> Tensor:
    """Codes (count, n_styles, style_dim) that no training sees, of faces to measure on.

    Args:
        decoder: as `draw_codes` takes it; in float32, so that every precision is measured on the same faces.
        average: (style_dim,), on the decoder's device.
        count: how many.
    """
    return draw_codes(decoder, average, count, torch.Generator(average.device).manual_seed(UNSEEN_SEED), PLAIN)


def drawn_faces(decoder: AnyDecoder, codes: Tensor, batch: int = 4) -> FaceSet:
    """The faces that a decoder draws of codes (N, n_styles, style_dim), so many at once."""
    parts = tqdm(codes.split(batch), "drawing", unit="batch", disable=None)
    return FaceSet("drawn", torch.cat([decode(decoder, part) for part in parts]), codes.cpu())


def photographs(folder: Path, aligned: bool = False, most: int | None = None) -> list[FaceSet]:
    """Reads photographs to measure on, and aligns them.

    Args:
        folder: as `find_photographs` takes it.
        aligned: whether they are aligned already; squares of any size.
        most: so many of each set, the first by name; all unless given.

    Raises:
        PspkitError: as `find_photographs`; or a set without a single picture that can be used.
    """
    finder = None if aligned else FaceFinder()
    sets = []
    for one in find_photographs(folder, aligned):
        pictures, failed = [], {}
        for file in tqdm(one.files[:most], f"reading {one.name}", unit="picture", disable=None):
            try:
                pictures.append(_read(file, finder))
            except PspkitError as error:
                failed[file] = str(error)
        if not pictures:
            raise PspkitError(f"{folder}: {one.name} has no picture that can be used. {next(iter(failed.values()))}")
        sets.append(FaceSet(one.name, torch.stack(pictures), None, one.remark, failed))
    return sets


def _read(file: Path, finder: FaceFinder | None) -> Tensor:
    picture = open_picture(file).as_subclass(Tensor)
    if finder is not None:
        picture = align_face(picture, faces_of(file, picture, finder)[0], SIDE)
    elif picture.shape[1] != picture.shape[2]:
        raise PspkitError(f"{file}: {picture.shape[2]}x{picture.shape[1]} pixels, so not an aligned square. Align it.")
    picture = F.interpolate(picture[None].float(), (SIDE, SIDE), mode="bilinear", antialias=True)[0]
    return picture / 127.5 - 1
