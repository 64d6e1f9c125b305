"""The page while events arrive: as they come, in the right place, and again after the server was away."""

from __future__ import annotations

import re
from contextlib import ExitStack
from urllib.parse import quote

import psutil
import pytest
from playwright.sync_api import CDPSession, Page, expect

from tests.dashboard.conftest import OpenPage, is_filled, is_live, post, stamp
from tests.servers import Server, until

UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}
SLACK = 2_000_000
"""Bytes that a page may hold for a while: what it has fetched, compiled or kept of 60,000 events."""
MOST_IN_AN_HOUR = 20_000_000
HIDE = """(hidden) => {
    Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
}"""


def tile(page: Page, name: str) -> str:
    return page.locator(f"[data-tile={name}]").inner_text()


def chart_ends_with(page: Page, value: str) -> None:
    readout = page.locator("#readout dd").first

    def newest() -> bool:
        page.locator("#plot").focus()
        page.keyboard.press("End")
        return readout.is_visible() and readout.inner_text() == value

    until(newest, f"{value} at the end of the chart")


def first_value(page: Page) -> str | None:
    """Return the value of the first event that the chart has by now."""
    page.keyboard.press("Home")
    return page.locator("#readout dd").text_content()


def test_event_of_another_client_is_written_alike_everywhere(server: Server, open_page: OpenPage) -> None:
    post(server, "NVDA", 120.0, 121.5)
    # Without courses in the list, which might teach the decimals a little later.
    page = open_page(
        f"{server.url}/#series=NVDA&window=5m",
        expect_faults=True,
        prepare=lambda page: page.route("**/events?limit=60", lambda route: route.abort()),
    )
    is_live(page)
    for value in ("122.75", "119.25", "123.50"):
        post(server, "NVDA", float(value))
        expect(page.locator("#value")).to_have_text(value)
    row = page.get_by_role("option", name="NVDA")
    expect(row).to_contain_text("123.50")
    expect(page.locator("[data-tile=max]")).to_have_text("123.50")
    chart_ends_with(page, "123.50")


def test_all_series_show_an_event_of_another_client(server: Server, open_page: OpenPage) -> None:
    post(server, "one", 1.0)
    page = open_page(server.url)
    is_live(page)
    post(server, "two", 7777.75)
    expect(page.locator("#value")).to_have_text("7,777.75")
    expect(page.get_by_role("option", name="two")).to_contain_text("7,777.75")
    expect(page.locator("#caption")).to_contain_text("The last 5 minutes, in steps of")


def test_tiles_are_the_statistics_of_the_window(server: Server, open_page: OpenPage) -> None:
    post(server, "tiles", 1.0, 2.0, 3.0, 4.0)
    page = open_page(f"{server.url}/#series=tiles&window=5m")
    expect(page.locator("[data-tile=count]")).to_have_text("4")
    found = {name: tile(page, name) for name in ("min", "mean", "max", "stddev", "sum")}
    assert found == {"min": "1", "mean": "2.5000", "max": "4", "stddev": "1.1180", "sum": "10"}
    assert tile(page, "rate") == "0.01/s"  # of the window, so that it goes with the count


def test_window_and_series_switch_and_stay_in_the_address(server: Server, open_page: OpenPage) -> None:
    events = [{"series": "switch", "timestamp": stamp(200 - i), "value": i} for i in range(190)]
    server.post("/events", events).raise_for_status()
    post(server, "other", 5.0)
    page = open_page(server.url)
    page.get_by_role("option", name="switch").click()
    expect(page.get_by_role("heading", name="switch")).to_be_visible()
    expect(page.locator("[data-tile=count]")).to_have_text("190")
    page.get_by_role("radio", name="1 m", exact=True).check()
    expect(page.locator("[data-tile=count]")).to_have_text(re.compile(r"^[1-5]?\d$"))  # fewer on a slow machine
    page.get_by_role("radio", name="Last 100").check()
    expect(page.locator("[data-tile=count]")).to_have_text("100")
    expect(page.locator("[data-tile=min]")).to_have_text("90")
    assert page.url.endswith("#last=100&series=switch")
    copy = open_page(page.url)
    expect(copy.locator("[data-tile=count]")).to_have_text("100")
    expect(copy.get_by_role("radio", name="Last 100")).to_be_checked()
    page.go_back()
    expect(page.get_by_role("radio", name="1 m", exact=True)).to_be_checked()


