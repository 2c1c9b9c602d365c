"""The page in a real Chromium: what it shows, its links, its keys; and that it asks nobody."""

import re
import time
from urllib.parse import parse_qs

import pages
import pytest

from tracekd.report.page import write_page

#: What a text may contain: all of it is shown, none of it runs.
HOSTILE = [
    '<script>document.title = "gone"</script></script>',
    '"quoted" & \'quoted\' <b>bold</b> <!-- <img src=x onerror="document.title=1">',
    "\u202eright to left\u202c \u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627",
    "bell \x07 null \x00 escape \x1b[31m \u2028 \U0001f600",
    "{{ 7 * 7 }} ${7 * 7} `x` \\ %s",
]
LONG = "and then " * 1200


class Tab:
    """A page in a tab; it fails on every message in the console and on every request."""

    def __init__(self, browser, path, address="", **options):
        context = browser.new_context(viewport={"width": 1280, "height": 800}, **options)
        self.page = context.new_page()
        self.page.set_default_timeout(30_000)
        self.faults = []
        self.page.on("console", lambda message: self.faults.append(message.text))
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("request", lambda request: self._note(request.url))
        self.path = path
        self.open(address)

    def _note(self, url):
        if not url.startswith((self.path.as_uri(), "blob:")):
            self.faults.append(f"request of {url}")

    def open(self, address):
        self.page.goto("about:blank")
        self.faults.clear()
        self.page.goto(self.path.as_uri() + address)
        self.page.wait_for_selector("h1", state="attached")

    def at(self):
        return {key: value for key, (value,) in parse_qs(self.page.url.partition("#")[2]).items()}

    def total(self):
        return int(self.page.inner_text(".total").split(" ")[0].replace(",", ""))

    def expect(self, selector, text):
        """Wait until an element has a text."""
        self.page.locator(selector, has_text=text).wait_for()

    def press(self, *keys):
        for key in keys:
            self.page.keyboard.press(key)


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    contents = pages.grid(24, probes=True)
    write_page(path, contents, pages.comparison(contents), "Nine students")
    return path


@pytest.fixture
def tab(chromium, many):
    tab = Tab(chromium, many)
    yield tab
    assert tab.faults == []
    tab.page.context.close()


def test_the_overview_shows_findings_and_figures_with_their_tables(tab):
    page = tab.page
    finding = "Answer accuracy differs between regimes: correct - none by 54.2 points"
    assert page.inner_text(".finding >> nth=0") == f"{finding} (29.3 to 79.0)."
    titles = page.locator("figure h3").all_inner_texts()
    assert "How often is each step right?" in titles
    assert "How much do regimes change answer accuracy?" in titles
    page.locator("figure summary").first.click()
    assert "trace exact match" in page.locator("figure table").first.inner_text()
    for kind, begins in (("CSV", ",questions,none,"), ("SVG", "<svg")):
        with page.expect_download() as download:
            page.locator("figure").first.get_by_text(kind, exact=True).click()
        text = download.value.path().read_text()
        assert text.startswith(begins)
        assert "class=" not in text
    assert "abacus" in page.inner_text("main")


def test_filters_narrow_the_list_and_counts_follow(tab):
    page = tab.page
    page.get_by_role("link", name="Questions").click()
    assert tab.total() == 24
    page.select_option("[aria-label=Students]", "correct-0")
    page.check("[name=a][value=wrong]")
    wrong = tab.total()
    assert tab.at() == {"v": "questions", "i": "correct-0", "a": "wrong"}
    counted = page.get_by_role("group", name="Trace").locator(".counted").all_inner_texts()
    assert int(counted[0]) == wrong == int(counted[1]) + int(counted[2]) < 24
    page.select_option("[aria-label=Class]", "who")
    assert 0 < tab.total() < wrong
    page.get_by_role("button", name="Reset").click()
    assert tab.total() == 24
    page.fill("#search", "room 7.")
    tab.expect(".total", "6 of 24 questions")
    page.select_option("[aria-label=Order]", "hard")
    page.go_back()
    assert "o" not in tab.at()


def test_a_question_shows_every_student_beside_its_context(tab):
    tab.open("#q=worlds/test/00003&i=small on babi")
    page = tab.page
    page.wait_for_selector(".student")
    assert page.inner_text("h2") == "Where is Person 3-5?"
    assert page.locator(".context .gold").inner_text().startswith("Person 3-5 went to room 8.")
    assert page.locator(".students h4").all_inner_texts() == ["none", "correct", "incorrect"]
    assert page.locator(".student").count() == 9
    marks = {mark.get_attribute("class") for mark in page.locator(".student mark").all()}
    assert marks == {"right", "wrong", "none"}
    probes = page.locator(".probes").first.inner_text()
    assert "-0.25" in probes
    assert "no such step" in probes


def test_links_lead_back_to_what_was_seen(chromium, many, tab):
    page = tab.page
    page.get_by_role("link", name="Questions").click()
    page.check("[name=d][value=yes]")
    page.locator(".row").first.click()
    page.wait_for_selector(".student")
    there = page.url.partition("#")[2]
    seen = tab.total(), page.inner_text("h2")
    tab.open(f"#{there}")
    page.wait_for_selector(".student")
    assert (tab.total(), page.inner_text("h2")) == seen
    tab.open("#v=overview")
    page.locator("figure a").first.click()
    assert {"v", "i", "t", "a"} <= tab.at().keys()
    assert tab.total() == page.locator(".row").count()
    tab.open("#v=nonsense&q=unknown&i=nobody&c=none&o=constructor")
    assert tab.faults == []


