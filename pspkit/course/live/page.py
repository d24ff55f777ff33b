"""Puts the live pages together: scripts and styles, the runtime, the networks and the pictures, in one file each."""

import base64
import gzip
import json
import re
from pathlib import Path
from typing import Any

import jinja2

from pspkit.config import LAPTOP_ENCODER, STAGE_UNITS
from pspkit.course.live.content import FACES, HEADS, Content
from pspkit.errors import AssetError, PspkitError
from pspkit.storage.assets import fetch
from pspkit.storage.checkpoints.files import write_text

FOLDER = Path(__file__).parent
RUNTIME = "onnxruntime-web"  # the asset
# One after another they are one module, in which each uses what stands before it.
SCRIPTS = ("runtime", "model", "pictures", "controls", "mix", "walk", "draw", "inside", "main")
NEED_ENCODER = ("draw", "inside")


def write_live_pages(out: Path) -> list[Path]:
    """Writes the live pages; where something that one needs cannot be had, it is left out, and the reason printed.

    Args:
        out: the folder of the course's pages.

    Returns:
        The files.
    """
    written: dict[str, Content] = {}
    networks: dict[str, dict[str, Path]] = {}
    for content in (HEADS, FACES):
        try:
            runtime = fetch(RUNTIME) / "package" / "dist"
            networks[content.file] = content.networks()
            written[content.file] = content
        except PspkitError as error:
            print(f"The live page {content.file} is left out. {error}")
    for file, content in written.items():
        others = {other: found.title for other, found in written.items() if other != file}
        write_text(out / file, live_page(content, runtime, networks[file], others))
    return [out / file for file in written]


def live_page(content: Content, runtime: Path, networks: dict[str, Path], others: dict[str, str]) -> str:
    """One page.

    Args:
        content: what is on it.
        runtime: folder of onnxruntime-web's files.
        networks: ONNX files by name, as `content.networks` gives them.
        others: titles of the live pages beside it, by file.
    """
    data = content.data()
    names = [name for name in SCRIPTS if content.has_encoder or name not in NEED_ENCODER]
    scripts = [_runtime_script(runtime), f"const DATA = {_as_script(data)};"]
    scripts += [(FOLDER / f"{name}.js").read_text(encoding="utf-8") for name in names]
    blocks = {"ort-wasm": runtime / "ort-wasm-simd-threaded.wasm"}
    blocks |= {f"net-{name}": path for name, path in networks.items()}
    templates = jinja2.Environment(autoescape=True, loader=jinja2.FileSystemLoader(FOLDER))
    return templates.get_template("live.html.j2").render(
        vars(content)
        | data["model"]
        | {
            "units": STAGE_UNITS[LAPTOP_ENCODER.num_layers],
            "style": (FOLDER / "live.css").read_text(encoding="utf-8"),
            "script": "\n".join(scripts),
            "blocks": {name: _packed(path) for name, path in blocks.items()},
            "others": others,
        }
    )


def _runtime_script(folder: Path) -> str:
    """onnxruntime-web's module as an object in the page's own module: its exports become the object's entries."""
    source = (folder / "ort.wasm.bundle.min.mjs").read_text(encoding="utf-8")
    exports = re.search(r"export\{([^}]*)\};?\s*(//# sourceMappingURL=\S*)?\s*$", source)
    if not exports or "</script" in source:
        raise AssetError(f"{folder}: not the onnxruntime-web that this page is made for. Update pspkit, or report it.")
    entries = ",".join("{1}:{0}".format(*entry.split(" as ")) for entry in exports[1].split(","))
    # It gets no `location`: in Firefox, the origin of a page on a disk is "null", which it would take for an address.
    return f"const ort = ((location) => {{\n{source[: exports.start()]}\nreturn {{{entries}}};\n}})();"


def _as_script(data: Any) -> str:
    return json.dumps(data, ensure_ascii=False).replace("</", "<\\/")


def _packed(path: Path) -> str:
    """A file as base64 of gzip."""
    return base64.b64encode(gzip.compress(path.read_bytes(), 9, mtime=0)).decode()
