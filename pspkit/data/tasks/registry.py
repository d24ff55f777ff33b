"""The table of tasks. All that training, inference, widgets and notebooks know about a task is in its entry."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from PIL import Image
from torch import Tensor
from torchvision.transforms import v2

from pspkit.data.faces.augment import CAMERA, Fault, blur, light, move
from pspkit.data.faces.sources import labels_of, sketch_of
from pspkit.data.pictures import Picture, to_picture
from pspkit.data.tasks.transforms import (
    MASKS,
    ToOneHot,
    grey,
    hide,
    label_legend,
    low_resolution,
    normalise,
    show_labels,
    show_masked,
    show_picture,
    show_sketch,
    to_square,
    to_unit,
)
from pspkit.errors import PspkitError, check_choice, check_registered
from pspkit.losses.terms import LossWeights

# W+ of the heads is small, and turned heads lie far from its average: with the paper's w-norm all heads look ahead.
HEADS = LossWeights(w_norm=0)
# The codes of a drawn face are known. They take the place of the w-norm, which only keeps codes close to real ones.
# Their weight is small, because many codes of W+ give nearly the same picture.
FACES = LossWeights(identity=0.5, w_norm=0, codes=0.1)


@dataclass(frozen=True)
class Recipe:
    """What a task does with one kind of data: the user's folders, rendered heads, or drawn faces.

    Attributes:
        losses: the weights of the losses.
        target: "own" (the source picture itself), "partner" (the picture that belongs to a map or sketch), or
            "front_view" or "toon" (the head, rendered in this way).
        flip: what is mirrored at random in training: "never" anything, source and target "together", or each of them
            "apart" from the other.
        options: if the task has an option, its values for `make_source`: a random one in training, and each in turn in
            validation.
        faults: the faults of a camera that the source of a drawn face has in training, and the target has not.
    """

    losses: LossWeights = field(default_factory=LossWeights)
    target: str = "own"
    flip: str = "never"
    options: tuple[Any, ...] = ()
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True)
class Task:
    """One task: what goes in, what should come out, and what counts. `register_task` adds one of your own.

    Attributes:
        title: what headings and lists call it.
        invents: what the network has to make up.
        folders: the recipe for the user's pictures, as in the reference.
        heads: the recipe for rendered heads, whose pairs are all exact.
        faces: the recipe for faces that a decoder draws, and whose codes are known. They are mirrored only with
            `flip="apart"`.
        source: the kind of picture from which it starts: "picture", "sketch" or "labels".
        input_nc: channels that the encoder takes.
        make_source: from a picture of that kind, and an option if the task has one, to the encoder's input, float32
            (input_nc, H, W).
        show_source: from inputs (N, input_nc, H, W) to RGB pictures (N, 3, H, W) in [-1, 1].
        legend: from such inputs and a side to a picture (3, side, side) that explains the colours in which they are
            shown; None if they need none.
        option: the name of what the user may choose at inference ("factor", "mask"); empty if there is no choice.
        default: the option if the user chooses none.
        decoder: the look of the decoder's pictures: "plain"; or "toon", if source and target look different.
        from_photograph: makes a source of this kind from a photograph (3, H, W), uint8 or float in [0, 1]; None if the
            source is a photograph, or cannot be made from one.
    """

    title: str
    invents: str
    folders: Recipe = Recipe()
    heads: Recipe = Recipe(HEADS)
    faces: Recipe = Recipe(FACES, faults=CAMERA)
    source: str = "picture"
    input_nc: int = 3
    make_source: Callable[..., Tensor] = normalise
    show_source: Callable[[Tensor], Tensor] = show_picture
    legend: Callable[[Tensor, int], Tensor] | None = None
    option: str = ""
    default: Any = None
    decoder: str = "plain"
    from_photograph: Callable[[Picture], Picture] | None = None

    def inference_source(
        self, picture: Image.Image | Tensor, size: int, option: Any = None, fit: str | None = None
    ) -> Tensor:
        """Prepares one picture for the encoder. Nothing is random, unless a mask is asked for by name.

        Args:
            picture: a PIL image, or a tensor as `pspkit.data.pictures.to_picture` takes it.
            size: side of the encoder's input, pixels.
            option: the factor or mask, if the task has one.
            fit: how a picture becomes square, as `to_square` takes it.

        Returns:
            float32 (input_nc, size, size).

        Raises:
            PspkitError: the picture is not of the task's kind, or there is no such option.
        """
        if option is not None and not self.option:
            raise PspkitError(f"option: got {option!r}, but {self.title!r} has no option. Leave it out.")
        chosen = (self.default if option is None else option,) if self.option else ()
        square = to_square(to_picture(picture, self.source), fit)
        return self.make_source(v2.functional.resize(square, [size, size]), *chosen)

    def source_of(self, photograph: Picture) -> Picture:
        """Makes the source of the task from a photograph; raises as `check_from_photograph` does.

        Args:
            photograph: (3, H, W), uint8 or float in [0, 1].
        """
        self.check_from_photograph()
        return self.from_photograph(photograph)

    def check_from_photograph(self) -> None:
        """Refuses a task whose source is not made from a photograph.

        Raises:
            PspkitError: the task starts from the photograph itself, or its source cannot be made from one.
        """
        if not self.from_photograph:
            start = "a picture itself" if self.source == "picture" else f"a {self.source} that pspkit cannot make"
            raise PspkitError(f"from_photograph: {self.title!r} starts from {start}. Leave the option out.")


# There are no frontal pictures for photographs. Identity leads, and mirrored targets teach the average of both sides.
FRONTALIZE = LossWeights(lpips=0.08, l2=0.001, identity=1, w_norm=0.005, lpips_crop=0.8, l2_crop=0.01)

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
        folders=Recipe(FRONTALIZE, flip="apart"),
        heads=Recipe(HEADS, target="front_view", flip="together"),
        faces=Recipe(FRONTALIZE, flip="apart", faults=CAMERA),
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
        faces=Recipe(replace(FACES, identity=0), "partner", faults=(move, light, blur)),
        from_photograph=sketch_of,
    ),
    "segmentation": Task(
        title="Label map to face",
        invents="the person: only the regions are given",
        source="labels",
        input_nc=19,
        make_source=ToOneHot(19),
        show_source=show_labels,
        legend=label_legend,
        folders=Recipe(LossWeights(identity=0), "partner"),
        heads=Recipe(replace(HEADS, identity=0), "partner"),
        faces=Recipe(replace(FACES, identity=0), "partner"),
        from_photograph=labels_of,
    ),
    "super_resolution": Task(
        title="Super-resolution",
        invents="the detail that the small picture lost",
        make_source=low_resolution,
        option="factor",
        default=1,
        folders=Recipe(options=(1, 2, 4, 8, 16, 32)),
        heads=Recipe(HEADS, options=(1, 2, 4, 8)),  # The last one leaves 8 of 64 px.
        faces=Recipe(FACES, options=(1, 2, 4, 8, 16), faults=CAMERA),  # The last one leaves 8 of 128 px.
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
        faces=Recipe(FACES, options=MASKS, faults=CAMERA),
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
    """Adds a task under a name, for training, for translating, and for the user's folders.

    Args:
        name: the name for `Run(task=...)` and `translate(task=...)`.
        task: the task.

    Returns:
        The task.

    Raises:
        PspkitError: pspkit has a task of this name, or there is no such kind of source.
    """
    if name in OURS:
        raise PspkitError(f"name: {name!r} is a task of pspkit already. Choose another name.")
    check_choice("source", task.source, ("picture", "sketch", "labels"))
    TASKS[name] = task
    return task


def get_task(name: str) -> Task:
    """Returns the task of this name.

    Raises:
        UnregisteredError: there is none; lists the names of those that there are.
    """
    check_registered("task", name, TASKS)
    return TASKS[name]
