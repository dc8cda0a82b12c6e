"""The built website as its readers meet it: on a laptop, on a phone, by keyboard, in the dark."""

import pytest

from book.tools.lessons import lessons, pages
from tests.book.conftest import LAPTOP, PHONE, ROOT

pytestmark = [pytest.mark.site, pytest.mark.browser, pytest.mark.xdist_group("site")]

PAGES = [f"{page}.html" for page in pages(ROOT)]
LESSONS = [f"{lesson.name}.html" for lesson in lessons(ROOT)]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [LAPTOP, PHONE], ids=["laptop", "phone"])
@pytest.mark.parametrize("page", [*PAGES, "index.html", "search.html", "genindex.html"])
def test_page_opens_without_a_complaint_and_fits_the_screen(reader, page, size, theme):
    reader.open(page, size, theme)
    assert reader.complaints() == []
    assert reader.run("return document.documentElement.dataset.theme") == theme
    assert reader.run("return document.documentElement.scrollWidth") <= size[0]


@pytest.mark.parametrize("page", PAGES)
def test_text_stands_out_from_its_ground(reader, page):
    """Body text has the contrast of 4.5 that WCAG asks for, in both themes."""
    for theme in ("light", "dark"):
        reader.open(page, LAPTOP, theme)
        assert reader.run(CONTRAST) == [], theme


CONTRAST = """
const parse = (text) => (text.match(/[\\d.]+/g) ?? []).map(Number);
const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
  .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
  .reduce((sum, c, at) => sum + c * [0.2126, 0.7152, 0.0722][at], 0);
function ground(element) {
  for (let at = element; at; at = at.parentElement) {
    const color = parse(getComputedStyle(at).backgroundColor);
    if (color.length === 3 || color[3] > 0.9) return color;
  }
  return [255, 255, 255];
}
const faint = [];
for (const element of document.querySelectorAll(
  ".bd-article p, .bd-article li, .bd-article td, .bd-article th, .bd-article h1,"
  + ".bd-article h2, .bd-article h3, .bd-article pre span, .bd-article a, .bd-article code")) {
  const words = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
  if (!words || !element.offsetParent || element.closest(".redislab-view, .lab-chart")) continue;
  const style = getComputedStyle(element);
  const [a, b] = [light(parse(style.color)), light(ground(element))].sort((x, y) => y - x);
  const ratio = (a + 0.05) / (b + 0.05);
  const what = `${element.tagName} ${element.textContent.slice(0, 40)}`;
  if (ratio < 4.5) faint.push(`${ratio.toFixed(1)} ${what}`);
}
return faint;
"""


@pytest.mark.parametrize("page", PAGES)
def test_every_control_has_a_name(reader, page):
    reader.open(page)
    nameless = reader.run(
        """
        const named = (e) => (e.getAttribute("aria-label") || e.title || e.textContent || "").trim()
          || [...(e.labels ?? [])].some((label) => label.textContent.trim())
          || e.getAttribute("placeholder") || e.querySelector("img[alt]:not([alt=''])");
        return [...document.querySelectorAll("button, a[href], input, select, summary")]
          .filter((e) => e.type !== "hidden" && e.offsetParent && !named(e))
          .map((e) => e.outerHTML.slice(0, 120));
        """
    )
    assert nameless == []


@pytest.mark.parametrize("page", LESSONS)
def test_charts_are_drawn_and_follow_the_theme(reader, page):
    reader.open(page, LAPTOP, "light")
    charts = reader.run("return document.querySelectorAll('.lab-chart').length")
    drawn = reader.run("return document.querySelectorAll('.lab-chart .main-svg').length")
    assert drawn >= charts
    if charts:
        ink = "return Plotly.d3 ? 0 : document.querySelector('.js-plotly-plot').layout.font.color"
        before = reader.run(ink)
        reader.run("document.documentElement.dataset.theme = 'dark'")
        reader.wait(f"return (() => {{ {ink} }})() !== '{before}'")
        wide = reader.run(
            "return [...document.querySelectorAll('.lab-chart')].filter((box) =>"
            " box.querySelector('svg').getBoundingClientRect().width > box.clientWidth + 1).length"
        )
        assert wide == 0


