"""The whole window in steps: drawn at once, hovered and zoomed, with percentiles, as CSV."""

from __future__ import annotations

import csv
import random
import re
import time
from collections.abc import Iterator
from datetime import datetime
from itertools import cycle, pairwise
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from tests.dashboard.conftest import OpenPage, drag, hover, stamp
from tests.servers import Server, until
from times import parse_timestamp

PER_SERIES = 6000
SECONDS = 1200


@pytest.fixture(scope="module")
def busy() -> Iterator[Server]:
    """A server with 20 minutes of two series, more events than a page draws one by one."""
    values = random.Random(4)
    with Server(["-k", "gevent", "-w", "2"]) as server:
        for series in ("north", "south"):
            events = [
                {
                    "series": series,
                    "timestamp": stamp(SECONDS * (1 - number / PER_SERIES)),
                    "value": round(values.gauss(100, 5), 2),
                }
                for number in range(PER_SERIES)
            ]
            server.post("/events", events).raise_for_status()
        yield server


AFTER_THE_LOOK = "() => new Promise(done => setTimeout(() => done(true), 600))"
"""Comes true behind every timer of the page that is set already, such as the one that looks at the zoom."""


def drawn(page: Page, caption: str) -> None:
    expect(page.locator("#caption")).to_be_visible()
    expect(page.locator("#caption")).to_have_text(re.compile(caption))


def second_step(page: Page) -> dict[str, str]:
    """Return what the keyboard reads out of the second step; the chart moves on, and a step that leaves it is let go
    of."""

    def point() -> dict[str, str]:
        page.keyboard.press("Home")
        page.keyboard.press("ArrowRight")
        return readout(page)

    said: dict[str, str] = until(point, "a step to be read out")
    return said


def readout(page: Page) -> dict[str, str]:
    """Return what is said about the point at the cursor."""
    box = page.locator("#readout")
    pairs = box.evaluate(
        "box => [...box.querySelectorAll('dt')].map((name) => [name.innerText, name.nextElementSibling.innerText])"
    )
    return dict(pairs)


def test_opens_whole_and_new_events_come_into_the_last_step(busy: Server, open_page: OpenPage) -> None:
    page = open_page(f"{busy.url}/#window=30m")
    is_drawn_whole(page)
    page.evaluate("location.hash = 'last=5000&series=south'")
    drawn(page, "The last 5,000 events, in steps of")
    is_drawn_whole(page)
    page.go_back()
    drawn(page, "The last 30 minutes, in steps of")
    busy.post("/event", {"series": "north", "timestamp": stamp(), "value": 180.5}).raise_for_status()

    def seen() -> bool:
        page.locator("#plot").focus()
        page.keyboard.press("End")
        return readout(page).get("max", "").startswith("180.5")

    until(seen, "the new event in the last step")


def is_drawn_whole(page: Page) -> None:
    """Fails where the steps do not tell what they are of."""
    drawn(page, "in steps of")
    page.locator("#plot").focus()
    said = second_step(page)
    assert list(said) == ["count", "max", "mean", "min"]
    assert float(said["min"]) <= float(said["mean"]) <= float(said["max"])


def test_percentiles_as_tiles_and_lines_and_in_the_address(busy: Server, open_page: OpenPage) -> None:
    page = open_page(f"{busy.url}/#series=north&window=30m")
    expect(page.locator("[data-tile=p99]")).to_be_hidden()
    page.get_by_role("button", name="p99").click()
    page.get_by_role("button", name="p50").click()
    assert page.url.endswith("#window=30m&series=north&show=p50,p99")
    told = busy.get("/statistics/north?window=30m&include=p50,p99").json()
    expect(page.locator("[data-tile=p50]")).to_have_text(f"{told['p50']:.2f}")
    expect(page.locator("[data-tile=p99]")).to_have_text(f"{told['p99']:.2f}")
    drawn(page, "in steps of")
    page.locator("#plot").focus()
    said = second_step(page)
    assert list(said) == ["count", "max", "p99", "p50", "mean", "min"]
    assert float(said["p50"]) <= float(said["p99"]) <= float(said["max"])
    copy = open_page(page.url)
    expect(copy.get_by_role("button", name="p50")).to_have_attribute("aria-pressed", "true")
    expect(copy.get_by_role("button", name="p90")).to_have_attribute("aria-pressed", "false")
    page.get_by_role("button", name="p50").click()
    expect(page.locator("[data-tile=p50]")).to_be_hidden()


