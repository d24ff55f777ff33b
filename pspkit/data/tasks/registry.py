"""The table of tasks. What training, inference, widgets and notebooks know of a task stands in its entry."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from PIL import Image
from torch import Tensor
from torchvision.transforms import v2

from pspkit.data.pictures import to_picture
from pspkit.data.tasks.transforms import (
    MASKS,
    ToOneHot,
    grey,
    hide,
    low_resolution,
    normalise,
    show_labels,
    show_masked,
    show_picture,
    show_sketch,
    to_unit,
)
from pspkit.errors import PspkitError, check_choice, check_registered
from pspkit.losses.terms import LossWeights

# The heads' W+ is small, and a turned head lies far out in it: under the paper's w-norm all heads look ahead.
HEADS = LossWeights(w_norm=0)


@dataclass(frozen=True)
class Recipe:
    """What a task does with one sort of data: a person's own folders, or rendered heads.

    Attributes:
        losses: their weights.
        target: "own" (the source picture itself), "partner" (the picture that belongs to a map or sketch),
            "front_view" or "toon" (the head rendered so).
        flip: "never"; "together", source and target alike; or "apart", each by its own coin. Training only.
        options: what `make_source` is given besides the picture, where the task has an option: one of them, drawn at
            random in training, in turn in validation.
    """

    losses: LossWeights = field(default_factory=LossWeights)
    target: str = "own"
    flip: str = "never"
    options: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Task:
    """One task: what goes in, what should come out, what counts. `register_task` makes one of your own known.

    Attributes:
        title: for headings and lists.
        invents: what the network has to make up.
        folders: with a person's own pictures, as the reference does it.
        heads: with rendered heads, where every pair is exact.
        source: the kind of picture it starts from: "picture", "sketch" or "labels".
        input_nc: channels the encoder takes.
        make_source: from a picture of that kind, and an option if the task has one, to the encoder's input, float32
            (input_nc, H, W).
        show_source: from inputs (N, input_nc, H, W) to RGB pictures (N, 3, H, W) in [-1, 1].
        option: the name of what a user may choose at inference ("factor", "mask"); empty where nothing is.
        default: the option where the user chooses none.
        decoder: the look of the decoder's pictures: "plain", or "toon" where the source's world is not the target's.
    """

    title: str
    invents: str
    folders: Recipe = Recipe()
    heads: Recipe = Recipe(HEADS)
    source: str = "picture"
    input_nc: int = 3
    make_source: Callable[..., Tensor] = normalise
    show_source: Callable[[Tensor], Tensor] = show_picture
    option: str = ""
    default: Any = None
    decoder: str = "plain"

    def inference_source(self, picture: Image.Image | Tensor, size: int, option: Any = None) -> Tensor:
        """Prepares one picture for the encoder; nothing in it is random unless a mask is asked for by name.

        Args:
            picture: a PIL image, or a tensor as `pspkit.data.pictures.to_picture` takes it.
            size: the encoder's input side.
            option: the factor or mask, where the task has one.

        Returns:
            float32 (input_nc, size, size).

        Raises:
            PspkitError: the picture is not of the task's kind, or the option is none.
        """
        if option is not None and not self.option:
            raise PspkitError(f"option: got {option!r}, but nothing can be chosen for {self.title!r}. Leave it out.")
        chosen = (self.default if option is None else option,) if self.option else ()
        return self.make_source(v2.functional.resize(to_picture(picture, self.source), [size, size]), *chosen)


ENCODE = Task(
    title="Encode",
    invents="nothing: the picture itself is to come back",
    folders=Recipe(LossWeights(w_norm=0), flip="together"),
    heads=Recipe(HEADS, flip="together"),
)

TASKS = {
    "encode": ENCODE,
    "frontalize": Task(
        title="Frontalise",
        invents="the side of the face that was turned away",
        # No frontal pictures exist here: identity leads, and the mirrored target teaches the average of both sides.
        folders=Recipe(
            LossWeights(lpips=0.08, l2=0.001, identity=1, w_norm=0.005, lpips_crop=0.8, l2_crop=0.01), flip="apart"
        ),
        heads=Recipe(HEADS, target="front_view", flip="together"),
    ),
    "sketch": Task(
        title="Sketch to face",
        invents="colour, light, and all that lies between the lines",
        source="sketch",
        input_nc=1,
        make_source=to_unit,
        show_source=show_sketch,
        folders=Recipe(LossWeights(identity=0), "partner"),
        heads=Recipe(replace(HEADS, identity=0), "partner"),
    ),
    "segmentation": Task(
        title="Label map to face",
        invents="the person: only the regions are given",
        source="labels",
        input_nc=19,
        make_source=ToOneHot(19),
        show_source=show_labels,
        folders=Recipe(LossWeights(identity=0), "partner"),
        heads=Recipe(replace(HEADS, identity=0), "partner"),
    ),
    "super_resolution": Task(
        title="Super-resolution",
        invents="the detail that the small picture lost",
        make_source=low_resolution,
        option="factor",
        default=1,
        folders=Recipe(options=(1, 2, 4, 8, 16, 32)),
        heads=Recipe(HEADS, options=(1, 2, 4, 8)),  # 64 px leave 8 at the last
    ),
    "colorize": Task(
        title="Colourise",
        invents="hue and saturation",
        make_source=grey,
        folders=Recipe(),
        heads=Recipe(HEADS),
    ),
    "inpaint": Task(
        title="Inpaint",
        invents="what the mask hides",
        input_nc=4,
        make_source=hide,
        show_source=show_masked,
        option="mask",
        folders=Recipe(options=MASKS),
        heads=Recipe(HEADS, options=MASKS),
    ),
    "toonify": replace(
        ENCODE,
        title="Toonify",
        invents="the same person in another decoder's world",
        folders=Recipe(LossWeights(identity=1, w_norm=0.025), flip="together"),
        heads=Recipe(replace(HEADS, identity=1), target="toon", flip="together"),
        decoder="toon",
    ),
}


OURS = frozenset(TASKS)


def register_task(name: str, task: Task) -> Task:
    """Makes a task known under a name, for training, for translating, and for folders of one's own.

    Args:
        name: what `Run(task=...)` and `translate(task=...)` call it.
        task: what goes in and what should come out.

    Returns:
        The task.

    Raises:
        PspkitError: the name is that of another task, or the task's kind of source is none.
    """
    if name in OURS:
        raise PspkitError(f"{name}: is a task of the paper already. Choose another name.")
    check_choice("source", task.source, ("picture", "sketch", "labels"))
    TASKS[name] = task
    return task


def get_task(name: str) -> Task:
    """The task of this name.

    Raises:
        UnregisteredError: there is none; names those there are.
    """
    check_registered("task", name, TASKS)
    return TASKS[name]