CUSTOM = (
    ("90", "seconds", "window=90s", "90 seconds"),
    ("3", "events", "last=3", "3 events"),
    ("0.5", "hours", "window=0.5h", "30 minutes"),
    ("4", "events", "last=4", "4 events"),
    ("500", "milliseconds", "window=500ms", "500 milliseconds"),
)


def test_custom_window(server: Server, open_page: OpenPage) -> None:
    # Dated ahead of the clock, so that the shortest window still holds them when the page asks.
    events = [{"series": "custom", "timestamp": stamp(-500.0), "value": value} for value in (1.0, 2.0, 3.0, 4.0, 5.0)]
    server.post("/events", events).raise_for_status()
    page = open_page(f"{server.url}/#series=custom")
    for amount, unit, address, label in CUSTOM:
        page.locator("[name=window][value=custom]").click()
        page.get_by_role("textbox", name="The last").fill(amount)
        page.get_by_label("Unit").select_option(unit)
        page.get_by_role("button", name="Show", exact=True).click()
        expect(page.get_by_role("radio", name=label)).to_be_checked()
        assert page.url.endswith(f"#{address}&series=custom")
        expect(page.locator("[data-tile=count]")).to_have_text(amount if unit == "events" else "5")


def test_window_beyond_the_retention_says_so(server: Server, open_page: OpenPage) -> None:
    post(server, "beyond", 1.0)
    page = open_page(f"{server.url}/#series=beyond&window=5h", expect_faults=True)
    expect(page.get_by_role("alert")).to_contain_text("longest window is 1h")
    page.get_by_role("radio", name="5 m", exact=True).check()
    expect(page.get_by_role("alert")).to_be_hidden()
    is_live(page)


def test_windows_are_those_that_the_service_takes(server: Server, open_page: OpenPage) -> None:
    post(server, "fitting", 1.0)

    def retain(page: Page, retention: str) -> None:
        page.route("**/settings", lambda route: route.fulfill(json={"retention": retention}))

    for retention, labels in (("10m", ["1 m", "5 m", "10 m"]), ("24h", ["1 m", "5 m", "15 m", "1 h", "6 h", "24 h"])):
        page = open_page(server.url, prepare=lambda page, retention=retention: retain(page, retention))
        expect(page.locator("[data-duration]")).to_have_text(labels)
    page = open_page(server.url, prepare=lambda page: retain(page, "90s"))
    expect(page.get_by_role("radio", name="90 s")).to_be_checked()
    page.get_by_role("radio", name="Custom").click()
    amount = page.get_by_role("textbox", name="The last")
    amount.fill("2")
    expect(page.locator("#hint")).to_have_text("At most 90 seconds: events are kept no longer")
    page.keyboard.press("Enter")
    expect(amount).to_be_focused()
    amount.fill("1")
    expect(page.locator("#hint")).to_be_empty()
    page.keyboard.press("Enter")
    expect(page.locator("#caption")).to_have_text("The last minute")


