"""The conventions every lesson keeps; this list is what an author writes by.

Name       `NN_verb_object.ipynb`; an appendix `A1_verb_object.ipynb`.
Cells      1. markdown: `# NN · Title`, an empty line, one sentence: what the reader will have at the end;
           2. markdown: `**You will learn**`, `**You need**`, `**Time**`, in this order; a lesson ends this cell with
              `**Contents**`, its own sections in order, with ` · ` between them;
           3. the first code cell draws the map of pSp: it calls `course_map(`;
           4. the second code cell is the set-up; both have at most six lines;
           5. sections, each beginning a markdown cell with `## `. The last four are `## What can go wrong` (holds a
              code cell that breaks the thing on purpose), `## Check yourself`, `## Summary`, `## References`;
           6. the last cell is markdown with the links `[← Title](NN_x.ipynb)` and `[Title →](NN_y.ipynb)` to its
              neighbours. The first lesson has no link back, the last none on. An appendix is read at any time: it has
           one link back, to the lesson that it continues, and none on.
Code       at most 15 lines a cell, 30 where it defines a class.
Prose      at most 80 words a markdown cell. Not counted: the first two cells, the references, tables, display
           formulas, fenced code, what stands in `<details>`.
Links      relative ones lead to a file; markdown pictures have a description.
Exercises  at least two, each a markdown cell that begins with `### Exercise`, then a stub, then a code cell that calls
           the checker as `check.name(...)`, then a `<details>` with the solution in a python fence. `solutions/` has
           a file of the notebook's name.
Outputs    are those of `make notebooks`: one run, in order, no empty code cell, nothing on stderr, no path of this
           checkout, an error where and only where a cell is tagged `raises-exception`; at most 1.5 MB a file.
Pictures   stand in `<figure>` with a `<figcaption>`: `<img>` with an `alt`, `<svg>` with an `aria-label`.
Checked    at least one cell is tagged `nbval-check-output`; such a cell has an output, and no `<img>` in it.

`explore.ipynb` is no lesson: for it hold the rules about links, lengths, outputs and pictures, and one of its own.
Explorers  each is two cells: one calls `.strip()`, whose picture stands in its own output, the next `.explore()`.
"""

import copy
import re

import bs4
import pytest

from pspkit.course import explore
from pspkit.course.run import ROOT, normalise, notebook_paths, read

EXPLORE = ROOT / "notebooks" / "explore.ipynb"
PATHS = [path for path in notebook_paths() if path != EXPLORE]
LESSONS = [path for path in PATHS if path.name[0].isdigit()]
CLOSING = ["## What can go wrong", "## Check yourself", "## Summary", "## References"]
NOT_PROSE = re.compile(r"<details>.*?</details>|```.*?```|\$\$.*?\$\$|^\|.*?$", re.DOTALL | re.MULTILINE)


any_notebook = pytest.mark.parametrize("path", [*PATHS, EXPLORE], ids=lambda path: path.stem)


@pytest.fixture(params=PATHS, ids=lambda path: path.stem)
def path(request):
    return request.param


@pytest.fixture
def cells(path):
    return read(path).cells


def code(cells):
    return [cell for cell in cells if cell.cell_type == "code"]


def prose(cells):
    return [cell.source for cell in cells if cell.cell_type == "markdown"]


def tagged(cells, tag):
    return [cell for cell in code(cells) if tag in cell.metadata.get("tags", [])]


def lines(cell):
    return len(cell.source.splitlines())


def parts(cells, heading):
    """The cells from each markdown cell that begins with the heading up to the next of the same or a higher level."""
    level = len(heading.split()[0])
    found, inside = [], False
    for cell in cells:
        top = re.match(r"#+", cell.source) if cell.cell_type == "markdown" else None
        if top and len(top[0]) <= level:
            inside = cell.source.startswith(heading)
            if inside:
                found.append([])
        if inside:
            found[-1].append(cell)
    return found


def html_of(cells):
    return bs4.BeautifulSoup(
        "".join(
            output.data.get("text/html", "") for cell in code(cells) for output in cell.outputs if "data" in output
        ),
        "html.parser",
    )


def test_name(path):
    assert re.fullmatch(r"(\d\d|A\d)(_[a-z0-9]+)+\.ipynb", path.name)


def test_opening(path, cells):
    title, _, promise = cells[0].source.partition("\n")
    assert re.fullmatch(rf"# {path.name[:2]} · .+", title)
    assert re.fullmatch(r"[^\n]+[.!?]", promise.strip()), "one sentence under the title"
    assert re.search(r"\*\*You will learn\*\*.*\*\*You need\*\*.*\*\*Time\*\*", cells[1].source, re.DOTALL)


def test_contents(path, cells):
    if path.name[0].isdigit():
        sections = [text.splitlines()[0][3:] for text in prose(cells) if text.startswith("## ")][: -len(CLOSING)]
        assert cells[1].source.partition("**Contents** ")[2].split(" · ") == sections


