"""The course as pages that need no network: one a notebook, a list of them, and the documents they link to."""

import os
import re
from base64 import b64decode, b64encode
from collections.abc import Sequence
from copy import copy
from html import escape
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import jinja2
from bs4 import BeautifulSoup, Tag
from latex2mathml.converter import convert as tex_to_mathml
from nbconvert import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbformat import NotebookNode
from PIL import Image

from pspkit.errors import PspkitError
from pspkit.storage.checkpoints.files import write_bytes, write_text

TEMPLATES = Path(__file__).with_name("templates")
INDEX = "index.html"
# What a name begins with; every other notebook is no part of the course's text.
LESSON, APPENDIX = re.compile(r"\d\d_"), re.compile(r"A\d_")
LOADERS = "script, link:not([href^='data:']), iframe, object, embed, [srcset], [src]:not([src^='data:'])"
ANCHOR = re.compile(r'(<h\d[^>]* id="|class="anchor-link" href="#)([^"]*)"')
ID = re.compile(r'\bid="([^"]+)"')
PICTURE = re.compile(r'src="data:image/(?:webp|png|jpeg);base64,([^"]+)"')
OPEN = re.compile(r"\s*</?details")
TIME = re.compile(r"\*\*Time\*\* ([^\n]+?)\.?$", re.MULTILINE)  # of a notebook's second cell
LOADED = re.compile(r"@import|url\((?!['\"]?(?:data:|#))")  # of a style sheet


def render(notebooks: dict[Path, NotebookNode], out: Path, live: Sequence[Path] = ()) -> Path:
    """Writes the pages, all without scripts or files from elsewhere, and follows their links.

    Args:
        notebooks: in reading order; links between them become links between their pages. Only the lessons lead from
            one to the next. Any other file that they link to is put beside the pages, Markdown as a page.
        out: the folder, made when missing.
        live: the live pages, which are in that folder already; the index names them.

    Returns:
        The path of `index.html`.

    Raises:
        PspkitError: a link that leads nowhere, or a page that would load something; the pages are there to look at.
    """
    root = next(iter(notebooks)).parent.parent  # of the repository
    lessons = [path for path in notebooks if LESSON.match(path.name)]
    places = {path: path.with_suffix(".html").name for path in notebooks}
    entries = {path: (places[path], *title_and_promise(notebook)) for path, notebook in notebooks.items()}
    exporter = _Exporter(template_file=str(TEMPLATES / "notebook.html.j2"))
    templates = jinja2.Environment(autoescape=True, loader=jinja2.FileSystemLoader(TEMPLATES))
    documents, written = [], []

    def place_of(file: Path) -> str | None:
        """Where a file is put, from `out`; None for what is not there to be put anywhere."""
        if file not in places and file.is_file() and file.is_relative_to(root):
            inside = file.relative_to(root)
            places[file] = (inside.with_suffix(".html") if file.suffix == ".md" else inside).as_posix()
            documents.append(file)
        return places.get(file)

    def write(source: Path, html: str) -> None:
        """Writes the page of a file, its links turned towards where the files are put."""
        here = out / places[source]

        def turned(link: re.Match) -> str:
            place = place_of(Path(os.path.normpath(source.parent / unquote(link[1]))))
            way = quote(os.path.relpath(out / place, here.parent)) if place else link[1]
            return f'href="{way}{link[2] or ""}"'

        write_text(here, re.sub(r'href="([^"#:]+)(#[^"]*)?"', turned, html))
        written.append(here)

    for path, notebook in notebooks.items():
        resources = {"metadata": {"name": entries[path][1], "path": str(path.parent)}}
        if path in lessons:
            number = lessons.index(path)
            resources["before"] = [entries[lesson] for lesson in lessons[:number][-1:]]
            resources["after"] = [entries[lesson] for lesson in lessons[number + 1 :][:1]]
        html = exporter.from_notebook_node(notebook, resources)[0]
        write(path, html.replace("<!-- contents -->", _contents(html)))
    for file in documents:  # grows while they are written
        if file.suffix == ".md":
            html = ANCHOR.sub(_as_on_github, _to_html(file.read_text(encoding="utf-8"), file.parent))
            up = os.path.relpath(out / INDEX, (out / places[file]).parent)
            write(file, templates.get_template("document.html.j2").render(html=html, name=file.name, index=up))
        else:
            write_bytes(out / places[file], file.read_bytes())
    index = out / INDEX
    groups: dict[str, list] = {"lessons": [], "appendices": [], "others": [], "live": [page.name for page in live]}
    for path, entry in entries.items():
        group = "lessons" if path in lessons else "appendices" if APPENDIX.match(path.name) else "others"
        time = TIME.search(notebooks[path].cells[1].source) if len(notebooks[path].cells) > 1 else None
        groups[group].append((*entry, time[1] if time else "", _thumbnail(notebooks[path])))
    write_text(index, templates.get_template("index.html.j2").render(groups))
    if faults := find_faults([*written, index], out):
        raise PspkitError("\n".join([f"{out}: the pages have faults; correct the notebooks.", *faults]))
    return index


