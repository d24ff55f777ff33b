"""`pspkit assets`."""

from pspkit.cli import main
from pspkit.storage import assets


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
