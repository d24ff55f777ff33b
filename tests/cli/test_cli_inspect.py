"""`pspkit inspect`."""

from types import SimpleNamespace

import pytest

from pspkit.cli import main
from pspkit.inference import inspect


@pytest.mark.parametrize(("loads", "code"), [(True, 0), (False, 1)])
def test_inspect_prints_the_report(loads, code, monkeypatch, capsys):
    class Inspection(SimpleNamespace):
        def __str__(self):
            return f"report on {self.path}"

    monkeypatch.setattr(inspect, "inspect_checkpoint", lambda path: Inspection(path=path, loads=loads))
    assert main(["inspect", "weights.pt"]) == code
    assert capsys.readouterr().out == "report on weights.pt\n"
