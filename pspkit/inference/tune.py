"""Pivotal tuning: some of the decoder's layers are trained for one picture, its codes held fixed.

Codes cannot say what the decoder has never drawn: a mole, a cap, a rare pair of glasses. A few of its weights can. The
codes stay where refinement put them, among those that edit well, and an edited person then stays that person.

Source: Roich et al. 2021 (pivotal tuning), section 3.2.
"""

import copy
import math
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm.auto import tqdm

from pspkit.device import native_precision
from pspkit.errors import CheckpointError, PspkitError
from pspkit.inference.refine import WEIGHTS, Gain, Refiner
from pspkit.models.registry import AnyDecoder
from pspkit.storage.checkpoints.files import read_file, write_tensors

FORMAT = "pspkit tuned layers"
MOST_NUMBERS = 2_400_000  # of the layers that are tuned: 4.8 MB in half precision
# Layers that are left alone, by a part of their name: mapping networks and modulations, through which codes act.
KEPT = ("style", "mapping", "modulation", "up", "readouts")
RATE = 3e-4  # Roich et al. 2021, section 4.1; tenfold brings less


def tuned_layers(decoder: AnyDecoder) -> list[str]:
    """The names of the parameters that tuning trains: the finest convolutions, as many as a small file holds.

    Of the photographic decoder these are all convolutions of its blocks and of its image head, 1.5 million numbers.
    Layers are counted from the last on, until one would be too many; those through which codes act, such as
    modulations, are left out.
    """
    names, numbers = [], 0
    for layer, module in reversed(list(decoder.named_modules())):
        own = [f"{layer}.{name}" if layer else name for name, _ in module.named_parameters(recurse=False)]
        if not own or any(part in KEPT for part in layer.split(".")):
            continue
        numbers += sum(decoder.get_parameter(name).numel() for name in own)
        if numbers > MOST_NUMBERS:
            break
        names = own + names
    return names


class Tuner:
    """Trains a copy of some of a decoder's layers for each picture.

    Args:
        decoder: draws; left as it is.
        steps: of Adam.
        refiner: measures, and has the networks that do.

    Attributes:
        gain: of all pictures that were tuned.

    Raises:
        PspkitError: the decoder has no layers that can be tuned.
    """

    def __init__(self, decoder: AnyDecoder, steps: int, refiner: Refiner) -> None:
        self.decoder, self.steps, self.refiner = decoder, steps, refiner
        self.names = tuned_layers(decoder)
        if not self.names:
            raise PspkitError("tune: none of the decoder's layers is small enough to be kept. Leave it out.")
        numbers = sum(decoder.get_parameter(name).numel() for name in self.names)
        layers = {name.rpartition(".")[0] for name in self.names}
        about = f"{len(layers)} layers tuned, {2 * numbers / 1e6:.1f} MB a picture"
        self.gain = Gain(steps, what="tuned", about=about)

    def __call__(self, codes: Tensor, picture: Tensor) -> AnyDecoder:
        """Tunes.

        Args:
            codes: (1, n_styles, style_dim), held fixed.
            picture: (1, 3, side, side) in [-1, 1], of the refiner's side.

        Returns:
            A copy of the decoder with layers of its own, without previews: they were fitted to the old layers.
        """
        started = time.perf_counter()
        with torch.no_grad():
            before = self.refiner.measure(self.decoder.synthesis(codes), picture)
        decoder = _own(self.decoder, self.names)
        trained = [decoder.get_parameter(name).requires_grad_() for name in self.names]
        device, precision = trained[0].device, trained[0].dtype
        picture, codes = picture.to(device, torch.float32), codes.to(device, precision)
        fast = precision == torch.float32 and native_precision(device) == "bfloat16"
        identity = self.refiner.identity
        with torch.no_grad():
            person = identity.embed(picture) if identity is not None else None
        optimizer = torch.optim.Adam(trained, RATE)
        for step in tqdm(range(self.steps), "tuning", unit="step", delay=2, leave=False, disable=None):
            optimizer.param_groups[0]["lr"] = RATE * (1 + math.cos(math.pi * step / self.steps)) / 2
            with torch.enable_grad():
                with torch.autocast(device.type, torch.bfloat16, enabled=fast):
                    output = F.adaptive_avg_pool2d(decoder.synthesis(codes), self.refiner.side).float()
                    lpips = self.refiner.lpips(output, picture).sum() if self.refiner.lpips is not None else 0
                loss = WEIGHTS.l2 * F.mse_loss(output, picture) + WEIGHTS.lpips * lpips
                if identity is not None:
                    loss = loss + WEIGHTS.identity * (1 - F.cosine_similarity(identity.embed(output), person)).sum()
                optimizer.zero_grad()
                loss.backward()
            optimizer.step()
        with torch.no_grad():
            for name in self.names:  # as the file will have them
                old, new = self.decoder.get_parameter(name), decoder.get_parameter(name)
                new.copy_(old + (new - old).half().to(new))
        decoder.requires_grad_(False)
        with torch.no_grad():
            after = self.refiner.measure(decoder.synthesis(codes), picture)
        self.gain.seconds += time.perf_counter() - started
        self.gain.add(before, after)
        return decoder


