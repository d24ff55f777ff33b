"""Example inputs of a model: what it is calibrated on and compared with."""

import torch
from torch import Tensor

from pspkit.data.heads import HeadsDataset
from pspkit.data.pictures import to_picture
from pspkit.data.tasks import get_task
from pspkit.data.tasks.pairs import ITEM_KEYS
from pspkit.data.tasks.registry import Task
from pspkit.errors import PspkitError
from pspkit.inference.codes import draw
from pspkit.psp import PSP

HEAD_SIDE = 64  # pixels at which heads are rendered; they are brought to the encoder's input side
TRUNCATION = 0.7  # of faces that the decoder draws
BATCH = 4


def example_sources(psp: PSP, domain: str, task: str, count: int, needed: bool) -> Tensor:
    """Inputs for a model's encoder, the same every time.

    They are made from rendered heads where the domain is "heads", and otherwise from pictures that the decoder draws.
    A decoder draws neither sketches nor label maps: these inputs are noise.

    Args:
        psp: the model.
        domain: a key of `DOMAINS`.
        task: a key of `TASKS`.
        count: how many.
        needed: whether noise will not do.

    Returns:
        float32 (count, input_nc, input_size, input_size).

    Raises:
        PspkitError: only noise can be had and it will not do, or the model is not of the task.
    """
    found, encoder = get_task(task), psp.encoder
    if encoder.input_nc != found.input_nc:
        raise PspkitError(
            f"task: {task} gives {found.input_nc} channels, but the model takes {encoder.input_nc}. Name the task that"
            " it was trained for."
        )
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        if domain != "heads" and found.source != "picture":
            if needed:
                raise PspkitError(
                    f"precision: int8 is calibrated on inputs, and {domain} brings none for {task}. Choose float16."
                )
            return torch.rand(count, encoder.input_nc, encoder.input_size, encoder.input_size)
        pictures = _rendered(found, count) if domain == "heads" else _drawn(psp, count)
        options = found.heads.options
        sources = [
            found.inference_source(picture, encoder.input_size, options[index % len(options)] if options else None)
            for index, picture in enumerate(pictures)
        ]
    return torch.stack(sources)


def _rendered(task: Task, count: int) -> list[Tensor]:
    key = ITEM_KEYS[task.source]
    return [to_picture(item[key], task.source) for item in HeadsDataset("test", count, HEAD_SIDE)]


def _drawn(psp: PSP, count: int) -> Tensor:
    average = psp.latent_avg.mean(0)
    with torch.no_grad():
        w = average + TRUNCATION * (psp.decoder.mapping(torch.randn(count, psp.decoder.style_dim)) - average)
    codes = w[:, None].expand(-1, psp.decoder.n_styles, -1)
    return draw(psp.decoder, codes, BATCH).clamp(-1, 1)
