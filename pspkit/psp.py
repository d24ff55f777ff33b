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
        latent_avg: the average w, (style_dim,), (1, style_dim) or (n_styles, style_dim); estimated if it is not given.
        start_from_latent_avg: whether the encoder predicts offsets from the average, as the paper's does.
        iterations: how often the encoder of a ReStyle model corrects its codes; 0 for every other model.

    Raises:
        PspkitError: the encoder or the decoder lacks something that is needed, the encoder's codes do not fit the
            decoder, or the average has another shape.

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
                f"encoder: it predicts {made[0]} codes of length {made[1]}, and the decoder takes {taken[0]} of length"
                f" {taken[1]}. Build the encoder with n_styles={taken[0]}, style_dim={taken[1]}."
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
        """The configuration from which the model can be built again.

        Raises:
            PspkitError: the class of the encoder or decoder is not registered.
        """
        for role in ("encoder", "decoder"):
            part = getattr(self, role)
            if not isinstance(part, Pretrained):
                raise PspkitError(
                    f"{role}: {type(part).__name__} is not registered, so that a file cannot say how to build it."
                    f" Decorate the class with register_{role}."
                )
        parts = self.encoder.saved_config, self.decoder.saved_config
        return PSPConfig(*parts, self.start_from_latent_avg, self.iterations)

    @classmethod
    def from_config(cls, config: PSPConfig) -> "PSP":
        """Builds the model that a configuration describes, with fresh weights and an average of zeros."""
        encoder, decoder = build_part(config.encoder), build_part(config.decoder)
        return cls(encoder, decoder, torch.zeros(decoder.style_dim), config.start_from_latent_avg, config.iterations)

    def complete(self, left_out: tuple[str, ...]) -> None:
        if "latent_avg" in left_out:
            self.latent_avg = estimate_latent_avg(self.decoder).expand_as(self.latent_avg).clone()

    @property
    def input_nc(self) -> int:
        """The channels of the pictures to encode; a ReStyle encoder takes twice as many."""
        return self.encoder.input_nc // 2 if self.iterations else self.encoder.input_nc

    def iterate(self, x: Tensor, count: int) -> Tensor:
        """Computes the successive codes of a ReStyle model, each correcting those before.

            w_t = w_{t-1} + encoder(x, decoder(w_{t-1})),   w_0 the average latent

        Returns:
            W+ codes (N, count, n_styles, style_dim). All else is as in `encode`.

        Source: Alaluf et al. 2021 (ReStyle), section 3.2.
        """
        codes = [self.latent_avg[None]]
        for _ in range(count):
            seen = F.adaptive_avg_pool2d(self.decode(codes[-1]), x.shape[-1]).expand(len(x), -1, -1, -1)
            codes.append(codes[-1] + self.encoder(torch.cat([x, seen.to(x)], 1)))
        return torch.stack(codes[1:], 1)

    def encode(self, x: Tensor) -> Tensor:
        """Predicts the codes of pictures.

        Args:
            x: (N, input_nc, input_size, input_size), photographs in [-1, 1].

        Returns:
            W+ codes (N, n_styles, style_dim), with the average added.

        Raises:
            PspkitError: x has another shape or is not floating-point.
        """
        if self.iterations:
            return self.iterate(x, self.iterations)[:, -1]
        codes = self.encoder(x)
        if codes.ndim == 2:  # one w for each picture
            codes = codes[:, None].expand(-1, self.decoder.n_styles, -1)
        return codes + self.latent_avg if self.start_from_latent_avg else codes

    def decode(self, w_plus: Tensor, noise: str = "fixed") -> Tensor:
        """Draws pictures (N, 3, size, size), about [-1, 1], from W+ codes (N, n_styles, style_dim).

        Raises:
            PspkitError: the codes have another shape.
        """
        remedy = "One code a picture is decoded by decode_w (w) or decode_z (z)."
        check_tensor("w_plus", w_plus, ("N", self.decoder.n_styles, self.decoder.style_dim), remedy)
        return self.decoder.synthesis(w_plus) if noise == "fixed" else self.decoder.synthesis(w_plus, noise)

    def decode_w(self, w: Tensor, noise: str = "fixed") -> Tensor:
        """As `decode`, but from one w for each picture, (N, style_dim), which every layer takes."""
        check_tensor("w", w, ("N", self.decoder.style_dim))
        return self.decode(w[:, None].expand(-1, self.decoder.n_styles, -1), noise)

    def decode_z(self, z: Tensor, truncation: float = 1.0, noise: str = "fixed") -> Tensor:
        """As `decode`, but from standard normal z (N, style_dim), mapped to w and pulled towards the average."""
        average = self.latent_avg.mean(0)
        return self.decode_w(average + truncation * (self.decoder.mapping(z) - average), noise)

    def mix(self, w_plus: Tensor, reference: Tensor | None, layers: Sequence[int], alpha: float = 1.0) -> Tensor:
        """Replaces some codes by those of another picture.

            mixed_i = alpha * reference_i + (1 - alpha) * w_plus_i   for i in layers

        Args:
            w_plus: codes (N, n_styles, style_dim), which are kept outside `layers`.
            reference: codes (N or 1, n_styles, style_dim) that replace them; None stands for the average latent.
            layers: which codes are replaced, from 0 (coarse) to n_styles - 1 (fine).
            alpha: the weight of the reference.

        Returns:
            New codes (N, n_styles, style_dim); the arguments are not changed.

        Raises:
            PspkitError: codes have another shape, a layer does not exist, or alpha is not a number.

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
            x: as `encode` takes it.
            layers: which codes are replaced; none unless given.
            inject: the codes that replace them, as `mix` takes its reference.
            alpha: as `mix` takes it.
            noise: as `decode` takes it.

        Returns:
            Pictures (N, 3, size, size), about [-1, 1].
        """
        w_plus = self.encode(x)
        return self.decode(self.mix(w_plus, inject, layers, alpha) if layers else w_plus, noise)


