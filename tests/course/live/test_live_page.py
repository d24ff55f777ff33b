"""How the live page is put together; tests/browser/test_live.py opens it."""

import base64
import gzip
import json
import re

import pytest
from bs4 import BeautifulSoup

from pspkit import AssetError
from pspkit.course.live import page as live
from pspkit.course.live.content import FACES, HEADS

BUNDLE = "var a=1,b=2;\nexport{a as InferenceSession,b as Tensor};\n//# sourceMappingURL=bundle.mjs.map\n"


@pytest.fixture(scope="module")
def runtime(tmp_path_factory):
    """A folder like that of onnxruntime-web."""
    folder = tmp_path_factory.mktemp("dist")
    (folder / "ort.wasm.bundle.min.mjs").write_text(BUNDLE)
    (folder / "ort-wasm-simd-threaded.wasm").write_bytes(b"the runtime")
    return folder


@pytest.fixture(scope="module")
def html(runtime):
    """The page with something else in place of the networks."""
    return live.live_page(
        HEADS, runtime, {"encode": runtime / "ort-wasm-simd-threaded.wasm"}, {FACES.file: FACES.title}
    )


def test_all_of_it_is_in_one_file_that_may_load_nothing(html):
    soup = BeautifulSoup(html, "html.parser")
    assert soup.select("link, iframe, object, embed, script[src], img[src]") == []
    policy = soup.find("meta", {"http-equiv": "Content-Security-Policy"})["content"]
    assert policy.startswith("default-src 'none';")
    assert "http" not in policy and "connect-src" not in policy
    assert re.findall(r"url\(|@import", soup.style.text) == []
    assert {section["id"] for section in soup.find_all("section")} == {"mix", "walk", "draw", "inside"}


def test_networks_and_runtime_come_back_as_they_were(html):
    soup = BeautifulSoup(html, "html.parser")
    for name in ("ort-wasm", "net-encode"):
        assert gzip.decompress(base64.b64decode(soup.find(id=name).text)) == b"the runtime"


def test_the_scripts_know_the_model_and_the_runtime(html):
    script = BeautifulSoup(html, "html.parser").find("script", type="module").text
    assert "return {InferenceSession:a,Tensor:b};" in script
    assert "sourceMappingURL" not in script and "export{" not in script
    data = json.loads(re.search(r"^const DATA = (.*);$", script, re.MULTILINE)[1].replace("<\\/", "</"))
    assert data["model"] == {"styles": 10, "shown": 10, "length": 256, "side": 64, "coarse": 3, "middle": 7}
    assert len(data["heads"]) == 8 and len(data["labels"]) == 19 and len(data["directions"]) == 11
    assert len(base64.b64decode(data["average"])) == 2 * 10 * 256


def test_every_control_that_the_scripts_ask_for_is_there(html):
    soup = BeautifulSoup(html, "html.parser")
    script = "".join((live.FOLDER / f"{name}.js").read_text(encoding="utf-8") for name in live.SCRIPTS)
    wanted = set(re.findall(r'find\("([\w-]+)"\)', script))
    assert len(wanted) > 20
    assert wanted - {tag["id"] for tag in soup.find_all(id=True)} == set()


def test_another_runtime_is_refused(tmp_path, runtime):
    (tmp_path / "ort.wasm.bundle.min.mjs").write_text("module.exports = {}")
    with pytest.raises(AssetError, match="not the onnxruntime-web that this page is made for"):
        live.live_page(HEADS, tmp_path, {}, {})


def test_without_the_runtime_it_is_left_out_with_the_reason(tmp_path, monkeypatch, capsys):
    def fetch(name):
        raise AssetError(f"{name}: comes from the npm index, and there is no npm here.")

    monkeypatch.setattr(live, "fetch", fetch)
    assert live.write_live_pages(tmp_path) == []
    assert capsys.readouterr().out == (
        "The live page live.html is left out. onnxruntime-web: comes from the npm index, and there is no npm here.\n"
        "The live page live-faces.html is left out. onnxruntime-web: comes from the npm index, and there is no npm"
        " here.\n"
    )
    assert list(tmp_path.iterdir()) == []