def title_and_promise(notebook: NotebookNode) -> tuple[str, str]:
    """The heading of the first cell and the sentence under it."""
    title, _, promise = notebook.cells[0].source.partition("\n")
    return title.lstrip("# "), " ".join(promise.split())


def find_faults(pages: list[Path], folder: Path) -> list[str]:
    """Follows every link of some pages, and looks for what a browser would fetch to show them.

    Args:
        pages: HTML files.
        folder: what a reader is given: a link must not lead out of it, except to the web.

    Returns:
        A line each: the page, what is wrong, and where.
    """
    soups = {page.resolve(): BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser") for page in pages}
    anchors = {page: {tag["id"] for tag in soup.find_all(id=True)} for page, soup in soups.items()}
    faults = []
    for page, soup in soups.items():
        for link in soup.find_all("a", href=True):
            url = urlsplit(link["href"])
            if url.scheme or url.netloc:
                continue
            target = (page.parent / unquote(url.path)).resolve() if url.path else page
            there = target.is_file() and target.is_relative_to(folder.resolve())
            if there and url.fragment and target not in anchors:  # a page that is looked at elsewhere
                anchors[target] = set(ID.findall(target.read_text(encoding="utf-8")))
            if there and url.fragment:  # a browser takes it as it stands, then decoded
                there = anchors.get(target, set()) & {url.fragment, unquote(url.fragment)}
            if not there:
                faults.append(f"  {page.name}: leads nowhere: {link['href']}")
        if any(not empty.get_text(strip=True) for empty in map(_without_summary, soup.find_all("details"))):
            faults.append(f"  {page.name}: a <details> that holds nothing but its summary")
        loaded = [tag.get("src") or tag.get("data") or f"<{tag.name}>" for tag in soup.select(LOADERS)]
        loaded += LOADED.findall("".join(style.get_text() for style in soup.find_all("style")))
        faults += [f"  {page.name}: would load {what[:80]}" for what in loaded]
    return faults


def _without_summary(details: Tag) -> Tag:
    details = copy(details)
    for summary in details.find_all("summary"):
        summary.decompose()
    return details


def _contents(html: str) -> str:
    """The sections of a page as links, for its margin."""
    headings = BeautifulSoup(html, "html.parser").find_all("h2", id=True)
    return "".join(f'<a href="#{h["id"]}">{escape(h.get_text().removesuffix("¶"))}</a>' for h in headings)


def _thumbnail(notebook: NotebookNode) -> str:
    """The first picture of a notebook after its map, small, as an address; empty where it has none."""
    shown = [
        output.get("data", {}).get("text/html", "") for cell in notebook.cells for output in cell.get("outputs", [])
    ]
    found = [picture for html in shown for picture in PICTURE.findall(html)]
    if len(found) < 2:
        return ""
    small, packed = Image.open(BytesIO(b64decode(found[1]))).convert("RGB"), BytesIO()
    small.thumbnail((240, 180))
    small.save(packed, "WEBP", quality=80)
    return f"data:image/webp;base64,{b64encode(packed.getvalue()).decode()}"


def _as_on_github(anchor: re.Match) -> str:
    """The anchor of a heading in a Markdown file, as GitHub makes it: links between such files are written for both."""
    name = re.sub(r"[^\w-]", "", unquote(anchor[2]).lower())
    return f'{anchor[1]}{name}"'


class _MathMLRenderer(IPythonRenderer):
    """Formulas as MathML, which browsers draw themselves."""

    def _html_embed_images(self, html: str) -> str:
        """Leaves alone a `<details>` that goes on in Markdown, which would be closed at once."""
        return html if OPEN.match(html) and "<img" not in html else super()._html_embed_images(html)

    def block_math(self, body: str) -> str:
        return tex_to_mathml(body, display="block")

    def inline_math(self, body: str) -> str:
        return tex_to_mathml(body)


def _to_html(source: str, folder: Path, attachments: dict[str, Any] | None = None) -> str:
    renderer = _MathMLRenderer(escape=False, embed_images=True, path=str(folder), attachments=attachments or {})
    return MarkdownWithMath(renderer=renderer).render(source)


class _Exporter(HTMLExporter):
    @jinja2.pass_context
    def markdown2html(self, context: jinja2.runtime.Context, source: str) -> str:
        return _to_html(source, context["resources"]["metadata"]["path"], context["cell"].get("attachments"))