def mix_codes(w_plus: Tensor, reference: Tensor, layers: Sequence[int], alpha: float = 1.0) -> Tensor:
    """As `PSP.mix`, but without a model: the codes may have any number and length, the same in both arguments."""
    check_number("alpha", alpha)
    n_styles, style_dim = w_plus.shape[1:]
    check_tensor("reference", reference, ("N or 1", n_styles, style_dim))
    if len(reference) not in (1, len(w_plus)):
        raise PspkitError(
            f"reference: got the codes of {len(reference)} pictures, needs those of 1 or of {len(w_plus)}."
        )
    strange = [layer for layer in layers if layer not in range(n_styles)]
    if strange:
        raise PspkitError(f"layers: got {strange}, needs numbers from 0 to {n_styles - 1}.")
    chosen = torch.zeros(n_styles, 1, dtype=w_plus.dtype, device=w_plus.device)
    chosen[list(layers)] = alpha
    return w_plus.lerp(reference.expand_as(w_plus).to(w_plus), chosen.expand_as(w_plus))


def load_decoder(path: str | Path, device: str | torch.device = "cpu") -> tuple[AnyDecoder, Tensor | None]:
    """Loads a decoder of any kind, and the average latent if one is stored beside it.

    Args:
        path: as `read_checkpoint` takes it; of a PSP only the decoder is loaded. Or the name of a registered decoder,
            which is then built with the defaults of its constructor.
        device: where the decoder is put.

    Raises:
        CheckpointError: the file is damaged, foreign or unsafe, or holds no decoder.
    """
    if str(path) in DECODERS and not os.path.exists(path):
        return DECODERS[str(path)]().to(device).eval(), None
    return _load_part(path, "decoder", DECODERS, device)


def load_encoder(path: str | Path, device: str | torch.device = "cpu") -> AnyEncoder:
    """Loads an encoder of any kind; otherwise as `load_decoder`."""
    return _load_part(path, "encoder", ENCODERS, device)[0]


def _load_part(
    path: str | Path, role: str, table: dict[str, type], device: str | torch.device
) -> tuple[nn.Module, Tensor | None]:
    checkpoint = read_checkpoint(path)
    config = type(getattr(checkpoint.config, role, checkpoint.config))
    if config not in {cls.config_type for cls in table.values()}:
        raise CheckpointError(
            f"{path}: it holds the weights of {checkpoint.class_name}, and no {role}. Give a file that holds one, or a"
            " PSP."
        )
    return CLASSES[config].from_pretrained(path, device), checkpoint.latent_avg


def estimate_latent_avg(decoder: AnyDecoder, n_samples: int = 4096, seed: int = 0) -> Tensor:
    """Estimates the average w of a decoder from random z.

    Args:
        decoder: only its `mapping` and its `style_dim` are used.
        n_samples: how many z are drawn.
        seed: seed of z, which are drawn on the CPU, so that every device gives the same average.

    Returns:
        (style_dim,), on the decoder's device.
    """
    z = torch.randn(n_samples, decoder.style_dim, generator=torch.Generator().manual_seed(seed), device="cpu")
    with torch.no_grad():
        return decoder.mapping(z.to(example_tensor(decoder))).mean(0)
