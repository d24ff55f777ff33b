"""The course as a whole: runs the notebooks in reading order, and has them rendered as pages."""

import os
import re
import time
from collections.abc import Iterable
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellControlSignal, DeadKernelError
from nbconvert.filters import strip_ansi
from nbformat import NotebookNode

from pspkit.course.live.content import HEADS
from pspkit.course.live.page import write_live_pages
from pspkit.course.pages import render
from pspkit.errors import PspkitError
from pspkit.storage.atomic import replacing

ROOT = Path(__file__).resolve().parents[2]
SITE = ROOT / "site"
# The committed outputs are those of the smallest configuration. Threads that wait do so asleep: beside a busy program,
# spinning ones slow small layers many times.
ENVIRONMENT = {"PSPKIT_PROFILE": "smoke", "OMP_WAIT_POLICY": "passive"}
CELL_TIMEOUT = 900  # seconds
WIDGET = "application/vnd.jupyter.widget-view+json"
NEEDS_KERNEL = "Interactive: run this cell in JupyterLab (make lab) to use it."
EXPLORED = re.compile(r"(\w+)\.explore\(\)")  # the explorers by the names that the notebooks give them
LIVE_PARTS = {
    **{"mixer": "mix", "walker": "walk", "labels": "draw", "sketch": "draw"},
    **{"pyramid": "inside", "viewer": "inside"},
}
METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def notebook_paths(folder: Path = ROOT / "notebooks") -> list[Path]:
    """The notebooks in reading order: 00 ... 08, then the appendices A1 ...

    Raises:
        PspkitError: the folder holds no notebook.
    """
    paths = sorted(folder.glob("*.ipynb"))
    if not paths:
        raise PspkitError(f"{folder}: no notebooks here. Run the course from a clone of the project.")
    return paths


def select(paths: list[Path], prefixes: Iterable[str]) -> list[Path]:
    """Those notebooks whose file name begins with one of the prefixes; all without a prefix.

    Raises:
        PspkitError: a prefix fits no notebook.
    """
    prefixes = tuple(prefixes)
    for prefix in prefixes:
        if not any(path.name.startswith(prefix) for path in paths):
            raise PspkitError(
                f"only: got {prefix!r}, needs the beginning of one of {', '.join(p.stem for p in paths)}."
            )
    return [path for path in paths if path.name.startswith(prefixes or "")]


def read(path: Path) -> NotebookNode:
    """A notebook as it is on disk.

    Raises:
        PspkitError: the file is no notebook.
    """
    try:
        return nbformat.read(path, as_version=4)
    except (ValueError, nbformat.ValidationError) as error:
        raise PspkitError(f"{path}: not a notebook ({error}). Restore the file from the repository.") from error


def execute(path: Path, timeout: int = CELL_TIMEOUT) -> NotebookNode:
    """Runs a notebook from top to bottom in a fresh kernel under the smoke profile; the file stays as it is.

    Args:
        path: the notebook; its folder is the kernel's working directory.
        timeout: seconds a cell may take.

    Returns:
        The executed notebook, normalised.

    Raises:
        PspkitError: a cell failed, took too long or ended the kernel; names the cell and shows the error.
    """
    notebook = read(path)
    reached = -1

    def remember(cell: NotebookNode, cell_index: int) -> None:
        nonlocal reached
        reached = cell_index

    client = NotebookClient(
        notebook,
        timeout=timeout,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},
        coalesce_streams=True,
        extra_arguments=["--log-level=ERROR"],  # or each kernel warns about its local sockets
        on_cell_execute=remember,
    )
    try:
        client.execute(env=os.environ | ENVIRONMENT)
    except (CellControlSignal, DeadKernelError) as error:
        where = f"{path.name}, cell {reached + 1} of {len(notebook.cells)}"
        raise PspkitError(f"{where} failed.\n{strip_ansi(str(error)).strip()}") from error
    return normalise(notebook)


def normalise(notebook: NotebookNode) -> NotebookNode:
    """Keeps of a notebook what readers need and a second run repeats, so that differences stay small.

    Of the metadata remain the kernel's name and the cells' tags; of a widget, which is dead without its kernel, a
    line that says how to use it, and of a progress bar nothing; of an expected error, its name and message without the
    traceback's paths.
    """
    notebook.metadata = nbformat.from_dict(METADATA)
    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict({"tags": cell.metadata["tags"]} if cell.metadata.get("tags") else {})
        if "outputs" in cell:
            cell.outputs = [output for output in cell.outputs if not _is_progress(output)]
        for output in cell.get("outputs", []):
            if WIDGET in output.get("data", {}):
                html = f"<p><em>{NEEDS_KERNEL}</em></p>"
                output.data = nbformat.from_dict({"text/html": html, "text/plain": NEEDS_KERNEL})
            if output.output_type == "error":
                output.traceback = [f"{output.ename}: {output.evalue}"]
    return notebook


def _is_progress(output: NotebookNode) -> bool:
    """Whether an output is tqdm's bar, which a slow machine shows and a quick one does not."""
    data = output.get("data", {})
    return WIDGET in data and "%|" in data.get("text/plain", "")


def run(only: Iterable[str] = (), in_place: bool = False) -> None:
    """Runs the course with one line of progress per notebook, then writes the notebooks or their pages.

    Args:
        only: beginnings of file names; without any, the whole course.
        in_place: replace the notebooks by the executed ones instead of rendering pages.

    Raises:
        PspkitError: a cell failed, or as `pages.render`.
    """
    paths = notebook_paths()
    notebooks = {path: read(path) for path in paths}
    for path in select(paths, only):
        print(f"{path.stem:<32}", end="", flush=True)
        start = time.perf_counter()
        try:
            notebooks[path] = execute(path)
        except PspkitError:
            print(" failed")
            raise
        cells = sum(cell.cell_type == "code" for cell in notebooks[path].cells)
        print(f"{cells:>4} cells {time.perf_counter() - start:>6.0f} s")
        if in_place:
            with replacing(path) as part:
                nbformat.write(notebooks[path], part)
    if not in_place:
        _render(notebooks)


def site() -> None:
    """Renders the notebooks with the outputs they have; of a widget in them stays the line that says how to use it.

    Raises:
        PspkitError: as `pages.render`.
    """
    _render({path: read(path) for path in notebook_paths()})


def _render(notebooks: dict[Path, NotebookNode]) -> None:
    live = write_live_pages(SITE)
    notebooks = {path: normalise(notebook) for path, notebook in notebooks.items()}
    if SITE / HEADS.file in live:
        for notebook in notebooks.values():
            _link_explorers(notebook)
    print(f"Rendered {render(notebooks, SITE, live)}")


def _link_explorers(notebook: NotebookNode) -> None:
    """Where an explorer needs a kernel, a link to the part of the live page that answers without one."""
    for cell in notebook.cells:
        name = EXPLORED.search(cell.source)
        part = LIVE_PARTS.get(name[1]) if name else None
        for output in cell.get("outputs", []) if part else []:
            if NEEDS_KERNEL in output.get("data", {}).get("text/html", ""):
                link = f'<a href="{HEADS.file}#{part}">It also moves without one, in the live page.</a>'
                output.data["text/html"] = f"<p><em>{NEEDS_KERNEL}</em> {link}</p>"
