"""Where a trained model comes from, and the device it runs on."""

from pathlib import Path

import torch
from torch import nn

from pspkit.config import EncoderConfig, PSPConfig
from pspkit.device import choose_device
from pspkit.domains import SHIPPED_PROFILE, get_domain
from pspkit.losses.identity import IdentityLoss
from pspkit.models.registry import AnyDecoder
from pspkit.psp import PSP, load_encoder
from pspkit.storage.checkpoints import read_checkpoint
from pspkit.storage.checkpoints.pretrained import WEIGHTS_FILE


def find_psp(
    domain: str = "heads",
    task: str = "encode",
    model: str | Path | None = None,
    device: str | torch.device | None = None,
) -> PSP:
    """A trained model in evaluation mode, its weights frozen.

    Args:
        domain: a key of `DOMAINS`.
        task: a key of `TASKS`.
        model: a model of one's own: a folder of `save_pretrained`, that of a training (its best is taken), or a pSp
            checkpoint of the reference; an encoder alone is put before the domain's decoder. The domain's own unless
            given.
        device: where it is put; as `choose_device` chooses unless given.

    Raises:
        PspkitError: none comes with the domain, and how to train one; or the file cannot be used.
    """
    found = get_domain(domain)
    if not model:
        return _placed(found.psp(task), device)
    path = _best(model)
    if isinstance(read_checkpoint(path).config, EncoderConfig):
        return _placed(PSP(load_encoder(path), *found.decoder(SHIPPED_PROFILE, task)), device)
    return _placed(PSP.from_pretrained(path), device)


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
    return module.to(choose_device(str(device) if device else None)).eval().requires_grad_(False)
