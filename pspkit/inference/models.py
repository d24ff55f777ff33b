"""Where a trained model comes from, and the device it runs on."""

from pathlib import Path

import torch
from torch import Tensor, nn

from pspkit.config import EncoderConfig, PSPConfig
from pspkit.device import choose_device
from pspkit.domains import DOMAINS, SHIPPED_PROFILE, get_domain
from pspkit.errors import PspkitError
from pspkit.inference.codes import shares_styles
from pspkit.losses.identity import IdentityLoss
from pspkit.models.frozen import freeze
from pspkit.models.registry import AnyDecoder, AnyEncoder
from pspkit.psp import PSP, load_decoder, load_encoder
from pspkit.storage.checkpoints import read_checkpoint
from pspkit.storage.checkpoints.pretrained import WEIGHTS_FILE


def find_psp(
    domain: str = "heads",
    task: str = "encode",
    model: str | Path | None = None,
    device: str | torch.device | None = None,
    decoder: str | Path | None = None,
) -> PSP:
    """A trained model in evaluation mode, its weights frozen.

    Args:
        domain: a key of `DOMAINS`.
        task: a key of `TASKS`.
        model: a model of one's own: a folder of `save_pretrained`, that of a training (its best is taken), or a pSp
            checkpoint of the reference; an encoder alone is put before the domain's decoder. The domain's own unless
            given.
        device: where it is put; as `choose_device` chooses unless given.
        decoder: what draws in place of the model's own, as `load_decoder` takes it, or the name of a domain, whose
            decoder draws then; of as many codes. The photographic decoder takes the first 16 of 18 codes, as it shares
            the space of StyleGAN2 on FFHQ. The average latent that is stored with the decoder, where one is, is what
            the codes start from.

    Raises:
        PspkitError: none comes with the domain, and how to train one; or the file cannot be used.
    """
    found = get_domain(domain)
    path = _best(model) if model else None
    alone = path and isinstance(read_checkpoint(path).config, EncoderConfig)
    if alone:
        psp = _before(load_encoder(path), *found.decoder(SHIPPED_PROFILE, task, decoder), path)
    elif path:
        psp = PSP.from_pretrained(path)
    else:
        psp = found.psp(task)
    if decoder and not alone:
        named = str(decoder) in DOMAINS and not Path(decoder).exists()
        other, average = (
            get_domain(str(decoder)).decoder(SHIPPED_PROFILE, task) if named else load_decoder(_best(decoder))
        )
        if average is None and shares_styles(other, psp.decoder.n_styles):
            average = psp.latent_avg[: other.n_styles]  # what the encoder's offsets were learned from
        psp = _before(psp.encoder, other, average, decoder, psp.start_from_latent_avg, psp.iterations)
    return _placed(psp, device)


class FirstCodes(nn.Module):
    """An encoder of which a decoder of fewer codes takes the first; its interface is `AnyEncoder`'s."""

    def __init__(self, encoder: AnyEncoder, n_styles: int) -> None:
        super().__init__()
        self.encoder, self.n_styles, self.style_dim = encoder, n_styles, encoder.style_dim
        self.input_nc, self.input_size = encoder.input_nc, encoder.input_size

    def forward(self, x: Tensor) -> Tensor:
        codes = self.encoder(x)
        return codes[:, : self.n_styles] if codes.ndim == 3 else codes  # one w serves every style


def _before(encoder: nn.Module, decoder: AnyDecoder, average: Tensor | None, file: str | Path, *how: int) -> PSP:
    """An encoder before a decoder; where they do not fit, names the file and the decoder that is wanted."""
    if shares_styles(decoder, encoder.n_styles):
        encoder = FirstCodes(encoder, decoder.n_styles)
    made, taken = (encoder.n_styles, encoder.style_dim), (decoder.n_styles, decoder.style_dim)
    if made != taken:
        raise PspkitError(
            f"{file}: the encoder makes {made[0]} codes of {made[1]}, and the decoder takes {taken[0]} of {taken[1]}."
            f" It wants one of {made[0]} codes: in a StyleGAN2 that of {2 ** ((made[0] + 2) // 2)} px. Give its file"
            " as the decoder."
        )
    return PSP(encoder, decoder, average, *how)


def find_decoder(
    domain: str, task: str, model: str | Path | None = None, device: str | torch.device | None = None
) -> AnyDecoder:
    """The decoder alone, of the domain or of a model of one's own, for codes that are there already.

    Args:
        domain: a key of `DOMAINS`.
        task: a key of `TASKS`; some draw in another world than their source's.
        model: as `find_psp`, or a decoder's file.
        device: as `find_psp`.

    Raises:
        PspkitError: as `Domain.decoder`.
    """
    return _placed(get_domain(domain).decoder(SHIPPED_PROFILE, task, _best(model) if model else None)[0], device)


def find_parts(domain: str, task: str, model: str | Path | None = None) -> tuple[PSP | None, AnyDecoder]:
    """The whole model where there is one, and its decoder; without an encoder, the decoder alone.

    Args and errors as `find_decoder`.
    """
    if model:
        whole = isinstance(read_checkpoint(_best(model)).config, PSPConfig | EncoderConfig)
    else:
        whole = get_domain(domain).encoder_path(task) is not None
    psp = find_psp(domain, task, model) if whole else None
    return psp, psp.decoder if psp else find_decoder(domain, task, model)


def find_identity(domain: str) -> IdentityLoss | None:
    """What compares people in the pictures of a domain; None where they show none, or no network comes with it."""
    found = get_domain(domain)
    if not (found.has_faces and found.own_identity):
        return None
    return IdentityLoss(found.identity(SHIPPED_PROFILE), found.face_box)


def _best(model: str | Path) -> Path:
    model = Path(model)
    return model / "best" if (model / "best" / WEIGHTS_FILE).exists() else model


def _placed(module: nn.Module, device: str | torch.device | None) -> nn.Module:
    return freeze(module.to(choose_device(str(device) if device else None)))
