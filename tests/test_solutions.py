"""Every solution satisfies its checker, and is the one that the notebook shows."""

import re
import runpy

import pytest

from pspkit.course import check
from pspkit.course.run import ROOT, notebook_paths, read

PATHS = [path for path in notebook_paths() if path.stem != "explore"]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_solutions(path):
    solution = ROOT / "solutions" / f"{path.stem}.py"
    names = {"check": check} | runpy.run_path(str(solution))
    cells = read(path).cells
    shown = re.findall(r"<details>.*?```python\n(.*?)```", "\n".join(c.source for c in cells), re.DOTALL)
    calls = [c.source for c in cells if c.cell_type == "code" and re.match(r"check\.\w+\(\w+\)$", c.source)]
    assert len(calls) >= 2
    assert len(shown) == len(calls)
    for code in shown:
        assert code.strip() in solution.read_text(encoding="utf-8")
    for call in calls:
        assert eval(call, names).right, call
