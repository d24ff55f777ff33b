"""Where the time of a step goes."""

import time

import torch

from pspkit.data.faces.augment import CAMERA, augment
from tools.train_faces.run import Run


def profile(run: Run) -> None:
    """Prints how long the parts of a step take, in milliseconds a picture."""
    config, trainer = run.config, run.trainer
    codes, pictures = run.drawn_codes[: config.chunk], run.drawn[: config.chunk]
    batch = pictures.repeat(-(-config.batch // len(pictures)), 1, 1, 1)[: config.batch]
    generator = torch.Generator(run.device).manual_seed(0)

    def encode() -> None:
        trainer.encode(batch).square().mean().backward()

    def decode_back() -> None:
        wanted = codes.clone().requires_grad_()
        run.decode(wanted).square().mean().backward()

    def draw() -> None:
        with torch.no_grad():
            run.decode(codes)

    parts = {
        "encoder, forward and back": (encode, config.batch),
        "decoder, forward": (draw, config.chunk),
        "decoder, forward and back": (decode_back, config.chunk),
        "all picture losses, decoder included": (
            lambda: trainer._picture_gradient(codes, pictures, True),
            config.chunk,
        ),
        "augmentation": (lambda: augment(batch, generator, CAMERA), config.batch),
    }
    for name, (part, count) in parts.items():
        times = []
        for _ in range(4):
            _wait(run.device)
            began = time.perf_counter()
            part()
            _wait(run.device)
            times.append(time.perf_counter() - began)
        print(f"{name}: {1000 * min(times) / count:.3f} ms a picture (first {times[0]:.2f} s)", flush=True)
    run.encoder.zero_grad()
    if run.device.type == "cuda":
        print(f"memory {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB", flush=True)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()
