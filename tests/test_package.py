"""The package's shape: imports point one way, and importing it stays cheap."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pspkit

PACKAGE = Path(pspkit.__file__).parent
# From the ground up: a room imports from rooms that stand before it only.
ROOMS = [
    *("errors", "seeds", "device", "config", "storage"),
    *("models", "losses", "data", "psp", "domains"),
    *("inference", "training", "course", "cli"),
]
CHEAP = ROOMS[: ROOMS.index("course")]


def imports(room):
    """The rooms that a room imports."""
    path = PACKAGE / room
    files = path.rglob("*.py") if path.is_dir() else [path.with_suffix(".py")]
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


# Run in a process of its own, in which what only the course needs cannot be imported.
WITHOUT_COURSE = """
import importlib, pkgutil, sys

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in sys.argv[1].split():
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Hidden())
import lpips, torch.utils.tensorboard, pspkit
from pspkit.cli import main

for module in pkgutil.walk_packages(pspkit.__path__, "pspkit.", lambda name: None):
    if not module.name.startswith("pspkit.course") and module.name != "pspkit.__main__":
        importlib.import_module(module.name)
out = sys.argv[2]
assert main(["render", "--count", "1", "--size", "64", "--out", f"{out}/heads"]) == 0
assert main(["translate", "--task", "encode", "--out", f"{out}/answers", f"{out}/heads/images"]) == 0
assert main(["pairs", "--task", "encode", "--source", f"{out}/heads/images", "--out", f"{out}/pairs.png"]) == 0
assert main(["course", "site"]) == 1
"""


def test_model_training_and_translation_need_no_package_of_the_course(tmp_path):
    dependencies = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    distributions = [re.split("[><=]", line)[0] for line in dependencies["optional-dependencies"]["course"]]
    modules = {"beautifulsoup4": "bs4", "ipython": "IPython"}
    hidden = " ".join(modules.get(name, name) for name in distributions)
    command = [sys.executable, "-c", WITHOUT_COURSE, hidden, str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, cwd=PACKAGE.parent)
    assert result.returncode == 0, result.stderr
    assert result.stderr.endswith("in a clone of the project, pip install --editable '.[course]'.\n")
    assert (tmp_path / "answers" / "00000.png").exists()


def test_every_package_that_is_imported_is_declared():
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = [*project["dependencies"], *project["optional-dependencies"]["course"]]
    declared += project["optional-dependencies"]["export"]
    declared = {re.split("[><=]", line)[0].replace("-", "_") for line in declared}
    names = {"PIL": "pillow", "bs4": "beautifulsoup4", "google": "protobuf", "IPython": "ipython"}
    imported = set()
    for file in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add(node.module.partition(".")[0])
    foreign = {names.get(name, name) for name in imported - sys.stdlib_module_names - {"pspkit"}}
    assert foreign - declared == set()
