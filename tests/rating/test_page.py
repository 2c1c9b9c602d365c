"""The page in a real browser, with nothing but the keyboard."""

import json

import pytest

from tracekd.rating.exports import read_exports
from tracekd.rating.page import PAGE


@pytest.fixture
def browser(chromium, project, key):
    """A context with a fresh storage, which keeps it when its pages are closed."""
    context = chromium.new_context(accept_downloads=True)
    yield context
    context.close()


def open_page(context, project):
    """Open the page; every message of the console and every request beyond it is a failure."""
    page = context.new_page()
    page.on("console", lambda message: pytest.fail(message.text))
    page.on("pageerror", lambda error: pytest.fail(str(error)))
    page.on("request", lambda request: check(request.url, project))
    page.goto((project / PAGE).as_uri())
    page.wait_for_selector("#slot:enabled")
    return page


def check(url, project):
    assert url == (project / PAGE).as_uri() or url.startswith("blob:")


def enter(page, slot):
    page.keyboard.press("Tab")
    page.keyboard.type(str(slot))
    begun = page.inner_text("#begun")
    page.keyboard.press("Enter")
    page.wait_for_selector("#trial:not([hidden])")
    return begun


def rate(page, values, comment=""):
    """Rate the trace that is shown: into each group of buttons, along it, and on to the next."""
    for value in values:
        page.keyboard.press("Tab")
        page.keyboard.press("Space")
        for _ in range(value - 1):
            page.keyboard.press("ArrowRight")
    page.keyboard.press("Tab")
    page.keyboard.type(comment)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")


def test_five_traces_are_rated_the_page_is_closed_and_the_rest_follows(browser, project, key):
    checks = key["checks"]
    late = (place for place, order in enumerate(key["slots"], 1) if not checks.keys() & order[:5])
    slot = next(late)
    order = key["slots"][slot - 1]
    page = open_page(browser, project)
    assert enter(page, slot) == ""
    for number in range(1, 6):
        assert page.inner_text("#place") == f"Trace {number} of 10"
        rate(page, [5, 4, 3, 2, 1], f'"{number}" <b>')
    page.close()
    page = open_page(browser, project)
    assert enter(page, slot) == "5 of 10 are rated: Start goes on from there."
    for number in range(6, 11):
        assert page.inner_text("#place") == f"Trace {number} of 10"
        asked = checks.get(order[number - 1])
        if asked:
            assert f"please choose {asked} for every statement" in page.inner_text("#trace")
            assert not page.is_visible("#about")
        rate(page, [asked or 1] * 5)
    assert page.inner_text("#end h1") == "All traces are rated. Thank you!"
    page.keyboard.press("Tab")
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    path = project / "exports" / download.value.suggested_filename
    download.value.save_as(path)
    content = json.loads(path.read_text())
    assert path.name == f"ratings-{slot}-{content['rater'][:7]}.json"
    assert list(content["ratings"]) == order
    first = content["ratings"][order[0]]
    items = [item["name"] for item in key["settings"]["items"]]
    assert first["values"] == dict(zip(items, [5, 4, 3, 2, 1], strict=True))
    assert first["comment"] == '"1" <b>'
    assert 0 < first["seconds"] < 60
    ratings, notes = read_exports([path], key)
    assert (ratings.height, notes) == (8 * 5, {})


def test_a_rating_can_be_changed_and_none_may_be_left_out(browser, project):
    page = open_page(browser, project)
    enter(page, 1)
    rate(page, [2, 2, 2, 2, 2])
    rate(page, [3, 3])  # from the third item on nothing is chosen
    assert page.inner_text("#place") == "Trace 2 of 10"
    page.click("#back")
    assert page.inner_text("#place") == "Trace 1 of 10"
    assert page.is_checked("input[name=faithfulness][value='2']")
    page.check("input[name=faithfulness][value='4']")
    with page.expect_download() as download:
        page.click("#trial .export")
    content = json.loads(download.value.path().read_text())
    values = [one["values"] for one in content["ratings"].values()]
    assert [len(one) for one in values] == [5, 2]
    assert values[0]["faithfulness"] == 4


def test_slots_do_not_mix_and_others_than_the_plan_has_are_refused(browser, project):
    page = open_page(browser, project)
    page.keyboard.press("Tab")
    page.keyboard.type("41")
    page.keyboard.press("Enter")
    assert page.is_visible("#start")
    page.fill("#slot", "2")
    page.keyboard.press("Enter")
    page.wait_for_selector("#trial:not([hidden])")
    rate(page, [1] * 5)
    page.close()
    page = open_page(browser, project)
    assert enter(page, 3) == ""
    assert page.inner_text("#place") == "Trace 1 of 10"


def test_text_of_the_data_is_shown_as_text(browser, project):
    page = open_page(browser, project)
    enter(page, 1)
    while not page.is_visible("#about"):
        rate(page, [1] * 5)
    assert "<b>Ann</b> stays." in page.inner_text("#context")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nobody_is_shut_out(chromium, project, key, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    context = chromium.new_context(color_scheme=scheme)
    page = open_page(context, project)
    assert axe.run(page).response["violations"] == []
    enter(page, 1)
    assert page.evaluate("document.activeElement.id") == "place"
    assert axe.run(page).response["violations"] == []
    for _ in range(10):
        rate(page, [1] * 5)
    page.wait_for_selector("#end:not([hidden])")
    assert axe.run(page).response["violations"] == []
    context.close()
