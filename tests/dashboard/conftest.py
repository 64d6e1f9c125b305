"""A real browser on a real server: fixtures of the dashboard's tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from itertools import cycle
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser import PATIENCE_MS
from tests.servers import Server, until

DESKTOP = (1280, 800)
PHONE = (390, 844)

OpenPage = Callable[..., Page]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A worker over a log of its own, shared by the tests of a module. It takes events far ahead of the clock: those
    are in the shortest of windows for as long as a slow machine may take to open a page. gunicorn lets a test halt the
    worker for long."""
    with Server(["-w", "1", "--timeout", "600"], {"TIDEMARK_MAX_FUTURE": "10m"}) as running:
        yield running


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    """Opens an address in a browser profile of its own, after `prepare(page)`; faults of the page fail the test."""
    with ExitStack() as stack:

        def open_address(
            url: str,
            size: tuple[int, int] = DESKTOP,
            theme: Any = "light",
            expect_faults: bool = False,
            prepare: Callable[[Page], None] | None = None,
        ) -> Page:
            width, height = size
            context = browser.new_context(
                viewport={"width": width, "height": height}, color_scheme=theme, locale="en-GB", timezone_id="UTC"
            )
            stack.callback(context.close)
            context.set_default_timeout(PATIENCE_MS)
            page = context.new_page()
            faults = watch(page, url)
            if not expect_faults:
                stack.callback(check, faults)
            if prepare:
                prepare(page)
            page.goto(url)
            return page

        yield open_address


def watch(page: Page, url: str) -> list[str]:
    """Return what goes wrong in this page from now on: console errors, exceptions, requests to another host."""
    host = "/".join(url.split("/")[:3]) + "/"
    faults: list[str] = []
    page.on("console", lambda message: faults.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", lambda request: faults.append(request.url) if not request.url.startswith(host) else None)
    return faults


def check(faults: list[str]) -> None:
    """Fails the test whose page had faults."""
    assert faults == []


def stamp(seconds_ago: float = 0.0) -> str:
    """Return a timestamp of some seconds ago."""
    return (datetime.now(UTC) - timedelta(seconds=seconds_ago)).isoformat()


def post(server: Server, series: str, *values: float, apart: float = 1.0) -> None:
    """Events of one series, the last one now, as another client would post them."""
    last = len(values) - 1
    events = [
        {"series": series, "timestamp": stamp((last - index) * apart), "value": value}
        for index, value in enumerate(values)
    ]
    server.post("/events", events).raise_for_status()


def is_live(page: Page) -> None:
    """Wait until the page has what it follows."""
    expect(page.locator("#status")).to_have_attribute("data-state", "live")


def is_filled(page: Page) -> None:
    """Wait until the page can be used: numbers are there, and so is the list, before which nothing is shown."""
    tile = page.locator("[data-tile=count]")
    expect(tile).to_be_visible()
    expect(tile).not_to_have_text("–")


def hover(page: Page, x: float, y: float) -> None:
    """Rest the mouse on the chart; a pixel to and fro, until the chart has been drawn that it is to read out."""

    nudges = cycle((0, 1))

    def reads_out() -> bool:
        page.mouse.move(x + next(nudges), y)
        return page.locator("#readout").is_visible()

    until(reads_out, "the chart to read out what is under the mouse")


def drag(page: Page, begin: float, end: float) -> None:
    """Drag over the chart between two places, from its left in pixels, until it is zoomed: a chart that is drawn anew
    meanwhile, for an event or the time that has passed, loses what is dragged."""

    def is_zoomed() -> bool:
        box = page.locator("#plot .u-over").bounding_box()
        assert box
        middle = box["y"] + box["height"] / 2
        page.mouse.move(box["x"] + begin, middle)
        page.mouse.down()
        page.mouse.move(box["x"] + end, middle, steps=5)
        page.mouse.up()
        return reset_zoom(page).is_visible()

    until(is_zoomed, "the chart to be zoomed")


def reset_zoom(page: Page) -> Locator:
    """Return the button that is there while the chart is zoomed."""
    return page.get_by_role("button", name="Reset zoom")
