"""Where files lie, in a clone and outside of one."""

from pathlib import Path

import pytest

from pspkit.storage import places

CLONE = Path(__file__).parents[2]


@pytest.fixture
def installed(tmp_path, monkeypatch):
    package = tmp_path / "site-packages" / "pspkit"
    monkeypatch.setattr(places, "PACKAGE", package)
    return package


def test_the_cache_is_where_the_variable_says(tmp_path, monkeypatch):
    monkeypatch.setenv("PSPKIT_CACHE", str(tmp_path))
    assert places.cache_folder() == tmp_path


def test_a_clone_keeps_cache_and_weights_under_data(monkeypatch):
    monkeypatch.delenv("PSPKIT_CACHE", raising=False)
    assert places.cache_folder() == CLONE / "data" / "cache"
    assert places.shipped_weights() == CLONE / "data" / "weights"


def test_an_installed_package_carries_its_weights_and_caches_at_home(installed, monkeypatch):
    monkeypatch.delenv("PSPKIT_CACHE", raising=False)
    assert places.cache_folder() == Path.home() / ".cache" / "pspkit"
    assert places.shipped_weights() == installed / "weights"