def test_zoom_shows_finer_steps_and_stays_in_the_address(busy: Server, open_page: OpenPage) -> None:
    page = open_page(f"{busy.url}/#series=north&window=30m")
    drawn(page, "in steps of 5 seconds")
    page.locator("#plot").focus()
    for _ in range(3):
        page.keyboard.press("+")
    drawn(page, "in steps of 2 seconds")
    assert re.search(r"&from=\d+\.\d{3}&to=\d+\.\d{3}$", page.url)
    copy = open_page(page.url)
    drawn(copy, r"^\d\d:\d\d:\d\d – \d\d:\d\d:\d\d, 3 minutes 45 seconds, in steps of 2 seconds$")
    assert seconds_between(saved(copy)) == {2}
    whole = busy.get("/statistics/north?window=30m").json()["count"]
    tile = copy.locator("[data-tile=count]")
    until(lambda: 0 < int(tile.inner_text().replace(",", "").replace("–", "0")) < whole / 2, "tiles of the stretch")
    copy.get_by_role("button", name="Reset zoom").click()
    expect(tile).to_have_text(f"{whole:,}")
    drawn(copy, "in steps of 5 seconds")
    assert copy.url.endswith("#window=30m&series=north")


def test_finer_steps_come_later_where_the_server_has_too_much_to_do(busy: Server, open_page: OpenPage) -> None:
    page = open_page(f"{busy.url}/#series=north&window=30m", expect_faults=True)
    drawn(page, "in steps of 5 seconds")
    refused: list[str] = []

    def refuse_the_first(route: Route) -> None:
        if refused:
            route.continue_()
        else:
            refused.append(route.request.url)
            route.fulfill(status=503, headers={"Retry-After": "1"})

    page.route(re.compile(r"/history/north\?.*\bat="), refuse_the_first)
    page.locator("#plot").focus()
    for _ in range(3):
        page.keyboard.press("+")
    drawn(page, "in steps of 2 seconds")
    assert refused


def test_finer_steps_come_where_the_whole_window_comes_late(busy: Server, open_page: OpenPage) -> None:
    held: list[Route] = []

    def hold_the_first(route: Route) -> None:
        held.append(route) if not held else route.continue_()

    end = time.time() - SECONDS / 2  # amid the events, however long the tests before have taken
    address = f"{busy.url}/#series=north&window=30m&from={end - 225:.3f}&to={end:.3f}"
    page = open_page(address, prepare=lambda page: page.route("**/history/north?*", hold_the_first))
    until(lambda: page.evaluate(AFTER_THE_LOOK) and held, "the whole window to be asked for")
    held[0].continue_()
    drawn(page, "in steps of 2 seconds")


def test_zoom_and_hover_with_two_thousand_points(busy: Server, open_page: OpenPage) -> None:
    page = open_page(f"{busy.url}/#window=999s&step=500ms")
    drawn(page, "in steps of 500 milliseconds")
    box = page.locator("#plot .u-over").bounding_box()
    assert box
    middle = box["y"] + box["height"] / 2
    for x in (50, 150, 250, 350):  # where there are events, however long the tests before have taken
        hover(page, box["x"] + x, middle)
        assert re.fullmatch(r"\d+", readout(page)["count"])
    drag(page, 200, 400)
    hover(page, box["x"] + 300, middle)


def test_more_steps_than_there_may_be_are_said_to_be_too_many(busy: Server, open_page: OpenPage) -> None:
    page = open_page(f"{busy.url}/#window=1h&step=1s", expect_faults=True)
    expect(page.locator("#notice")).to_contain_text("2000 are the most")


