"""A hostile page in a real browser: what it can do to a Tidemark on the loopback of whoever opens it."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from playwright.sync_api import Page, Playwright

from tests.browser import PATIENCE_MS, launch
from tests.servers import Server, until

HOSTILE = "evil.example"
WRITE = """async url => {
    const body = new Blob(['{"instrument": "stolen", "price": 1, "timestamp": ' + Date.now() + '}']);
    const sent = fetch(url + "/dialects/ticks/ticks", {method: "POST", mode: "no-cors", body});
    return sent.then(() => "sent", () => "refused");
}"""
LOAD = """url => new Promise(resolve => {
    const script = document.createElement("script");
    script.onload = () => resolve("loaded");
    script.onerror = () => resolve("refused");
    script.src = url;
    document.head.append(script);
})"""
LISTEN = """url => new Promise(resolve => {
    const ws = new WebSocket(url);
    ws.onopen = () => resolve("open");
    ws.onerror = () => resolve("refused");
})"""


class Empty(BaseHTTPRequestHandler):
    """An empty page at every address."""

    def do_GET(self) -> None:
        """Answer with it."""
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()

    def log_message(self, *arguments: Any) -> None:
        """Write nothing."""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server(["-w", "1"], {"HOST": "0.0.0.0"}) as running:
        yield running


@pytest.fixture(scope="module")
def page(driver: Playwright) -> Iterator[Page]:
    """A page of evil.example, which leads to this machine, as do all of its names."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Empty) as elsewhere:
        threading.Thread(target=elsewhere.serve_forever, daemon=True).start()
        rules = f"--host-resolver-rules=MAP {HOSTILE} 127.0.0.1, MAP tide_mark 127.0.0.1"
        browser = launch(driver, rules)
        page = browser.new_context().new_page()
        page.context.set_default_timeout(PATIENCE_MS)
        page.goto(f"http://{HOSTILE}:{elsewhere.server_port}/")
        yield page
        browser.close()
        elsewhere.shutdown()


def answered(server: Server, method: str, route: str) -> dict[str, int]:
    """Return how many requests of a route were answered with each status."""
    pattern = rf'tidemark_requests_total{{method="{method}",route="{route}",status="(\d+)"}} ([0-9.]+)'
    return {status: int(float(number)) for status, number in re.findall(pattern, server.get("/metrics").text)}


def count(server: Server) -> int:
    return int(server.get("/statistics").json()["count"])


def test_it_writes_nothing_with_a_blob_without_a_type(server: Server, page: Page) -> None:
    page.evaluate(WRITE, server.url)
    until(lambda: answered(server, "POST", "/dialects/ticks/ticks") == {"403": 1}, "it to be counted as refused")
    assert count(server) == 0


def test_it_loads_nothing_as_a_script(server: Server, page: Page) -> None:
    assert page.evaluate(LOAD, server.url + "/statistics/settings.js") == "refused"
    until(lambda: answered(server, "GET", "/statistics/<series>") == {"403": 1}, "it to be counted as refused")


def test_it_opens_no_websocket(server: Server, page: Page) -> None:
    assert page.evaluate(LISTEN, server.url.replace("http", "ws") + "/ws/a") == "refused"
    until(lambda: answered(server, "GET", "/ws/<series>") == {"403": 1}, "it to be counted as refused")


def test_a_name_that_was_made_to_lead_here_reads_nothing(server: Server, page: Page) -> None:
    own = page.context.new_page()
    answer = own.goto(f"http://{HOSTILE}:{server.port}/statistics")
    assert answer is not None
    assert answer.status == 421
    assert "TIDEMARK_ALLOWED_HOSTS" in answer.text()
    own.close()


def test_our_own_page_writes_reads_and_listens_by_any_name_of_ours(page: Page) -> None:
    with Server(["-w", "1"], {"TIDEMARK_ALLOWED_HOSTS": "tide_mark"}) as server:
        for number, host in enumerate(("tide_mark", "localhost", "127.0.0.1"), 1):
            own = page.context.new_page()
            url = f"http://{host}:{server.port}"
            own.goto(f"{url}/health")
            assert own.evaluate(WRITE, url) == "sent"
            assert count(server) == number
            assert own.evaluate(LISTEN, url.replace("http", "ws") + "/ws/a") == "open"
            own.close()
