"""How each encoder is trained."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    """How one encoder is trained.

    Attributes:
        input_nc: channels of its input.
        width: channels inside its map2style blocks.
        lpips: weight of LPIPS at 128 px.
        identity: weight of 1 - cosine of ArcFace's embeddings.
        pixels: weight of the mean squared error of pixels.
        codes: weight of the error of codes.
        body_lr: largest rate of the body, which starts from that of `encode`.
        kind: of the encoder, a key of `ENCODERS`.
        part: its time, relative to `--minutes`.
    """

    input_nc: int
    width: int
    lpips: float = 0.8
    identity: float = 0.5
    pixels: float = 1.0
    codes: float = 0.5
    body_lr: float = 2e-4
    kind: str = "gradual"
    part: float = 1.0


PLANS = {
    "restore": Plan(input_nc=4, width=64, part=1.3),
    "sketch": Plan(input_nc=1, width=48, identity=0.2, body_lr=5e-4),
    "segmentation": Plan(input_nc=19, width=48, identity=0.0, body_lr=5e-4),
    "frontalize": Plan(input_nc=3, width=48, lpips=0.2, identity=1.0, pixels=0.1, part=0.8),
    # For comparison: codes of W+ against a code of W, in equal time.
    "encode": Plan(input_nc=3, width=48),
    "encode_w": Plan(input_nc=3, width=48, kind="w"),
}
SHIPPED = ("restore", "sketch", "segmentation", "frontalize")
