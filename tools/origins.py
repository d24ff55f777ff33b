"""The models that ship: how each is trained, measured and checked. This is the one list of them."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from pspkit.data.tasks import TASKS
from pspkit.models.backbone import Backbone
from pspkit.models.encoders import Encoder
from pspkit.models.stylegan2 import Generator
from pspkit.training.identity import verify
from tools.measuring import (
    CHECKED,
    Measured,
    check_decoder,
    check_task,
    measure_decoder,
    measure_identity,
    measure_task,
)

PLAIN, TOON, IDENTITY = "heads-plain-64", "heads-toon-64", "heads-identity"
# Of photographed faces. They have programs of their own, which write their cards: `tools.fit_preview`, `train_faces`,
# `train_face_tasks` and `fit_closed_form`, and those of `tools.store`. `make weights` leaves them as they are.
FACES_PREVIEW, FACES_ENCODE, FACES_CLOSED_FORM = "faces-preview", "faces-encode", "faces-closed-form"
FACES_DIRECTIONS = "faces-directions"
FACE_TASKS = ("restore", "sketch", "segmentation", "frontalize")
FACES = (
    FACES_PREVIEW,
    FACES_ENCODE,
    FACES_CLOSED_FORM,
    *(f"faces-{name}" for name in FACE_TASKS),
    FACES_DIRECTIONS,
)


@dataclass(frozen=True)
class Origin:
    """How one of the shipped models comes about.

    Attributes:
        command: the command of pspkit that trains it, and its options; {runs} and {weights} stand for those folders.
        model: the folder of the training that holds it: "best" or "last".
        kind: the class that loads it.
        measure: from the model to what its card says.
        check: one figure of the model on a few heads, which a test repeats.
        ships: whether the model itself is stored, or its card alone.
        remarks: what else its card says.
    """

    command: tuple[str, ...]
    model: str
    kind: type
    measure: Callable[[nn.Module], Measured]
    check: Callable[[nn.Module], float]
    ships: bool = True
    remarks: str = ""


def _task_origin(task: str, *options: str, ships: bool = True) -> Origin:
    command = ("train", "--domain", "heads", "--task", task, "--profile", "cpu", *options)
    return Origin(
        command,
        "best",
        Encoder,
        measure=lambda encoder: measure_task(encoder, task),
        check=lambda encoder: check_task(encoder, task),
        ships=ships,
    )


def _decoder_origin(look: str, *options: str, remarks: str = "") -> Origin:
    return Origin(
        ("train-decoder", *options),
        "last",
        Generator,
        measure=lambda decoder: measure_decoder(decoder, look),
        check=lambda decoder: check_decoder(decoder, look),
        remarks=remarks,
    )


# From the encoder of inversion on.
STEPS = {task: 1_200 if task in ("sketch", "segmentation") else 800 for task in TASKS if task != "encode"}

HISTORY = (
    "Not quite by this command: the first 68,000 images came in batches of 16, with LPIPS in the objective, which was"
    " found to harm; until image 212,000 all pixels weighed alike, and the rate had fallen to 0 before it rose again."
    " The adversary came at 240,616, first with a generator's rate of 0.25, a supervision of 20 and a gamma of 0.3;"
    " from 312,616 on with 1, 5 and 0.3, from 320,000 on with 0.5, 5 and 0.05, which let cracks grow on the walls, and"
    " from 338,000 on as the command does it."
)

ORIGINS = {
    PLAIN: _decoder_origin("plain", remarks=HISTORY),
    IDENTITY: Origin(
        ("train-identity",),
        "last",
        Backbone,
        measure=measure_identity,
        check=lambda network: verify(network, "test", CHECKED).same,
    ),
    TOON: _decoder_origin(
        "toon",
        *("--look", "toon", "--start", f"{{runs}}/{PLAIN}"),
        *("--heads", "4000", "--supervised", "8000", "--images", "15000"),
    ),
    "heads-encode": _task_origin("encode"),
    **{
        f"heads-{task}": _task_origin(task, "--encoder", "{weights}/heads-encode", "--steps", str(steps))
        for task, steps in STEPS.items()
    },
    "heads-encode-w": _task_origin("encode", "--kind", "w", ships=False),
    "heads-encode-w_plus": _task_origin("encode", "--kind", "w_plus", ships=False),
}
