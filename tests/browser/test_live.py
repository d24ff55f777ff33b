"""The live page, opened from the disk: each part is moved, and its picture is the one that PyTorch draws."""

import numpy as np
import pytest
import torch

from pspkit.course.live.content import FACES, HEADS
from pspkit.data.labels import LABELS, palette
from pspkit.inference import find_psp
from pspkit.inference.directions import load_directions
from pspkit.psp import mix_codes
from tests.browser.pictures import assert_shows, from_url, screenshot

PATIENCE = 300_000  # milliseconds, for machines that do other things besides


@pytest.fixture(scope="module")
def open_page(browser, addresses):
    """Opens a page in a window of some kind and waits until it is complete; gives it and what went wrong in it."""
    contexts = []

    def open_(file=HEADS.file, **window):
        if file not in addresses:
            pytest.skip(f"{file} is left out here, for the reason that is printed")
        address = addresses[file]
        context = browser.new_context(**window)
        contexts.append(context)
        page, faults = context.new_page(), []
        page.set_default_timeout(PATIENCE)
        page.on("console", lambda message: message.type in ("error", "warning") and faults.append(message.text))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda request: request.url.startswith(("data:", address)) or faults.append(request.url))
        page.goto(address)
        page.locator("body:is([data-state=complete], [data-state=failed])").wait_for()
        return page, faults

    yield open_
    for context in contexts:
        context.close()


@pytest.fixture(scope="module")
def opened(open_page):
    return open_page(viewport={"width": 1200, "height": 900})


@pytest.fixture
def page(opened):
    """The page on a large screen; afterwards there is no error in its console, and no request left it."""
    yield opened[0]
    assert opened[1] == []


def pixels(page, name):
    """What a canvas holds, (side, side, 3)."""
    return from_url(page.locator(f"#{name}").evaluate("canvas => canvas.toDataURL()"))


def follows(page, part, act):
    """Does something, and waits until the part's words are others."""
    expect = pytest.importorskip("playwright.sync_api").expect
    words = page.locator(f"#{part}-words")
    before = words.inner_text()
    act()
    expect(words).not_to_have_text(before, timeout=PATIENCE)
    return words.inner_text()


def assert_draws(page, name, psp, codes):
    """A canvas shows what PyTorch makes of the codes."""
    with torch.no_grad():
        assert_shows(pixels(page, name), psp.decode(codes)[0])


def test_mixing_by_mouse_and_by_keyboard(page, psp, codes):
    assert page.locator("#mix-words").inner_text() == "Head 0 with codes 7 to 9 of head 1."
    assert_draws(page, "mix-picture", psp, mix_codes(codes[:1], codes[1:2], [7, 8, 9]))
    words = follows(page, "mix", page.get_by_role("button", name="code 3, middle").click)
    assert words == "Head 0 with codes 3, 7 to 9 of head 1."
    page.get_by_role("button", name="code 0, coarse").focus()
    page.keyboard.press("ArrowRight")
    assert follows(page, "mix", lambda: page.keyboard.press("Space")) == "Head 0 with codes 1, 3, 7 to 9 of head 1."
    assert_draws(page, "mix-picture", psp, mix_codes(codes[:1], codes[1:2], [1, 3, 7, 8, 9]))
    follows(page, "mix", page.get_by_role("button", name="coarse", exact=True).click)
    page.locator("#mix-other input:checked").focus()
    assert follows(page, "mix", lambda: page.keyboard.press("ArrowRight")) == "Head 0 with codes 0 to 2 of head 2."
    page.screenshot(path=screenshot("live-mix"))


def test_walking_along_a_direction(page, psp, codes):
    page.get_by_role("slider", name="smile:").focus()
    assert follows(page, "walk", lambda: page.keyboard.press("End")) == "Head 3: smiling by 1.50."
    assert_draws(page, "walk-picture", psp, codes[3:4] + 1.5 * load_directions()["smile"])
    assert follows(page, "walk", page.get_by_role("button", name="All steps back").click) == "Head 3: no step yet."
    assert_draws(page, "walk-picture", psp, codes[3:4])
    words = follows(page, "walk", page.get_by_role("button", name="Somebody new").click)
    assert words == "Somebody who does not exist: no step yet."