@pytest.fixture
def ahead() -> Iterator[Server]:
    """A server with events of the last 12 minutes, and of the next five. It ends after the pages."""
    with Server(["-w", "1"], {"TIDEMARK_MAX_FUTURE": "10m"}) as server:
        events = [{"timestamp": stamp(number / 20), "value": number} for number in range(-6000, 14_000)]
        for start in range(0, len(events), 10_000):
            server.post("/events", events[start : start + 10_000]).raise_for_status()
        yield server


def test_events_ahead_of_the_clock_are_no_fault(ahead: Server, open_page: OpenPage) -> None:
    pages = [open_page(f"{ahead.url}/#window={window}") for window in ("30m", "500ms")]
    for page in pages:
        drawn(page, "in steps of")
        with page.expect_response(lambda response: "/history" in response.url) as again:
            pass
        assert again.value.ok
    ahead.post("/event", {"timestamp": stamp(), "value": 77_777.5}).raise_for_status()
    for page in pages:
        with page.expect_response(lambda response: "/history" in response.url) as again:
            pass
        assert again.value.ok
        expect(page.locator("#notice")).to_be_hidden()


def test_saves_what_is_drawn_as_csv(busy: Server, open_page: OpenPage) -> None:
    page = open_page(f"{busy.url}/#series=north&window=30m&show=p90")
    drawn(page, "in steps of")
    rows = saved(page, "north-30m.csv")
    assert list(rows[0]) == ["start", "end", "count", "min", "max", "mean", "p90"]
    assert sum(int(row["count"]) for row in rows) == busy.get("/statistics/north?window=30m").json()["count"]
    assert seconds_between(rows) == {5}  # as drawn


def saved(page: Page, name: str | None = None) -> list[dict[str, str]]:
    """Return the rows that the page saves, under this name."""
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as CSV").click()
    assert name in (None, download.value.suggested_filename)
    with Path(download.value.path()).open(newline="") as file:
        return list(csv.DictReader(file))


def seconds_between(rows: list[dict[str, str]]) -> set[int]:
    """Return how many seconds each step begins after the one before."""
    starts = [datetime.fromisoformat(row["start"]) for row in rows]
    return {(after - before).seconds for before, after in pairwise(starts)}


def test_saves_events_that_are_drawn_one_by_one(busy: Server, open_page: OpenPage) -> None:
    events = [{"series": "few", "timestamp": stamp(100 - number), "value": number + 0.25} for number in range(5)]
    busy.post("/events", events).raise_for_status()
    page = open_page(f"{busy.url}/#series=few&window=30m")
    expect(page.locator("[data-tile=count]")).to_have_text("5")
    rows = saved(page)
    assert [float(row["value"]) for row in rows] == [0.25, 1.25, 2.25, 3.25, 4.25]
    assert [parse_timestamp(row["timestamp"]) for row in rows] == [parse_timestamp(str(e["timestamp"])) for e in events]


def test_any_percentile_a_unit_and_a_threshold(busy: Server, open_page: OpenPage) -> None:
    page = open_page(f"{busy.url}/?unit=ms#series=north&window=1h&threshold=250")
    page.get_by_label("Another percentile").fill("95.5")
    page.keyboard.press("Enter")
    told = busy.get("/statistics/north?window=1h&include=p95.5").json()
    expect(page.locator("[data-tile='p95.5']")).to_have_text(f"{told['p95.5']:.5g}\u202fms")
    assert page.url.endswith("#window=1h&series=north&show=p95.5&unit=ms&threshold=250")
    drawn(page, "in steps of")
    page.get_by_label("Another percentile").fill("101")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Another percentile")).to_have_attribute("aria-invalid", "true")


