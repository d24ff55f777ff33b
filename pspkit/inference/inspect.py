"""What a weights file is, what it holds, and whether it will load."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from pspkit.config import BackboneConfig, EncoderConfig, GeneratorConfig, MobileStyleGANConfig, PSPConfig
from pspkit.errors import CheckpointError, shown
from pspkit.inference.directions.files import FORMAT as DIRECTIONS
from pspkit.models.backbone import Backbone
from pspkit.models.registry import CLASSES, ENCODER_SIZES
from pspkit.psp import PSP
from pspkit.storage.checkpoints import Checkpoint, compare, read_checkpoint, read_codes
from pspkit.storage.checkpoints.codes import is_numpy, read_arrays
from pspkit.storage.checkpoints.files import check_finite

KINDS = {
    "pspkit": "pspkit's own format",
    "psp": "a pSp checkpoint of the reference",
    "e4e": "an e4e checkpoint (Tov et al. 2021)",
    "restyle": "a ReStyle checkpoint (Alaluf et al. 2021)",
    "restyle_e4e": "a ReStyle checkpoint on e4e (Alaluf et al. 2021)",
    "hyperstyle_w": "the encoder into W that HyperStyle starts from (Alaluf et al. 2022)",
    "stylegan2": "a StyleGAN2 file",
    "nvidia": "a StyleGAN2 file under NVIDIA's names",
    "backbone": "face-recognition weights of the reference",
}
SPACES = {"rows": "one picture's W+, or one w a picture", "w_plus": "W+", "w": "w", "z": "z"}
OPTS = ("dataset_type", "encoder_type", "input_nc", "label_nc", "output_size", "learn_in_w", "start_from_latent_avg")


@dataclass(frozen=True)
class Inspection:
    """What `inspect_checkpoint` found; as a string, the text that `pspkit inspect` prints."""

    title: str
    rows: tuple[tuple[str, str], ...]  # what, and what about it
    loads: bool
    verdict: str  # the call that loads it, or why it will not load

    def __str__(self) -> str:
        return "\n".join(map(shown, [self.title, *(f"  {label:<12}{text}" for label, text in self.rows), self.verdict]))


def inspect_checkpoint(path: str | Path) -> Inspection:
    """Says what a file of weights, codes or directions is, what it holds, and whether it will load.

    Compares shapes with a model on the meta device, and looks for NaN where the weights lie on the disk, so that
    neither weights nor model take memory (the weights of a file in PyTorch's format before version 1.6 do).

    Args:
        path: as `read_checkpoint`.

    Raises:
        CheckpointError: damaged, foreign, unsafe, or of an architecture that is not known here.
    """
    try:
        checkpoint = read_checkpoint(path)
    except CheckpointError:
        if arrays := _inspect_arrays(path):
            return arrays
        raise
    whose = checkpoint.kind.removesuffix("_encoder")
    title = f"{checkpoint.path}: {checkpoint.class_name}, {KINDS.get(whose, f'of {whose}')}"
    dtypes = Counter(str(tensor.dtype).removeprefix("torch.") for tensor in checkpoint.tensors.values())
    stored = ", ".join(f"{count} {dtype}" for dtype, count in dtypes.items())
    rows = [("file", f"{checkpoint.path.stat().st_size / 1e6:,.1f} MB; tensors: {stored}")]
    try:
        model = _loader(checkpoint).outline(checkpoint)
    except CheckpointError as error:
        return Inspection(title, tuple(rows), False, f"Will not load: {error}")

    parts = (model.encoder, model.decoder) if isinstance(model, PSP) else (model,)
    for part in parts:
        n_parameters = sum(parameter.numel() for parameter in part.parameters())
        rows.append((_role(part), f"{sizes_in_words(part)}; {n_parameters:,} parameters"))
    if checkpoint.config.__class__ is PSPConfig and checkpoint.config.iterations:
        rows.append(
            ("iterations", f"{checkpoint.config.iterations}; the encoder sees its last answer beside the picture")
        )
    differences = compare(model, checkpoint.tensors)
    rows.append(("average", _describe_average(checkpoint)))
    options = [f"{name} {checkpoint.opts[name]}" for name in OPTS if name in checkpoint.opts]
    rows += [("options", ", ".join(options))] if options else []
    rows += [("note", note) for note in checkpoint.notes]
    made_anew = [key for key in differences.left_out if key != "latent_avg"]
    rows += [("made anew", f"{len(made_anew)} noise maps and blur kernels that are not stored")] if made_anew else []
    rows.append(("keys", str(differences) or "all there, none unexpected, every shape fits"))
    if differences.fatal:
        why = "its tensors were saved in part, or are another architecture's"
        return Inspection(title, tuple(rows), False, f"Will not load: {why}.")
    if checkpoint.refusal:
        return Inspection(title, tuple(rows), False, f"Will not load as a whole: {checkpoint.refusal}")
    try:
        check_finite(checkpoint.path, checkpoint.tensors.items())
    except CheckpointError as error:
        return Inspection(title, tuple(rows), False, f"Will not load: {error}")
    call = f'{checkpoint.class_name}.from_pretrained("{path}")'
    return Inspection(title, tuple(rows), True, f"Will load: {call}")


def _inspect_arrays(path: str | Path) -> Inspection | None:
    """What a file of codes or directions holds; None where it is neither."""
    path = Path(path)
    try:
        arrays, metadata = read_arrays(path)
        if any(name.endswith((".weight", ".bias")) for name in arrays):  # some network's
            return None
        codes, space = (None, "") if metadata.get("format") == DIRECTIONS else read_codes(path)
    except CheckpointError:
        if is_numpy(path):
            raise
        return None
    size = ("file", f"{path.stat().st_size / 1e6:,.1f} MB")
    if codes is None:
        rows = [(name, f"{tuple(way.shape)}, length {way.norm():.2f}") for name, way in arrays.items()]
        return Inspection(f"{path}: directions", (size, *rows), True, f'Will load: load_directions("{path}")')
    rows = (size, ("codes", f"{tuple(codes.shape)}, {SPACES[space]}"))
    verdict = f'Will load: load_w_plus(decoder, "{path}"), or load_direction("{path}", decoder) if it is a direction'
    return Inspection(f"{path}: codes", rows, True, verdict)


def sizes_in_words(part: nn.Module) -> str:
    """The sizes of an encoder, a decoder or a face-recognition network, for a reader."""
    config = getattr(part, "config", None)
    if isinstance(config, BackboneConfig):
        return f"{config.mode} {config.num_layers}, faces of {config.input_size} px to {config.embedding_dim} numbers"
    if isinstance(config, EncoderConfig):
        codes = f"one code for all {config.n_styles} layers" if config.kind == "w" else f"{config.n_styles} codes"
        body = f"{config.kind}, {config.mode} {config.num_layers}"
        codes += ", offsets from the first" if config.progressive else ""
        return f"{body}, {config.input_nc} channels of {config.input_size} px to {codes} of {config.style_dim}"
    if _role(part) == "encoder":
        seen = f"{part.input_nc} channels of {part.input_size} px"
        return f"{type(part).__name__}, {seen} to {part.n_styles} codes of {part.style_dim}"
    name = type(part).__name__
    if isinstance(config, GeneratorConfig):
        name = f"StyleGAN2, channel multiplier {config.channel_multiplier}"
    if isinstance(config, GeneratorConfig | MobileStyleGANConfig):
        name += f", mapping of {config.n_mlp} layers"
    return f"{name}, {part.n_styles} codes of {part.style_dim} to {part.size} px"


def _loader(checkpoint: Checkpoint) -> type:
    return {PSPConfig: PSP, BackboneConfig: Backbone, **CLASSES}[type(checkpoint.config)]


def _role(part: nn.Module) -> str:
    if isinstance(part, Backbone):
        return "network"
    return "encoder" if all(hasattr(part, size) for size in ENCODER_SIZES) else "decoder"


def _describe_average(checkpoint: Checkpoint) -> str:
    if checkpoint.latent_avg is None:
        text = "none stored, will be estimated" if isinstance(checkpoint.config, PSPConfig) else "none stored"
    else:
        text = f"stored, shape {tuple(checkpoint.latent_avg.shape)}"
    if isinstance(checkpoint.config, PSPConfig):
        text += "; codes start from it" if checkpoint.config.start_from_latent_avg else "; codes do not start from it"
    return text
