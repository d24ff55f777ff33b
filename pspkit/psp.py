"""pSp as a whole: encode a picture to W+ codes, mix codes, decode them.

Source: Richardson et al. 2021, section 3: pSp(x) = G(E(x) + average latent).
"""

import os
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pspkit.config import PSPConfig
from pspkit.errors import CheckpointError, PspkitError, check_number, check_tensor
from pspkit.models.registry import (
    CLASSES,
    DECODERS,
    ENCODERS,
    AnyDecoder,
    AnyEncoder,
    build_part,
    check_part,
    example_tensor,
)
from pspkit.storage.checkpoints import Pretrained, read_checkpoint


class PSP(Pretrained, nn.Module):
    """An encoder, a decoder, and the average latent between them.

        w_plus = encoder(x) + latent_avg;   picture = decoder.synthesis(w_plus)

    Args:
        encoder: one of ours, or one of your own: see `AnyEncoder`.
        decoder: `Generator`, `MobileStyleGAN`, or one of your own: see `AnyDecoder`.
        latent_avg: the average w, (style_dim,), (1, style_dim) or (n_styles, style_dim); estimated where none is given.
        start_from_latent_avg: whether the encoder predicts offsets from the average, as the paper's does.
        iterations: of a ReStyle model, how often its encoder corrects the answer; 0 for every other model.

    Raises:
        PspkitError: a part lacks what is asked of it, the encoder's codes do not fit the decoder, or the average has
            another shape.

    Source: Richardson et al. 2021, section 3.
    """

    config_type = PSPConfig

    def __init__(
        self,
        encoder: AnyEncoder,
        decoder: AnyDecoder,
        latent_avg: Tensor | None = None,
        start_from_latent_avg: bool = True,
        iterations: int = 0,
    ):
        super().__init__()
        check_part("encoder", encoder, AnyEncoder)
        check_part("decoder", decoder, AnyDecoder)
        self.encoder, self.decoder = encoder, decoder
        self.start_from_latent_avg, self.iterations = start_from_latent_avg, iterations
        made, taken = (encoder.n_styles, encoder.style_dim), (decoder.n_styles, decoder.style_dim)
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

    @property
    def config(self) -> PSPConfig:
        """What the model is built from.

        Raises:
            PspkitError: the class of a part is not registered.
        """
        for role in ("encoder", "decoder"):
            part = getattr(self, role)
            if not isinstance(part, Pretrained):
                raise PspkitError(
                    f"{role}: {type(part).__name__} is not registered, and a file could not tell how to build it."
                    f" Decorate the class with register_{role}."
                )
        parts = self.encoder.saved_config, self.decoder.saved_config
        return PSPConfig(*parts, self.start_from_latent_avg, self.iterations)

    @classmethod
    def from_config(cls, config: PSPConfig) -> "PSP":
        """The model that a configuration describes, with fresh weights and an average of zeros."""
        encoder, decoder = build_part(config.encoder), build_part(config.decoder)
        return cls(encoder, decoder, torch.zeros(decoder.style_dim), config.start_from_latent_avg, config.iterations)

    def complete(self, left_out: tuple[str, ...]) -> None:
        if "latent_avg" in left_out:
            self.latent_avg = estimate_latent_avg(self.decoder).expand_as(self.latent_avg).clone()

    @property
    def input_nc(self) -> int:
        """Channels of the pictures that are encoded; a ReStyle encoder takes twice as many."""
        return self.encoder.input_nc // 2 if self.iterations else self.encoder.input_nc

    def iterate(self, x: Tensor, count: int) -> Tensor:
        """The answers of a ReStyle model, each nearer than the one before.

            w_t = w_{t-1} + encoder(x, decoder(w_{t-1})),   w_0 the average latent

        Returns:
            W+ codes (N, count, n_styles, style_dim); otherwise as `encode`.

        Source: Alaluf et al. 2021 (ReStyle), section 3.2.
        """
        codes = [self.latent_avg[None]]
        for _ in range(count):
            seen = F.adaptive_avg_pool2d(self.decode(codes[-1]), x.shape[-1]).expand(len(x), -1, -1, -1)
            codes.append(codes[-1] + self.encoder(torch.cat([x, seen.to(x)], 1)))
        return torch.stack(codes[1:], 1)

    def encode(self, x: Tensor) -> Tensor:
        """Pictures to codes.

        Args:
            x: (N, input_nc, input_size, input_size), photographs in [-1, 1].

        Returns:
            W+ codes (N, n_styles, style_dim), the average included.

        Raises:
            PspkitError: another shape, or not floating-point.
        """
        if self.iterations:
            return self.iterate(x, self.iterations)[:, -1]
        codes = self.encoder(x)
        if codes.ndim == 2:  # one w a picture
            codes = codes[:, None].expand(-1, self.decoder.n_styles, -1)
        return codes + self.latent_avg if self.start_from_latent_avg else codes

    def decode(self, w_plus: Tensor, noise: str = "fixed") -> Tensor:
        """W+ codes (N, n_styles, style_dim) to pictures (N, 3, size, size), about [-1, 1].

        Raises:
            PspkitError: codes of another shape.
        """
        remedy = "One code a picture is decoded by decode_w (w) or decode_z (z)."
        check_tensor("w_plus", w_plus, ("N", self.decoder.n_styles, self.decoder.style_dim), remedy)
        return self.decoder.synthesis(w_plus) if noise == "fixed" else self.decoder.synthesis(w_plus, noise)

    def decode_w(self, w: Tensor, noise: str = "fixed") -> Tensor:
        """One w a picture, (N, style_dim), given to every layer; otherwise as `decode`."""
        check_tensor("w", w, ("N", self.decoder.style_dim))
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
            PspkitError: codes of another shape, a layer that is not there, or an alpha that is no number.

        Source: Richardson et al. 2021, section 3.2 and figure 4 (style mixing).
        """
        shape = (self.decoder.n_styles, self.decoder.style_dim)
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
    check_number("alpha", alpha)
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


def load_decoder(path: str | Path, device: str | torch.device = "cpu") -> tuple[AnyDecoder, Tensor | None]:
    """The decoder in a weights file, whichever kind it is, and the average latent that is stored beside it, if any.

    Args:
        path: as `read_checkpoint`; of a PSP the decoder alone is taken. Or the name of a registered decoder, which is
            then built with the defaults of its constructor.
        device: where the decoder is put.

    Raises:
        CheckpointError: damaged, foreign, unsafe, or without a decoder.
    """
    if str(path) in DECODERS and not os.path.exists(path):
        return DECODERS[str(path)]().to(device).eval(), None
    return _load_part(path, "decoder", DECODERS, device)


def load_encoder(path: str | Path, device: str | torch.device = "cpu") -> AnyEncoder:
    """The encoder in a weights file, whichever kind it is; otherwise as `load_decoder`."""
    return _load_part(path, "encoder", ENCODERS, device)[0]


def _load_part(
    path: str | Path, role: str, table: dict[str, type], device: str | torch.device
) -> tuple[nn.Module, Tensor | None]:
    checkpoint = read_checkpoint(path)
    config = type(getattr(checkpoint.config, role, checkpoint.config))
    if config not in {cls.config_type for cls in table.values()}:
        raise CheckpointError(
            f"{path}: holds the weights of {checkpoint.class_name}, and no {role}. Give a file of one, or of a PSP."
        )
    return CLASSES[config].from_pretrained(path, device), checkpoint.latent_avg


def estimate_latent_avg(decoder: AnyDecoder, n_samples: int = 4096, seed: int = 0) -> Tensor:
    """The average w of a decoder, from its mapping network.

    Args:
        decoder: its `mapping` and its `style_dim` are used.
        n_samples: z that are drawn.
        seed: of the draw, on the CPU, so that every device gives the same average.

    Returns:
        (style_dim,), on the decoder's device.
    """
    z = torch.randn(n_samples, decoder.style_dim, generator=torch.Generator().manual_seed(seed), device="cpu")
    with torch.no_grad():
        return decoder.mapping(z.to(example_tensor(decoder))).mean(0)
