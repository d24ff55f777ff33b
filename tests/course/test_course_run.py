import os

import nbformat
import pytest
from nbformat import v4

from pspkit import PspkitError
from pspkit.course import run as course

INTRO = "# 00 · Start here\n\nYou see what the\ncourse does."


@pytest.fixture(autouse=True)
def no_live_pages(monkeypatch):
    """Their networks take minutes to export; tests/course/live looks at them."""
    monkeypatch.setattr(course, "write_live_pages", lambda out: [])


def make(folder, name="00_start_here", *cells):
    path = folder / f"{name}.ipynb"
    nbformat.write(v4.new_notebook(cells=[v4.new_markdown_cell(INTRO), *cells]), path)
    return path


def outputs(notebook):
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


def test_notebooks_come_in_reading_order(tmp_path):
    for name in ("A1_more", "01_build", "00_start_here"):
        make(tmp_path, name)
    paths = course.notebook_paths(tmp_path)
    assert [path.stem for path in paths] == ["00_start_here", "01_build", "A1_more"]
    assert course.select(paths, []) == paths
    assert [path.stem for path in course.select(paths, ["01", "A"])] == ["01_build", "A1_more"]
    with pytest.raises(PspkitError, match="only: got '07', needs the beginning of one of 00_start_here"):
        course.select(paths, ["07"])


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(PspkitError, match="no notebooks here"):
        course.notebook_paths(tmp_path)


def test_a_file_that_is_no_notebook_is_refused(tmp_path):
    (tmp_path / "00.ipynb").write_text("<html>")
    with pytest.raises(PspkitError, match=r"00\.ipynb: not a notebook"):
        course.read(tmp_path / "00.ipynb")


def test_execute_runs_under_the_smoke_profile_in_the_notebooks_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("PSPKIT_PROFILE", "paper")
    source = "import os\nprint(os.environ['PSPKIT_PROFILE'], os.getcwd())"
    path = make(tmp_path, "00_start_here", v4.new_code_cell(source))
    before = path.read_bytes()
    notebook = course.execute(path)
    assert outputs(notebook)[0].text == f"smoke {os.path.realpath(tmp_path)}\n"
    assert notebook.cells[1].execution_count == 1
    assert path.read_bytes() == before


def test_a_failing_cell_is_named_with_its_error(tmp_path):
    path = make(tmp_path, "00_start_here", v4.new_code_cell("ok = 1"), v4.new_code_cell("undefined + ok"))
    with pytest.raises(PspkitError, match=r"00_start_here\.ipynb, cell 3 of 3 failed(.|\n)*name 'undefined'"):
        course.execute(path)


def test_a_slow_cell_is_named(tmp_path):
    path = make(tmp_path, "00_start_here", v4.new_code_cell("import time\ntime.sleep(60)"))
    with pytest.raises(PspkitError, match=r"cell 2 of 2 failed(.|\n)*timed out"):
        course.execute(path, timeout=1)


def test_normalise_keeps_what_a_second_run_repeats(tmp_path):
    tags = {"tags": ["raises-exception"]}
    path = make(
        tmp_path,
        "00_start_here",
        v4.new_code_cell("import ipywidgets\nipywidgets.IntSlider()"),
        v4.new_code_cell("from tqdm.notebook import tqdm\nfor _ in tqdm(range(3)): pass"),
        v4.new_code_cell("1 / 0", metadata=tags),
    )
    first, second = course.execute(path), course.execute(path)
    assert first == second
    widget, error = outputs(first)
    assert course.WIDGET not in widget.data
    assert "JupyterLab" in widget.data["text/plain"]
    assert error.traceback == ["ZeroDivisionError: division by zero"]
    assert first.cells[3].metadata == tags
    assert first.metadata == course.METADATA


def test_run_in_place_writes_only_the_notebooks_chosen(tmp_path, monkeypatch, capsys):
    first = make(tmp_path, "00_start_here", v4.new_code_cell("print(1)"))
    second = make(tmp_path, "01_build", v4.new_code_cell("print(2)"))
    before = first.read_bytes()
    monkeypatch.setattr(course, "notebook_paths", lambda: [first, second])
    course.run(only=["01"], in_place=True)
    assert outputs(course.read(second))[0].text == "2\n"
    assert first.read_bytes() == before
    assert sorted(tmp_path.iterdir()) == [first, second]
    assert "01_build" in capsys.readouterr().out


def test_run_renders_what_it_ran_and_leaves_the_notebooks(tmp_path, monkeypatch, capsys):
    path = make(tmp_path, "00_start_here", v4.new_code_cell("print('fresh ' * 2)"))
    before = path.read_bytes()
    monkeypatch.setattr(course, "notebook_paths", lambda: [path])
    monkeypatch.setattr(course, "SITE", tmp_path / "site")
    course.run()
    assert "fresh fresh" in (tmp_path / "site" / "00_start_here.html").read_text(encoding="utf-8")
    assert path.read_bytes() == before
    assert capsys.readouterr().out.endswith(f"Rendered {tmp_path / 'site' / 'index.html'}\n")


def test_a_widget_that_was_saved_becomes_a_line_on_its_page(tmp_path, monkeypatch):
    view = v4.new_output("display_data", {course.WIDGET: {"model_id": "of a dead kernel"}, "text/plain": "IntSlider()"})
    path = make(tmp_path, "00_start_here", v4.new_code_cell("slider", outputs=[view]))
    monkeypatch.setattr(course, "notebook_paths", lambda: [path])
    monkeypatch.setattr(course, "SITE", tmp_path / "site")
    course.site()
    page = (tmp_path / "site" / "00_start_here.html").read_text(encoding="utf-8")
    assert course.NEEDS_KERNEL in page
    assert "widget-view" not in page
    assert "of a dead kernel" not in page


def test_an_explorer_leads_to_its_part_of_the_live_page_where_there_is_one(tmp_path, monkeypatch):
    view = v4.new_output("display_data", {course.WIDGET: {"model_id": "of a dead kernel"}, "text/plain": "VBox()"})
    cells = [v4.new_code_cell(source, outputs=[view]) for source in ("mixer.explore()", "curves.explore()")]
    path = make(tmp_path, "00_start_here", *cells)

    def write_live_pages(out):
        out.mkdir()
        (out / "live.html").write_text('<section id="mix"></section>')
        return [out / "live.html"]

    monkeypatch.setattr(course, "write_live_pages", write_live_pages)
    monkeypatch.setattr(course, "notebook_paths", lambda: [path])
    monkeypatch.setattr(course, "SITE", tmp_path / "site")
    course.site()
    page = (tmp_path / "site" / "00_start_here.html").read_text(encoding="utf-8")
    assert page.count(course.NEEDS_KERNEL) == 2
    assert page.count('href="live.html#mix"') == 1
    assert 'href="live.html"' in (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
