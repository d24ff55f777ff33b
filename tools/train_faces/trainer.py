"""Training the encoder of photographs: on faces that the decoder draws, later on photographs among them.

A drawn face comes with its codes, so that codes, pixels, features and identity can all be compared. The encoder sees
it with a camera's faults; the target has none. Of a photograph no codes are known, and its noise is not the decoder's:
there only features and identity are compared.
"""

import copy
import math
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pspkit.data.faces.augment import CAMERA, SCENE, augment
from pspkit.data.faces.drawn import WIDE, Variety, draw_codes
from pspkit.losses.identity import IdentityLoss
from pspkit.models.encoders import GradualStyleEncoder
from pspkit.models.mobile_stylegan import MobileStyleGAN
from pspkit.seeds import seed_of
from tools.faces.decoding import Decode
from tools.faces.meter import to_input
from tools.faces.pictures import SIDE, from_bytes

FINE_SIDE = 128  # LPIPS looks at this side as well: its features see larger parts of the face there
LOSSES = ("codes", "pixels", "lpips", "identity", "photo_lpips", "photo_identity", "photo_reach")


@dataclass(frozen=True)
class FaceTraining:
    """How the encoder of photographs is trained; shares are of the whole time.

    Attributes:
        batch: pictures in a step.
        chunk: pictures that are decoded at once, at most.
        photo_share: part of a batch that are photographs, once they come.
        between_share: part of the drawn faces, from then on, whose codes lie between those of two photographs.
        photos_from: when the first photographs come.
        lr: largest rate of the new layers.
        body_lr: largest rate of the pretrained body.
        body_from: when the body starts to learn; it would forget faces while the layers above it are random.
        warm_up: how long rates rise.
        anneal_from: when rates begin to fall, along a cosine, to 0 at the end.
        ema_decay: of the running average of the weights, which is what is kept.
        clip: largest norm of a gradient.
        codes: weight of the error of codes at the start; it falls to `codes_end` along a line.
        codes_end: weight of the error of codes at the end.
        pixels: weight of the mean squared error of pixels.
        lpips: weight of LPIPS, the mean of both sides.
        identity: weight of 1 - cosine of the embeddings.
        reach: weight of a photograph's squared distance from the average, relative to that of drawn faces.
        seed: with the number of a step it determines everything random in it.
    """

    batch: int = 64
    chunk: int = 32
    photo_share: float = 0.25
    between_share: float = 0.25
    photos_from: float = 0.3
    lr: float = 1e-3
    body_lr: float = 1e-4
    body_from: float = 0.06
    warm_up: float = 0.02
    anneal_from: float = 0.4
    ema_decay: float = 0.995
    clip: float = 1.0
    codes: float = 1.0
    codes_end: float = 0.3
    pixels: float = 1.0
    lpips: float = 0.8
    identity: float = 0.5
    reach: float = 0.01
    seed: int = 0


