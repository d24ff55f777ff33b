"""A cell that fails ends its notebook, not the others."""

from pathlib import Path

from nbformat import v4, write

CONFTEST = Path(__file__).parents[2] / "conftest.py"


def test_later_cells_are_skipped_with_a_reason(pytester):
    pytester.makeconftest(CONFTEST.read_text(encoding="utf-8"))
    for name, sources in {"a": ["1 / 0", "print(1)", "print(2)"], "b": ["print(3)"]}.items():
        write(v4.new_notebook(cells=[v4.new_code_cell(source) for source in sources]), pytester.path / f"{name}.ipynb")
    result = pytester.runpytest_subprocess("--nbval-lax", "--nbval-current-env", "-rs")
    result.assert_outcomes(failed=1, skipped=2, passed=1)
    result.stdout.fnmatch_lines("SKIPPED [[]2[]] * an earlier cell of this notebook failed")