def test_the_keyboard_is_enough(tab):
    page = tab.page
    tab.press("2", "/")
    page.keyboard.type("room")
    tab.press("Escape", "j", "j", "k")
    page.wait_for_selector(".student")
    assert tab.at()["q"] == "worlds/test/00000"
    page.focus("[role=listbox]")
    tab.press("ArrowDown", "End", "ArrowUp", "PageUp", "Home")
    assert tab.at()["q"] == "worlds/test/00000"
    assert page.locator("[aria-selected=true]").get_attribute("aria-posinset") == "1"
    tab.press("r", "3")
    assert page.get_by_role("heading", name="Differences").is_visible()
    tab.press("?")
    assert page.locator("dialog").is_visible()
    tab.press("Escape", "1")
    assert not page.locator("dialog").is_visible()
    assert page.locator("[aria-current=page]").inner_text() == "Overview"


def test_differences_list_the_questions_that_flipped(tab):
    page = tab.page
    cell = "small on babi"
    x, y = f"{cell}|correct", f"{cell}|incorrect"
    tab.open(f"#v=differences&x={x}&y={y}")
    first = page.inner_text(".finding")
    assert first.startswith("incorrect − correct: −")
    assert "crossed over 3 common seeds and 24 questions" in page.inner_text(".note >> nth=0")
    assert page.locator(".row").count() > 0
    page.select_option("[aria-label=First]", y)
    page.select_option("[aria-label=Second]", x)
    turned = page.inner_text(".finding")
    assert turned.startswith("correct − incorrect: ")
    assert set(re.findall(r"[\d.]+", turned)) == set(re.findall(r"[\d.]+", first))
    page.select_option("[aria-label=First]", "none-0")
    assert "with an experiment" in page.inner_text(".finding")
    page.select_option("[aria-label=Second]", "none-1")
    assert "two trained students" in page.inner_text(".note >> nth=0")
    page.locator(".row").first.click()
    page.wait_for_selector(".student")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("view", ["overview", "questions&q=worlds/test/00003", "differences"])
def test_no_serious_fault_of_accessibility(chromium, many, scheme, view):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    tab = Tab(chromium, many, f"#v={view}", color_scheme=scheme)
    tab.page.wait_for_selector("figure, .student")
    found = axe.Axe().run(tab.page).response["violations"]
    serious = {
        fault["id"]: [node["html"] for node in fault["nodes"]][:3]
        for fault in found
        if fault["impact"] in ("serious", "critical")
    }
    assert serious == {}
    tab.page.context.close()


def test_dark_and_print_have_their_own_colours(tab):
    page, paper = tab.page, "getComputedStyle(document.documentElement).backgroundColor"
    light = page.evaluate(paper)
    page.emulate_media(color_scheme="dark")
    assert page.evaluate(paper) != light
    page.emulate_media(media="print")
    assert not page.locator("header").is_visible()
    assert page.locator("figure").first.is_visible()


def test_whatever_texts_contain_is_shown_as_text(chromium, tmp_path):
    rows = [
        pages.story(number) | {"question": text, "context": [text, "A fact."], "gold_facts": [0]}
        for number, text in enumerate([*HOSTILE, LONG])
    ]
    texts = [f"<answer>{row['question']}" for row in rows]
    path = tmp_path / "hostile.html"
    write_page(path, [pages.experiment(rows, texts=texts)], None, HOSTILE[0])
    tab = Tab(chromium, path)
    assert tab.page.inner_text(".brand") == HOSTILE[0]
    for row in rows:
        tab.open(f"#q={row['id']}")
        tab.page.wait_for_selector(".student pre")
        shown = row["question"].translate({code: 0x2400 + code for code in (0, 7, 27)})
        assert tab.page.text_content("pre") == f"<answer>{shown}"
        assert tab.page.text_content("h2") == shown
        assert tab.page.query_selector("main script, main b b, main img") is None
    assert "gone" not in tab.page.title().partition("·")[0]
    assert tab.faults == []


def test_the_policy_refuses_what_the_page_does_not_need(chromium, many):
    tab = Tab(chromium, many)
    refused = tab.page.evaluate("fetch('https://example.org').then(() => 'sent', () => 'refused')")
    assert refused == "refused"
    tab.page.evaluate(
        "document.body.append(Object.assign(document.createElement('script'),"
        "{textContent: 'document.title = 1'}))"
    )
    assert tab.page.title() != "1"
    assert "Content Security Policy" in " ".join(tab.faults)


def filtered(tab, **filters):
    """Return the milliseconds from a filter until the list has changed, the least of three."""
    script = """async (filters) => {
      const start = performance.now();
      go(filters, false);
      while (views.questions.asked !== JSON.stringify(Object.fromEntries(
        FILTERS.map((key) => [key, state()[key] ?? ""])))) await new Promise(requestAnimationFrame);
      return performance.now() - start;
    }"""
    return min(
        tab.page.evaluate(script, {"a": "", "s": "", **one}) for one in (filters, {}, filters)
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("size", "regimes", "seeds", "opening", "filtering"),
    [
        (950, ("none", "correct", "incorrect", "facts_only"), 5, 2000, 100),
        (10_000, ("none", "correct", "incorrect"), 1, 10_000, 1000),
    ],
)
def test_many_questions_open_and_filter_at_once(
    chromium, tmp_path, size, regimes, seeds, opening, filtering
):
    """In milliseconds, on two cores that others may use too."""
    contents = pages.grid(size, regimes, seeds)
    compared = pages.comparison(contents)
    path = tmp_path / "many.html"
    before = time.process_time()
    write_page(path, contents, compared, "Many")
    assert time.process_time() - before < 20
    assert path.stat().st_size < 15e6
    tab = Tab(chromium, path, "#v=questions")
    assert tab.page.evaluate("performance.now()") < opening
    tab.page.evaluate("data.texts")
    assert filtered(tab, a="wrong") < filtering
    assert filtered(tab, s="room 77") < filtering
