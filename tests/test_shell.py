"""The files around the code agree with one another."""

import re
import subprocess
import tomllib

import pytest
import yaml

import pspkit
from pspkit.course.run import ROOT
from pspkit.storage.assets import ASSETS

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
ENVIRONMENT = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
TARGETS = [
    *("walkthrough", "lab", "test", "test-browser", "browser", "fuzz"),
    *("bench", "notebooks", "site", "assets", "lint"),
]


def test_environment_uses_no_default_channel():
    assert ENVIRONMENT["channels"] == ["conda-forge", "nodefaults"]


def test_environment_leaves_every_package_to_pyproject():
    python, pip, packages = ENVIRONMENT["dependencies"]
    assert pip == "pip"
    assert list(packages) == ["pip"]
    (line,) = packages["pip"]
    extras = re.fullmatch(r'-e "\.\[(.+)\]"', line)[1].split(",")
    assert set(extras) <= set(PROJECT["optional-dependencies"])
    floor = PROJECT["requires-python"].removeprefix(">=")
    assert python == f"python={floor}"


def test_version_is_said_once_and_the_same():
    assert PROJECT["version"] == pspkit.__version__


def test_floors_admit_torch_2_11_with_its_torchvision():
    assert {"torch>=2.11", "torchvision>=0.26"} <= set(PROJECT["dependencies"])


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_installs_first(target, tmp_path):
    (tmp_path / "Makefile").write_bytes((ROOT / "Makefile").read_bytes())
    (tmp_path / "pyproject.toml").touch()
    plan = subprocess.run(
        ["make", "--dry-run", target], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout
    assert plan.index("-m venv") < plan.index("--editable '.[course,dev]'") < plan.index("touch .venv/.installed")


def test_an_old_python_is_refused_with_the_remedy(tmp_path):
    (tmp_path / "Makefile").write_bytes((ROOT / "Makefile").read_bytes())
    (tmp_path / "pyproject.toml").touch()
    result = subprocess.run(["make", "test", "PYTHON=false"], cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode != 0
    assert "needs Python 3.11 or newer" in result.stderr
    assert not (tmp_path / ".venv").exists()


def test_help_names_every_target():
    listing = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert re.findall(r"^make ([\w-]+)", listing, re.MULTILINE)[:2] == ["help", "walkthrough"]
    assert set(TARGETS) <= set(re.findall(r"^make ([\w-]+)", listing, re.MULTILINE))


def test_data_readme_names_every_asset_and_every_folder():
    text = (ROOT / "data" / "README.md").read_text(encoding="utf-8")
    folders = {path.name for path in (ROOT / "data").iterdir() if path.is_dir()} - {"cache"}
    assert [name for name in ASSETS if f"| `{name}` |" not in text] == []
    assert [name for name in folders if f"| `{name}/` |" not in text] == []
