"""The page before and at its first event, and its form."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from urllib.parse import quote

import pytest
import requests
from playwright.sync_api import Page, expect

from tests.dashboard.conftest import PHONE, OpenPage
from tests.servers import CHECKOUT, Server


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    """The server of `server`."""
    with Server(["-w", "1"]) as running:
        yield running


@pytest.fixture
def server(running: Server) -> Server:
    """A server that has no event."""
    for entry in running.get("/series").json()["series"]:
        requests.delete(f"{running.url}/series/{quote(entry['series'], safe='')}", timeout=60).raise_for_status()
    return running


def fill(page: Page, series: str, value: str) -> None:
    page.get_by_role("textbox", name="Series").fill(series)
    page.get_by_role("textbox", name="Value").fill(value)
    page.get_by_role("button", name="Send", exact=True).click()


def test_empty_state_shows_a_curl_line_that_works(server: Server, open_page: OpenPage) -> None:
    page = open_page(server.url)
    expect(page.get_by_role("heading", name="Waiting for the first event")).to_be_visible()
    line = page.locator("#empty-sender code").inner_text()
    assert f"{server.url}/event" in line
    answer = subprocess.run(["bash", "-c", f"curl --silent --show-error {line[5:]}"], capture_output=True, text=True)
    assert (answer.stdout, answer.stderr) == ('{"stored":1,"expired":0}\n', "")
    expect(page.locator("#value")).to_have_text("12.34")
    expect(page.locator("#empty")).to_be_hidden()


def test_form_sends_the_first_event(server: Server, open_page: OpenPage) -> None:
    page = open_page(server.url)
    fill(page, "température/été", "21.5")
    expect(page.get_by_role("option", name="température/été")).to_contain_text("21.5")
    expect(page.locator("[data-tile=count]")).to_have_text("1")
    assert server.get("/statistics/température/été").json() == {"count": 1, "min": 21.5, "max": 21.5, "mean": 21.5}


def test_form_says_kindly_what_is_wrong(server: Server, open_page: OpenPage) -> None:
    page = open_page(server.url, expect_faults=True)
    fill(page, "", "twelve")
    note = page.locator("#empty-sender [data-part=note]")
    expect(note).to_contain_text("Value: Must be a")
    expect(page.get_by_role("textbox", name="Value")).to_have_attribute("aria-invalid", "true")
    fill(page, "x" * 128, "1e999")
    expect(note).to_contain_text("Value: ")
    fill(page, "", "12")
    expect(page.locator("#full")).to_be_visible()
    assert server.get("/series").json()["series"][0]["series"] == "default"


def test_lines_of_each_way_follow_the_form_and_work(server: Server, open_page: OpenPage) -> None:
    page = open_page(server.url)
    page.get_by_role("textbox", name="Series").fill('it\'s "$HOME"')
    page.get_by_role("textbox", name="Value").fill("-0.5")

    def code(way: str) -> str:
        page.get_by_role("radio", name=way).check()
        return page.locator("#empty-sender code").inner_text()

    ways = {way: code(way) for way in ("curl", "Python", "tidemark")}
    ways["tidemark"] = ways["tidemark"].replace("\ntidemark ", f"\n{sys.executable} -m tidemark.cli ")
    lines = [[sys.executable, "-c", ways["Python"]], *(["bash", "-c", ways[way]] for way in ("curl", "tidemark"))]
    for line in lines:  # the client is not installed, but the checkout holds it
        subprocess.run(line, check=True, capture_output=True, cwd=CHECKOUT, timeout=60)
    expect(page.get_by_role("option", name='it\'s "$HOME"')).to_contain_text("-0.5")
    expect(page.locator("[data-tile=count]")).to_have_text("3")


def test_lines_without_a_series_send_to_the_default_one(server: Server, open_page: OpenPage) -> None:
    page = open_page(server.url, size=PHONE)
    assert page.locator("#empty-sender pre").evaluate("pre => pre.scrollWidth <= pre.clientWidth")  # none is cut off
    for way in ("Python", "tidemark"):
        page.get_by_role("radio", name=way).check()
        code = page.locator("#empty-sender code")
        expect(code).to_contain_text("default")
        expect(code).to_contain_text(server.url)
        expect(code).to_contain_text("12.34")


def test_unknown_series_offers_to_send_the_first(server: Server, open_page: OpenPage) -> None:
    server.post("/events", {"values": [1.0]}).raise_for_status()
    page = open_page(f"{server.url}/#series=AAPL&window=1m", expect_faults=True)
    expect(page.locator("#quiet")).to_contain_text("There is no series “AAPL” yet.")
    page.locator("#quiet-send").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("textbox", name="Value").fill("189.25")
    dialog.get_by_role("button", name="Send", exact=True).click()
    expect(dialog.get_by_role("status")).to_have_text("Sent 189.25 to AAPL.")
    page.keyboard.press("Escape")
    expect(page.locator("#value")).to_have_text("189.25")
    expect(page.locator("#quiet")).to_be_hidden()
