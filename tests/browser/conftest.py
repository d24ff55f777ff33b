"""A Chromium; JupyterLab in a folder of its own, with the page of all explorers run in it; the live pages."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

import pytest
import torch

from pspkit.course.live.content import SAMPLES, SHOWN_HEADS
from pspkit.course.live.models import FACE_SIDE
from pspkit.course.live.page import write_live_pages
from pspkit.course.run import ROOT
from pspkit.data.heads import HeadsDataset
from pspkit.inference import find_psp, load_w_plus
from pspkit.psp import mix_codes

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
SETTINGS = {
    # all cells in the page, not only those in view; a notebook that is not trusted would hide its strips
    "@jupyterlab/notebook-extension/tracker.jupyterlab-settings": {"windowingMode": "none"},
    "@jupyterlab/docmanager-extension/plugin.jupyterlab-settings": {"autosave": False},
}
DISABLED = {"@jupyterlab/apputils-extension:announcements": True}  # asks the network for news
PATIENCE = 300  # seconds, for machines that do other things besides
VIEW = {"width": 1200, "height": 1400}


@pytest.fixture(scope="module")
def browser():
    """A Chromium without a window."""
    playwright = pytest.importorskip("playwright.sync_api", reason="no playwright here: make test-browser installs it")
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip("no Chromium here: make test-browser installs it, or says how")
    with playwright.sync_playwright() as running:
        chromium = running.chromium.launch(executable_path=path, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def lab(browser, tmp_path_factory):
    """JupyterLab's address and the file of its log, which has the kernels' too."""
    folder = tmp_path_factory.mktemp("lab")
    work, settings, log = folder / "work", folder / "settings", folder / "log.txt"
    (work / "notebooks").mkdir(parents=True)
    shutil.copy(ROOT / "notebooks" / "explore.ipynb", work / "notebooks")
    (work / "data").symlink_to(ROOT / "data")
    for name, values in SETTINGS.items():
        (settings / name).parent.mkdir(parents=True)
        (settings / name).write_text(json.dumps(values))
    (folder / "config" / "labconfig").mkdir(parents=True)
    (folder / "config" / "labconfig" / "page_config.json").write_text(json.dumps({"disabledExtensions": DISABLED}))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--expose-app-in-browser"),
        *(f"--ServerApp.root_dir={work}", "--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}"),
        *("--ServerApp.port_retries=0", "--IdentityProvider.token=", "--LabApp.collaborative=False"),
    ]
    places = {
        "JUPYTER_CONFIG_DIR": folder / "config",
        "JUPYTER_RUNTIME_DIR": folder / "runtime",
        "JUPYTERLAB_SETTINGS_DIR": settings,
        "JUPYTERLAB_WORKSPACES_DIR": folder / "workspaces",
        "IPYTHONDIR": folder / "ipython",
    }
    environment = os.environ | {name: str(place) for name, place in places.items()}
    with log.open("wb") as file:
        server = subprocess.Popen(command, cwd=work, env=environment, stdout=file, stderr=subprocess.STDOUT)
    try:
        _wait_for(address, server, log)
        yield address, log
    finally:
        server.terminate()  # it ends its kernels too
        server.wait(60)


def _wait_for(address, server, log):
    start = time.monotonic()
    while server.poll() is None and time.monotonic() - start < PATIENCE:
        try:
            with urllib.request.urlopen(f"{address}/api/status"):
                return
        except OSError:
            time.sleep(0.2)
    pytest.fail(f"JupyterLab did not start:\n{log.read_text()[-3000:]}")


@pytest.fixture(scope="module")
def complaints():
    """What the browser's console called an error."""
    return []


@pytest.fixture(scope="module")
def page(browser, lab, complaints):
    """The page of all explorers after all its cells have run."""
    address, _ = lab
    page = browser.new_page(viewport=VIEW)
    page.set_default_timeout(PATIENCE * 1000)
    page.on("console", lambda message: message.type == "error" and complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(f"{address}/doc/tree/notebooks/explore.ipynb")
    page.wait_for_selector(".jp-CodeCell")
    page.wait_for_function("window.jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'")
    page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')")
    last = page.locator(".jp-CodeCell").last
    last.locator(".jp-OutputArea-output .widget-html img").wait_for()
    page.set_default_timeout(12_000)
    return page


@pytest.fixture(scope="session")
def addresses(tmp_path_factory):
    """Of the live pages, by the names of their files."""
    return {page.name: page.as_uri() for page in write_live_pages(tmp_path_factory.mktemp("site"))}


@pytest.fixture(scope="session")
def psp():
    return find_psp("heads", device="cpu")


@pytest.fixture(scope="session")
def codes(psp):
    """The codes of the live page's heads, by PyTorch."""
    items = HeadsDataset("test", max(SHOWN_HEADS) + 1, psp.encoder.input_size)
    with torch.no_grad():
        return psp.encode(torch.stack([items[number]["image"] for number in SHOWN_HEADS]))


@pytest.fixture(scope="session")
def face_preview():
    """Draws the live page's first face with some codes of its second, by PyTorch."""
    decoder = find_psp("faces", device="cpu").decoder
    faces = load_w_plus(decoder, SAMPLES / "codes.safetensors")

    def draw(layers):
        with torch.no_grad():
            return decoder.preview(mix_codes(faces[:1], faces[1:2], layers), FACE_SIDE)[0]

    return draw
