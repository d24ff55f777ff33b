import torch

from pspkit.course import check


def test_verdict_reads_as_a_sentence():
    assert repr(check.Verdict(True, "Well done.")) == "Right. Well done."
    assert repr(check.Verdict(False, "Count again.", "off by one")) == "Not yet. Count again."


def test_compare_tells_equal_close_and_different_apart(capsys):
    ours = torch.ones(3)
    check.compare("same", ours, ours.clone())
    check.compare("near", ours + 1e-6, ours)
    check.compare("far", ours + 1, ours)
    check.compare("other", ours, torch.ones(2))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "same: exact True | close True | max difference 0.0e+00"
    assert lines[1].startswith("near: exact False | close True")
    assert lines[2].startswith("far: exact False | close False | max difference 1.0e+00")
    assert lines[3] == "other: shapes differ, (3,) and (2,)"
