"""Drives a Firefox that is installed, by WebDriver BiDi, which it understands without a driver.

Playwright drives a build of its own, which has to be fetched, or a Firefox newer than Debian's.

Source: https://w3c.github.io/webdriver-bidi/
"""

import base64
import json
import re
import shutil
import subprocess
import time

import websocket

NAMES = ("firefox-esr", "firefox")
SETTINGS = {  # so that it asks the network for nothing by itself
    "app.normandy.enabled": False,
    "app.update.disabledForTesting": True,
    "browser.aboutwelcome.enabled": False,
    "browser.safebrowsing.downloads.remote.enabled": False,
    "browser.safebrowsing.malware.enabled": False,
    "browser.safebrowsing.phishing.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "browser.startup.page": 0,
    "datareporting.policy.dataSubmissionEnabled": False,
    "extensions.update.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "services.settings.server": "data:,#remote-settings-dummy/v1",
    "toolkit.telemetry.reportingpolicy.firstRun": False,
}
KEYS = {"ArrowRight": "\ue014", "End": "\ue010", "Space": " "}
PATIENCE = 300  # seconds, for machines that do other things besides


def find_firefox():
    """Its path; None where there is none."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Firefox:
    """A Firefox without a window, with a profile of its own.

    Args:
        path: of the program.
        profile: an empty folder.
    """

    def __init__(self, path, profile):
        settings = "".join(f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in SETTINGS.items())
        (profile / "user.js").write_text(settings)
        command = [path, "--headless", "--no-remote", "--remote-debugging-port=0", "--profile", str(profile)]
        self.log = profile / "log.txt"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        try:
            address = f"{self._address()}/session"
            self.socket = websocket.create_connection(address, timeout=PATIENCE, suppress_origin=True)
        except Exception:
            self.process.kill()
            raise
        self.count, self.pages = 0, {}
        self.version = self.send("session.new", capabilities={})["capabilities"]["browserVersion"]
        self.send("session.subscribe", events=["log.entryAdded", "network.beforeRequestSent"])

    def _address(self):
        start = time.monotonic()
        while self.process.poll() is None and time.monotonic() - start < PATIENCE:
            if found := re.search(r"BiDi listening on (ws://\S+)", self.log.read_text(errors="replace")):
                return found[1]
            time.sleep(0.1)
        raise RuntimeError(f"Firefox did not start:\n{self.log.read_text(errors='replace')[-2000:]}")

    def send(self, method, **params):
        """Sends a command and gives its result; what the pages report meanwhile is noted with them."""
        self.count += 1
        self.socket.send(json.dumps({"id": self.count, "method": method, "params": params}))
        while True:
            message = json.loads(self.socket.recv())
            if message["type"] == "event":
                self._note(message["method"], message["params"])
            elif message["type"] == "error":
                raise RuntimeError(f"{method}: {message['error']}, {message['message']}")
            elif message["id"] == self.count:
                return message["result"]

    def _note(self, event, about):
        page = self.pages.get(about.get("context") or about.get("source", {}).get("context"))
        if page is None:
            return
        if event == "log.entryAdded" and about["level"] in ("error", "warn"):
            page.faults.append(about["text"])
        elif event == "network.beforeRequestSent" and not about["request"]["url"].startswith(("data:", page.address)):
            page.faults.append(about["request"]["url"])

    def open(self, address, width, height):
        """A page in a tab of its own, when all of it is loaded."""
        tab = self.send("browsingContext.create", type="tab")["context"]
        page = self.pages[tab] = Page(self, tab, address)
        self.send("browsingContext.setViewport", context=tab, viewport={"width": width, "height": height})
        self.send("browsingContext.navigate", context=tab, url=address, wait="complete")
        return page

    def close(self):
        """Ends it."""
        try:
            self.send("browser.close")
        finally:
            self.socket.close()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()


class Page:
    """One tab; `faults` are its errors and warnings, and the requests that left it."""

    def __init__(self, firefox, tab, address):
        self.firefox, self.tab, self.address, self.faults = firefox, tab, address, []

    def evaluate(self, expression):
        """What JavaScript gives: a text, a number, true or false; promises are awaited."""
        found = self.firefox.send(
            "script.evaluate", expression=expression, target={"context": self.tab}, awaitPromise=True
        )
        if found["type"] == "exception":
            raise RuntimeError(f"{expression}: {found['exceptionDetails']['text']}")
        return found["result"].get("value")

    def wait_for(self, expression):
        """Waits until JavaScript gives something that counts as true, and gives it."""
        start = time.monotonic()
        while time.monotonic() - start < PATIENCE:
            if found := self.evaluate(expression):
                return found
            time.sleep(0.1)
        raise RuntimeError(f"{self.address}: not within {PATIENCE} s: {expression}")

    def _element(self, script):
        node = self.firefox.send(
            "script.evaluate", expression=script, target={"context": self.tab}, awaitPromise=False
        )["result"]
        return {"type": "element", "element": {"sharedId": node["sharedId"]}}

    def drag(self, script, *places):
        """Presses the mouse on the element that JavaScript gives and moves it; places are pixels from its middle."""
        self.evaluate(f"({script}).scrollIntoView({{block: 'center', behavior: 'instant'}})")
        origin = self._element(script)
        moves = [{"type": "pointerMove", "x": x, "y": y, "origin": origin} for x, y in places]
        acts = [moves[0], {"type": "pointerDown", "button": 0}, *moves[1:], {"type": "pointerUp", "button": 0}]
        self._act({"type": "pointer", "id": "mouse", "actions": acts})

    def click(self, script):
        """Clicks on the element that JavaScript gives."""
        self.drag(script, (0, 0))

    def press(self, script, *keys):
        """Brings the element that JavaScript gives into focus and presses keys."""
        self.evaluate(f"({script}).focus()")
        acts = [{"type": kind, "value": KEYS[key]} for key in keys for kind in ("keyDown", "keyUp")]
        self._act({"type": "key", "id": "keyboard", "actions": acts})

    def _act(self, source):
        self.firefox.send("input.performActions", context=self.tab, actions=[source])

    def screenshot(self, path):
        """Writes a picture of what is in view."""
        data = self.firefox.send("browsingContext.captureScreenshot", context=self.tab)["data"]
        path.write_bytes(base64.b64decode(data))
