"""Edits: people brought to codes, the codes moved along a direction, and the result drawn."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from pspkit.data.tasks import get_task
from pspkit.device import native_precision
from pspkit.domains import get_domain
from pspkit.errors import PspkitError, check_tensor
from pspkit.inference.align import Aligner
from pspkit.inference.codes import is_codes, load_face, parse_layers, split_row
from pspkit.inference.inputs import open_source
from pspkit.inference.models import find_decoder, find_identity, find_psp
from pspkit.inference.paste import Placement
from pspkit.inference.refine import Refiner
from pspkit.inference.tune import tuned_decoder
from pspkit.models.registry import AnyDecoder, example_tensor


@dataclass
class People:
    """People as codes.

    Attributes:
        decoder: draws them, on its device.
        codes: W+, (N, n_styles, style_dim), on the same device.
        placements: where each face lies in its photograph; None for codes, and for pictures of other domains.
        remarks: what was done to their pictures before.
    """

    decoder: AnyDecoder
    codes: Tensor
    placements: list[Placement | None]
    remarks: list[str] = field(default_factory=list)


def read_people(
    paths: Sequence[Path | str],
    domain: str = "faces",
    model: str | Path | None = None,
    refine: int | None = None,
    aligned: bool = False,
    device: str | torch.device | None = None,
) -> People:
    """Brings people to codes: pictures by an encoder and refinement, or codes that are there already.

    Args:
        paths: pictures, and files of codes; with `:3` at its end, row 3 of one. The layers that were tuned for a file
            of codes are used where it is the only one.
        domain: a key of `DOMAINS`. In pictures of "faces" the face is looked for, and cut out where it is not aligned.
        model: as `find_psp` takes it.
        refine: steps of refinement after the encoder; the domain's unless given.
        aligned: whether pictures are taken as they are.
        device: as `find_psp`.

    Raises:
        PspkitError: a file cannot be read, shows no face, or holds several people's codes; no model of the domain;
            fewer than no steps; or what is said about pictures, where there are none.
        AssetError: networks that are needed could not be fetched.
    """
    steps = get_domain(domain).refine if refine is None else refine
    if steps < 0:
        raise PspkitError(f"refine: got {steps}, needs at least 0.")
    if all(map(is_codes, paths)):
        for name, given in (("refine", refine), ("aligned", aligned)):
            if given:
                raise PspkitError(f"{name}: is about pictures, and there are codes alone. Leave it out.")
        decoder = find_decoder(domain, "encode", model, device)
        people = torch.cat([load_face(decoder, path) for path in paths])
        if len(paths) == 1:
            decoder = tuned_decoder(decoder, split_row(paths[0])[0])
        return People(decoder, people, [None] * len(paths))
    psp, task = find_psp(domain, "encode", model, device), get_task("encode")
    place = Aligner() if domain == "faces" and not aligned else None
    refiner = Refiner(psp.decoder, steps, find_identity(domain)) if steps else None
    people, codes = People(psp.decoder, psp.latent_avg, []), []
    for path in paths:
        if is_codes(path):
            codes.append(load_face(psp.decoder, path))
            people.placements.append(None)
            continue
        source = open_source(Path(path), task, psp.encoder.input_size, place=place)
        people.remarks += [f"{path}: {remark}" for remark in source.remarks]
        taken = Placement(source.picture.as_subclass(Tensor)) if domain == "faces" else None
        people.placements.append(source.placement or taken)
        with torch.no_grad():
            found = psp.encode(source.input(psp.encoder.input_size)[None].to(psp.latent_avg))
        codes.append(refiner(found, source.input(refiner.side)[None]) if refiner else found)
    people.codes = torch.cat(codes)
    return people


def move(codes: Tensor, way: Tensor, step: float, layers: Sequence[int] | str | None = None) -> Tensor:
    """Moves codes along a direction.

        moved_i = codes_i + step * way_i   for i in layers

    Args:
        codes: (N, n_styles, style_dim).
        way: (n_styles, style_dim).
        step: how far; 1 is what the direction's finder took for a whole step, and negative ones lead the other way.
        layers: which codes, as `parse_layers` reads them; all that the direction moves unless given.

    Returns:
        New codes (N, n_styles, style_dim).

    Raises:
        PspkitError: another shape; no such layer; or the direction is 0 in all of the layers.

    Source: Shen et al. 2020 (InterFaceGAN), section 3.2.
    """
    check_tensor("codes", codes, ("N", *way.shape))
    way = way.to(codes)
    if layers is not None:
        chosen = parse_layers(layers, len(way))
        moved = way.any(1).nonzero().flatten().tolist()
        if not set(chosen) & set(moved):
            raise PspkitError(
                f"layers: got {layers!r}, and the direction moves codes {', '.join(map(str, moved))} only."
            )
        kept = torch.zeros(len(way), 1, dtype=way.dtype, device=way.device)
        kept[chosen] = 1
        way = way * kept
    return codes + step * way


@torch.no_grad()
def draw_quickly(decoder: AnyDecoder, codes: Tensor, side: int | None = None, preview: bool = False) -> Tensor:
    """Draws codes in bfloat16 where the device computes in it, one at a time.

    Args:
        decoder: draws them.
        codes: (N, n_styles, style_dim).
        side: of the pictures, which are averaged down to it; the decoder's, or its preview's, unless given or smaller.
        preview: whether the decoder's preview is enough, the smallest that has the side.

    Returns:
        (N, 3, side, side), about [-1, 1], float32, on the CPU.

    Raises:
        PspkitError: the decoder has no preview.
    """
    device, draw = example_tensor(decoder).device, decoder.synthesis
    if preview:
        sides = sorted(getattr(decoder, "preview_sides", ()))
        if not sides:
            raise PspkitError("preview: this decoder has none. Leave it out, and pictures are decoded in full.")
        draw = partial(decoder.preview, side=next((one for one in sides if one >= (side or sides[-1])), sides[-1]))
    fast, pictures = native_precision(device) == "bfloat16", []
    for code in codes.split(1):
        with torch.autocast(device.type, torch.bfloat16, enabled=fast):
            picture = draw(code).float()
        pictures.append(F.adaptive_avg_pool2d(picture, min(side or picture.shape[-1], picture.shape[-1])).cpu())
    return torch.cat(pictures)
