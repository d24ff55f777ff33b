"""Where a trained model comes from, and the device it runs on."""

from pathlib import Path

import torch
from torch import nn

from pspkit.checkpoints import read_checkpoint
from pspkit.checkpoints.pretrained import WEIGHTS_FILE
from pspkit.config import PSPConfig
from pspkit.domains import Decoder, get_domain
from pspkit.psp import PSP

PROFILE = "cpu"  # the size of the decoders that ship


def find_psp(domain: str, task: str, model: str | Path | None = None) -> PSP:
    """A trained model in evaluation mode, on the accelerator where there is one.

    Args:
        domain: a key of `DOMAINS`.
        task: a key of `TASKS`.
        model: a model of one's own: a folder of `save_pretrained`, that of a training (its best is taken), or a pSp
            checkpoint of the reference. The domain's own unless given.

    Raises:
        PspkitError: none comes with the domain, and how to train one; or the file cannot be used.
    """
    found = get_domain(domain)
    return _placed(PSP.from_pretrained(_best(model)) if model else found.psp(task))


def find_decoder(domain: str, task: str, model: str | Path | None = None) -> Decoder:
    """The decoder alone, of the domain or of a model of one's own, for codes that are there already.

    Args:
        domain: a key of `DOMAINS`.
        task: a key of `TASKS`; some draw in another world than their source's.
        model: as `find_psp`, or a decoder's file.

    Raises:
        PspkitError: as `Domain.decoder`.
    """
    return _placed(get_domain(domain).decoder(PROFILE, task, _best(model) if model else None)[0])


def find_parts(domain: str, task: str, model: str | Path | None = None) -> tuple[PSP | None, Decoder]:
    """The whole model where there is one, and its decoder; without an encoder, the decoder alone.

    Args and errors as `find_decoder`.
    """
    if model:
        whole = isinstance(read_checkpoint(_best(model)).config, PSPConfig)
    else:
        whole = get_domain(domain).encoder_path(task) is not None
    psp = find_psp(domain, task, model) if whole else None
    return psp, psp.decoder if psp else find_decoder(domain, task, model)


def _best(model: str | Path) -> Path:
    model = Path(model)
    return model / "best" if (model / "best" / WEIGHTS_FILE).exists() else model


def _placed(module: nn.Module) -> nn.Module:
    device = torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
    return module.to(device).eval().requires_grad_(False)
