"""Every page of the built website, read as files: nothing from elsewhere, nothing missing."""

import re
from urllib.parse import unquote, urldefrag, urlsplit

import pytest
from bs4 import BeautifulSoup

from book.tools.lessons import lessons, pages
from tests.book.conftest import ROOT

pytestmark = pytest.mark.site

LOADING = {
    "script": "src",
    "link": "href",
    "img": "src",
    "iframe": "src",
    "source": "src",
    "video": "src",
    "audio": "src",
    "object": "data",
    "embed": "src",
}


@pytest.fixture(scope="module")
def soups(site):
    """Return every page as a parsed tree, by its path within the site."""
    return {
        path.relative_to(site).as_posix(): BeautifulSoup(
            path.read_text(encoding="utf-8"), "html.parser"
        )
        for path in sorted(site.rglob("*.html"))
        if "_static" not in path.parts
    }


def test_every_page_of_the_book_was_built(soups):
    assert {f"{page}.html" for page in pages(ROOT)} <= set(soups)


def test_pages_load_only_files_of_the_site(soups):
    foreign = [
        f"{page}: {tag.name} {tag[LOADING[tag.name]]}"
        for page, soup in soups.items()
        for tag in soup.find_all(list(LOADING))
        if urlsplit(tag.get(LOADING[tag.name], "")).netloc
    ]
    assert foreign == []


def test_style_sheets_load_only_files_of_the_site(site):
    foreign = [
        f"{path.relative_to(site)}: {match}"
        for path in site.rglob("*.css")
        for match in re.findall(
            r"""(?:url\(|@import\s+)["']?((?:https?:)?//[^"')]+)""",
            path.read_text(encoding="utf-8"),
        )
    ]
    assert foreign == []


def test_links_within_the_site_lead_somewhere(site, soups):
    broken = []
    for page, soup in soups.items():
        for tag in soup.find_all(["a", "link", "script", "img"]):
            target = tag.get("href") or tag.get("src")
            if not target or urlsplit(target).scheme or target.startswith("//"):
                continue
            file, fragment = urldefrag(target)
            path = (site / page).parent / unquote(urlsplit(file).path) if file else site / page
            if not path.exists():
                broken.append(f"{page}: {target}")
            elif fragment and path.suffix == ".html":
                known = soups[path.resolve().relative_to(site.resolve()).as_posix()]
                if not known.find(id=fragment):
                    broken.append(f"{page}: {target}")
    assert broken == []


def test_pictures_charts_and_replays_have_words_for_those_who_cannot_see_them(soups):
    silent = []
    for page, soup in soups.items():
        article = soup.find("article") or soup
        silent += [f"{page}: {img}" for img in article.find_all("img") if img.get("alt") is None]
        for box in article.select(".lab-chart, .redislab-view"):
            if len(box.get("aria-label", "")) < 10:
                silent.append(f"{page}: {box.get('class')} {box.get('aria-label')!r}")
    assert silent == []


def test_no_page_carries_a_widget_that_needs_a_kernel(soups):
    dead = [page for page, soup in soups.items() if "jupyter.widget" in str(soup)]
    assert dead == []


def test_plotly_is_in_the_site_once(site):
    copies = [path for path in site.rglob("*") if "plotly" in path.name]
    assert [path.relative_to(site).as_posix() for path in copies] == ["assets/plotly.min.js"]


def test_every_lesson_shows_something_that_moves_and_something_drawn(soups):
    for lesson in lessons(ROOT):
        soup = soups[f"{lesson.name}.html"]
        assert soup.select(".redislab-view, .lab-chart"), lesson.name


def test_every_lesson_can_be_opened_on_binder(soups):
    for lesson in lessons(ROOT):
        links = [link.get("href", "") for link in soups[f"{lesson.name}.html"].find_all("a")]
        wanted = f"/v2/gh/redislab/redislab/main?urlpath=lab/tree/{lesson.name}.ipynb"
        assert any(link.endswith(wanted) for link in links), lesson.name


def test_the_status_page_tells_the_run_time_of_every_lesson(soups):
    page = soups["book/status.html"]
    rows = {
        row.find("a")["href"]: row.get_text(" ") for row in page.find_all("tr") if row.find("a")
    }
    for lesson in lessons(ROOT):
        line = rows[f"../{lesson.name}.html"]
        assert re.search(r"\d+\.\d s", line), line


def test_the_site_shows_the_runs_of_papermill_and_nothing_else(site):
    executed = ROOT / "_build" / "executed"
    for lesson in lessons(ROOT):
        assert (executed / lesson.world / f"{lesson.name}.ipynb").exists()
    assert not list((site.parent).glob(".jupyter_cache/*.db"))
