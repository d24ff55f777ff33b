"""The photographic decoder: MobileStyleGAN, a distilled StyleGAN2 that predicts wavelet coefficients.

Shapes in comments are (N, C, H, W). Feature maps are kept channels-last in memory: on a CPU the depthwise
convolutions, which take most of the time, are then several times faster.

Source: Belousov 2021 (MobileStyleGAN, arXiv 2104.04767).
"""

import math
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pspkit.config import MobileStyleGANConfig
from pspkit.errors import AssetError, PspkitError, check_choice, check_tensor
from pspkit.models.frozen import freeze, load_frozen
from pspkit.models.stylegan2 import EqualLinear, PixelNorm
from pspkit.storage.checkpoints import Pretrained
from pspkit.storage.checkpoints.files import read_file
from pspkit.storage.places import shipped_weights

ASSET = "mobile-stylegan"
MEMBER = "random_face/data"
MAPPING_LR = 0.01  # learning-rate factor of the mapping network, as in StyleGAN2


def inverse_haar(x: Tensor) -> Tensor:
    """Turns the four bands of a Haar wavelet transform into a map of twice the side.

    With the low, vertical, horizontal and diagonal bands a, v, h and d, the pixel in row r and column c of a patch is
    (a + (-1)^r v + (-1)^c h + (-1)^(r+c) d) / 2.

    Args:
        x: (N, 4 C, H, W): the four bands one after another, with C channels each.

    Returns:
        (N, C, 2 H, 2 W).

    Source: Belousov 2021, section 3 (images as wavelet coefficients).
    """
    low, vertical, horizontal, diagonal = x.permute(0, 2, 3, 1).chunk(4, dim=-1)  # each (N, H, W, C)
    low, vertical = low + vertical, low - vertical
    horizontal, diagonal = horizontal + diagonal, horizontal - diagonal
    top = torch.stack((low + horizontal, low - horizontal), dim=3)  # (N, H, W, 2, C)
    bottom = torch.stack((vertical + diagonal, vertical - diagonal), dim=3)
    patches = torch.stack((top, bottom), dim=2).mul_(0.5)  # (N, H, 2, W, 2, C)
    return patches.flatten(3, 4).flatten(1, 2).permute(0, 3, 1, 2)


class Modulation(nn.Linear):
    """One scale per channel, an affine function of a code: s = A w + b. It starts near 1."""

    def reset_parameters(self) -> None:
        nn.init.normal_(self.weight, std=1 / math.sqrt(self.in_features))
        nn.init.ones_(self.bias)

    def forward(self, w: Tensor) -> Tensor:  # (N, style_dim) -> (N, C, 1, 1)
        return super().forward(w)[:, :, None, None]


class StyledSeparableConv(nn.Module):
    """A modulated convolution, noise, bias and LeakyReLU: y = lrelu(K * (s x) + n + b), s = A w + b_A.

    StyleGAN2 divides the output by a norm that depends on the style. Here that demodulation is a constant of the
    trained network, and part of the weights of K. K is a depthwise 3x3 convolution, then a pointwise 1x1 convolution;
    only in the first layer it is an ordinary 3x3 convolution.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        resolution: side of the map, for which the noise is stored, pixels.
        style_dim: length of a code.
        separable: False for an ordinary 3x3 convolution.

    Source: Belousov 2021, section 3 (depthwise-separable modulated convolution, demodulation fusion).
    """

    def __init__(
        self, in_channels: int, out_channels: int, resolution: int, style_dim: int, separable: bool = True
    ) -> None:
        super().__init__()
        self.modulation = Modulation(style_dim, in_channels)
        if separable:
            self.conv = nn.Sequential(
                nn.Conv2d(in_channels, in_channels, 3, padding=1, groups=in_channels, bias=False),
                nn.Conv2d(in_channels, out_channels, 1),
            )
        else:
            self.conv = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.register_buffer("noise", torch.zeros(1, 1, resolution, resolution))  # already multiplied by its strength

    def forward(self, x: Tensor, w: Tensor, noise: str) -> Tensor:
        x = self.conv(x * self.modulation(w))
        # In place: no gradient needs the values that are overwritten, and new memory costs more than the sum itself.
        x.add_((self.noise if noise == "fixed" else self._fresh_noise(x)).to(x.dtype))
        return F.leaky_relu(x, 0.2, inplace=True)

    def _fresh_noise(self, x: Tensor) -> Tensor:
        strength = self.noise.float().square().mean().sqrt()  # The stored noise is a unit normal times this.
        return strength * torch.randn(len(x), 1, *x.shape[2:], device=x.device)


