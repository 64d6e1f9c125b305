"""A queue that stands is refused early; a pause is not, and who looks after the server is always answered."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterable, Iterator
from random import Random
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest
from flask import Flask

from api.context import context
from serving.overload import Patience, Shedding, waited
from tests.servers import Server, until


def serve(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", [])
    return [b"served"]


class Worker:
    """A worker with 0.1 s of patience, whose requests have waited as long as the test says."""

    def __init__(self, app: Flask) -> None:
        self.now = 0.0
        self.wait = 0.0
        self.refused: list[str] = []
        self.headers: list[tuple[str, str]] = []
        self._application = Shedding(
            serve,
            Patience(0.1, clock=lambda: self.now),
            self.refused.append,
            context(app).overloaded,
            wait_of=lambda sock: self.wait,
        )

    def ask(self, wait: float, path: str = "/statistics") -> int:
        """Return the status of a request that has waited `wait` seconds."""
        self.wait = wait
        status = []

        def start(line: str, headers: list[tuple[str, str]], exc_info: object = None) -> None:
            status.append(int(line[:3]))
            self.headers = headers

        self.body = b"".join(self._application({"PATH_INFO": path, "REQUEST_METHOD": "GET"}, start))  # type: ignore[arg-type]
        return status[0]

    def stand(self) -> None:
        """Let a queue stand."""
        assert self.ask(0.2) == 200
        self.now += 0.06


@pytest.fixture
def worker(app: Flask) -> Worker:
    return Worker(app)


def test_a_queue_that_stands_is_refused(worker: Worker) -> None:
    worker.stand()
    assert worker.ask(0.11) == 503
    assert dict(worker.headers) == {
        "Content-Type": "application/problem+json",
        "Retry-After": "1",
        "Content-Length": str(len(worker.body)),
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
    assert json.loads(worker.body)["status"] == 503
    assert worker.refused == ["GET"]


def test_a_queue_that_stood_is_made_half_as_long(worker: Worker) -> None:
    worker.stand()
    assert worker.ask(0.11) == 503
    assert worker.ask(0.05) == 200
    assert worker.ask(0.06) == 503
    worker.now += 0.11
    assert worker.ask(0.06) == 200
    worker.now += 0.01
    assert worker.ask(0.2) == 200  # late again, but not for long


def test_what_a_pause_has_held_up_is_served(worker: Worker) -> None:
    assert worker.ask(0.0) == 200
    worker.now += 3.0
    for _ in range(100):
        assert worker.ask(3.0) == 200
        worker.now += 0.0004


def test_while_nobody_is_late_one_in_a_millisecond_is_looked_at() -> None:
    now, looks = 0.0, 0

    def look() -> float:
        nonlocal looks
        looks += 1
        return 0.0

    patience = Patience(0.1, clock=lambda: now)
    for step in range(1000):
        now = step / 10_000
        assert not patience.ends(look)
    assert 90 <= looks <= 100


SERVES, REFUSES = 0.0001, 0.000036


@pytest.mark.no_cover
@pytest.mark.parametrize("factor", [1.1, 1.5, 2.0, 2.5])
def test_what_is_served_of_too_much_has_waited_no_longer_than_is_allowed(factor: float) -> None:
    # One queue in order of arrival, at so many times the capacity, for ten seconds.
    random, now, arrived = Random(13), 0.0, 0.0
    patience = Patience(0.1, clock=lambda: now)
    took, refused = [], 0
    while arrived < 10:
        arrived += random.expovariate(factor / SERVES)
        now = max(now, arrived)
        late = patience.ends(lambda: now - arrived)  # noqa: B023  # it is called at once
        now += REFUSES if late else SERVES
        if late:
            refused += 1
        else:
            took.append(now - arrived)
    assert sorted(took)[-len(took) // 100] < 0.15
    # What refusing leaves of the time is used for serving.
    assert len(took) * SERVES + refused * REFUSES == pytest.approx(10, rel=0.02)
    assert len(took) > 1_000


def test_who_looks_after_the_server_is_answered(worker: Worker) -> None:
    worker.stand()
    for path in (
        "/health",
        "/health/live",
        "/v1/health/ready",
        "/metrics",
        *(f"/dialects/{name}" for name in ("tickers/health", "influx/health", "influx/ping")),
    ):
        assert worker.ask(9.0, path) == 200
    for question in ("/statistics", "/metrics/windows", "/v1/metrics/windows", "/healthy"):
        assert worker.ask(9.0, question) == 503


def test_files_of_pages_are_answered(worker: Worker) -> None:
    worker.stand()
    for page in ("/", "/docs", "/v1/docs", "/dialects/influx/docs"):
        assert worker.ask(9.0, page) == 200
    for file in ("/dashboard/style.css", "/dashboard/vendor/uPlot.iife.js", "/docs/start.js", "/v1/openapi.json"):
        assert worker.ask(9.0, file) == 200
    for question in ("/statistics/docs", "/series/a/docs", "/stream", "/dialects/ticks/statistics", "/docsx"):
        assert worker.ask(9.0, question) == 503


def test_the_dialects_have_their_shape(worker: Worker) -> None:
    worker.stand()
    assert worker.ask(0.2, "/dialects/ticks/ticks") == 503
    assert list(json.loads(worker.body)) == ["detail"]
    assert worker.ask(0.2, "/dialects/influx/write") == 503
    assert json.loads(worker.body)["code"] == "unavailable"
    for prefix in ("", "/v1"):
        assert worker.ask(0.2, f"{prefix}/prometheus/api/v1/query") == 503
        told = json.loads(worker.body)
        assert list(told) == ["status", "errorType", "error"]
        assert (told["status"], told["errorType"]) == ("error", "unavailable")


@pytest.fixture
def connected() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of a TCP connection, of which ours was accepted late."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        client.sendall(b"request")
        ours, _ = server.accept()
        with ours:
            yield client, ours


def test_the_kernel_knows_how_long_a_request_has_waited(connected: tuple[socket.socket, socket.socket]) -> None:
    client, ours = connected
    until(lambda: waited(ours) >= 0.05, "50 ms to pass")

    def newer_bytes_count() -> bool:
        client.sendall(b"another")  # again where this process was kept from looking for 50 ms
        return waited(ours) < 0.05

    until(newer_bytes_count, "the newer bytes to count")


def test_where_nobody_knows_nobody_has_waited() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert waited(ours) == 0.0
    assert waited(None) == 0.0


def test_a_worker_sheds_by_its_setting() -> None:
    # A microsecond: whatever came a millisecond ago has waited too long, so that nearly every request is late.
    with Server(["-w", "1"], {"TIDEMARK_MAX_WAIT": "0.000001"}) as server:
        refused = until(lambda: [found for found in [server.get("/statistics")] if found.status_code == 503], "a 503")
        assert refused[0].headers["Retry-After"] == "1"
        assert server.get("/health/live").status_code == 200
        text = server.get("/metrics").text
    assert 'tidemark_requests_total{method="GET",route="overload",status="503"}' in text