def test_histogram_heatmap_and_table_are_what_the_service_says(busy: Server, open_page: OpenPage) -> None:
    page = open_page(f"{busy.url}/#series=south&window=1h")
    count = busy.get("/statistics/south?window=1h").json()["count"]
    page.get_by_role("radio", name="Histogram").check()
    bars = page.locator(".tally")
    expect(bars).to_have_attribute(
        "aria-label", re.compile(f"^Histogram of south: {count:,} events, most of them from")
    )
    bars.focus()
    page.keyboard.press("Home")
    expect(page.locator("#spoken")).to_have_text(re.compile(r"^\d+ events below \d+, \d+\.\d %$"))
    expect(page.locator("#plot")).to_be_hidden()
    page.get_by_role("radio", name="Heatmap").check()
    cells = page.get_by_role("application", name="Heatmap of south")
    expect(cells).to_have_attribute("aria-label", re.compile(r"times in UTC: \d\d steps$"))
    cells.focus()
    for _ in range(8):  # to where the events are, however long the tests before have taken
        page.keyboard.press("ArrowLeft")
    moves = cycle(["ArrowUp"] * 40 + ["ArrowDown"] * 40)

    def some_events() -> bool:
        page.keyboard.press(next(moves))
        told = page.locator("[data-kind=heatmap] [data-part=told]").inner_text()
        return re.search(r" [1-9]\d* events from \d+ up to \d+$", told) is not None

    until(some_events, "a cell with events")
    page.get_by_role("radio", name="Table").check()
    assert page.url.endswith("#window=1h&series=south&as=table")
    row = page.get_by_role("row", name=re.compile("^variance "))
    told = busy.get("/statistics/south?window=1h&include=variance").json()
    expect(row.get_by_role("cell")).to_have_text(str(told["variance"]))
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert f"variance\t{told['variance']}" in page.evaluate("navigator.clipboard.readText()").splitlines()


def test_several_series_and_an_earlier_stretch_in_one_chart(busy: Server, open_page: OpenPage) -> None:
    for series in ("here", "beside"):
        events = [
            {"series": series, "timestamp": stamp(2 * number), "value": number % 9 + 0.5} for number in range(320)
        ]
        busy.post("/events", events).raise_for_status()
    page = open_page(f"{busy.url}/#series=here&window=5m")
    page.get_by_role("button", name="Add series").click()
    page.get_by_role("option", name="beside").click()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Add series")).to_have_attribute("aria-pressed", "false")
    page.get_by_label("Compare with the same stretch earlier").select_option("5m")
    lines = page.get_by_label("Lines").get_by_role("listitem")
    expect(lines).to_have_text([re.compile(rf"^{name}\d+\.\d+×?$") for name in ("here", "beside", "5 minutes earlier")])
    assert page.url.endswith("#window=5m&series=here&with=beside&ago=5m")
    page.locator("#plot").focus()
    page.keyboard.press("End")  # which stays in sight for longer than the first steps
    page.keyboard.press("ArrowLeft")
    expect(lines.first).to_have_text(f"here{readout(page)['mean']}")
    page.get_by_role("button", name="Take beside out of the chart").click()
    expect(lines).to_have_count(2)
    page.get_by_role("button", name="Take 5 minutes earlier out of the chart").click()
    expect(page.get_by_label("Lines")).to_be_hidden()


def test_list_sorted_by_a_statistic_either_way(busy: Server, open_page: OpenPage) -> None:
    for series, value in (("low", 1.5), ("high", 900.25)):
        busy.post("/event", {"series": series, "timestamp": stamp(), "value": value}).raise_for_status()
    page = open_page(f"{busy.url}/#window=30m")
    first = page.locator("[role=option][aria-posinset='2']")
    expect(page.locator(".columns")).to_have_text("SeriesNewest value")
    page.get_by_label("Sort by").select_option("p99")
    expect(page.locator(".columns")).to_have_text("Seriesp99, the last 30 minutes")
    expect(first).to_contain_text("high")
    expect(first).to_contain_text("900.25")
    assert page.url.endswith("#window=30m&sort=-p99")
    page.get_by_role("button", name="Descending").click()
    expect(first).to_contain_text("low")
    copy = open_page(page.url)
    expect(copy.get_by_label("Sort by")).to_have_value("p99")
    expect(copy.locator("[role=option][aria-posinset='2']")).to_contain_text("low")
