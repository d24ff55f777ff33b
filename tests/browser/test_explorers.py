"""Each explorer is opened, moved by mouse and by keyboard, and its picture follows."""

import re

import pytest

from pspkit.course.run import ROOT

PATIENCE = 40_000  # milliseconds, for machines that do other things besides
SCREENSHOTS = ROOT / "build" / "screenshots"
SERVER_ERRORS = re.compile(r"^(\[[EC] |ERROR|CRITICAL|Traceback|Task exception|Exception in)", re.MULTILINE)
ALLOWED = re.compile(r"(?!)")  # of the console's errors; nothing yet


@pytest.fixture(autouse=True)
def nothing_goes_wrong(page, lab, complaints):
    """No error in the browser's console, nor in the log of the server and its kernels."""
    yield
    found = SERVER_ERRORS.findall(lab[1].read_text())
    assert not found, lab[1].read_text()[-3000:]
    unexpected = [text for text in complaints if not ALLOWED.search(text)]
    assert unexpected == []


class Explorer:
    """One explorer on the page: the output of the cell whose code this is."""

    def __init__(self, page, code):
        self.page = page
        self.expect = pytest.importorskip("playwright.sync_api").expect
        self.cell = page.locator(".jp-CodeCell", has=page.locator(".cm-content", has_text=code))
        self.picture = self.cell.locator(".widget-html img")
        self.cell.scroll_into_view_if_needed()

    def row(self, label):
        """The row of a labelled control."""
        exactly = self.page.get_by_text(label, exact=True)
        return self.cell.locator(".widget-box .widget-hbox, .widget-dropdown, .widget-select-multiple").filter(
            has=exactly
        )

    def follows(self, act):
        """Does something, and waits until the picture is another, with other words."""
        source, words = self.picture.get_attribute("src"), self.picture.get_attribute("alt")
        act()
        self.expect(self.picture).not_to_have_attribute("alt", words, timeout=PATIENCE)
        self.expect(self.picture).not_to_have_attribute("src", source, timeout=PATIENCE)
        assert self.picture.evaluate("image => image.naturalWidth") > 0
        assert self.cell.locator("figcaption").inner_text() == self.picture.get_attribute("alt")

    def says(self, words):
        """Waits until these words are among the picture's: while a mouse is dragged it changes more than once."""
        self.expect(self.picture).to_have_attribute("alt", re.compile(re.escape(words)), timeout=PATIENCE)

    def click_slider(self, label, share):
        """Presses the mouse at a share of a slider's way."""
        track = self.row(label).locator(".noUi-target")
        track.scroll_into_view_if_needed()
        box = track.bounding_box()
        self.page.mouse.click(box["x"] + share * box["width"], box["y"] + box["height"] / 2)

    def press_on_slider(self, label, key, times=1):
        """Focuses a slider's handle and presses a key."""
        handle = self.row(label).locator(".noUi-handle")
        handle.focus()
        for _ in range(times):
            handle.press(key)

    def type_number(self, label, number):
        """Types into the box beside a slider."""
        box = self.row(label).locator("input[type=number]")
        box.focus()
        box.press("Control+a")
        box.type(str(number))
        box.press("Enter")

    def press_on_list(self, label, *keys):
        """Focuses a list and presses keys."""
        control = self.row(label).locator("select")
        control.focus()
        for key in keys:
            control.press(key)

    def keep(self, name):
        """A screenshot, for a person to look at."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self.cell.screenshot(path=SCREENSHOTS / f"{name}.png")


@pytest.fixture
def explorer(page, request):
    name, code = request.param
    found = Explorer(page, code)
    yield found
    found.keep(name)


def of(name, code):
    return pytest.mark.parametrize("explorer", [(name, code)], indirect=True, ids=[name])


@of("heads", "explore.heads.explore()")
def test_heads(explorer):
    explorer.follows(lambda: explorer.click_slider("yaw", 0.9))
    explorer.follows(lambda: explorer.press_on_slider("smile", "ArrowLeft", 60))
    explorer.follows(lambda: explorer.type_number("person", 7))
    explorer.follows(lambda: explorer.press_on_list("glasses", "ArrowDown"))


@of("blocks", "explore.blocks.explore()")
def test_blocks(explorer):
    explorer.follows(lambda: explorer.click_slider("unit", 0.3))
    explorer.follows(lambda: explorer.press_on_slider("unit", "ArrowRight"))
    explorer.follows(lambda: explorer.press_on_list("mode", "ArrowUp"))


@of("pyramid", "pyramid.explore()")
def test_pyramid(explorer):
    explorer.follows(lambda: explorer.click_slider("channel", 0.4))
    explorer.follows(lambda: explorer.type_number("face", 3))
    explorer.follows(lambda: explorer.press_on_list("level", "ArrowUp"))


@of("styles", "mixer.explore()")
def test_style_mixing(explorer):
    explorer.follows(lambda: explorer.click_slider("alpha", 0.5))
    explorer.follows(lambda: explorer.type_number("to code", 9))
    explorer.follows(lambda: explorer.press_on_list("person", "ArrowDown"))


@of("portraits", "portraits.explore()")
def test_portraits(explorer):
    explorer.follows(lambda: explorer.click_slider("yaw", 0.8))
    explorer.follows(lambda: explorer.type_number("smile", -1))
    explorer.follows(lambda: explorer.press_on_list("person", "ArrowDown"))


@of("degradations", "degrader.explore()")
def test_degradations(explorer):
    explorer.follows(lambda: explorer.press_on_list("factor", "ArrowDown"))
    explorer.follows(lambda: explorer.row("task").locator("select").select_option("Inpaint"))
    explorer.follows(lambda: explorer.click_slider("mask's draw", 0.5))


@of("curves", "curves.explore()")
def test_training_curves(explorer):
    explorer.follows(lambda: explorer.press_on_list("step", "ArrowUp"))
    explorer.follows(lambda: explorer.press_on_list("losses", "Shift+ArrowDown"))
    explorer.click_slider("smoothing", 0.8)
    box = explorer.row("smoothing").locator("input[type=number]")
    explorer.expect(box).to_have_value(re.compile(r"0\.[789]\d*"), timeout=PATIENCE)


@of("walk", "walker.explore()")
def test_walk(explorer):
    explorer.follows(lambda: explorer.click_slider("step", 0.1))
    explorer.follows(lambda: explorer.type_number("truncation", 0.5))
    explorer.follows(lambda: explorer.press_on_list("direction", "ArrowDown"))
    explorer.follows(lambda: explorer.press_on_slider("from code", "ArrowRight"))


@of("draw", "labels.explore()")
def test_draw(explorer):
    canvas = explorer.cell.locator("canvas")

    def drag():
        canvas.scroll_into_view_if_needed()
        box = canvas.bounding_box()
        mouse = explorer.page.mouse
        mouse.move(box["x"] + 60, box["y"] + 60)
        mouse.down()
        mouse.move(box["x"] + 300, box["y"] + 90, steps=8)
        mouse.up()

    def button(name):
        return explorer.cell.get_by_role("button", name=name)

    explorer.press_on_list("class", *["ArrowUp"] * 4)  # the hat
    explorer.follows(drag)
    explorer.says("with 1 mark")
    canvas.focus()
    explorer.follows(lambda: [canvas.press(key) for key in ("Shift+ArrowDown", "ArrowLeft", "Space")])
    explorer.says("with 2 marks")
    canvas.press("Shift+ArrowDown")
    canvas.press("Tab")
    explorer.page.wait_for_function("document.activeElement.innerText === 'Apply at the cursor'")
    explorer.follows(lambda: explorer.page.keyboard.press("Enter"))
    explorer.follows(lambda: button("Undo").press("Enter"))
    explorer.follows(lambda: button("Clear").click())
    explorer.says("with 0 marks")


@of("draw-sketch", "sketch.explore()")
def test_draw_a_sketch(explorer):
    explorer.press_on_list("pen", "ArrowUp")
    explorer.type_number("cursor x", 30)
    explorer.type_number("brush width", 12)
    explorer.follows(lambda: explorer.cell.get_by_role("button", name="Apply at the cursor").click())