class Block(nn.Module):
    """Doubles the side: a styled inverse wavelet transform, then two styled convolutions.

    Source: Belousov 2021, section 3.
    """

    def __init__(self, in_channels: int, out_channels: int, resolution: int, style_dim: int) -> None:
        super().__init__()
        self.up = Modulation(style_dim, in_channels)
        self.conv1 = StyledSeparableConv(in_channels // 4, out_channels, resolution, style_dim)
        self.conv2 = StyledSeparableConv(out_channels, out_channels, resolution, style_dim)

    def forward(self, x: Tensor, w1: Tensor, w2: Tensor, noise: str) -> Tensor:
        x = inverse_haar(x * self.up(w1))
        return self.conv2(self.conv1(x, w1, noise), w2, noise)


class WaveletHead(nn.Module):
    """Turns the last features into RGB: a modulated 1x1 convolution without demodulation, then the inverse transform.

    Source: Belousov 2021, section 3 (images as wavelet coefficients).
    """

    def __init__(self, in_channels: int, style_dim: int) -> None:
        super().__init__()
        self.modulation = Modulation(style_dim, in_channels)
        self.conv = nn.Conv2d(in_channels, 12, 1)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        return inverse_haar(self.conv(x * self.modulation(w))).contiguous()


class Readout(nn.Module):
    """Turns features into a small image by one linear map of the channels: y = A x + a.

    The weights are buffers that are not saved with the decoder, and no part of its state dict.

    Args:
        channels: channels of the features.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.zeros(3, channels, 1, 1), persistent=False)
        self.register_buffer("bias", torch.zeros(3), persistent=False)

    def forward(self, x: Tensor) -> Tensor:  # (N, C, S, S) -> (N, 3, S, S)
        return F.conv2d(x, self.weight, self.bias).contiguous()


class MobileStyleGAN(Pretrained, nn.Module):
    """z -> mapping -> w -> synthesis -> image, with the interface of `stylegan2.Generator`.

    The synthesis starts from a learned constant at 4 px. Code 0 drives the first convolution; block i takes code
    2i + 1 for its wavelet upsampling and its first convolution and code 2i + 2 for its second; the last code drives
    the image head.

    Args:
        style_dim: length of z and of one code.
        n_mlp: layers of the mapping network.
        channels: channels of the feature maps at 4 px and after every block; all but the last are divisible by 4.

    Raises:
        PspkitError: the channels cannot be divided into four wavelet bands.

    Source: Belousov 2021, section 3.
    """

    config_type = MobileStyleGANConfig

    def __init__(
        self,
        style_dim: int = 512,
        n_mlp: int = 8,
        channels: tuple[int, ...] = (512, 512, 512, 512, 512, 256, 128, 64),
    ) -> None:
        super().__init__()
        if any(c % 4 for c in channels[:-1]):
            raise PspkitError(
                f"channels: got {channels}, needs multiples of 4 for the four wavelet bands; only the last may be"
                " another."
            )
        self.config = config = MobileStyleGANConfig(style_dim, n_mlp, tuple(channels))
        self.size, self.style_dim, self.n_styles = config.size, style_dim, config.n_styles
        layers = [EqualLinear(style_dim, style_dim, lr_mul=MAPPING_LR, activate=True) for _ in range(n_mlp)]
        self.style = nn.Sequential(PixelNorm(), *layers)
        self.constant = nn.Parameter(torch.randn(1, channels[0], 4, 4))
        self.first = StyledSeparableConv(channels[0], channels[0], 4, style_dim, separable=False)
        self.blocks = nn.ModuleList(
            Block(channels[i], channels[i + 1], 8 * 2**i, style_dim) for i in range(len(channels) - 1)
        )
        self.head = WaveletHead(channels[-1], style_dim)
        self.readouts = nn.ModuleDict()  # by side; they come with the trained weights

    def modulations(self) -> dict[str, int]:
        """The network's modulations, coarse to fine, and the index of the code that drives each.

        Returns:
            From the name of a modulation, as `get_submodule` takes it, to the index of its code. The FFHQ decoder has
            23 modulations for 16 codes.
        """
        codes = {"first.modulation": 0}
        for i in range(len(self.blocks)):
            codes |= {f"blocks.{i}.up": 2 * i + 1, f"blocks.{i}.conv1.modulation": 2 * i + 1}
            codes |= {f"blocks.{i}.conv2.modulation": 2 * i + 2}
        return codes | {"head.modulation": self.n_styles - 1}

    def mapping(self, z: Tensor) -> Tensor:
        """Maps latent vectors to codes of W.

        Args:
            z: (N, style_dim), drawn from a unit normal.

        Returns:
            w: (N, style_dim).

        Raises:
            PspkitError: z has another shape or is not floating-point.

        Source: Karras et al. 2019 (StyleGAN), figure 1; taken over from StyleGAN2.
        """
        check_tensor("z", z, ("N", self.style_dim))
        return self.style(z.to(self.constant.dtype))

    def synthesis(self, w_plus: Tensor, noise: str = "fixed") -> Tensor:
        """Draws images from codes of W+.

        Args:
            w_plus: (N, n_styles, style_dim). For a code of W, the same code is repeated for every style.
            noise: "fixed" adds the stored noise, so that equal codes give equal images; "random" draws fresh noise.

        Returns:
            (N, 3, size, size), about [-1, 1], although single pixels reach 1.5. They are not clamped, so that gradients
            flow everywhere.

        Raises:
            PspkitError: w_plus has another shape or is not floating-point, or noise is neither choice.

        Source: Belousov 2021, section 3.
        """
        check_tensor("w_plus", w_plus, ("N", self.n_styles, self.style_dim))
        check_choice("noise", noise, ("fixed", "random"))
        x = self.features(w_plus, self.size // 2, noise)
        return self.head(x, w_plus[:, -1].to(x.dtype))

    @property
    def preview_sides(self) -> tuple[int, ...]:
        """The sides, in pixels, for which there is a readout."""
        return tuple(int(name) for name in self.readouts)

    def preview(self, w_plus: Tensor, side: int = 256) -> Tensor:
        """Approximates small images from codes of W+, in a fraction of the time that the whole synthesis takes.

        Only the blocks up to the side are computed. A readout turns their features into the image that the synthesis
        would give, averaged down to the side; the later codes have no influence. `tools/fit_preview.py` fits it.

        Args:
            w_plus: (N, n_styles, style_dim).
            side: 128 or 256, pixels.

        Returns:
            (N, 3, side, side), about [-1, 1], not clamped.

        Raises:
            PspkitError: w_plus has another shape or is not floating-point, or there is no readout for the side.
        """
        check_tensor("w_plus", w_plus, ("N", self.n_styles, self.style_dim))
        check_choice("side", side, self.preview_sides)
        return self.readouts[str(side)](self.features(w_plus, side))

    def features(self, w_plus: Tensor, side: int, noise: str = "fixed") -> Tensor:
        """Computes the feature maps of one block.

        Args:
            w_plus: (N, n_styles, style_dim); the codes of later blocks have no influence.
            side: side of the maps, pixels: 4 after the first convolution, and twice as much after each block.
            noise: as `synthesis` takes it.

        Returns:
            (N, C, side, side), in the precision of the weights.
        """
        w = w_plus.to(self.constant.dtype).unbind(1)
        x = self.constant.expand(len(w_plus), -1, -1, -1).contiguous(memory_format=torch.channels_last)
        x = self.first(x, w[0], noise)
        for i in range(side.bit_length() - 3):
            x = self.blocks[i](x, w[2 * i + 1], w[2 * i + 2], noise)
        return x


def load_mobile_stylegan() -> MobileStyleGAN:
    """The FFHQ decoder, 1024 px, in evaluation mode and with frozen weights.

    Its weights descend from StyleGAN2-FFHQ, whose licence forbids commercial use.

    Raises:
        AssetError: the weights could not be fetched or read.
    """
    decoder = load_frozen(MobileStyleGAN, ASSET, MEMBER, state_from_graphs)
    decoder.readouts = freeze(load_readouts())
    return decoder


def preview_weights() -> Path:
    """The file with the readouts of `MobileStyleGAN.preview`; its tensors are called "SIDE.weight" and "SIDE.bias"."""
    return shipped_weights() / "faces-preview" / "model.safetensors"


def load_readouts() -> nn.ModuleDict:
    """Reads the readouts of `MobileStyleGAN.preview` that `tools/fit_preview.py` stored.

    Returns:
        A `Readout` for each side, float32; none if the file is not there.

    Raises:
        CheckpointError: the file is damaged.
    """
    readouts, path = nn.ModuleDict(), preview_weights()
    tensors = read_file(path)[0] if path.is_file() else {}
    for side in sorted({key.partition(".")[0] for key in tensors}, key=int):
        weight, bias = tensors[f"{side}.weight"], tensors[f"{side}.bias"]
        readouts[side] = Readout(weight.shape[1])
        readouts[side].weight.copy_(weight)
        readouts[side].bias.copy_(bias)
    return readouts


def state_from_graphs(folder: Path) -> dict[str, Tensor]:
    """Reads the state dict of `MobileStyleGAN` out of the two inference graphs of the asset.

    Most constants of the graphs have the names of the trained parameters. Where the export folded several parameters
    into one constant, it has a number instead, which rises by a fixed step from block to block: a pointwise weight
    times its scale and demodulation, noise times its strength, and the scale of a modulation.

    Args:
        folder: holds `MappingNetwork` and `SynthesisNetwork`, each as `.xml` and `.bin`.

    Returns:
        The state dict of the default configuration, float32.

    Raises:
        AssetError: a graph cannot be read, or lacks a constant.
    """
    mapping, graph = _Constants(folder / "MappingNetwork.xml"), _Constants(folder / "SynthesisNetwork.xml")
    state = {"constant": graph["m.input.input"]}
    for i in range(8):
        # The export multiplied both scales of an `EqualLinear` into its parameters.
        state[f"style.{i + 1}.weight"] = mapping[f"{173 + 4 * i}"] / (MAPPING_LR / math.sqrt(512))
        state[f"style.{i + 1}.bias"] = mapping[f"{174 + 4 * i}"] / MAPPING_LR

    convs = [
        ("first", "m.conv1", 39, 1531, 18)
    ]  # Our name, the graph's name, and the numbers of kernel, noise and modulation scale.
    for i in range(7):
        convs.append((f"blocks.{i}.conv1", f"m.layers.{i}.conv1", 106 + 100 * i, 1560 + 41 * i, 84 + 100 * i))
        convs.append((f"blocks.{i}.conv2", f"m.layers.{i}.conv2", 139 + 100 * i, 1572 + 41 * i, 117 + 100 * i))
    for ours, theirs, kernel, noise, scale in convs:
        scale = graph[f"Constant_{scale}"].item()
        state[f"{ours}.modulation.weight"] = graph[f"{theirs}.conv.modulation.weight"] * scale
        state[f"{ours}.modulation.bias"] = graph[f"{theirs}.conv.modulation.bias"].flatten() * scale
        last = f"{ours}.conv" if ours == "first" else f"{ours}.conv.1"
        state[f"{last}.weight"] = graph[f"Mul_{kernel}_copy"]
        state[f"{last}.bias"] = graph[f"{theirs}.bias"].flatten()
        state[f"{ours}.noise"] = graph[f"{noise}"]
        if ours != "first":
            state[f"{ours}.conv.0.weight"] = graph[f"{theirs}.conv.weight_dw"].squeeze(2)
    for i in range(7):
        below = "first.conv" if i == 0 else f"blocks.{i - 1}.conv2.conv.1"
        state[f"blocks.{i}.up.weight"] = graph[f"m.layers.{i}.up.modulation.weight"]
        state[f"blocks.{i}.up.bias"] = graph[f"m.layers.{i}.up.modulation.bias"].flatten()
        _split_bands(state, f"{below}.weight", f"{below}.bias", f"blocks.{i}.up.weight", f"blocks.{i}.up.bias")

    scale = graph["Constant_750"].item()
    state["head.modulation.weight"] = graph["m.layers.6.to_img.conv.modulation.weight"] * scale
    state["head.modulation.bias"] = graph["m.layers.6.to_img.conv.modulation.bias"].flatten() * scale
    state["head.conv.weight"] = graph["m.layers.6.to_img.conv.weight"]
    state["head.conv.bias"] = graph["m.layers.6.to_img.bias"].flatten()
    _split_bands(state, "head.conv.weight", "head.conv.bias")
    return state


def _split_bands(state: dict[str, Tensor], *keys: str) -> None:
    """Reorders channels: the graph interleaves the three high bands, and `inverse_haar` takes one after another."""
    for key in keys:
        low, high = state[key].tensor_split([len(state[key]) // 4])
        state[key] = torch.cat((low, high.unflatten(0, (-1, 3)).transpose(0, 1).flatten(0, 1)))


class _Constants(dict):
    """The floating-point constants of an inference graph by name.

    OpenVINO stores the graph as XML, and the values in a `.bin` beside it. The values are float32, or
    float16 if the graph was saved at half the size; the tensors are float32.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            layers, values = ElementTree.parse(path).getroot().find("layers"), path.with_suffix(".bin").read_bytes()
            for layer in layers.iterfind("layer[@type='Const']"):
                entry = layer.find("data").attrib
                if entry["element_type"] in ("f32", "f16"):
                    shape = [int(n) for n in entry["shape"].split(",") if n]
                    dtype = np.dtype("<f4" if entry["element_type"] == "f32" else "<f2")
                    constant = np.frombuffer(values, dtype, int(entry["size"]) // dtype.itemsize, int(entry["offset"]))
                    self[layer.get("name")] = torch.tensor(constant, dtype=torch.float32, device="cpu").reshape(shape)
        except (OSError, ElementTree.ParseError, AttributeError, KeyError, ValueError) as error:
            raise AssetError(f"{path.name} is not an inference graph that can be read ({error}).") from error

    def __missing__(self, name: str) -> Tensor:
        raise AssetError(f"{self.path.name} holds no constant {name!r}, so it is not the FFHQ graph.")
