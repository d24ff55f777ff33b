"""Directions of photographed faces: found in W+ of their decoder, from what is measured on the faces that it draws.

Linear maps from codes to attributes, B, and to ArcFace's embeddings, J, are fitted by ridge regression. Of all steps
that, by these maps, change one attribute by one and the others by nothing, the direction is the one that is likeliest
under the decoder's own codes, whose covariance is S, and changes the person least:

    min_d  d^T S^-1 d + weight * |J^T d|^2   with  B^T d = e_i
    d = M B (B^T M B)^-1 e_i,   M = (S^-1 + weight * J J^T)^-1

The codes fall into five groups that are drawn independently. Each attribute is moved by those groups alone that it
hangs on; in the others its direction is 0. A step of 1 changes what is measured by two standard deviations of drawn
faces.

Source: Shen et al. 2020 (InterFaceGAN), sections 3.1 and 3.2, for linear attributes and conditional manipulation; Haufe
et al. 2014 for the covariance, without which a direction points where no face is.
"""

import copy
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor
from tqdm.auto import tqdm

from pspkit.device import native_precision
from pspkit.errors import CheckpointError
from pspkit.inference.directions.attributes import ATTRIBUTES, SIDE, FaceMeter
from pspkit.models.mobile_stylegan import MobileStyleGAN
from pspkit.psp import estimate_latent_avg
from pspkit.storage.checkpoints.files import read_file, write_tensors

GROUPS = (range(3), range(3, 5), range(5, 7), range(7, 10), range(10, 16))  # the codes that move together
TRUNCATION = (0.5, 1.0)  # how far from the average people are drawn, relative to the mapping network
CHUNK, BATCH = 100, 4  # faces that are measured together, and drawn together
SEEDS = 1000  # of one run: each chunk has a seed of its own
RIDGES = tuple(10.0**power for power in range(1, 7))
FOLDS = 5
SHARE = 0.85  # of what the codes explain of an attribute: so much the groups that move must hold
IDENTITY = 1000.0  # how much changing the person counts, against a step's being unlikely
STEP = 2.0  # standard deviations that a step of 1 changes
TRIED, ROUNDS, SCALE = 6, 1, (0.5, 2.5)  # faces on which steps are tried, how often, and how much a round may change
TRIED_SEED, TRIED_TRUNCATION = 30_000, 0.7
FORMAT = "pspkit measured faces"


@dataclass(frozen=True)
class Faces:
    """Drawn faces, and what was measured on them.

    Attributes:
        codes: one for each of `GROUPS`, (N, 5, style_dim).
        values: (N, 12), as `Measured.values`.
        people: (N, 512), ArcFace's embeddings; FaceNet, which judges the directions, has no part in finding them.
    """

    codes: Tensor
    values: Tensor
    people: Tensor

    @property
    def scale(self) -> Tensor:
        """The standard deviation of every attribute, (12,)."""
        return (self.values - self.values.nanmean(0)).square().nanmean(0).sqrt()


@dataclass(frozen=True)
class Fit:
    """The linear maps from codes to what was measured.

    Attributes:
        weight: (5, style_dim, 12), from codes to attributes in standard deviations.
        identity: (5, style_dim, 512), from codes to embeddings.
        covariance: of the codes, (style_dim, style_dim).
        explained: (5, 12), the part of each attribute's variance that each group explains of faces left out.
    """

    weight: Tensor
    identity: Tensor
    covariance: Tensor
    explained: Tensor


class Pencil:
    """Draws small pictures as fast as the device can.

    Args:
        decoder: left as it is.
    """

    def __init__(self, decoder: MobileStyleGAN) -> None:
        device = decoder.constant.device
        fast = native_precision(device) == "bfloat16"
        self.decoder, self.device = copy.deepcopy(decoder).to(torch.bfloat16) if fast else decoder, device

    @torch.no_grad()
    def __call__(self, codes: Tensor) -> Tensor:
        """Codes (N, n_styles, style_dim) to pictures (N, 3, SIDE, SIDE), about [-1, 1], on the CPU."""
        parts = codes.to(self.device).split(BATCH)
        return torch.cat([self.decoder.preview(part, SIDE).float().cpu() for part in parts])


def spread(codes: Tensor) -> Tensor:
    """A code for each of `GROUPS` (N, 5, style_dim) to W+ (N, n_styles, style_dim)."""
    return torch.cat([codes[:, [group]].expand(-1, len(layers), -1) for group, layers in enumerate(GROUPS)], 1)


@torch.no_grad()
def draw_people(decoder: MobileStyleGAN, average: Tensor, count: int, seed: int) -> Tensor:
    """Draws another person for every group of codes: (count, 5, style_dim)."""
    generator, groups = torch.Generator().manual_seed(seed), len(GROUPS)
    z = torch.randn(count * groups, decoder.style_dim, generator=generator)
    w = decoder.mapping(z.to(average)).view(count, groups, -1)
    low, high = TRUNCATION
    distance = low + (high - low) * torch.rand(count, 1, 1, generator=generator).to(average)
    return average + distance * (w - average)


def measure_faces(decoder: MobileStyleGAN, count: int, seed: int, meter: FaceMeter, pencil: Pencil) -> Faces:
    """Draws faces and measures them: a second or two each on one core."""
    average, codes, values, embedded = estimate_latent_avg(decoder), [], [], []
    starts = range(0, count, CHUNK)
    for number, start in enumerate(tqdm(starts, "drawing and measuring", unit="hundred", disable=None)):
        people = draw_people(decoder, average, min(CHUNK, count - start), SEEDS * (seed + 1) + number)
        codes.append(people.cpu())
        pictures = pencil(spread(people))
        values.append(meter(pictures).values)
        embedded.append(meter.recognise(pictures))
    return Faces(torch.cat(codes), torch.cat(values), torch.cat(embedded))