def test_drawing_by_mouse_and_by_keyboard(page, psp):
    sheet = page.locator("#draw-canvas")
    sheet.scroll_into_view_if_needed()
    box = sheet.bounding_box()
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 8

    def stroke():
        page.mouse.move(*middle)
        page.mouse.down()
        page.mouse.move(middle[0] + 60, middle[1] + 20, steps=4)
        page.mouse.up()

    assert "with 1 change:" in follows(page, "draw", stroke)
    sheet.focus()
    page.keyboard.press("Shift+ArrowLeft")
    follows(page, "draw", lambda: page.keyboard.press("Space"))
    follows(page, "draw", page.locator("#draw-undo").click)
    painted = torch.from_numpy(pixels(page, "draw-canvas"))
    numbers = (painted[:, :, None] - palette()).abs().sum(-1).argmin(-1)
    assert (numbers == LABELS["hair"].number).any()
    segmentation = find_psp("heads", "segmentation", device="cpu")
    with torch.no_grad():
        codes = segmentation.encode(torch.nn.functional.one_hot(numbers, len(LABELS)).movedim(-1, 0)[None].float())
    assert_draws(page, "draw-picture", psp, codes)
    assert follows(page, "draw", page.get_by_label("sketch").check).startswith("A sketch from head 0 with 0 changes")


def test_looking_inside(page):
    page.locator("#inside").scroll_into_view_if_needed()
    expect = pytest.importorskip("playwright.sync_api").expect
    expect(page.locator("#inside-from")).to_contain_text("your drawing", timeout=PATIENCE)
    page.get_by_role("button", name="Pause").click()
    assert "backbone" in follows(page, "inside", page.locator("#inside-way > li").nth(1).click)
    assert "pyramid" in follows(page, "inside", page.get_by_role("button", name="the next step").click)
    assert page.locator("#inside-way > li.now h3").inner_text() == "Pyramid"
    assert page.locator("#inside-codes canvas").count() == 10
    assert [text.split()[0] for text in page.locator("#inside-growth figcaption").all_inner_texts()] == [
        *("4", "8", "16", "32", "64")
    ]
    assert np.ptp(pixels(page, "inside-source")) > 0
    page.locator("#inside").screenshot(path=screenshot("live-inside"))


def test_a_phone_in_the_dark_that_wants_no_motion(open_page):
    page, faults = open_page(
        viewport={"width": 360, "height": 740}, has_touch=True, color_scheme="dark", reduced_motion="reduce"
    )
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    follows(page, "mix", page.get_by_role("button", name="code 4, middle").tap)
    canvas = page.locator("#draw-canvas")
    assert "1 change" in follows(page, "draw", lambda: canvas.tap(position={"x": 20, "y": 20}))
    page.locator("#inside").scroll_into_view_if_needed()
    pytest.importorskip("playwright.sync_api").expect(page.locator("#inside-from")).not_to_be_empty(timeout=PATIENCE)
    assert page.get_by_role("button", name="Play").is_visible()  # it does not play by itself
    page.screenshot(path=screenshot("live-phone"), full_page=True)
    assert faults == []


def test_photographic_faces(open_page, face_preview):
    page, faults = open_page(FACES.file, viewport={"width": 1200, "height": 900})
    words = follows(page, "mix", page.get_by_role("button", name="coarse", exact=True).click)
    assert words == "Face 0 with codes 0 to 2 of face 1."
    assert_shows(pixels(page, "mix-picture"), face_preview([0, 1, 2]))
    page.get_by_role("slider", name="axis 1:").focus()
    assert follows(page, "walk", lambda: page.keyboard.press("End")) == "Face 3: the other way by 1.50."
    page.screenshot(path=screenshot("live-faces"), full_page=True)
    assert faults == []
