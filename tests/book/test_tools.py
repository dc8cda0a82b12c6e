"""The tools that make the website: what they refuse, what they keep, and how the server behaves."""

import json
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from book.tools.execute import execute, execute_all, executed_path, fingerprint
from book.tools.lessons import LessonError, lessons, pages, read_lesson
from book.tools.outputs import PLOTLY, WIDGET, OutputError, chart_html, make_static
from book.tools.status import status_page
from redislab.views.predictions import check, predict
from redislab.views.recording import Frame, Recording
from redislab.views.static import recording_html
from tests.book.conftest import ROOT


def notebook(*sources, world="sim", worlds=("sim", "live"), **about):
    """Return a small notebook with a title and a cell of parameters."""
    cells = [
        new_markdown_cell("# A Small Lesson"),
        new_code_cell(f'world = "{world}"\nseed = 7', metadata={"tags": ["parameters"]}),
        *(new_code_cell(source) for source in sources),
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    metadata = {"kernelspec": kernel, "redislab": {"worlds": list(worlds), **about}}
    return new_notebook(cells=cells, metadata=metadata)


@pytest.fixture
def project(tmp_path):
    """Return a folder with a table of contents of one lesson, and a function that writes it."""
    (tmp_path / "_toc.yml").write_text("format: jb-book\nroot: lesson\n", encoding="utf-8")
    (tmp_path / "redislab").mkdir()
    (tmp_path / "redislab" / "node.py").write_text("VERSION = 1\n", encoding="utf-8")

    def write(content):
        nbformat.write(content, tmp_path / "lesson.ipynb")
        return read_lesson(tmp_path, "lesson")

    return tmp_path, write


def shown(*data):
    """Return a notebook whose last cell has these outputs."""
    book = notebook("show()")
    book.cells[-1].outputs = [new_output("display_data", data=item) for item in data]
    return book


def test_the_table_of_contents_is_read_in_its_order():
    names = pages(ROOT)
    assert names[0] == "book/welcome"
    assert names.index("notebooks/01-measure/first-server") < names.index("book/glossary")


def test_a_lesson_without_parameters_is_refused(project):
    _, write = project
    book = notebook()
    del book.cells[1]
    with pytest.raises(LessonError, match=r"lesson\.ipynb: 0 cells are tagged parameters"):
        write(book)


def test_a_lesson_whose_world_is_none_of_its_worlds_is_refused(project):
    _, write = project
    with pytest.raises(LessonError, match="its parameters choose world 'redis'"):
        write(notebook(world="redis"))


def test_a_listed_page_that_does_not_exist_is_named(project):
    folder, _ = project
    with pytest.raises(LessonError, match=r"_toc\.yml lists lesson"):
        lessons(folder)


@pytest.mark.notebook
def test_a_failing_cell_is_named_with_its_notebook_and_its_error(project):
    folder, write = project
    lesson = write(notebook("print('fine')", "1 / 0"))
    error = execute(folder, lesson, "sim").error
    assert "lesson.ipynb in world sim, cell 4 raised ZeroDivisionError: division by zero" in error
    assert "1 / 0" in error


@pytest.mark.notebook
def test_a_run_is_kept_until_something_it_depends_on_changes(project):
    folder, write = project
    lesson = write(notebook("print(world)"))
    first = execute(folder, lesson, "live")
    assert first.error is None
    assert execute(folder, lesson, "live") == first
    text = executed_path(folder, "lesson", "live").read_text(encoding="utf-8")
    assert "live" in json.loads(text)["cells"][-1]["outputs"][0]["text"][0]

    before = fingerprint(folder, lesson.path, "live")
    (folder / "redislab" / "node.py").write_text("VERSION = 2\n", encoding="utf-8")
    assert fingerprint(folder, lesson.path, "live") != before
    assert fingerprint(folder, lesson.path, "sim") != fingerprint(folder, lesson.path, "live")


def settings(**values):
    """Return a small notebook with these parameters besides its own."""
    book = notebook("print(seconds, requests)")
    book.cells[1].source += "".join(f"\n{name} = {value!r}" for name, value in values.items())
    return book


def test_the_brief_form_of_a_lesson_measures_for_a_shorter_time(project):
    _, write = project
    assert write(settings(seconds=1.5, requests=100_000)).brief == {
        "seconds": 0.45,
        "requests": 30_000,
    }
    assert write(notebook()).brief == {}


@pytest.mark.notebook
def test_a_brief_run_stands_for_no_full_one_and_a_full_run_for_both(project):
    folder, write = project
    lesson = write(settings(seconds=2.0, requests=10))

    def printed():
        text = executed_path(folder, "lesson", "sim").read_text(encoding="utf-8")
        return json.loads(text)["cells"][-1]["outputs"][0]["text"][0].strip()

    brief = execute(folder, lesson, "sim", brief=True)
    assert (brief.error, printed()) == (None, "0.6 3")
    assert execute(folder, lesson, "sim", brief=True) == brief
    full = execute(folder, lesson, "sim")
    assert (full.error, printed()) == (None, "2.0 10")
    assert execute(folder, lesson, "sim", brief=True) == full


@pytest.mark.notebook
def test_the_build_tells_how_far_it_is_and_what_it_took_as_it_was(project):
    folder, write = project
    lesson = write(notebook("print(world)", alone=True))
    lines = []
    wanted = [(lesson, "sim"), (lesson, "live")]
    execute(folder, lesson, "sim")
    runs = execute_all(folder, wanted, 1, lines.append)
    assert [(run.world, run.error) for run in runs] == [("sim", None), ("live", None)]
    assert [re.sub(r" +[\d.]+ s", "", line).split() for line in lines] == [
        ["1/2", "lesson.ipynb", "sim", "kept"],
        ["2/2", "lesson.ipynb", "live", "ok"],
    ]


def test_a_chart_stays_in_the_page_as_data_with_words():
    figure = {"data": [{"y": [1, 2]}], "layout": {"title": {"text": "Throughput</script>"}}}
    book = shown({PLOTLY: figure, "text/plain": "Figure"})
    make_static(book, "lesson")
    page = book.cells[-1].outputs[0].data["text/html"]
    assert 'role="img" aria-label="Throughput' in page
    assert page.count("</script>") == 1


def test_words_of_a_chart_may_be_given():
    page = chart_html({"layout": {"meta": {"alt": "Latency rises with the number of clients."}}})
    assert 'aria-label="Latency rises with the number of clients."' in page


def test_a_chart_without_words_is_refused():
    with pytest.raises(OutputError, match=r"lesson\.ipynb, cell 3: a chart needs a title"):
        make_static(shown({PLOTLY: {"data": [], "layout": {}}}), "lesson")


def test_a_widget_gives_way_to_its_recording():
    recording = Recording("server", "One server", (Frame(0.0, {"keys": 1}),))
    view = {WIDGET: {"model_id": "1"}, "text/html": recording_html(recording)}
    book = shown(view)
    make_static(book, "lesson")
    data = book.cells[-1].outputs[0].data
    assert set(data) == {"text/html"}
    assert "One server" in data["text/html"]


def test_what_would_give_a_prediction_away_is_tagged():
    question = predict("Which?", ["this", "that"])
    asks = {"text/html": question.html}
    answers = {"text/html": check(question, "that")._repr_mimebundle_()["text/html"]}
    book = notebook("ask()", "run()", "silent()", "check()", "later()")
    for cell, data in zip(book.cells[2:], (asks, None, None, answers, None), strict=True):
        if data is not None:
            cell.outputs = [new_output("display_data", data=data)]
    for at in (3, 6):
        book.cells[at].outputs = [new_output("stream", text="181 bytes")]
    make_static(book, "lesson")
    tags = [cell.metadata.get("tags", []) for cell in book.cells[2:]]
    assert tags == [["asks"], ["waits"], [], [], []]


def test_a_question_that_is_never_checked_keeps_nothing_waiting():
    book = notebook("ask()", "run()")
    book.cells[2].outputs = [new_output("display_data", data={"text/html": predict("?").html})]
    book.cells[3].outputs = [new_output("stream", text="181 bytes")]
    make_static(book, "lesson")
    assert not any("tags" in cell.metadata for cell in book.cells[2:])


def test_a_widget_that_would_be_dead_on_the_page_is_refused():
    dead = {WIDGET: {"model_id": "1"}, "text/plain": "IntSlider(value=3)"}
    with pytest.raises(OutputError, match=r"cell 3: IntSlider\(value=3\) has no HTML"):
        make_static(shown(dead), "lesson")


def test_html_that_loads_from_elsewhere_is_refused():
    with pytest.raises(OutputError, match="its HTML loads"):
        make_static(shown({"text/html": '<script src="https://example.org/a.js"></script>'}), "n")
    linked = shown({"text/html": '<a href="https://redis.io/">Redis</a>'})
    make_static(linked, "lesson")
    assert "redis.io" in linked.cells[-1].outputs[0].data["text/html"]


def test_the_status_page_names_every_lesson_and_the_versions():
    page = status_page(lessons(ROOT), [])
    assert all(lesson.title in page for lesson in lessons(ROOT))
    assert "| fakeredis | 2.40.0 |" in page


@pytest.fixture
def served(tmp_path):
    """Start the book's server on a port that is taken; return its process and its first lines."""
    (tmp_path / "index.html").write_text("<h1>hello</h1>", encoding="utf-8")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        command = [sys.executable, "-m", "book.tools.serve", "--folder", str(tmp_path)]
        command += ["--port", str(taken.getsockname()[1])]
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        lines = []
        while not any("Ctrl-C" in line for line in lines):
            line = process.stdout.readline()
            assert line, process.stderr.read()
            lines.append(line)
        yield process, lines
        process.kill()
        process.communicate()


def test_the_server_takes_a_free_port_and_stops_at_ctrl_c(served):
    process, lines = served
    assert "is taken; using a free one." in lines[0]
    address = next(line for line in lines if "http://" in line).split()[-1]
    with urllib.request.urlopen(address, timeout=10) as answer:
        assert b"hello" in answer.read()
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"{address}no-such-page.html", timeout=10)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=10)
    assert (process.returncode, out.strip(), err.strip()) == (
        0,
        "Stopped.",
        "/no-such-page.html: 404",
    )


def test_the_server_says_so_when_there_is_no_website(tmp_path):
    command = [sys.executable, "-m", "book.tools.serve", "--folder", str(tmp_path / "nothing")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.strip().endswith("Build it: make site")
