"""pSp as a whole: encode a picture to W+ codes, mix codes, decode them.

Source: Richardson et al. 2021, section 3: pSp(x) = G(E(x) + average latent).
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pspkit.checkpoints import Pretrained
from pspkit.config import GeneratorConfig, MobileStyleGANConfig, PSPConfig
from pspkit.encoders import Encoder
from pspkit.errors import PspkitError, check_tensor
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
        taken = (decoder.n_styles, decoder.style_dim)
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
        average = torch.zeros(decoder.style_dim)
        return cls(Encoder.from_config(config.encoder), decoder, average, config.start_from_latent_avg)

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
            PspkitError: codes of another shape. One code a picture is decoded by `decode_w` (w) or `decode_z` (z).
        """
        return self.decoder.synthesis(w_plus, noise)

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
            PspkitError: codes of another shape, or a layer that is not there.

        Source: Richardson et al. 2021, section 3.2 and figure 4 (style mixing).
        """
        shape = (self.decoder.n_styles, self.decoder.style_dim)
        if reference is None:
            reference = self.latent_avg[None]
        check_tensor("w_plus", w_plus, ("N", *shape))
        check_tensor("reference", reference, ("N or 1", *shape))
        if len(reference) not in (1, len(w_plus)):
            raise PspkitError(f"reference: got {len(reference)} pictures' codes, needs 1 or {len(w_plus)}.")
        strange = [layer for layer in layers if layer not in range(shape[0])]
        if strange:
            raise PspkitError(f"layers: got {strange}, needs numbers from 0 to {shape[0] - 1}.")
        chosen = torch.zeros(shape[0], 1, dtype=w_plus.dtype, device=w_plus.device)
        chosen[list(layers)] = alpha
        return w_plus.lerp(reference.expand_as(w_plus).to(w_plus), chosen.expand_as(w_plus))

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
    z = torch.randn(n_samples, decoder.style_dim, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        return decoder.mapping(z.to(parameter)).mean(0)
