"""The notebook of the documentation runs from beginning to end, in a kernel of its own."""

import os
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tftrace.errors import TftraceError
from tftrace.magic import Wanted, wanted

ROOT = Path(__file__).parents[2]
NOTHING = "%%tftrace\n1 + 1"
WRONG = "%%tftrace --sorry\n1 + 1"


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """The notebook, with two more cells, after it ran."""
    folder = tmp_path_factory.mktemp("notebook")
    book = nbformat.read(ROOT / "docs" / "notebook.ipynb", as_version=4)
    book.cells.append(nbformat.v4.new_code_cell(NOTHING))
    wrong = nbformat.v4.new_code_cell(WRONG, metadata={"tags": ["raises-exception"]})
    book.cells.append(wrong)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = os.environ | {"PATH": path}
    resources = {"metadata": {"path": str(folder)}}
    client = NotebookClient(book, timeout=120, kernel_name="python3", resources=resources)
    client.create_kernel_manager()
    client.km.kernel_spec.argv[0] = sys.executable
    with client.setup_kernel(env=environment, cwd=str(folder)):
        for number, cell in enumerate(book.cells):
            if cell.cell_type == "code":
                client.execute_cell(cell, number)
    return book, folder


def shown(book, start: str) -> str:
    """All that the cell shows which begins so, as HTML or text."""
    (cell,) = (c for c in book.cells if c.cell_type == "code" and c.source.startswith(start))
    parts = [out.get("text", "") + str(out.get("data", "")) for out in cell.outputs]
    return "\n".join(parts + [str(out.get("evalue", "")) for out in cell.outputs])


def test_the_magic_shows_the_answer_and_names_the_result(ran):
    book, folder = ran
    html = shown(book, "%%tftrace run")
    assert "for 320" in html
    assert "Do first" in html
    assert "norm" in html
    assert "wall_ms" in shown(book, "columns")
    assert "'wall_ms': 'ms'" in shown(book, "{name: ")
    assert (folder / "tftrace-runs" / "plugins" / "profile").is_dir()


def test_counts_charts_and_the_page(ran):
    book, folder = ran
    # Of the convolution alone 16 x 16 x 8 outputs of 3 x 3 x 3 each.
    assert "55.3k" in shown(book, "tftrace.count")
    assert "bokeh" in shown(book, "show(run.plot.timeline")
    assert (folder / "report.html").read_text().startswith("<!doctype html>")


def test_cells_without_a_predict_and_wrong_words_are_told(ran):
    book, _ = ran
    assert "nothing was traced: no predict" in shown(book, NOTHING)
    assert "'--sorry' is not known; usage: %%tftrace" in shown(book, WRONG)


def test_the_words_behind_the_magic():
    assert wanted("") == Wanted("profile", Path("tftrace-runs"), 5, False)
    assert wanted("p --out 'my runs' --repeats 0 --all-ops") == Wanted(
        "p", Path("my runs"), 0, True
    )
    for line in ("--repeats", "--repeats many", "--out 'open", "two words 3"):
        with pytest.raises(TftraceError, match="usage: %%tftrace"):
            wanted(line)


def test_the_notebook_is_kept_without_outputs():
    book = nbformat.read(ROOT / "docs" / "notebook.ipynb", as_version=4)
    assert all(not c.outputs and c.execution_count is None for c in book.cells if "outputs" in c)
