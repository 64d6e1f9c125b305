"""The list of series: thousands of them, searched, sorted, and only those in sight drawn."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, Route, expect

from tests.dashboard.conftest import OpenPage, stamp
from tests.servers import Server, until

MANY = 1000


@pytest.fixture(scope="module")
def crowded() -> Iterator[Server]:
    """A server with 1,000 series of three events each."""
    with Server(["-w", "1"]) as server:
        events = [
            {"series": f"sensor-{number}", "timestamp": stamp(30 - 10 * turn), "value": number + turn / 4}
            for turn in range(3)
            for number in range(MANY)
        ]
        server.post("/events", events).raise_for_status()
        server.post("/event", {"series": "Zulu", "timestamp": stamp(), "value": 0.5}).raise_for_status()
        yield server


def names(page: Page) -> list[str]:
    """The rows in the page, from top to bottom."""
    found: list[str] = page.locator("[role=option]").evaluate_all(
        """rows => rows
            .sort((a, b) => a.ariaPosInSet - b.ariaPosInSet)
            .map((row) => row.querySelector(".name").textContent)"""
    )
    return found


def test_thousand_series_but_only_rows_in_sight_are_drawn(crowded: Server, open_page: OpenPage) -> None:
    requests: list[str] = []
    held: list[Route] = []

    def hold_the_first(route: Route) -> None:
        held.append(route) if not held else route.continue_()

    def prepare(page: Page) -> None:
        page.on("request", lambda request: requests.append(request.url))
        page.route(re.compile(r"/series\?.*\bafter="), hold_the_first)

    page = open_page(crowded.url, prepare=prepare)
    expect(page.locator("[data-part=total]")).to_have_text("1,000 series")  # while the rest is on its way
    expect(page.locator("#full")).to_be_visible()
    until(lambda: page.evaluate("true") and held, "the rest to be asked for")
    held[0].continue_()
    expect(page.locator("[data-part=total]")).to_have_text("1,001 series")
    assert names(page)[:4] == ["All series", "sensor-0", "sensor-1", "sensor-2"]
    assert len(names(page)) < 40
    expect(page.locator("[role=option]").first).to_have_attribute("aria-setsize", "1002")
    expect(page.locator(".spark path:not([d=''])").nth(8)).to_be_attached()
    page.locator("#rows").evaluate("box => box.scrollTop = box.scrollHeight")
    expect(page.get_by_role("option", name="sensor-999")).to_be_visible()
    expect(page.get_by_role("option", name="sensor-999")).to_contain_text("999.50")
    expect(page.get_by_role("option", name="sensor-999").locator("path:not([d=''])")).to_be_attached()
    fetched = {url for url in requests if "/events" in url}
    assert 0 < len(fetched) < 80
    rows = page.evaluate(
        """async () => {
            const box = document.querySelector("#rows");
            const rows = [];
            for (let frame = 0; frame < 60; frame++) {
                box.scrollTop = frame * 850;
                await new Promise(requestAnimationFrame);
                await new Promise(requestAnimationFrame); // scroll events come with the frame
                rows.push(box.querySelectorAll("[role=option]").length);
            }
            return rows;
        }"""
    )
    assert min(rows) > 0
    assert max(rows) < 40


def test_search_finds_by_every_word_in_any_case(crowded: Server, open_page: OpenPage) -> None:
    page = open_page(crowded.url)
    search = page.get_by_role("searchbox", name="Search series")
    search.fill("99 SENSOR")
    expect(page.locator("[data-part=total]")).to_have_text("19 of 1,001")
    assert names(page)[:2] == ["sensor-99", "sensor-199"]
    search.fill("zulu")
    search.press("Enter")
    expect(page.get_by_role("heading", name="Zulu")).to_be_visible()
    search.fill("no such thing")
    expect(page.locator("[data-part=total]")).to_have_text("0 of 1,001")
    expect(page.locator(".none")).to_contain_text("No series has “no such thing” in its name.")
    page.get_by_role("button", name="Show all series").click()
    expect(page.locator("[data-part=total]")).to_have_text("1,001 series")
    search.fill("zulu")
    search.press("Escape")
    expect(page.locator("[data-part=total]")).to_have_text("1,001 series")


def test_a_pattern_shows_those_that_match_as_one(crowded: Server, open_page: OpenPage) -> None:
    page = open_page(crowded.url)
    search = page.get_by_role("searchbox", name="Search series")
    search.fill("sensor-99*")
    expect(page.locator("[data-part=total]")).to_have_text("11 of 1,001")
    assert names(page)[:3] == ["sensor-99*", "sensor-99", "sensor-990"]
    expect(page.get_by_role("option", name="sensor-99* as one")).to_contain_text("11")
    search.press("Enter")
    expect(page.get_by_role("heading", name="sensor-99*", exact=True)).to_be_visible()
    expect(page.locator("[data-tile=count]")).to_have_text("33")
    expect(page.locator("[data-tile=max]")).to_contain_text("999.5")
    expect(page).to_have_url(re.compile("#window=.*&match=sensor-99"))
    page.get_by_role("searchbox").fill("")
    expect(page.get_by_role("option", name="sensor-99* as one")).to_have_attribute("aria-selected", "true")
    page.get_by_role("radio", name="Table").check()
    expect(page.get_by_role("row", name=re.compile("^count ")).get_by_role("cell")).to_have_text("33")
    page.reload()
    expect(page.locator("[data-tile=count]")).to_have_text("33")


def test_sorted_by_newest_event(crowded: Server, open_page: OpenPage) -> None:
    page = open_page(crowded.url)
    page.get_by_label("Sort by").select_option("recent")
    expect(page.locator("[role=option][aria-posinset='2']")).to_contain_text("Zulu")
    page.get_by_label("Sort by").select_option("count")
    expect(page.locator("[role=option][aria-posinset='2']")).to_contain_text("sensor-0")


def test_keyboard_alone_searches_moves_and_chooses(crowded: Server, open_page: OpenPage) -> None:
    page = open_page(crowded.url)
    expect(page.locator("[data-part=total]")).to_have_text("1,001 series")
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("listbox")).to_be_focused()
    for key in ("ArrowDown", "ArrowDown", "PageDown", "ArrowUp"):
        page.keyboard.press(key)
    active = page.get_by_role("listbox").get_attribute("aria-activedescendant")
    chosen = page.locator(f"#{active} .name").inner_text()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=chosen, exact=True)).to_be_visible()
    expect(page.locator(f"#{active}")).to_have_attribute("aria-selected", "true")
    page.keyboard.press("End")
    expect(page.get_by_role("option", name="Zulu")).to_be_visible()
    page.keyboard.press("Home")
    expect(page.get_by_role("option", name="All series")).to_be_visible()
