"""`pspkit assets` and `pspkit inspect`."""

from types import SimpleNamespace

import pytest

from pspkit import assets, psp
from pspkit.cli import main


def test_assets_list_shows_every_asset_with_its_licence(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PSPKIT_CACHE", str(tmp_path))
    assert main(["assets", "list"]) == 0
    head, *rows, note = capsys.readouterr().out.splitlines()
    assert head.split() == ["name", "cached", "MB", "purpose", "licence"]
    assert [row.split()[:2] for row in rows] == [[name, "no"] for name in assets.ASSETS]
    assert [row.endswith("†") for row in rows] == [asset.restricted for asset in assets.ASSETS.values()]
    assert "not for commercial use" in note


def test_assets_get_prints_where_the_files_are(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(assets, "fetch", lambda name: tmp_path / name)
    assert main(["assets", "get", "face-landmarks"]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'face-landmarks'}\n"


@pytest.mark.parametrize(("loads", "code"), [(True, 0), (False, 1)])
def test_inspect_prints_the_report(loads, code, monkeypatch, capsys):
    class Report(SimpleNamespace):
        def __str__(self):
            return f"report on {self.path}"

    monkeypatch.setattr(psp, "inspect_checkpoint", lambda path: Report(path=path, loads=loads))
    assert main(["inspect", "weights.pt"]) == code
    assert capsys.readouterr().out == "report on weights.pt\n"