class FaceTrainer:
    """One step after another; how far the training has come is told from outside, as a share.

    Args:
        encoder: has the backbone "mobile_facenet"; trained in place, its stem stays frozen.
        decoder: frozen.
        decode: from codes to pictures (N, 3, 256, 256), with gradients.
        average: (style_dim,), the decoder's average code; the encoder predicts offsets from it.
        lpips: as `load_lpips` gives it.
        identity: embeds faces.
        photographs: (N, 3, 256, 256) as bytes, to learn from; None for none.
        config: how to train.
        variety: of the drawn codes.
    """

    def __init__(
        self,
        encoder: GradualStyleEncoder,
        decoder: MobileStyleGAN,
        decode: Decode,
        average: Tensor,
        lpips: nn.Module,
        identity: IdentityLoss,
        photographs: Tensor | None,
        config: FaceTraining,
        variety: Variety = WIDE,
    ) -> None:
        self.encoder, self.decoder, self.decode, self.average = encoder, decoder, decode, average
        self.lpips, self.identity, self.photographs = lpips, identity, photographs
        self.config, self.variety, self.device = config, variety, average.device
        self.taken = 0  # steps
        self.photo_codes: Tensor | None = None  # (photographs, n_styles, style_dim), as last predicted
        self.layout = torch.contiguous_format  # of the encoder's maps in memory
        encoder.input_layer.requires_grad_(False)
        self.ema = copy.deepcopy(encoder).requires_grad_(False)
        heads, body = _heads(encoder), list(encoder.body.parameters())
        self.learned, self.averages = [*heads, *body], [*_heads(self.ema), *self.ema.body.parameters()]
        groups = [{"params": heads, "lr": config.lr}, {"params": body, "lr": config.body_lr}]
        self.optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.99), weight_decay=1e-4, fused=True)
        codes = draw_codes(decoder, average, 1024, self._generator(), variety)
        self.scale = (codes - average).square().mean().sqrt()

    def step(self, share: float) -> Tensor:
        """Takes a step.

        Args:
            share: of the training's time that is over, from 0 to 1; it sets rates, weights and the photographs' part.

        Returns:
            The losses (7,) in the order of `LOSSES`, before weighting, on the device; NaN where there was none.
        """
        config, generator = self.config, self._generator()
        photos = 0
        if self.photographs is not None and share >= config.photos_from:
            photos = round(config.photo_share * config.batch)
        inputs, targets, codes = self._batch(config.batch - photos, photos, generator)
        self._set_rates(share)
        self.encoder.body.requires_grad_(share >= config.body_from)
        offsets = self.encode(inputs)

        predicted = offsets.detach() + self.average
        if photos:
            self.photo_codes[self.chosen] = predicted[len(codes) :]
        results = []
        for kind in (slice(0, len(codes)), slice(len(codes), None)):  # drawn faces, photographs
            parts = zip(predicted[kind].split(config.chunk), targets[kind].split(config.chunk), strict=True)
            results += [self._picture_gradient(*part, drawn=kind.start == 0) for part in parts if len(part[0])]
        gradient, losses = torch.cat([result[0] for result in results]), torch.stack([result[1] for result in results])
        error = F.smooth_l1_loss(offsets[: len(codes)] / self.scale, (codes - self.average) / self.scale)
        weight = config.codes + (config.codes_end - config.codes) * share
        total = (offsets * gradient).sum() / len(offsets) + weight * error  # the chain rule, for the pictures' losses
        self.optimizer.zero_grad()
        total.backward()
        nn.utils.clip_grad_norm_(self.learned, config.clip)
        self.optimizer.step()
        self._average_weights()
        self.taken += 1
        return torch.cat([error.detach()[None], losses.nanmean(0)])

    def encode(self, inputs: Tensor) -> Tensor:
        """Pictures (N, 3, 256, 256) to offsets from the average, with gradients, in bfloat16 where it is safe."""
        inputs = to_input(self.encoder, inputs).contiguous(memory_format=self.layout)
        with torch.autocast(self.device.type, torch.bfloat16):
            return self.encoder.codes(self.encoder.stages(inputs)).float()

    def _batch(self, drawn: int, photos: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Inputs and targets (N, 3, 256, 256), drawn faces first, and the codes of the drawn ones."""
        config = self.config
        with torch.no_grad():
            codes = draw_codes(self.decoder, self.average, drawn, generator, self.variety)
            if photos:
                between = self._between_photographs(round(config.between_share * drawn), generator)
                codes = torch.cat([between, codes[len(between) :]])
            targets = torch.cat([self.decode(part) for part in codes.split(config.chunk)]).clamp(-1, 1)
        if photos:
            self.chosen = torch.randint(len(self.photographs), (photos,), generator=generator, device=self.device)
            pictures = from_bytes(self.photographs[self.chosen])
            targets = torch.cat([targets, augment(pictures, generator, SCENE)])
        return augment(targets, generator, CAMERA), targets, codes

    def _between_photographs(self, n: int, generator: torch.Generator) -> Tensor:
        """Codes (n, n_styles, style_dim) between the present codes of two photographs, each style elsewhere.

        They lie where real people do, and unlike a photograph's own they are known exactly.
        """
        if self.photo_codes is None:
            parts = [self.encode(from_bytes(part)) for part in self.photographs.split(self.config.chunk)]
            self.photo_codes = torch.cat(parts) + self.average
        random = {"generator": generator, "device": self.device}
        first, second = self.photo_codes[torch.randint(len(self.photo_codes), (2, n), **random)]
        return first.lerp(second, torch.rand(n, first.shape[1], 1, **random))

    def _picture_gradient(self, codes: Tensor, target: Tensor, drawn: bool) -> tuple[Tensor, Tensor]:
        """The gradient of the pictures' weighted losses, summed over a chunk, at its codes; and the losses."""
        config, codes = self.config, codes.clone().requires_grad_()
        output = self.decode(codes)
        small, small_target = (F.avg_pool2d(x, SIDE // FINE_SIDE) for x in (output, target))
        lpips = (self.lpips(output, target).mean() + self.lpips(small, small_target).mean()) / 2
        with torch.autocast(self.device.type, torch.bfloat16):
            identity = self.identity(output, target)
        pixels = F.mse_loss(output, target)
        reach = ((codes - self.average) / self.scale).square().mean()
        loss = config.lpips * lpips + config.identity * identity
        loss = loss + (config.pixels * pixels if drawn else config.reach * reach)
        (loss * len(codes)).backward()
        none = torch.full_like(pixels, math.nan)
        found = (pixels, lpips, identity, none, none, none) if drawn else (none, none, none, lpips, identity, reach)
        return codes.grad, torch.stack(found).detach()

    def _set_rates(self, share: float) -> None:
        config = self.config
        falling = max(share - config.anneal_from, 0) / (1 - config.anneal_from)
        fall = (1 + math.cos(math.pi * min(falling, 1))) / 2
        starts = (0, config.body_from)
        for group, largest, start in zip(self.optimizer.param_groups, (config.lr, config.body_lr), starts, strict=True):
            group["lr"] = largest * fall * min(max((share - start) / config.warm_up, 0.01), 1)

    def keep(self) -> None:
        """Remembers the weights, for `restore`."""
        self.kept = [weight.detach().clone() for weight in (*self.learned, *self.averages)]

    @torch.no_grad()
    def restore(self) -> None:
        """Goes back to the weights that were kept last, and learns half as fast from here on."""
        torch._foreach_copy_([*self.learned, *self.averages], self.kept)
        self.optimizer.state.clear()
        self.config = replace(self.config, lr=self.config.lr / 2, body_lr=self.config.body_lr / 2)

    @torch.no_grad()
    def _average_weights(self) -> None:
        decay = min(self.config.ema_decay, (1 + self.taken) / (10 + self.taken))
        torch._foreach_lerp_(self.averages, self.learned, 1 - decay)

    def _generator(self) -> torch.Generator:
        return torch.Generator(self.device).manual_seed(seed_of(self.config.seed, self.taken) % 2**63)


def _heads(encoder: GradualStyleEncoder) -> list[nn.Parameter]:
    """What lies above the body: the map2style blocks and the pyramid's lateral layers."""
    return [
        parameter for name in ("styles", "latlayer1", "latlayer2") for parameter in getattr(encoder, name).parameters()
    ]
