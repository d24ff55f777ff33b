"""Photographs of faces: MobileStyleGAN draws them, and MobileFaceNet recognises people in them."""

from pspkit.config import FACE_ENCODERS, FACE_TRAININGS, TrainingConfig
from pspkit.data.faces.dataset import DrawnFaces
from pspkit.data.tasks import TASKS, FacePairs, get_task
from pspkit.domains.division import Pairs
from pspkit.domains.domain import Domain
from pspkit.errors import PspkitError
from pspkit.models.mobile_facenet import load_mobile_facenet
from pspkit.models.mobile_stylegan import MobileStyleGAN, load_mobile_stylegan
from pspkit.psp import estimate_latent_avg


def _face_pairs(task: str, size: int, config: TrainingConfig) -> Pairs:
    decoder = load_mobile_stylegan()
    average = estimate_latent_avg(decoder)
    extras = ("labels",) if get_task(task).source == "labels" else ()
    training, validation = (
        FacePairs(
            DrawnFaces(split, count, decoder, average, extras=extras),
            task,
            size,
            training=split == "train",
            seed=config.seed,
            target_size=config.preview,
        )
        for split, count in (("train", config.heads), ("validation", config.validation))
    )
    return training, validation


def _face_decoder(profile: str, look: str) -> MobileStyleGAN:
    if look != "plain":
        raise PspkitError(
            f"decoder: none is given, and no {look} decoder of faces comes with pspkit. Give the file of a StyleGAN2."
        )
    return load_mobile_stylegan()


FACES = Domain(
    "faces",
    "photographs of faces",
    _face_decoder,
    lambda profile: load_mobile_facenet(),
    own_pairs=_face_pairs,
    recipe="faces",
    encoders=FACE_ENCODERS,
    trainings=FACE_TRAININGS,
    trained=tuple(task for task in TASKS if task != "toonify"),
    shared=dict.fromkeys(("super_resolution", "colorize", "inpaint"), "restore"),
    refine=20,
)
