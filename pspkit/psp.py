"""pSp as a whole: encode a picture to W+ codes, mix codes, decode them.

Source: Richardson et al. 2021, section 3: pSp(x) = G(E(x) + average latent).
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from pspkit.backbone import Backbone
from pspkit.checkpoints import Checkpoint, Pretrained, compare, read_checkpoint
from pspkit.config import BackboneConfig, EncoderConfig, GeneratorConfig, MobileStyleGANConfig, PSPConfig
from pspkit.encoders import Encoder
from pspkit.errors import CheckpointError, PspkitError, check_tensor
from pspkit.mobile_stylegan import MobileStyleGAN
from pspkit.stylegan2 import Generator

DECODERS = {GeneratorConfig: Generator, MobileStyleGANConfig: MobileStyleGAN}


class PSP(Pretrained, nn.Module):
    """An encoder, a decoder, and the average latent between them.

        w_plus = encoder(x) + latent_avg;   picture = decoder.synthesis(w_plus)

    Args:
        encoder: one of the three encoders.
        decoder: `Generator`, `MobileStyleGAN`, or anything with their `mapping`, `synthesis` and sizes.
        latent_avg: the average w, (style_dim,), (1, style_dim) or (n_styles, style_dim); estimated where none is given.
        start_from_latent_avg: whether the encoder predicts offsets from the average, as the paper's does.

    Raises:
        PspkitError: the encoder's codes do not fit the decoder, or an average of another shape.

    Source: Richardson et al. 2021, section 3.
    """

    config_type = PSPConfig

    def __init__(
        self,
        encoder: Encoder,
        decoder: Generator | MobileStyleGAN,
        latent_avg: Tensor | None = None,
        start_from_latent_avg: bool = True,
    ):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.config = PSPConfig(encoder.config, decoder.config, start_from_latent_avg)
        made = (encoder.config.n_styles, encoder.config.style_dim)
        taken = (decoder.n_styles, decoder.config.style_dim)
        if made != taken:
            raise PspkitError(
                f"encoder: makes {made[0]} codes of length {made[1]}, the decoder takes {taken[0]} of {taken[1]}."
                f" Build the encoder with n_styles={taken[0]}, style_dim={taken[1]}."
            )
        if latent_avg is None:
            latent_avg = estimate_latent_avg(decoder)
        if latent_avg.shape[-1] != taken[1] or latent_avg.shape[:-1] not in ((), (1,), (taken[0],)):
            raise PspkitError(
                f"latent_avg: got shape {tuple(latent_avg.shape)}, needs ({taken[1]},), (1, {taken[1]}) or {taken}."
            )
        self.register_buffer("latent_avg", latent_avg.detach().expand(taken).clone())

    @classmethod
    def from_config(cls, config: PSPConfig) -> "PSP":
        """The model that a configuration describes, with fresh weights and an average of zeros."""
        decoder = DECODERS[type(config.decoder)].from_config(config.decoder)
        average = torch.zeros(decoder.config.style_dim)
        return cls(Encoder.from_config(config.encoder), decoder, average, config.start_from_latent_avg)

    def complete(self, left_out: tuple[str, ...]) -> None:
        if "latent_avg" in left_out:
            self.latent_avg = estimate_latent_avg(self.decoder).expand_as(self.latent_avg).clone()

    def encode(self, x: Tensor) -> Tensor:
        """Pictures to codes.

        Args:
            x: (N, input_nc, input_size, input_size), photographs in [-1, 1].

        Returns:
            W+ codes (N, n_styles, style_dim), the average included.

        Raises:
            PspkitError: another shape, or not floating-point.
        """
        codes = self.encoder(x)
        if codes.ndim == 2:  # one w a picture
            codes = codes[:, None].expand(-1, self.decoder.n_styles, -1)
        return codes + self.latent_avg if self.config.start_from_latent_avg else codes

    def decode(self, w_plus: Tensor, noise: str = "fixed") -> Tensor:
        """W+ codes (N, n_styles, style_dim) to pictures (N, 3, size, size), about [-1, 1].

        Raises:
            PspkitError: codes of another shape.
        """
        remedy = "One code a picture is decoded by decode_w (w) or decode_z (z)."
        check_tensor("w_plus", w_plus, ("N", self.decoder.n_styles, self.decoder.config.style_dim), remedy)
        return self.decoder.synthesis(w_plus, noise)

    def decode_w(self, w: Tensor, noise: str = "fixed") -> Tensor:
        """One w a picture, (N, style_dim), given to every layer; otherwise as `decode`."""
        check_tensor("w", w, ("N", self.decoder.config.style_dim))
        return self.decode(w[:, None].expand(-1, self.decoder.n_styles, -1), noise)

    def decode_z(self, z: Tensor, truncation: float = 1.0, noise: str = "fixed") -> Tensor:
        """Standard normal z (N, style_dim) through the mapping network, pulled to the average, and decoded."""
        average = self.latent_avg.mean(0)
        return self.decode_w(average + truncation * (self.decoder.mapping(z) - average), noise)

    def mix(self, w_plus: Tensor, reference: Tensor | None, layers: Sequence[int], alpha: float = 1.0) -> Tensor:
        """Replaces some codes by another picture's.

            mixed_i = alpha * reference_i + (1 - alpha) * w_plus_i   for i in layers

        Args:
            w_plus: codes (N, n_styles, style_dim) to keep elsewhere.
            reference: codes (N or 1, n_styles, style_dim) to take; None takes the average latent.
            layers: which codes, 0 (coarse) to n_styles - 1 (fine).
            alpha: how much of the reference.

        Returns:
            New codes (N, n_styles, style_dim); the arguments stay as they are.

        Raises:
            PspkitError: codes of another shape, or a layer that is not there.

        Source: Richardson et al. 2021, section 3.2 and figure 4 (style mixing).
        """
        shape = (self.decoder.n_styles, self.decoder.config.style_dim)
        if reference is None:
            reference = self.latent_avg[None]
        check_tensor("w_plus", w_plus, ("N", *shape))
        return mix_codes(w_plus, reference, layers, alpha)

    def forward(
        self,
        x: Tensor,
        layers: Sequence[int] = (),
        inject: Tensor | None = None,
        alpha: float = 1.0,
        noise: str = "fixed",
    ) -> Tensor:
        """Encode, mix, decode.

        Args:
            x: as `encode`.
            layers: codes to replace; none unless given.
            inject: codes to put there, as `mix`'s reference.
            alpha: as `mix`.
            noise: as `decode`.

        Returns:
            Pictures (N, 3, size, size), about [-1, 1].
        """
        w_plus = self.encode(x)
        return self.decode(self.mix(w_plus, inject, layers, alpha) if layers else w_plus, noise)


def mix_codes(w_plus: Tensor, reference: Tensor, layers: Sequence[int], alpha: float = 1.0) -> Tensor:
    """`PSP.mix` where there are codes, but no model: of any number and length, the same for both."""
    n_styles, style_dim = w_plus.shape[1:]
    check_tensor("reference", reference, ("N or 1", n_styles, style_dim))
    if len(reference) not in (1, len(w_plus)):
        raise PspkitError(f"reference: got {len(reference)} pictures' codes, needs 1 or {len(w_plus)}.")
    strange = [layer for layer in layers if layer not in range(n_styles)]
    if strange:
        raise PspkitError(f"layers: got {strange}, needs numbers from 0 to {n_styles - 1}.")
    chosen = torch.zeros(n_styles, 1, dtype=w_plus.dtype, device=w_plus.device)
    chosen[list(layers)] = alpha
    return w_plus.lerp(reference.expand_as(w_plus).to(w_plus), chosen.expand_as(w_plus))


def load_decoder(path: str | Path) -> tuple[Generator | MobileStyleGAN, Tensor | None]:
    """The decoder in a weights file, whichever kind it is, and the average latent that is stored beside it, if any.

    Args:
        path: as `read_checkpoint`; of a PSP the decoder alone is taken.

    Raises:
        CheckpointError: damaged, foreign, unsafe, or without a decoder.
    """
    checkpoint = read_checkpoint(path)
    kind = type(getattr(checkpoint.config, "decoder", checkpoint.config))
    if kind not in DECODERS:
        raise CheckpointError(
            f"{path}: holds the weights of {checkpoint.class_name}, and no decoder. Give a StyleGAN2 file or a PSP."
        )
    return DECODERS[kind].from_pretrained(path), checkpoint.latent_avg


def estimate_latent_avg(decoder: Generator | MobileStyleGAN, n_samples: int = 4096, seed: int = 0) -> Tensor:
    """The average w of a decoder, from its mapping network.

    Args:
        decoder: has `mapping` and `style_dim`.
        n_samples: z that are drawn.
        seed: of the draw, on the CPU, so that every device gives the same average.

    Returns:
        (style_dim,), on the decoder's device.
    """
    parameter = next(decoder.parameters())
    z = torch.randn(n_samples, decoder.config.style_dim, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        return decoder.mapping(z.to(parameter)).mean(0)


LOADERS = {PSPConfig: PSP, EncoderConfig: Encoder, BackboneConfig: Backbone, **DECODERS}
KINDS = {
    "pspkit": "pspkit's own format",
    "psp": "a pSp checkpoint of the reference",
    "stylegan2": "a StyleGAN2 file",
    "backbone": "face-recognition weights of the reference",
}
OPTS = ("dataset_type", "encoder_type", "input_nc", "label_nc", "output_size", "learn_in_w", "start_from_latent_avg")


@dataclass(frozen=True)
class Report:
    """What `inspect_checkpoint` found; as a string, the text that `pspkit inspect` prints."""

    title: str
    rows: tuple[tuple[str, str], ...]  # what, and what about it
    loads: bool
    verdict: str  # the call that loads it, or why it will not load

    def __str__(self) -> str:
        return "\n".join([self.title, *(f"  {label:<12}{text}" for label, text in self.rows), self.verdict])


def inspect_checkpoint(path: str | Path) -> Report:
    """Says what a weights file is, what it holds, and whether it will load.

    Compares shapes with a model on the meta device, so that neither weights nor model take memory (the weights of a
    file in PyTorch's format before version 1.6 do).

    Args:
        path: as `read_checkpoint`.

    Raises:
        CheckpointError: damaged, foreign, unsafe, or of an architecture that is not known here.
    """
    checkpoint = read_checkpoint(path)
    title = f"{checkpoint.path}: {checkpoint.class_name}, {KINDS[checkpoint.kind]}"
    dtypes = Counter(str(tensor.dtype).removeprefix("torch.") for tensor in checkpoint.tensors.values())
    stored = ", ".join(f"{count} {dtype}" for dtype, count in dtypes.items())
    rows = [("file", f"{checkpoint.path.stat().st_size / 1e6:,.1f} MB; tensors: {stored}")]
    try:
        model = LOADERS[type(checkpoint.config)].outline(checkpoint)
    except CheckpointError as error:
        return Report(title, tuple(rows), False, f"Will not load: {error}")

    parts = (model.encoder, model.decoder) if isinstance(model, PSP) else (model,)
    for part in parts:
        n_parameters = sum(parameter.numel() for parameter in part.parameters())
        role = "encoder" if isinstance(part, Encoder) else "network" if isinstance(part, Backbone) else "decoder"
        rows.append((role, f"{describe(part.config)}; {n_parameters:,} parameters"))
    differences = compare(model, checkpoint.tensors)
    rows.append(("average", _describe_average(checkpoint)))
    options = [f"{name} {checkpoint.opts[name]}" for name in OPTS if name in checkpoint.opts]
    rows += [("options", ", ".join(options))] if options else []
    rows += [("note", note) for note in checkpoint.notes]
    made_anew = [key for key in differences.left_out if key != "latent_avg"]
    rows += [("made anew", f"{len(made_anew)} noise maps and blur kernels that are not stored")] if made_anew else []
    rows.append(("keys", str(differences) or "all there, none unexpected, every shape fits"))
    if differences.fatal:
        return Report(title, tuple(rows), False, "Will not load: the file is incomplete or of another architecture.")
    call = f'{checkpoint.class_name}.from_pretrained("{path}")'
    return Report(title, tuple(rows), True, f"Will load: {call}")


def describe(config: EncoderConfig | GeneratorConfig | MobileStyleGANConfig | BackboneConfig) -> str:
    """A part's sizes in words."""
    if isinstance(config, BackboneConfig):
        return f"{config.mode} {config.num_layers}, faces of {config.input_size} px to {config.embedding_dim} numbers"
    if isinstance(config, EncoderConfig):
        codes = f"one code for all {config.n_styles} layers" if config.kind == "w" else f"{config.n_styles} codes"
        body = f"{config.kind}, {config.mode} {config.num_layers}"
        return f"{body}, {config.input_nc} channels of {config.input_size} px to {codes} of {config.style_dim}"
    name = "MobileStyleGAN"
    if isinstance(config, GeneratorConfig):
        name = f"StyleGAN2, channel multiplier {config.channel_multiplier}"
    sizes = f"{config.n_styles} codes of {config.style_dim} to {config.size} px"
    return f"{name}, mapping of {config.n_mlp} layers, {sizes}"


def _describe_average(checkpoint: Checkpoint) -> str:
    if checkpoint.latent_avg is None:
        text = "none stored, will be estimated" if isinstance(checkpoint.config, PSPConfig) else "none stored"
    else:
        text = f"stored, shape {tuple(checkpoint.latent_avg.shape)}"
    if isinstance(checkpoint.config, PSPConfig):
        text += "; codes start from it" if checkpoint.config.start_from_latent_avg else "; codes do not start from it"
    return text