def save_tuned(decoder: AnyDecoder, tuned: AnyDecoder, path: Path | str) -> None:
    """Writes what tuning changed, in half precision.

    Args:
        decoder: as it was.
        tuned: as `Tuner` gave it.
        path: the file.

    Raises:
        CheckpointError: the file could not be written.
    """
    changes = {}
    for name in tuned_layers(decoder):
        changes[name] = (tuned.get_parameter(name) - decoder.get_parameter(name)).half().cpu()
    write_tensors(Path(path), changes, {"format": FORMAT})


def load_tuned(path: Path | str, decoder: AnyDecoder) -> AnyDecoder:
    """A copy of a decoder with the layers that were tuned for one picture.

    Args:
        path: a file of `save_tuned`.
        decoder: the one that was tuned; left as it is.

    Raises:
        CheckpointError: the file is damaged, or belongs to another decoder.
    """
    path = Path(path)
    changes, metadata = read_file(path)
    if metadata.get("format") != FORMAT:
        raise CheckpointError(f"{path}: not a file of tuned layers. Give one that `translate --tune` wrote.")
    shapes = {name: parameter.shape for name, parameter in decoder.named_parameters()}
    if any(shapes.get(name) != change.shape for name, change in changes.items()):
        raise CheckpointError(f"{path}: its layers are another decoder's. Name the domain or model that it comes from.")
    tuned = _own(decoder, list(changes))
    with torch.no_grad():
        for name, change in changes.items():
            tuned.get_parameter(name).add_(change.to(tuned.get_parameter(name)))
    return tuned


def tuned_decoder(decoder: AnyDecoder, codes: Path | str) -> AnyDecoder:
    """The decoder for the codes in a file: tuned where `NAME.tuned.safetensors` is beside `NAME.safetensors`.

    Raises:
        CheckpointError: as `load_tuned`.
    """
    path = tuned_path(codes)
    return load_tuned(path, decoder) if path.exists() else decoder


def tuned_path(codes: Path | str) -> Path:
    """Where the layers tuned for a file of codes are kept: `a.tuned.safetensors` beside `a.safetensors`."""
    codes = Path(codes)
    return codes.with_name(f"{codes.stem}.tuned.safetensors")


def _own(decoder: AnyDecoder, names: list[str]) -> AnyDecoder:
    """A copy that shares every tensor with the decoder but those of these names; without previews."""
    shared = {id(tensor): tensor for tensor in (*decoder.parameters(), *decoder.buffers())}
    for name in names:
        del shared[id(decoder.get_parameter(name))]
    copied = copy.deepcopy(decoder, shared)
    if hasattr(copied, "readouts"):
        copied.readouts = nn.ModuleDict()
    return copied
