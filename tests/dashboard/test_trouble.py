"""The page where something does not come: a file of its own, or an answer of a server that has too much to do."""

from __future__ import annotations

import re
import time

import pytest
from playwright.sync_api import Page, Response, Route, expect

from tests.dashboard.conftest import OpenPage, is_live, post
from tests.servers import Server, until

MOST_REQUESTS = 20
MOST_BYTES = 450_000
SCRIPTS = ("start.js", "vendor/uPlot.iife.js", "main.js")
RETRY_AFTER = 2
QUESTIONS = {
    "stream of statistics": r"/stream\?",
    "stream of events": r"/series/busy/stream",
    "events": r"/series/busy/events\?limit=1000",
    "sparkline": r"/series/busy/events\?limit=60",
    "history": r"/history/busy",
    "list": r"/series\?limit",
    "ranking": r"/series\?.*sort=-p99",
}


def is_complete(page: Page) -> None:
    expect(page.locator("#incomplete")).to_have_attribute("hidden", "")


def is_file(answer: Response, server: Server) -> bool:
    return answer.url == f"{server.url}/" or "/dashboard/" in answer.url


def test_page_takes_few_requests_and_bytes(server: Server, open_page: OpenPage) -> None:
    post(server, "few", 1.0, 2.0)
    answers: list[Response] = []
    page = open_page(f"{server.url}/#series=few", prepare=lambda page: page.on("response", lambda a: answers.append(a)))
    is_live(page)
    is_complete(page)
    expect(page.locator(".spark path:not([d=''])").first).to_be_attached()
    files = [answer for answer in answers if is_file(answer, server)]
    assert len(files) >= 5
    assert sum(len(answer.body()) for answer in files) <= MOST_BYTES
    assert len({answer.url for answer in answers}) <= MOST_REQUESTS


@pytest.mark.parametrize(("name", "status"), [*((name, 503) for name in (*SCRIPTS, "style.css")), ("main.js", None)])
def test_file_that_does_not_load_is_named(server: Server, open_page: OpenPage, name: str, status: int | None) -> None:
    def fail(route: Route) -> None:
        if status is None:
            route.abort()
        else:
            route.fulfill(status=status)

    page = open_page(server.url, expect_faults=True, prepare=lambda page: page.route(f"**/dashboard/{name}", fail))
    notice = page.locator("#incomplete")
    expect(notice).to_be_visible()
    # The script that names the others cannot name itself.
    expect(notice).to_contain_text(
        "still loading" if name == "start.js" else f"incomplete: /dashboard/{name} did not load"
    )
    expect(notice).to_contain_text("eload it")


def test_script_that_breaks_off_is_told(server: Server, open_page: OpenPage) -> None:
    def break_off(route: Route) -> None:
        route.fulfill(content_type="text/javascript", body="const half = (() => {")

    page = open_page(server.url, expect_faults=True, prepare=lambda page: page.route("**/dashboard/main.js", break_off))
    expect(page.locator("#incomplete")).to_contain_text("This page is incomplete: Uncaught SyntaxError")


def test_page_without_any_script_says_so(server: Server, open_page: OpenPage) -> None:
    page = open_page(
        server.url, expect_faults=True, prepare=lambda page: page.route("**/*.js", lambda route: route.abort())
    )
    expect(page.locator("#incomplete")).to_be_visible()


class BusyOnce:
    """Answers the first request that it gets by 503, and lets the others through."""

    def __init__(self) -> None:
        self.asked: list[float] = []

    def __call__(self, route: Route) -> None:
        self.asked.append(time.monotonic())
        if len(self.asked) == 1:
            route.fulfill(status=503, headers={"Retry-After": str(RETRY_AFTER)})
        else:
            route.fallback()

    def is_asked_again(self, page: Page) -> bool:
        page.wait_for_timeout(20)  # lets Playwright hear of it
        return len(self.asked) > 1


def test_what_gets_a_503_is_asked_again_when_the_server_says(server: Server, open_page: OpenPage) -> None:
    post(server, "busy", 1.0, 2.0)
    questions = {name: BusyOnce() for name in QUESTIONS}

    def prepare(page: Page) -> None:
        for name, pattern in QUESTIONS.items():
            page.route(re.compile(pattern), questions[name])

    page = open_page(f"{server.url}/#series=busy&sort=-p99", expect_faults=True, prepare=prepare)
    for name, busy in questions.items():
        until(lambda: busy.is_asked_again(page), f"another request for the {name}")  # noqa: B023  at once
        assert busy.asked[1] - busy.asked[0] >= RETRY_AFTER, name
    is_live(page)


def test_csv_is_asked_for_again_too(server: Server, open_page: OpenPage) -> None:
    post(server, "csv", 1.0, 2.0)
    page = open_page(server.url, expect_faults=True)
    is_live(page)
    busy = BusyOnce()

    def answer(route: Route) -> None:
        if route.request.headers["accept"] == "text/csv":
            busy(route)
        else:
            route.continue_()

    page.route("**/history?*", answer)
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as CSV").click()
    assert download.value.suggested_filename == "all-5m.csv"
    assert len(busy.asked) == 2


def test_page_opens_while_its_server_refuses_questions(open_page: OpenPage) -> None:
    # A microsecond: whatever came a millisecond ago has waited too long, so that nearly every request is late.
    with Server(["-w", "1"], {"TIDEMARK_MAX_WAIT": "0.000001"}) as server:
        until(lambda: server.get("/statistics").status_code == 503, "a 503")
        files: set[int] = set()
        questions: set[int] = set()

        def note(answer: Response) -> None:
            (files if is_file(answer, server) else questions).add(answer.status)

        page = open_page(server.url, expect_faults=True, prepare=lambda page: page.on("response", note))

        def is_refused() -> bool:
            page.wait_for_timeout(20)  # lets Playwright hear of it
            return 503 in questions

        for _ in range(3):
            is_complete(page)
            until(is_refused, "a question to be refused")
            page.reload()
        assert files <= {200, 304}