@pytest.mark.parametrize("page", LESSONS)
def test_replays_play_pause_change_speed_and_slide(reader, page):
    reader.open(page)
    reader.run("document.querySelectorAll('.lab-cover button').forEach((one) => one.click())")
    # Solutions are folded away, and some have a replay in them.
    reader.run("document.querySelectorAll('article details').forEach((one) => { one.open = true })")
    views = reader.run(
        "return [...document.querySelectorAll('.redislab-view .rl-player')]"
        ".filter((bar) => !bar.hidden).map((bar) => bar.parentElement)"
    )
    assert views or not reader.run("return document.querySelector('.redislab-view .rl-player')")
    for view in views:
        # Slide to the beginning, by keyboard: focus the slider and press Home.
        slider = reader.run("return arguments[0].querySelector('.rl-slider')", view)
        reader.run("arguments[0].scrollIntoView({block: 'center'})", view)
        reader.run("arguments[0].focus()", slider)
        slider.send_keys("\ue011")  # Home
        at = "return Number(arguments[0].querySelector('.rl-slider').value)"
        assert reader.run(at, view) == 0
        # Step on by keyboard, and back.
        slider.send_keys("\ue014")  # right arrow
        stepped = reader.run(at, view)
        assert stepped > 0
        slider.send_keys("\ue012")  # left arrow
        assert reader.run(at, view) == 0
        # As fast as it goes, play to the end, or pause on the way.
        reader.run(
            "const speed = arguments[0].querySelector('select');"
            "speed.selectedIndex = speed.options.length - 1;"
            "speed.dispatchEvent(new Event('change'))",
            view,
        )
        play = reader.run("return arguments[0].querySelector('.rl-play')", view)
        play.click()
        reader.run("window.shown = arguments[0]", view)
        reader.wait("return Number(window.shown.querySelector('.rl-slider').value) > 0")
        pausing = play.get_attribute("aria-label").startswith("Pause")
        if pausing:
            play.click()
        reader.wait("return window.shown.querySelector('.rl-play').ariaLabel.startsWith('Play')")
    assert reader.complaints() == []


@pytest.mark.parametrize("page", LESSONS)
def test_what_gives_a_prediction_away_is_covered_until_it_is_made(reader, page):
    covers = "return [...document.querySelectorAll('.lab-cover')].length"
    reader.open(page)
    first = reader.run(covers)
    assert first > 0
    hidden = (
        "return [...document.querySelectorAll('.lab-waits > :not(.lab-cover)')]"
        ".every((one) => getComputedStyle(one).visibility === 'hidden')"
    )
    assert reader.run(hidden)
    # Commit to the first prediction by keyboard: the first choice, or a number.
    asking = reader.run("return document.querySelector('.tag_asks')")
    field = reader.run("return arguments[0].querySelector('input')", asking)
    reader.run("arguments[0].scrollIntoView({block: 'center'}); arguments[0].focus()", field)
    field.send_keys(" " if field.get_attribute("type") == "radio" else "33")
    commit = reader.run("return arguments[0].querySelector('.rl-commit')", asking)
    commit.send_keys("\ue007")  # Enter
    reader.wait(f"return (() => {{ {covers} }})() < {first}")
    assert "You said" in reader.run(
        "return document.querySelector('.rl-kind-check .rl-verdict').textContent"
    )
    # Give up the last one: its check tells the answer, and nothing stays covered for it.
    rest = reader.run(covers)
    reader.run(
        "[...document.querySelectorAll('.rl-verdict button')].at(-1).click();"
        "document.querySelectorAll('.lab-cover button').forEach((one) => one.click())"
    )
    assert reader.run(covers) == 0
    assert rest < first
    assert "The answer:" in reader.run(
        "return [...document.querySelectorAll('.rl-verdict')].at(-1).textContent"
    )
    assert reader.complaints() == []


def test_the_menu_of_a_phone_opens_and_leads_to_a_lesson(reader):
    reader.open(PAGES[0], PHONE)
    toggle = reader.run("return document.querySelector('.primary-toggle')")
    toggle.click()
    reader.wait(
        "return document.querySelector('.bd-sidebar-primary, #pst-primary-sidebar-modal')"
        ".getBoundingClientRect().left >= 0"
    )
    link = reader.run(
        "return [...document.querySelectorAll('a')].find((a) => a.offsetParent"
        f" && a.href.endsWith('{LESSONS[0]}'))"
    )
    reader.run("arguments[0].click()", link)
    reader.wait(f"return location.pathname.endsWith('{LESSONS[0]}')")
    assert reader.run("return document.querySelector('h1').textContent")


def test_the_search_finds_a_word_of_the_glossary(reader):
    reader.open("search.html?q=throughput")
    reader.wait("return document.querySelectorAll('#search-results li').length > 0")
    assert reader.complaints() == []


def test_the_theme_button_changes_the_theme(reader):
    reader.open(PAGES[0], LAPTOP, "light")
    modes = set()
    for _ in range(3):
        reader.run(
            "[...document.querySelectorAll('.theme-switch-button')]"
            ".find((button) => button.offsetParent).click()"
        )
        modes.add(reader.run("return document.documentElement.dataset.mode"))
    assert modes == {"auto", "dark", "light"}
