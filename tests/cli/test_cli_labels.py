"""`pspkit labels`."""

import torch

from pspkit.data.heads import render, sample_factors
from pspkit.data.pictures import open_picture, save_labels
from tests.cli.running import names, pixels, run


def test_maps_are_converted_and_previewed(tmp_path, capsys):
    labels = render(sample_factors(2, seed=3), 64).labels
    for number, one in enumerate(labels):
        save_labels(tmp_path / f"maps/{number}.png", one)
    (tmp_path / "maps/bad.png").write_bytes(b"text")
    given = ("labels", tmp_path / "maps", "--out", tmp_path / "out", "--preview", tmp_path / "preview.png")
    assert run(*given) == 3
    assert "1 input left out" in capsys.readouterr().out
    assert names(tmp_path / "out") == ["0.png", "1.png"]
    assert torch.equal(open_picture(tmp_path / "out/1.png", "labels").as_subclass(torch.Tensor), labels[1])
    assert pixels(tmp_path / "preview.png").shape == (256, 3 * 256, 3)


def test_an_unknown_order(tmp_path, capsys):
    assert run("labels", tmp_path, "--out", tmp_path / "out", "--label-order", "ade20k") == 1
    assert "order: got 'ade20k', needs one of 'celebamask', 'parser'" in capsys.readouterr().err
