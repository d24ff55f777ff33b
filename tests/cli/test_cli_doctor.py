"""`pspkit doctor`."""

from pspkit.cli import doctor, main
from pspkit.storage.asset_table import ASSETS


def test_doctor_names_what_is_missing_and_the_command_that_gets_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PSPKIT_CACHE", str(tmp_path / "none" / "yet"))
    monkeypatch.setattr(doctor, "_version", lambda name: None if name == "onnxruntime" else "1.0")
    monkeypatch.setattr(doctor.shutil, "which", lambda name: None)
    assert main(["doctor"]) == 0
    said = capsys.readouterr().out
    assert f"{tmp_path / 'none' / 'yet'}, " in said
    for name, asset in ASSETS.items():
        assert f"{name}: missing ({asset.purpose}). To get it: pspkit assets get {name}\n" in said
    assert "onnxruntime: missing (exported models). To get it: pip install 'pspkit[export]'" in said
    assert "jupyterlab: there" in said
    assert "ffmpeg: missing (films as .mp4). To get it: install it" in said
    assert not (tmp_path / "none").exists()


def test_doctor_says_which_device_is_used(monkeypatch, capsys):
    monkeypatch.setenv("PSPKIT_DEVICE", "cpu")
    assert main(["doctor"]) == 0
    assert "  cpu, computes in" in capsys.readouterr().out
