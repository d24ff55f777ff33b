"""Weights from other projects: checkpoints of the pSp family, StyleGAN2's weights and face-recognition weights.

The `opts` of a file, and the prefixes of its tensors' names, say whose it is. If an encoder differs from pSp's only in
a sum or in its input, a row of `ENCODER_TYPES` says how, and it runs. A row of `STRANGERS` names a model that does not
run, and says why.
"""

import argparse
import re
from typing import Any, NamedTuple

from torch import Tensor

from pspkit.config import EncoderConfig, GeneratorConfig, PSPConfig
from pspkit.storage.checkpoints import layouts, nvidia
from pspkit.storage.checkpoints.layouts import StateDict, part_of

ITERATIONS = 5  # of ReStyle, if its options do not say
# The names of a generator in a file, the best one first.
GENERATORS = ("g_ema", "G_ema", "params_ema", "generator_smooth", "generator", "g", "G")


class Member(NamedTuple):
    """The only differences between the encoder of a member of the family and pSp's."""

    kind: str  # a key of `inspect.KINDS`
    encoder: str | None = None  # kind of its encoder, if the tensors alone do not tell
    progressive: bool = False  # whether the codes are offsets from the first one
    iterates: bool = False  # whether six channels hold the picture and the last output
    from_average: bool | None = None  # whether codes are offsets from the average, whatever the options say


# By the option `encoder_type`. Sources: the code of pSp, e4e, ReStyle and HyperStyle.
ENCODER_TYPES = {
    "GradualStyleEncoder": Member("psp"),
    "BackboneEncoderUsingLastLayerIntoW": Member("psp"),
    "BackboneEncoderUsingLastLayerIntoWPlus": Member("psp"),
    "WEncoder": Member("hyperstyle_w", from_average=True),
    "Encoder4Editing": Member("e4e", progressive=True),
    "BackboneEncoder": Member("restyle", iterates=True, from_average=True),
    "ProgressiveBackboneEncoder": Member("restyle_e4e", progressive=True, iterates=True, from_average=True),
}


class Stranger(NamedTuple):
    """A model of the family, or close to it, that is more than pSp with other weights."""

    name: str
    sign: str  # pattern with which the name of one of its tensors begins
    reason: str  # what it does, and pSp does not
    encoder: str = ""  # prefix of an encoder in it that is pSp's
    option: str = ""  # an option of its training alone


STRANGERS = (
    Stranger(
        "SAM (Alaluf et al. 2021)",
        r"pretrained_encoder\.",
        "it ages faces: a second encoder, whose fourth channel is the wanted age, corrects the first one's codes",
        "pretrained_encoder",
        "aging_lambda",
    ),
    Stranger(
        "HyperStyle (Alaluf et al. 2022)",
        r"hypernet\.",
        "its network changes the decoder's weights for each picture, and the codes come from another file",
    ),
    Stranger(
        "HFGI (Wang et al. 2022)",
        r"(residue|grid_align)\.",
        "besides e4e's codes it hands the decoder maps of what they miss",
    ),
    Stranger(
        "StyleGANEX (Yang et al. 2023)",
        r"(encoder\.)?(featlayer|skiplayer|fusion|input_label_layer)\.",
        "its encoder hands the decoder a feature map besides the codes, for pictures of any size",
    ),
    Stranger(
        "StyleCLIP's mapper (Patashnik et al. 2021)",
        r"mapper\.",
        "it moves codes that are there already in the direction of a text, and has no encoder",
    ),
    Stranger(
        "a model with StyleGAN3 (Karras et al. 2021)",
        r"(decoder\.)?synthesis\.(L\d|input\.)",
        "its decoder draws from Fourier features and has another space of codes",
    ),
    Stranger(
        "DualStyleGAN (Yang et al. 2022)",
        r"res\.\d+\.",
        "it has a second path of styles beside StyleGAN2's",
    ),
    Stranger(
        "an encoder on ResNet-34 (ReStyle's for pictures without faces)",
        r"(encoder\.)?(conv1\.weight$|body\.0\.conv1\.)",
        "its body is not the face-recognition network's, from which pSp is built",
    ),
    Stranger(
        "GFPGAN (Wang et al. 2021)",
        r"stylegan_decoder\.",
        "it restores faces: its decoder takes maps of the picture between its layers",
    ),
    Stranger(
        "a StyleGAN of GenForce's collection",
        r"mapping\.dense\d|synthesis\.(early_)?layer\d*\.",
        "its tensors have names and forms of their own",
    ),
    Stranger(
        "a StyleGAN2 of adriansahlman's stylegan2_pytorch",
        r"G_(mapping|synthesis)\.",
        "its tensors have names and forms of their own",
    ),
    Stranger(
        "Style Transformer (Hu et al. 2022)",
        r"(encoder\.)?transformerlayer",
        "its codes come from attention, not from map2style blocks",
    ),
)


