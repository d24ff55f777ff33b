"""The package's shape: imports point one way, and importing it stays cheap."""

import ast
import subprocess
import sys
from pathlib import Path

import pspkit

PACKAGE = Path(pspkit.__file__).parent
# The way of the data, top to bottom: a room imports from rooms above it only.
ROOMS = [
    *("errors", "atomic", "seeds", "config", "checkpoints", "assets"),
    *("stylegan2", "backbone", "encoders", "mobile_stylegan", "psp", "projection", "fast", "mobile_facenet"),
    *("labels", "pictures", "heads", "tasks", "folders"),
    *("perceptual", "losses", "metrics", "domains", "directions", "inference"),
    *("training", "recognition", "adversarial", "weights"),
    *("show", "explore", "check", "pages", "course", "cli"),
]
CHEAP = ROOMS[: ROOMS.index("show")]


def imports(room):
    """The rooms that a room imports."""
    path = PACKAGE / room
    files = path.glob("*.py") if path.is_dir() else [path.with_suffix(".py")]
    found = set()
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("pspkit."):
                found.add(node.module.split(".")[1])
            elif isinstance(node, ast.ImportFrom) and node.module == "pspkit":
                found |= {alias.name for alias in node.names if alias.name in ROOMS}
    return found - {room}


def test_every_module_has_its_room():
    modules = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert modules == {*ROOMS, "__init__", "__main__"}


def test_imports_point_one_way():
    upwards = {room: imports(room) - set(ROOMS[:place]) for place, room in enumerate(ROOMS)}
    assert {room: found for room, found in upwards.items() if found} == {}


def test_importing_the_package_brings_no_plots_and_no_notebooks():
    code = f"import sys, {', '.join(f'pspkit.{room}' for room in CHEAP)}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "pspkit.psp" in loaded
    assert not {"matplotlib", "IPython", "ipywidgets", "nbconvert", "lpips", "onnx", "accelerate"} & set(loaded)
