"""The kernels of `fused`. Pointers lead to channels-last maps: pixel p of the whole batch, channel c at p * C + c."""

import triton
import triton.language as tl


@triton.jit
def depthwise(x, weight, y, pixels, height, width, channels, PIXELS: tl.constexpr, CHANNELS: tl.constexpr):
    """Computes y[p, c], the sum over the 3x3 neighbours d of weight[d, c] x[p + d, c]; outside of the map x is 0."""
    p = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    c = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    row, column = (p // width) % height, p % width
    total = tl.zeros((PIXELS, CHANNELS), dtype=tl.float32)
    for i in tl.static_range(3):
        for j in tl.static_range(3):
            inside = (row + i >= 1) & (row + i <= height) & (column + j >= 1) & (column + j <= width) & (p < pixels)
            place = (p + (i - 1) * width + j - 1)[:, None] * channels + c[None, :]
            value = tl.load(x + place, mask=inside[:, None], other=0).to(tl.float32)
            total += value * tl.load(weight + (3 * i + j) * channels + c).to(tl.float32)[None, :]
    tl.store(y + p[:, None] * channels + c[None, :], total.to(y.dtype.element_ty), mask=(p < pixels)[:, None])


@triton.jit
def finish(x, bias, noise, pixels, area, channels, PIXELS: tl.constexpr, CHANNELS: tl.constexpr):
    """Turns x into lrelu(x + bias[c] + noise[p]) in place; the noise is one map for the whole batch."""
    p = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    c = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    inside = (p < pixels)[:, None]
    place = p[:, None] * channels + c[None, :]
    value = tl.load(x + place, mask=inside, other=0).to(tl.float32)
    value += tl.load(bias + c).to(tl.float32)[None, :]
    value += tl.load(noise + p % area, mask=p < pixels, other=0).to(tl.float32)[:, None]
    value = tl.where(value > 0, value, 0.2 * value)
    tl.store(x + place, value.to(x.dtype.element_ty), mask=inside)


@triton.jit
def haar(
    source,
    target,
    pixels,
    height,
    width,
    channels,
    TO_BANDS: tl.constexpr,
    PIXELS: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    """The Haar transform between bands (pixels, 4 channels) and 2x2 patches of a map of twice the side.

    The matrix is its own inverse and transpose, so that both directions differ only in what is read and written.
    """
    p = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    c = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    inside = (p < pixels)[:, None]
    bands = p[:, None] * (4 * channels) + c[None, :]
    corner = (p // width) * (4 * width) + (p % width) * 2  # the patch's first pixel: row p // width is 2 rows there
    patch = corner[:, None] * channels + c[None, :]
    right, below = channels, 2 * width * channels
    if TO_BANDS:
        a = tl.load(source + patch, mask=inside, other=0).to(tl.float32)
        v = tl.load(source + patch + below, mask=inside, other=0).to(tl.float32)
        h = tl.load(source + patch + right, mask=inside, other=0).to(tl.float32)
        d = tl.load(source + patch + below + right, mask=inside, other=0).to(tl.float32)
    else:
        a = tl.load(source + bands, mask=inside, other=0).to(tl.float32)
        v = tl.load(source + bands + channels, mask=inside, other=0).to(tl.float32)
        h = tl.load(source + bands + 2 * channels, mask=inside, other=0).to(tl.float32)
        d = tl.load(source + bands + 3 * channels, mask=inside, other=0).to(tl.float32)
    first, second = 0.5 * (a + v + h + d), 0.5 * (a - v + h - d)
    third, fourth = 0.5 * (a + v - h - d), 0.5 * (a - v - h + d)
    kind = target.dtype.element_ty
    if TO_BANDS:
        tl.store(target + bands, first.to(kind), mask=inside)
        tl.store(target + bands + channels, second.to(kind), mask=inside)
        tl.store(target + bands + 2 * channels, third.to(kind), mask=inside)
        tl.store(target + bands + 3 * channels, fourth.to(kind), mask=inside)
    else:
        tl.store(target + patch, first.to(kind), mask=inside)
        tl.store(target + patch + below, second.to(kind), mask=inside)
        tl.store(target + patch + right, third.to(kind), mask=inside)
        tl.store(target + patch + below + right, fourth.to(kind), mask=inside)