class Contents(NamedTuple):
    """The content of a file; the fields are those of `Checkpoint`."""

    kind: str
    config: Any
    tensors: StateDict
    latent_avg: Tensor | None = None
    opts: dict[str, Any] = {}
    notes: tuple[str, ...] = ()
    refusal: str = ""


def read_foreign(content: Any) -> Contents | None:
    """Finds out whose weights these are; None if their kind is unknown.

    Raises:
        ValueError: the family is known, but the architecture cannot be used; says which it is, and why.
        KeyError: a tensor that decides is missing.
    """
    state, beside = unwrap(content)
    opts = beside.get("opts")
    opts = dict(vars(opts)) if isinstance(opts, argparse.Namespace) else opts if isinstance(opts, dict) else {}
    opts = {name: value for name, value in opts.items() if value is None or isinstance(value, str | int | float)}
    average = beside.get("latent_avg", state.pop("latent_avg", None))
    average = average if isinstance(average, Tensor) else None
    left = sorted(str(key) for key in beside.keys() - {"opts", "latent_avg"})
    notes = (f"left aside: {', '.join(left)}",) if left else ()
    for stranger in STRANGERS:
        if stranger.option in opts or any(re.match(stranger.sign, key) for key in state):
            return _read_stranger(stranger, state, average, opts)
    roots = {key.partition(".")[0] for key in state}
    if roots >= {"encoder", "decoder"}:
        return _read_psp(state, average, opts, notes)
    if roots >= {"convs", "to_rgbs"} or roots >= {"mapping", "synthesis"}:
        kind = "nvidia" if "synthesis" in roots else "stylegan2"
        config, state, own_average = _generator(state)
        return Contents(kind, config, state, own_average if average is None else average, opts, notes)
    if roots >= {"input_layer", "body", "output_layer"}:
        return Contents("backbone", layouts.backbone_config(state), state, notes=notes)
    if roots >= {"input_layer", "body"}:
        member, config, more = _encoder(state, opts, None)
        return Contents(f"{member.kind}_encoder", config, state, average, opts, notes + more)
    return None


def unwrap(content: Any) -> tuple[StateDict, dict[str, Any]]:
    """Finds the tensors in a file, with the names that their network gives them, and what else the file holds.

    All that a training wrapped around them is removed: an entry "state_dict" or "g_ema", a state dict for each part,
    `module.` from several devices anywhere in a name, and a prefix that all names share.
    """
    if not isinstance(content, dict):
        return {}, {}
    if is_state(content):
        return _plain(content), {}
    parts = [name for name in ("encoder", "decoder") if is_state(content.get(name))]
    if is_state(content.get("state_dict")):
        taken, state = ["state_dict"], _plain(content["state_dict"])
    elif parts:
        taken, state = parts, {}
        for name in parts:
            part = _plain(content[name])
            state |= {key if key == "latent_avg" else f"{name}.{key}": tensor for key, tensor in part.items()}
        if len(parts) == 1:
            state = _plain(state)
    else:
        taken = [name for name in GENERATORS if is_state(content.get(name))][:1]
        state = _plain(content[taken[0]]) if taken else {}
    return state, {key: value for key, value in content.items() if key not in taken}


def is_state(value: Any) -> bool:
    """Whether a value is a dict of tensors by name."""
    return (
        isinstance(value, dict)
        and bool(value)
        and all(isinstance(key, str) and isinstance(tensor, Tensor) for key, tensor in value.items())
    )


def _plain(state: StateDict) -> StateDict:
    state = {re.sub(r"(^|\.)(module\.)+", r"\1", key): tensor for key, tensor in state.items()}
    while len(roots := {key.partition(".")[0] for key in state if key != "latent_avg"}) == 1 and all(
        "." in key for key in state if key != "latent_avg"
    ):
        state = {key.removeprefix(f"{next(iter(roots))}."): tensor for key, tensor in state.items()}
    return state