def test_quiet_window_offers_the_last_events(server: Server, open_page: OpenPage) -> None:
    server.post("/event", {"series": "quiet", "timestamp": stamp(600), "value": 8.5}).raise_for_status()
    page = open_page(f"{server.url}/#series=quiet&window=1m")
    expect(page.locator("#quiet")).to_contain_text("No events in the last minute.")
    page.get_by_role("button", name="Show the last 1,000 events instead").click()
    expect(page.locator("#value")).to_have_text("8.5")
    expect(page.locator("#age")).to_have_text(re.compile("1[0-2] min ago"))


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_survives_a_restart_and_catches_up(server: Server, open_page: OpenPage, end: str) -> None:
    series = f"restart-{end}"
    post(server, series, 1.0, 2.0)
    page = open_page(f"{server.url}/#series={series}&window=5m", expect_faults=True)
    is_live(page)
    getattr(server, end)()
    expect(page.locator("#status")).to_have_attribute("data-state", "reconnecting")
    expect(page.locator("#status")).to_have_text(re.compile(r"^Offline for \d+ s$"))
    server.start()
    post(server, series, 3.0, 4.0, 5.25)
    is_live(page)
    expect(page.locator("[data-tile=count]")).to_have_text("5")
    expect(page.locator("#value")).to_have_text("5.25")
    expect(page.locator("#plot")).to_have_attribute("aria-label", re.compile("max 5.25"))
    post(server, series, 6.5)
    expect(page.locator("#value")).to_have_text("6.50")
    chart_ends_with(page, "6.50")


def test_polls_where_workers_cannot_stream(open_page: OpenPage) -> None:
    with Server(["-k", "gthread", "--threads", "4", "-w", "1"]) as server:
        post(server, "poll", 1.0)
        page = open_page(f"{server.url}/#series=poll&window=5m", expect_faults=True)
        expect(page.locator("#status")).to_have_text("Live, polling")
        post(server, "poll", 2.5)
        expect(page.locator("#value")).to_have_text("2.5")
        expect(page.locator("[data-tile=count]")).to_have_text("2")
        chart_ends_with(page, "2.5")
        refused = server.get("/stream")
        assert (refused.status_code, refused.headers["Content-Type"]) == (501, "application/problem+json")
        assert "-k gevent" in refused.json()["detail"]
        assert server.get("/ws/poll", headers=UPGRADE).status_code == 501


def test_polls_while_no_stream_is_to_be_had(open_page: OpenPage) -> None:
    with Server(["-w", "1"], {"TIDEMARK_MAX_STREAMS": "0"}) as server:
        post(server, "full", 1.0)
        page = open_page(f"{server.url}/#series=full&window=5m", expect_faults=True)
        expect(page.locator("#status")).to_have_text("Live, polling")
        expect(page.locator("#status")).to_have_attribute("title", re.compile("0 open streams, which is the limit"))
        post(server, "full", 2.5)
        expect(page.locator("#value")).to_have_text("2.5")


def test_says_when_nothing_arrives_any_more(server: Server, open_page: OpenPage) -> None:
    post(server, "stale", 1.0)
    page = open_page(f"{server.url}/#series=stale&window=5m")
    is_live(page)
    with ExitStack() as stack:
        for worker in map(psutil.Process, server.workers()):
            stack.callback(worker.resume)
            worker.suspend()
        expect(page.locator("#status")).to_have_text(re.compile(r"Stale for \d+ s"))
        expect(page.locator("#age")).to_have_text(re.compile(r"^as of \d\d:\d\d:\d\d, no data for \d+ s$"))
        expect(page.locator("#full")).to_have_class("outdated")
    is_live(page)
    expect(page.locator("#full")).not_to_have_class("outdated")
    expect(page.locator("#age")).to_have_text(re.compile("ago$"))


def test_tab_in_the_background_lets_its_connections_go(server: Server, open_page: OpenPage) -> None:
    post(server, "tab", 1.0)
    page = open_page(server.url)
    page.clock.install()
    page.goto(f"{server.url}/#series=tab&window=5m")
    page.reload()
    is_live(page)
    ended: list[str] = []
    page.on("requestfailed", lambda request: ended.append(request.url))
    page.evaluate(HIDE, True)
    page.clock.run_for(11_000)

    def both_ended() -> bool:
        page.wait_for_timeout(20)  # lets Playwright hear of them
        return len([url for url in ended if "stream" in url]) == 2

    until(both_ended, "the end of both streams")
    post(server, "tab", 2.0, 3.25)
    page.evaluate(HIDE, False)
    expect(page.locator("#value")).to_have_text("3.25")
    expect(page.locator("[data-tile=count]")).to_have_text("3")


