import re

import pytest
from bs4 import BeautifulSoup
from nbformat import v4
from PIL import Image

from pspkit import PspkitError
from pspkit.course import pages
from pspkit.course import run as course

TITLES = {
    "00_start_here": "00 · Start here",
    "01_build": "01 · Build <it>",
    "A1_more": "A1 · More",
    "explore": "Explore",
}


@pytest.fixture
def folder(tmp_path):
    """Where notebooks lie, in a repository."""
    (tmp_path / "notebooks").mkdir()
    return tmp_path / "notebooks"


def render(folder, texts, names=tuple(TITLES)):
    """Renders notebooks of these names, with texts by name, and returns their pages by name."""
    notebooks = {}
    for name in names:
        cells = [f"# {TITLES[name]}\n\nYou see what the\ncourse does.", *texts.get(name, [])]
        notebooks[folder / f"{name}.ipynb"] = v4.new_notebook(cells=[v4.new_markdown_cell(text) for text in cells])
    out = folder.parent / "site"
    index = pages.render(notebooks, out)
    assert index == out / "index.html"
    return {page.stem: BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser") for page in out.rglob("*.html")}


def test_pages_link_each_other(folder):
    made = render(folder, {"00_start_here": ["See [why](01_build.ipynb#Why-so)."], "01_build": ["## Why so\n\nSo."]})
    assert made["00_start_here"].find("a", string="why")["href"] == "01_build.html#Why-so"
    assert made["01_build"].find("h2")["id"] == "Why-so"


def test_headings_can_be_linked_to(folder):
    page = render(folder, {"01_build": ["## What can go wrong", "### Exercise 1: `two` words · ½"]})["01_build"]
    for heading in page.find_all(["h1", "h2", "h3"]):
        assert heading.find("a")["href"] == "#" + heading["id"]


def test_pages_lead_back_and_on_through_the_lessons(folder):
    made = render(folder, {})
    ways = {
        name: [(a.get("rel"), a["href"], a.text) for a in page.nav.find_all("a")]
        for name, page in made.items()
        if page.nav
    }
    up = (None, "index.html", "All notebooks")
    second = "01_build.html", "01 · Build <it>"
    assert ways == {
        "00_start_here": [up, (["next"], second[0], f"{second[1]} →")],
        "01_build": [(["prev"], "00_start_here.html", "← 00 · Start here"), up],
        "A1_more": [up],
        "explore": [up],
    }  # fmt: skip


def test_the_list_names_lessons_in_order_then_appendices_and_the_rest(folder):
    index = render(folder, {})["index"]
    lessons, appendices, others = index.find_all("ol")
    assert [(a["href"], a.text) for a in lessons.find_all("a")] == [
        (f"{name}.html", TITLES[name]) for name in ("00_start_here", "01_build")
    ]
    assert {p.text for p in lessons.find_all("p")} == {"You see what the course does."}
    assert [(a["href"], a.text) for a in appendices.find_all("a")] == [("A1_more.html", "A1 · More")]
    assert [a["href"] for a in others.find_all("a")] == ["explore.html"]
    assert [heading.text for heading in index.find_all("h2")] == ["Appendices", "At any time"]
    assert len(render(folder, {}, ("00_start_here",))["index"].find_all("ol")) == 1


def test_formulas_need_no_script(folder):
    page = render(folder, {"00_start_here": ["$a_i = \\frac{1}{2}$\n\n$$\\sum_i a_i$$"]})["00_start_here"]
    assert page.find("mfrac")
    assert page.find("math", display="block")
    assert "$" not in page.main.text


def test_a_solution_stays_inside_what_folds_it(folder):
    text = "<details><summary>Solution</summary>\n\n```python\nx = 1\n```\n\nBecause.\n\n</details>"
    details = render(folder, {"00_start_here": [text]})["00_start_here"].find("details")
    assert "x = 1" in details.text
    assert "Because." in details.text


def test_a_page_lists_its_sections(folder):
    page = render(folder, {"01_build": ["## Why so\n\nSo.", "## What & then"]})["01_build"]
    links = page.find("nav", class_="contents").find_all("a")
    assert [(a["href"], a.text) for a in links] == [("#Why-so", "Why so"), ("#What-&-then", "What & then")]


def test_pages_load_nothing(folder):
    Image.new("RGB", (2, 2)).save(folder / "dot.png")
    made = render(folder, {"00_start_here": ["![a dot](dot.png) and [the web](https://example.org)"]})
    assert made["00_start_here"].find("img")["src"].startswith("data:image/png")
    for page in made.values():
        assert not page.find_all(["script", "iframe"])
        assert [link["href"].partition(",")[0] for link in page.find_all("link")] == ["data:image/svg+xml"]  # its icon
        assert not re.search(r"@import|url\((?!['\"]?(data:|#))", str(page.head))


def test_files_that_are_linked_to_come_along(folder):
    (folder.parent / "data").mkdir()
    (folder.parent / "LICENSE").write_text("free")
    (folder.parent / "README.md").write_text("# Read me\n\n[start](notebooks/00_start_here.ipynb) [d](data/a%20b.md)")
    (folder.parent / "data" / "a b.md").write_text("# Data\n\n[free](../LICENSE) [back](../README.md#read-me)")
    made = render(folder, {"00_start_here": ["[read](../README.md)"]})
    assert made["00_start_here"].find("a", string="read")["href"] == "README.html"
    assert made["README"].find("a", string="start")["href"] == "00_start_here.html"
    assert made["README"].find("a", string="d")["href"] == "data/a%20b.html"
    assert made["a b"].find("a", string="back")["href"] == "../README.html#read-me"
    assert made["a b"].nav.a["href"] == "../index.html"
    assert (folder.parent / "site" / "LICENSE").read_text() == "free"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[no](../data/missing.md)", r"00_start_here\.html: leads nowhere: \.\./data/missing\.md"),
        ("[no](01_build.ipynb#Nothing)", r"00_start_here\.html: leads nowhere: 01_build\.html#Nothing"),
        ("[no](#Nothing)", r"00_start_here\.html: leads nowhere: #Nothing"),
        ("[no](../../outside.txt)", r"00_start_here\.html: leads nowhere: \.\./\.\./outside\.txt"),
        ("[no](../notebooks)", r"00_start_here\.html: leads nowhere: \.\./notebooks"),
        ("![far](https://example.org/a.png)", r"00_start_here\.html: would load https://example\.org/a\.png"),
        ("<details><summary>Solution</summary></details>\n\nopen", r"00_start_here\.html: a <details> that holds"),
        ("<script>1</script>", r"00_start_here\.html: would load <script>"),
        ("<style>@import 'a.css'; b {background: url(c.png)}</style>", r"would load @import(.|\n)*would load url\("),
    ],
)  # fmt: skip
def test_faults_are_named(folder, text, fault):
    (folder.parent.parent / "outside.txt").write_text("not of this repository")
    with pytest.raises(PspkitError, match=fault):
        render(folder, {"00_start_here": [text]})
    assert (folder.parent / "site" / "index.html").is_file()


def test_the_course_renders_without_a_fault(tmp_path):
    paths = course.notebook_paths()
    index = pages.render({path: course.read(path) for path in paths}, tmp_path)
    assert all((tmp_path / path.with_suffix(".html").name).is_file() for path in paths)
    assert all(path.with_suffix(".html").name in index.read_text(encoding="utf-8") for path in paths)