def test_map_and_set_up(cells):
    course_map, set_up = code(cells)[:2]
    assert "course_map(" in course_map.source
    assert lines(course_map) <= 6
    assert lines(set_up) <= 6


def test_sections(cells):
    headings = [text.splitlines()[0] for text in prose(cells) if text.startswith("## ")]
    assert headings[-4:] == CLOSING
    assert len(headings) > 4, "sections of its own"


def test_something_is_broken_on_purpose(cells):
    assert code(parts(cells, CLOSING[0])[0])


def test_links(path, cells):
    links = re.findall(r"\[(←[^]]*|[^]]*→)\]\(([^)]*)\)", cells[-1].source)
    if path not in LESSONS:
        assert [text[0] for text, _ in links] == ["←"], "one link, back"
        assert links[0][1] in {lesson.name for lesson in LESSONS}
        return
    place = LESSONS.index(path)
    neighbours = [neighbour.name for neighbour in (LESSONS[:place][-1:] + LESSONS[place + 1 :][:1])]
    assert [target for _, target in links] == neighbours


@any_notebook
def test_relative_links_lead_to_a_file(path, cells):
    targets = re.findall(r"\]\(([^)\s#]+)", "\n".join(prose(cells)))
    assert [t for t in targets if "://" not in t and not (path.parent / t).exists()] == []


@any_notebook
def test_cells_are_short(cells):
    for cell in code(cells):
        limit = 30 if re.search(r"^class ", cell.source, re.MULTILINE) else 15
        assert lines(cell) <= limit, cell.source


@any_notebook
def test_prose_is_short(cells):
    references = [cell.source for part in parts(cells, CLOSING[3]) for cell in part if cell.cell_type == "markdown"]
    for text in prose(cells[2:]):
        if text not in references:
            assert len(NOT_PROSE.sub(" ", text).split()) <= 80, text


def test_exercises(path, cells):
    exercises = parts(cells, "### Exercise")
    assert len(exercises) >= 2
    for exercise in exercises:
        title = exercise[0].source.splitlines()[0]
        stub, *others = code(exercise)
        assert "check." not in stub.source, f"{title}: the stub comes first"
        assert any(re.search(r"\bcheck\.\w+\(", cell.source) for cell in others), f"{title}: a checker"
        assert re.search(r"<details>.*```python\n.*</details>", "\n".join(prose(exercise)), re.DOTALL), title
    assert (ROOT / "solutions" / f"{path.stem}.py").is_file()


@any_notebook
def test_outputs_are_those_of_one_run(path, cells):
    assert [cell.execution_count for cell in code(cells)] == list(range(1, len(code(cells)) + 1))
    notebook = read(path)
    assert notebook == normalise(copy.deepcopy(notebook)), "run `make notebooks`"
    assert str(ROOT) not in path.read_text(encoding="utf-8")
    assert path.stat().st_size <= 1.5e6


@any_notebook
def test_errors_are_expected(cells):
    failed = [cell.id for cell in code(cells) if any(output.output_type == "error" for output in cell.outputs)]
    assert failed == [cell.id for cell in tagged(cells, "raises-exception")]


@any_notebook
def test_nothing_on_stderr(cells):
    assert [output.text for cell in code(cells) for output in cell.outputs if output.get("name") == "stderr"] == []


@any_notebook
def test_pictures_are_described(cells):
    for cell in code(cells):
        for output in cell.outputs:
            bare = [mime for mime in output.get("data", {}) if mime.startswith("image/")]
            assert not bare, f"{bare} outside <figure>:\n{cell.source}"
    for picture in html_of(cells).find_all(["img", "svg"]):
        described = picture.get("alt" if picture.name == "img" else "aria-label", "")
        assert described.strip(), f"no description: {str(picture)[:80]}"
        figure = picture.find_parent("figure")
        assert figure, f"outside <figure>: {described}"
        assert figure.figcaption, f"no caption: {described}"
        assert figure.figcaption.get_text(strip=True), f"empty caption: {described}"
    assert not re.search(r"!\[\s*\]\(", "\n".join(prose(cells))), "a markdown picture without a description"


def test_checked_cells_check_something(cells):
    checked = tagged(cells, "nbval-check-output")
    assert checked
    assert all(cell.outputs for cell in checked)
    assert not html_of(checked).find_all("img"), "a picture's bytes differ from machine to machine"


def test_every_explorer_comes_after_its_strip():
    sources = [cell.source for cell in code(read(EXPLORE).cells)]
    explorers = [place for place, source in enumerate(sources) if source.endswith(".explore()")]
    for place in explorers:
        strip = sources[place - 1].splitlines()[-1]
        assert strip == sources[place].replace(".explore()", ".strip()")
        assert html_of([code(read(EXPLORE).cells)[place - 1]]).find_all("img")
    used = set(re.findall(r"\bexplore\.([a-z]+)\.", "\n".join(sources)))
    assert used == set(explore.__all__)


def test_nothing_else_is_a_notebook():
    assert sorted((ROOT / "notebooks").glob("*.ipynb")) == [*PATHS, EXPLORE]
