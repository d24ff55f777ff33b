"""What is on the live pages: rendered heads with all of pSp, and photographed faces with a preview of their decoder."""

import base64
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from pspkit.course.live.models import FACE_SIDE, face_models, head_models
from pspkit.course.show.figure import COLOURS, to_pil
from pspkit.data.heads import HeadsDataset
from pspkit.data.labels import LABELS
from pspkit.inference.codes import load_w_plus
from pspkit.inference.directions import CONTRASTS, load_directions
from pspkit.inference.models import find_psp
from pspkit.models.encoders import COARSE, MIDDLE
from pspkit.psp import PSP

SHOWN_HEADS = (8, 17, 11, 22, 24, 3, 20, 41)  # of the test split: nobody whom a network met
SAMPLES = Path(__file__).resolve().parents[3] / "data" / "samples"
SMALL = 96  # side of the faces to choose from, pixels
AXES, DRAWN = 8, 4096  # directions of the faces, and the codes that they are found in


@dataclass(frozen=True)
class Content:
    """What is on one page, in words and numbers.

    Attributes:
        file: its name.
        title: its heading.
        lead: the sentence below, HTML.
        name: of one of the pictures.
        walk: what the directions are.
        origin: of the networks, and what to expect of them.
        has_encoder: whether it has one; without it nothing is drawn on, and nothing is looked into.
        networks: gives the ONNX files by name.
        data: gives what the scripts know as DATA.
    """

    file: str
    title: str
    lead: str
    name: str
    walk: str
    origin: str
    has_encoder: bool
    networks: Callable[[], dict[str, Path]]
    data: Callable[[], dict[str, Any]]


def head_data() -> dict[str, Any]:
    """Sizes, colours, the average latent, heads with their drawings, classes of label maps, and directions."""
    psp = find_psp("heads", device="cpu")
    items = HeadsDataset("test", max(SHOWN_HEADS) + 1, psp.encoder.input_size)
    heads = [
        {
            "words": _in_words(items.factors[number].identity.as_dict(0)),
            "picture": _picture(to_pil(items[number]["image"])),
            "labels": _picture(Image.fromarray(items[number]["labels"].numpy())),
            "sketch": _picture(Image.fromarray((items[number]["sketch"][0] * 255).round().byte().numpy())),
        }
        for number in SHOWN_HEADS
    ]
    directions = [
        {"name": name, "low": CONTRASTS[name].low, "high": CONTRASTS[name].high, "way": _halves(way)}
        for name, way in load_directions().items()
    ]
    labels = [{"title": label.title, "colour": label.colour} for label in LABELS.values()]
    side = psp.decoder.size
    return _data("head", psp, side, psp.decoder.n_styles) | {"heads": heads, "directions": directions, "labels": labels}


def face_data() -> dict[str, Any]:
    """Sizes, colours, the average latent, faces with their codes, and the directions in which w varies most."""
    psp = find_psp("faces", device="cpu")
    codes = load_w_plus(psp.decoder, SAMPLES / "codes.safetensors")
    faces = [
        {
            "words": "nobody",
            "picture": _picture(Image.open(SAMPLES / f"face_{number}.jpg").resize((SMALL, SMALL)), "WEBP"),
            "w": _halves(w_plus[0]),
        }
        for number, w_plus in enumerate(codes)
    ]
    z = torch.randn(DRAWN, psp.decoder.style_dim, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        w = psp.decoder.mapping(z)
    _, spread, axes = torch.linalg.svd(w - w.mean(0), full_matrices=False)
    n_styles = psp.decoder.n_styles
    directions = [
        {
            "name": f"axis {number + 1}",
            "low": "one way",
            "high": "the other way",
            "way": _halves((axes[number] * spread[number] / DRAWN**0.5 * 2)[None].expand(n_styles, -1).contiguous()),
        }
        for number in range(AXES)
    ]
    shown = 2 * FACE_SIDE.bit_length() - 5  # the codes that reach the preview
    return _data("face", psp, FACE_SIDE, shown) | {"heads": faces, "directions": directions}


HEADS = Content(
    file="live.html",
    title="pixel2style2pixel, live",
    lead="One encoder turns a picture into <strong>ten style codes</strong>; a decoder turns codes into a picture. Both"
    " run <strong>in this page</strong>, on rendered heads of 64 pixels. Move something, and the model answers.",
    name="head",
    walk="Heads that differ in one thing alone, encoded, show which way codes move when that thing changes. A step of 1"
    " goes all the way. Directions do not separate everything: watch what changes besides.",
    origin="The networks were trained from nothing on rendered heads, are small, and make mistakes: hair and collars"
    " come through, glasses are torn. They come with the course under the MIT licence.",
    has_encoder=True,
    networks=head_models,
    data=head_data,
)
FACES = Content(
    file="live-faces.html",
    title="Photographic faces, live",
    lead="The first blocks of a <strong>photographic decoder</strong> run <strong>in this page</strong> and draw a"
    " preview of 128 pixels. None of these people exist. Move something, and the model answers.",
    name="face",
    walk="Codes of four thousand people who do not exist vary most along these axes. Nobody has named them: move one"
    " and see what it does. A step of 1 is two standard deviations.",
    origin="The decoder is MobileStyleGAN (Belousov 2021), distilled from StyleGAN2 on FFHQ: its weights are for"
    " non-commercial use only, and so are the pictures. The last five codes only matter to the full 1024 pixels, which"
    " are not drawn here.",
    has_encoder=False,
    networks=face_models,
    data=face_data,
)


def _data(name: str, psp: PSP, side: int, shown: int) -> dict[str, Any]:
    sizes = {"styles": psp.decoder.n_styles, "shown": shown, "length": psp.decoder.style_dim, "side": side}
    return {
        "name": name,
        "model": sizes | {"coarse": COARSE, "middle": MIDDLE},
        "colours": {level: COLOURS[level] for level in ("coarse", "middle", "fine", "plain")},
        "average": _halves(psp.latent_avg),
    }


def _in_words(identity: dict[str, Any]) -> str:
    parts = [f"{identity['hair_colour']} hair, {identity['hair_style']}"]
    parts += [identity[name] + f" {name}" for name in ("beard", "glasses") if identity[name] != "none"]
    return ", ".join(parts)


def _halves(values: Tensor) -> str:
    """Numbers in half precision, base64."""
    return base64.b64encode(values.numpy().astype(np.float16).tobytes()).decode()


def _picture(image: Image.Image, kind: str = "PNG") -> str:
    packed = io.BytesIO()
    image.save(packed, kind, **({"optimize": True} if kind == "PNG" else {"quality": 80}))
    return f"data:image/{kind.lower()};base64,{base64.b64encode(packed.getvalue()).decode()}"
