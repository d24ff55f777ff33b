"""A canvas that is painted on by mouse, touch or keyboard: the marks on it, and the controls around it."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import ipywidgets as widgets
import numpy as np
from ipycanvas import Canvas
from PIL import Image, ImageDraw

from pspkit.course.explore.wiring import Page, choice, column, drawing, number

if TYPE_CHECKING:
    from pspkit.course.explore.draw import Drawing

SHOWN = 384  # pixels of the screen along the canvas's side
STYLE = "<style>.pspkit-easel {image-rendering: pixelated; outline-offset: 2px; cursor: crosshair}</style>"
HELP = (
    "Paint with the mouse or a finger. By keyboard: Tab to the canvas, arrow keys move the cursor (with Shift by 8), "
    "Space applies the tool there, Tab leaves; or set both cursor fields and press “Apply at the cursor”."
)
ARROWS = {"ArrowLeft": (-1, 0), "ArrowRight": (1, 0), "ArrowUp": (0, -1), "ArrowDown": (0, 1)}
Point = tuple[float, float]


@dataclass(frozen=True)
class Stroke:
    """One stroke of the brush.

    Attributes:
        colour: a class's number, or the grey of a sketch.
        width: of the brush, pixels of the picture.
        points: x and y, in pixels of the picture.
    """

    colour: int
    width: int
    points: tuple[Point, ...]

    def on(self, image: Image.Image) -> None:
        """Draws itself."""
        pen, radius = ImageDraw.Draw(image), (self.width - 1) / 2
        pen.line([point for point in self.points for _ in range(1 + (len(self.points) == 1))], self.colour, self.width)
        for x, y in self.points:
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), self.colour)


@dataclass(frozen=True)
class Fill:
    """Gives another colour to the connected region of one colour around a point."""

    colour: int
    point: Point

    def on(self, image: Image.Image) -> None:
        """Draws itself."""
        ImageDraw.floodfill(image, tuple(map(int, self.point)), self.colour)


@dataclass(frozen=True)
class State:
    """What the drawing starts from, and what was done to it.

    Attributes:
        head: the number of a head; None is an empty sheet.
        marks: in order.
    """

    head: int | None = 0
    marks: tuple[Stroke | Fill, ...] = ()


class Easel:
    """The widget of a drawing.

    Attributes:
        widget: what the notebook shows.
        state: what is on the canvas.
    """

    def __init__(self, drawing_: "Drawing"):
        self.drawing, self.state, self._painting = drawing_, State(), False
        size = drawing_.size
        starts = [*((f"head {head}", head) for head in range(len(drawing_.sheets))), ("an empty sheet", None)]
        self.start = choice("start from", starts, 0)
        self.brush = choice("class" if drawing_.of_labels else "pen", drawing_.brushes, drawing_.brushes[-1][1])
        self.tool = choice("tool", ["brush", "fill"], "brush")
        self.width = number("brush width", 3, 1, 16)
        self.x, self.y = (number(f"cursor {axis}", size // 2, 0, size - 1) for axis in "xy")
        self.canvas = Canvas(width=size, height=size, layout={"width": f"{SHOWN}px", "height": f"{SHOWN}px"})
        self.canvas.add_class("pspkit-easel")
        self.buttons = [
            widgets.Button(description=text, tooltip=tip, layout={"width": "auto"})
            for text, tip in (
                ("Apply at the cursor", "Paint or fill where the cursor stands"),
                ("Undo", "Take back the last stroke"),
                ("Clear", "Take back all strokes"),
            )
        ]
        self.page = Page(*(drawing(stage, drawing_.describe, photographic=True) for stage in drawing_.stages))
        rows = [self.start, self.brush, self.tool, self.width, self.x, self.y]
        note = widgets.HTML(STYLE + HELP)
        self.widget = column(*rows, note, self.canvas, widgets.HBox(self.buttons), self.page)
        self._listen()
        self._paint(State())

    def _listen(self) -> None:
        apply, undo, clear = self.buttons
        apply.on_click(lambda _: self._apply())
        undo.on_click(lambda _: self._paint(replace(self.state, marks=self.state.marks[:-1])))
        clear.on_click(lambda _: self._paint(replace(self.state, marks=())))
        self.start.observe(lambda change: self._paint(State(change.new)), "value")
        for row in (self.width, self.x, self.y):
            row.value_source.observe(lambda _: self._show(), "value")
        self.canvas.on_client_ready(self._show)
        self.canvas.on_mouse_down(self._begin)
        self.canvas.on_mouse_move(self._go_on)
        self.canvas.on_mouse_up(self._end)
        self.canvas.on_mouse_out(self._end)
        self.canvas.on_touch_start(lambda touches: self._begin(*touches[0]))
        self.canvas.on_touch_move(lambda touches: self._go_on(*touches[0]))
        self.canvas.on_touch_end(lambda touches: self._end())
        self.canvas.on_key_down(self._key)

    def _begin(self, x: float, y: float) -> None:
        last = self.drawing.size - 1
        self.x.value_source.value, self.y.value_source.value = (min(max(int(place), 0), last) for place in (x, y))
        self._apply()
        self._painting = self.tool.value == "brush"

    def _go_on(self, x: float, y: float) -> None:
        if self._painting:
            *before, stroke = self.state.marks
            stroke = replace(stroke, points=(*stroke.points, (x, y)))
            self._paint(replace(self.state, marks=(*before, stroke)))

    def _end(self, *_) -> None:
        self._painting = False

    def _key(self, key: str, shift: bool, *_) -> None:
        if key in ARROWS:
            for row, step in zip((self.x, self.y), ARROWS[key], strict=True):
                row.value_source.value += step * (8 if shift else 1)
        elif key in (" ", "Enter"):
            self._apply()
        elif key == "Tab":  # the canvas keeps every key from the browser
            (self.y.children[1] if shift else self.buttons[0]).focus()

    def _apply(self) -> None:
        point = (self.x.value_source.value, self.y.value_source.value)
        if self.tool.value == "fill":
            mark = Fill(self.brush.value, point)
        else:
            mark = Stroke(self.brush.value, self.width.value_source.value, (point,))
        self._paint(replace(self.state, marks=(*self.state.marks, mark)))

    def _paint(self, state: State) -> None:
        self.state = state
        self._show()
        self.page.ask(state)

    def _show(self) -> None:
        """The drawing on the canvas, with the cursor's outline in the opposite colours."""
        pixels = self.drawing.colours(self.state)
        x, y, width = (row.value_source.value for row in (self.x, self.y, self.width))
        radius = (width + 1) // 2 + 1
        ring = Image.new("1", pixels.shape[1::-1])
        ImageDraw.Draw(ring).rectangle((x - radius, y - radius, x + radius, y + radius), outline=1)
        pixels = np.where(np.array(ring)[..., None], 255 - pixels, pixels)
        self.canvas.put_image_data(np.pad(pixels, ((0, 0), (0, 0), (0, 1)), constant_values=255))  # RGB would be a JPEG