def test_ages_keep_moving(server: Server, open_page: OpenPage) -> None:
    server.post("/event", {"series": "ages", "timestamp": stamp(2), "value": 1}).raise_for_status()
    page = open_page(f"{server.url}/#series=ages&window=5m")
    age = page.locator("#age")
    expect(age).to_have_text(re.compile(r"^\d+ s ago$"))
    before = age.inner_text()
    expect(age).not_to_have_text(before)
    row = page.get_by_role("option", name="ages")
    expect(row).to_contain_text(" ago")
    expect(row).not_to_contain_text(f"ages{before}")


def test_late_events_take_their_place_in_the_chart(server: Server, open_page: OpenPage) -> None:
    post(server, "late", 1.0, 2.0)
    page = open_page(f"{server.url}/#series=late&window=5m")
    is_live(page)
    server.post("/event", {"series": "late", "timestamp": stamp(120), "value": 99.5}).raise_for_status()
    expect(page.locator("[data-tile=max]")).to_have_text("99.5")
    page.locator("#plot").focus()
    until(lambda: first_value(page) == "99.5", "the chart to have what the tile has")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#readout dd")).to_have_text("1.0")
    expect(page.locator("#spoken")).to_contain_text("1.0 at ")
    post(server, "late", 3.0)
    expect(page.locator("#value")).to_have_text("3.0")
    expect(page.locator("#readout dd")).to_have_text("1.0")


def test_keyboard_steps_through_events_of_the_same_moment(server: Server, open_page: OpenPage) -> None:
    server.post("/events", [{"series": "same", "timestamp": stamp(), "value": v} for v in (1, 2, 3)])
    moment = stamp(5)
    server.post("/events", [{"series": "same", "timestamp": moment, "value": v} for v in (7, 8, 9)])
    page = open_page(f"{server.url}/#series=same&window=5m")
    expect(page.locator("[data-tile=count]")).to_have_text("6")
    chart_ends_with(page, "3")
    for key, value in [("Home", "7"), ("ArrowRight", "8"), ("ArrowRight", "9"), ("ArrowRight", "1")]:
        page.keyboard.press(key)
        expect(page.locator("#readout dd")).to_have_text(value)
    page.locator("#plot").blur()
    expect(page.locator("#readout")).to_be_hidden()


def test_a_name_with_signs_of_patterns_is_itself(server: Server, open_page: OpenPage) -> None:
    for name in ("what[1]?", "what1x"):
        server.post("/event", {"series": name, "timestamp": stamp(), "value": 7.0}).raise_for_status()
    page = open_page(f"{server.url}/#series={quote('what[1]?')}")
    is_live(page)
    expect(page.locator("[data-tile=count]")).to_have_text("1")


def heap_bytes(inspector: CDPSession) -> float:
    """Return what the page holds once its garbage has been collected."""
    inspector.send("HeapProfiler.collectGarbage")
    used: float = inspector.send("Runtime.getHeapUsage")["usedSize"]
    return used


@pytest.mark.soak(seconds=(3, 3600))
def test_a_tab_left_open_does_not_grow(server: Server, open_page: OpenPage, seconds: int) -> None:
    """A thousand events a second, of which a chart takes in each, until the tab has been open for so long."""
    post(server, "open", *range(500))
    page = open_page(f"{server.url}/#series=open&window=1m&show=p99")
    is_filled(page)
    inspector = page.context.new_cdp_session(page)
    before = heap_bytes(inspector)
    for second in range(1, seconds + 1):
        server.post("/events", [{"series": "open", "value": second} for _ in range(1000)]).raise_for_status()
        expect(page.locator("[data-tile=max]")).to_have_text(f"{max(second, 499):,}")
        page.wait_for_timeout(1000)
    assert heap_bytes(inspector) - before < SLACK + MOST_IN_AN_HOUR * seconds / 3600
