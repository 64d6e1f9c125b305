"""The page where access keys are in use: the browser asks for a password, and the page shows what the key may see."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, HttpCredentials, Page, expect

from access.keys import hash_of
from tests.browser import PATIENCE_MS
from tests.dashboard.conftest import stamp
from tests.servers import Server

TOKENS = {name: f"tm_{name:_<43}" for name in ("writer", "reader", "ours", "none")}
RIGHTS = {
    "writer": 'can = ["write"]',
    "reader": 'can = ["read"]',
    "ours": 'can = ["read"]\nseries = ["ours/*"]',
    "none": 'can = ["read"]\nseries = ["none/*"]',
}
SOCKET = """path => new Promise((resolve, reject) => {
    const socket = new WebSocket(location.origin.replace("http", "ws") + path);
    socket.addEventListener("open", () => resolve(socket.close()));
    socket.addEventListener("error", () => reject(new Error("no WebSocket")));
})"""


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that lets nobody in without a key, with three series."""
    keys: Path = tmp_path_factory.mktemp("keys") / "keys.toml"
    keys.write_text(
        "\n".join(f'[[key]]\nname = "{name}"\nhash = "{hash_of(TOKENS[name])}"\n{RIGHTS[name]}\n' for name in TOKENS)
    )
    with Server(["-k", "gevent", "-w", "1"], {"TIDEMARK_KEYS": str(keys)}) as server:
        for series, value in (("ours/b", 2.5), ("ours/a", 1.25), ("theirs", 3.0)):
            write(server, series, value)
        yield server


def write(server: Server, series: str, value: float) -> None:
    event = {"series": series, "timestamp": stamp(), "value": value}
    server.post("/event", event, headers={"Authorization": f"Bearer {TOKENS['writer']}"}).raise_for_status()


@pytest.fixture
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page of somebody who answers the browser's question for a password with the token of this key."""
    credentials: HttpCredentials = {"username": "me", "password": TOKENS[request.param]}
    with browser.new_context(http_credentials=credentials, locale="en-GB") as context:
        context.set_default_timeout(PATIENCE_MS)
        yield context.new_page()


def with_key(name: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("page", [name], indirect=True)


@with_key("reader")
def test_browser_asks_for_the_token_and_the_page_is_live(guarded: Server, page: Page) -> None:
    answer = page.goto(f"{guarded.url}/#series=ours/a")
    assert answer is not None
    assert answer.status == 200
    expect(page.locator("#status")).to_have_attribute("data-state", "live")
    write(guarded, "ours/a", 7.75)
    expect(page.locator("#value")).to_have_text("7.75")


@with_key("reader")
def test_websocket_opens_with_the_password_that_opened_the_page(guarded: Server, page: Page) -> None:
    page.goto(guarded.url)
    page.evaluate(SOCKET, "/ws/ours/a")


def test_without_a_key_there_is_no_page(guarded: Server) -> None:
    assert guarded.get("/").status_code == 401


@with_key("ours")
def test_key_for_some_series_lands_on_the_first_of_them(guarded: Server, page: Page) -> None:
    page.goto(guarded.url)
    expect(page.get_by_role("heading", name="ours/a", exact=True)).to_be_visible()
    expect(page.locator("#status")).to_have_attribute("data-state", "live")
    expect(page.locator("#notice")).to_be_hidden()
    expect(page.locator("[data-part=total]")).to_have_text("2 series")
    expect(page.get_by_role("option", name="All series")).to_be_hidden()
    page.get_by_role("option", name="ours/b").click()
    expect(page.locator("[data-tile=max]")).to_have_text("2.5")


@with_key("ours")
def test_address_keeps_what_else_it_says_where_a_key_lands(guarded: Server, page: Page) -> None:
    page.goto(f"{guarded.url}/#window=15m&sort=-p99")
    expect(page.get_by_role("heading", name="ours/")).to_be_visible()
    assert page.evaluate("location.hash").startswith("#window=15m&series=ours")
    assert page.url.endswith("&sort=-p99")


@with_key("none")
def test_key_whose_series_do_not_exist_yet_lands_on_the_first_that_does(guarded: Server, page: Page) -> None:
    page.goto(guarded.url)
    expect(page.get_by_role("heading", name="Waiting for the first event")).to_be_visible()
    expect(page.locator("#status")).not_to_have_text("Refused")
    write(guarded, "none/first", 1.5)
    expect(page.get_by_role("heading", name="none/first")).to_be_visible()
    expect(page.locator("#value")).to_have_text("1.5")