def _read_psp(state: StateDict, average: Tensor | None, opts: dict[str, Any], notes: tuple[str, ...]) -> Contents:
    decoder, decoder_state, own_average = _generator(part_of(state, "decoder"))
    average = own_average if average is None else average
    others = {key: tensor for key, tensor in state.items() if not key.startswith("decoder.")}
    tensors = others | {f"decoder.{key}": tensor for key, tensor in decoder_state.items()}
    member, encoder, more = _encoder(part_of(state, "encoder"), opts, decoder)
    if average is not None:
        codes = (decoder.n_styles, decoder.style_dim)
        fits = tuple(average.shape) in (codes, (1, codes[1]), codes[1:])
        tensors["latent_avg"] = average.expand(codes) if fits else average
    start = member.from_average
    if start is None:
        start = bool(opts.get("start_from_latent_avg", average is not None))
    iterates = member.iterates and encoder.input_nc == 6
    iterations = int(opts.get("n_iters_per_batch") or ITERATIONS) if iterates else 0
    config = PSPConfig(encoder, decoder, start, iterations)
    return Contents(member.kind, config, tensors, average, opts, notes + more)


def _encoder(
    state: StateDict, opts: dict[str, Any], decoder: GeneratorConfig | None
) -> tuple[Member, EncoderConfig, tuple[str, ...]]:
    """Finds out whose encoder it is, its configuration, and what the user should know about it."""
    notes, name = [], opts.get("encoder_type")
    alone = decoder is None
    if alone:
        decoder = GeneratorConfig(size=int(opts.get("output_size") or opts.get("stylegan_size") or 1024))
    config = layouts.encoder_config(state, decoder)
    member = ENCODER_TYPES.get(name)
    if member is None:
        member = ENCODER_TYPES["BackboneEncoder" if config.kind == "last_map" else "GradualStyleEncoder"]
        if name:
            notes.append(f"its options call the encoder {name}, which is not known here; read as its tensors say")
        elif config.kind in ("gradual", "last_map"):
            other = "e4e" if config.kind == "gradual" else "ReStyle on e4e"
            notes.append(
                f"no encoder_type in its options, so read as {member.kind}'s; {other} has tensors of the same shapes"
            )
    elif name == "GradualStyleEncoder" and "n_iters_per_batch" in opts:
        member = member._replace(kind="restyle", iterates=True, from_average=True)
    if config.kind in ("w", "w_plus"):
        notes.append("no trace of the input size in this kind of encoder: the usual taken")
    if alone:
        notes.append(
            f"an encoder alone; it wants a decoder of {config.n_styles} codes of {config.style_dim}: in a StyleGAN2"
            f" those of {2 ** ((config.n_styles + 2) // 2)} px"
        )
    progressive = {"progressive": True} if member.progressive else {}
    return member, EncoderConfig(**(vars(config) | progressive)), tuple(notes)


def _generator(state: StateDict) -> tuple[GeneratorConfig, StateDict, Tensor | None]:
    """The configuration of a StyleGAN2, its tensors with the names used here, and its average if it is stored."""
    average = None
    if any(key.startswith("synthesis.") for key in state):
        state, average = nvidia.renamed(state)
    return layouts.generator_config(state), state, average


def _read_stranger(stranger: Stranger, state: StateDict, average: Tensor | None, opts: dict[str, Any]) -> Contents:
    refusal = f"this is {stranger.name}, which pspkit does not run: {stranger.reason}."
    decoder_state = part_of(state, "decoder") or part_of(state, "generator")
    try:
        decoder, decoder_state, _ = _generator(decoder_state)
    except (KeyError, ValueError):
        raise ValueError(f"{refusal} Nothing in it can be used here") from None
    encoder_state = part_of(state, stranger.encoder) if stranger.encoder else {}
    if not encoder_state:
        usable = (
            f"{refusal} Its decoder is an ordinary StyleGAN2 of {decoder.size} px, which load_decoder takes from it."
        )
        return Contents(stranger.name, decoder, decoder_state, average, opts, refusal=usable)
    _, encoder, _ = _encoder(encoder_state, {}, decoder)
    tensors = {f"encoder.{key}": tensor for key, tensor in encoder_state.items()}
    tensors |= {f"decoder.{key}": tensor for key, tensor in decoder_state.items()}
    usable = (
        f"{refusal} The pSp encoder that it starts from and its decoder are ordinary ones: load_encoder and"
        " load_decoder take them from it."
    )
    return Contents(stranger.name, PSPConfig(encoder, decoder), tensors, average, opts, refusal=usable)