def save_faces(path: Path, faces: Faces) -> None:
    """Keeps what was measured; raises CheckpointError where it cannot be written."""
    write_tensors(path, asdict(faces), {"format": FORMAT})


def load_faces(path: Path) -> Faces:
    """What `save_faces` kept.

    Raises:
        CheckpointError: not there, damaged, or no such file.
    """
    content, metadata = read_file(path)
    if metadata.get("format") != FORMAT:
        raise CheckpointError(f"{path}: not a file of measured faces. Name a new one, and it will be made.")
    return Faces(**content)


def fit(faces: Faces) -> Fit:
    """Fits the linear maps. How strong the ridge is, the attributes of faces that were left out decide."""
    codes = faces.codes.double()
    x = codes - codes.mean((0, 1))
    y = ((faces.values - faces.values.nanmean(0)) / faces.scale).double().nan_to_num(0)
    products, fold = torch.einsum("ngd,mgd->nm", x, x), torch.arange(len(x)) % FOLDS
    errors = torch.zeros(len(RIDGES))
    predicted = torch.zeros(len(RIDGES), len(GROUPS), *y.shape, dtype=y.dtype)
    for left_out in range(FOLDS):
        learned, asked = fold != left_out, fold == left_out
        values, vectors = torch.linalg.eigh(products[learned][:, learned])
        projected = vectors.T @ y[learned]
        for number, ridge in enumerate(RIDGES):
            dual = vectors @ (projected / (values + ridge)[:, None])
            for group in range(len(GROUPS)):
                predicted[number, group, asked] = x[asked, group] @ (x[learned, group].T @ dual)
    errors = (predicted.sum(1) - y).square().mean((1, 2))
    best = int(errors.argmin())
    embedded = faces.people.double() - faces.people.double().mean(0)
    targets = torch.cat([y, embedded], 1)
    dual = torch.linalg.solve(products + RIDGES[best] * torch.eye(len(x)), targets)
    maps = torch.einsum("ngd,na->gda", x, dual).float()
    explained = (predicted[best] * y).mean(1) / y.square().mean(0)
    flat = x.flatten(0, 1)
    return Fit(*maps.split([y.shape[1], embedded.shape[1]], 2), (flat.T @ flat / len(flat)).float(), explained.float())


def choose_groups(explained: Tensor) -> list[int]:
    """The fewest groups that hold most of what all (5,) explain of an attribute, in order."""
    held = explained.clamp(min=0)
    order = held.argsort(descending=True).tolist()
    chosen: list[int] = []
    while not chosen or held[chosen].sum() < SHARE * held.sum():
        chosen.append(order[len(chosen)])
    return sorted(chosen)


def solve(found: Fit, attribute: int, groups: list[int]) -> Tensor:
    """The step that changes one attribute by one and the others by nothing, (n_styles, style_dim)."""
    weight, identity = found.weight[groups].double(), found.identity[groups].double()
    likely, kept = found.covariance.double() @ weight, found.covariance.double() @ identity  # (groups, style_dim, ...)
    inner = torch.einsum("gdi,gdj->ij", identity, kept)
    inner += torch.eye(len(inner)) / IDENTITY
    # M B by Woodbury's identity, without the inverse of a matrix as large as all codes.
    moved = likely - kept @ torch.linalg.solve(inner, torch.einsum("gdi,gda->ia", kept, weight))
    effects = torch.einsum("gda,gdb->ab", weight, moved)
    effects += 1e-3 * effects.diagonal().mean() * torch.eye(len(effects))
    one = torch.zeros(len(effects), dtype=effects.dtype)
    one[attribute] = 1
    ways = torch.zeros(len(GROUPS), weight.shape[1])
    ways[groups] = (moved @ torch.linalg.solve(effects, one)).float()
    return spread(ways[None])[0]


def find_face_directions(decoder: MobileStyleGAN, faces: Faces, meter: FaceMeter, pencil: Pencil) -> dict[str, Tensor]:
    """Finds the directions of all attributes.

    Args:
        decoder: whose codes they move.
        faces: measured on what it drew.
        meter: measures the trial steps by which their lengths are chosen.
        pencil: draws them.

    Returns:
        (n_styles, style_dim) by the attribute's name.
    """
    found, scale = fit(faces), faces.scale
    people = try_people(decoder, TRIED, TRIED_SEED)
    directions = {}
    for number, name in enumerate(tqdm(ATTRIBUTES, "choosing lengths", disable=None)):
        way = STEP * solve(found, number, choose_groups(found.explained[:, number]))
        for _ in range(ROUNDS):
            ends = [meter(pencil(people + sign * way)).values[:, number] for sign in (-0.5, 0.5)]
            changed = ((ends[1] - ends[0]).nanmean() / scale[number]).item()
            way = way * min(max(STEP / changed if changed > 0 else SCALE[1], SCALE[0]), SCALE[1])
        directions[name] = way
    return directions


@torch.no_grad()
def try_people(decoder: MobileStyleGAN, count: int, seed: int) -> Tensor:
    """People of W, one code for all layers, on whom steps are tried: (count, n_styles, style_dim), on the CPU."""
    average, generator = estimate_latent_avg(decoder), torch.Generator().manual_seed(seed)
    w = decoder.mapping(torch.randn(count, decoder.style_dim, generator=generator).to(average))
    w = average + TRIED_TRUNCATION * (w - average)
    return w[:, None].expand(-1, decoder.n_styles, -1).cpu()
