"""What the sources of the book must keep to, so that pages work without network and stay clean."""

import json
import re

import pytest

from book.tools.lessons import GENERATED, lessons, pages
from tests.tidy.tree import ROOT, files, name

# Written in halves, so that this file does not find itself.
HOSTS = tuple(
    "".join(halves)
    for halves in (
        ("jsde", "livr"),
        ("unp", "kg"),
        ("cdn", "js"),
        ("google", "apis"),
        ("gsta", "tic"),
        ("esm", ".sh"),
        ("sky", "pack"),
        ("require", ".min.js"),
    )
)
COLUMNS_MAX = 78

NOTEBOOKS = files(".ipynb", under="notebooks")


def notebook_of(path):
    return json.loads(path.read_text(encoding="utf-8"))


def source_of(cell):
    return "".join(cell["source"])


def code_cells(path):
    return [cell for cell in notebook_of(path)["cells"] if cell["cell_type"] == "code"]


def test_no_source_of_the_site_names_a_host_that_serves_scripts():
    sources = files(".md", ".ipynb", ".py", ".js", ".css", ".svg", ".html", under="book")
    sources += files(".ipynb", under="notebooks")
    sources += files(".py", ".js", ".css", under="redislab/views")
    sources += [ROOT / "_config.yml", ROOT / "_toc.yml"]
    named = [
        f"{name(path)}: {host}"
        for path in sources
        for host in HOSTS
        if host in path.read_text(encoding="utf-8").lower()
    ]
    assert named == []


def test_every_notebook_is_in_the_table_of_contents():
    listed = {f"{page}.ipynb" for page in pages(ROOT)}
    lone = [name(path) for path in NOTEBOOKS if name(path) not in listed]
    assert [path for path in lone if "/exercises/" not in path] == []


def test_every_page_of_the_table_of_contents_exists():
    missing = [
        page
        for page in pages(ROOT)
        if page not in GENERATED
        and not (ROOT / f"{page}.md").exists()
        and not (ROOT / f"{page}.ipynb").exists()
    ]
    assert missing == []
    assert lessons(ROOT), "a book has lessons"


def test_page_names_use_hyphens():
    assert [page for page in pages(ROOT) if not re.fullmatch(r"[a-z0-9/-]+", page)] == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name)
class TestNotebook:
    def test_has_no_outputs_in_git(self, path):
        run = [
            source_of(cell)[:40]
            for cell in code_cells(path)
            if cell["outputs"] or cell["execution_count"] is not None
        ]
        assert run == []

    def test_has_one_cell_of_parameters_with_world_and_seed(self, path):
        tagged = [
            source_of(cell)
            for cell in notebook_of(path)["cells"]
            if "parameters" in cell["metadata"].get("tags", [])
        ]
        assert len(tagged) == 1
        assert re.search(r"^world = ", tagged[0], re.MULTILINE)
        assert re.search(r"^seed = ", tagged[0], re.MULTILINE)

    def test_has_code_that_fits_a_printed_page(self, path):
        wide = [
            line
            for cell in code_cells(path)
            for line in source_of(cell).splitlines()
            if len(line) > COLUMNS_MAX
        ]
        assert wide == []

    def test_names_the_kernel_that_every_installation_has(self, path):
        assert notebook_of(path)["metadata"]["kernelspec"]["name"] == "python3"

    def test_has_its_title_first_and_once(self, path):
        titles = [
            line
            for cell in notebook_of(path)["cells"]
            if cell["cell_type"] == "markdown"
            for line in re.sub(r"(?ms)^```.*?^```", "", source_of(cell)).splitlines()
            if line.startswith("# ")
        ]
        first = notebook_of(path)["cells"][0]
        assert len(titles) == 1
        assert source_of(first).startswith(titles[0])
