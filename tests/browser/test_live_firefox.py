"""The live pages in Firefox, opened from the disk: each part answers, and its pictures are those that PyTorch draws."""

import json

import numpy as np
import pytest
import torch

from pspkit.course.live.content import FACES, HEADS
from pspkit.inference.directions import load_directions
from pspkit.psp import mix_codes
from tests.browser.pictures import assert_shows, from_url, screenshot

driver = pytest.importorskip("tests.browser.firefox", reason="no websocket-client here: make browser installs it")


@pytest.fixture(scope="module")
def firefox(tmp_path_factory):
    path = driver.find_firefox()
    if path is None:
        pytest.skip("no Firefox here: make browser installs it, or says how")
    running = driver.Firefox(path, tmp_path_factory.mktemp("firefox"))
    yield running
    running.close()


@pytest.fixture
def open_page(firefox, addresses):
    """Opens a page and waits until it is complete; afterwards there is no error in it, and no request left it."""
    pages = []

    def open_(file=HEADS.file, width=1200, height=900):
        if file not in addresses:
            pytest.skip(f"{file} is left out here, for the reason that is printed")
        pages.append(page := firefox.open(addresses[file], width, height))
        page.wait_for("['complete', 'failed'].includes(document.body.dataset.state)")
        return page

    yield open_
    assert [page.faults for page in pages] == [[]] * len(pages)


def one(selector):
    """The JavaScript that finds an element."""
    return f"document.querySelector({json.dumps(selector)})"


def pixels(page, name):
    """What a canvas holds, (side, side, 3)."""
    return from_url(page.evaluate(f"{one('#' + name)}.toDataURL()"))


def follows(page, part, act):
    """Does something, waits until the part's words are others, and gives them."""
    words = f"{one(f'#{part}-words')}.innerText"
    before = page.evaluate(words)
    act()
    page.wait_for(f"{words} !== {json.dumps(before)}")
    return page.evaluate(words)


def test_heads_are_mixed_walked_drawn_and_looked_into(open_page, psp, codes):
    page = open_page()
    decode = torch.no_grad()(lambda codes: psp.decode(codes)[0])
    words = follows(page, "mix", lambda: page.click(one("#mix-levels button:nth-child(2)")))
    assert words == "Head 0 with codes 0 to 2 of head 1."
    assert_shows(pixels(page, "mix-picture"), decode(mix_codes(codes[:1], codes[1:2], [0, 1, 2])))
    words = follows(page, "mix", lambda: page.press(one("#mix-codes button"), "ArrowRight", "Space"))
    assert words == "Head 0 with codes 0, 2 of head 1."
    page.screenshot(screenshot("live-firefox-mix"))

    words = follows(page, "walk", lambda: page.press(one("[aria-label^='smile:']"), "End"))
    assert words == "Head 3: smiling by 1.50."
    assert_shows(pixels(page, "walk-picture"), decode(codes[3:4] + 1.5 * load_directions()["smile"]))

    before = pixels(page, "draw-picture")
    words = follows(page, "draw", lambda: page.drag(one("#draw-canvas"), (0, -100), (40, -90), (60, -80)))
    assert "with 1 change:" in words and np.abs(pixels(page, "draw-picture") - before).mean() > 0.1

    page.evaluate(f"{one('#inside')}.scrollIntoView()")
    page.wait_for(f"{one('#inside-from')}.innerText.includes('your drawing')")
    assert page.evaluate("document.querySelectorAll('#inside-codes canvas').length") == 10
    page.screenshot(screenshot("live-firefox-inside"))


def test_heads_on_a_narrow_screen(open_page):
    page = open_page(width=360, height=740)
    assert page.evaluate("innerWidth") == 360  # a scroll bar takes some of it
    assert page.evaluate("document.documentElement.scrollWidth === document.documentElement.clientWidth")
    assert "codes 0 to 2" in follows(page, "mix", lambda: page.click(one("#mix-levels button:nth-child(2)")))


def test_photographic_faces(open_page, face_preview):
    page = open_page(FACES.file)
    words = follows(page, "mix", lambda: page.click(one("#mix-levels button:nth-child(2)")))
    assert words == "Face 0 with codes 0 to 2 of face 1."
    assert_shows(pixels(page, "mix-picture"), face_preview([0, 1, 2]))
    page.screenshot(screenshot("live-firefox-faces"))
