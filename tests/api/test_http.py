"""Requests that need a real server: bodies in chunks, raw paths, connections that break off."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator

import psutil
import pytest
import requests

from tests.servers import Server

EVENT = b'{"timestamp": "2025-06-26T14:30:00Z", "value": 1}'  # long expired: valid, and not stored
LIMIT = 65_536
JSON = {"Content-Type": "application/json"}
CHUNK = b"8000\r\n" + b" " * 0x8000 + b"\r\n"


@pytest.fixture(scope="module", params=["serving.worker.Worker", "sync", "gthread"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """One worker of each class; of the one of gevent tests/serving/test_wire.py shows that it answers as our own."""
    with Server(
        ["-w", "1", "-k", request.param], {"TIDEMARK_LOG_URL": "memory:", "TIDEMARK_MAX_BODY": str(LIMIT)}
    ) as server:
        yield server


def raw(server: Server, text: bytes) -> tuple[int, bytes]:
    """Status and body of the answer to these bytes."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall(text)
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), body


@pytest.mark.parametrize(("size", "status"), [(len(EVENT), 200), (LIMIT, 200), (LIMIT + 1, 413), (4 * LIMIT, 413)])
def test_the_limit_of_a_body_holds_to_the_byte(server: Server, size: int, status: int) -> None:
    padding = b" " * (size - len(EVENT))
    announced = requests.post(f"{server.url}/event", data=EVENT + padding, headers=JSON, timeout=60)
    assert announced.status_code == status
    chunked = requests.post(f"{server.url}/event", data=iter([EVENT, padding]), headers=JSON, timeout=60)
    assert chunked.status_code == status
    if status == 413:
        assert announced.json() == chunked.json()
        assert announced.headers["Content-Type"] == chunked.headers["Content-Type"] == "application/problem+json"


def test_an_endless_body_is_refused_at_the_limit_and_fills_no_memory(server: Server) -> None:
    [worker] = server.workers()
    before = psutil.Process(worker).memory_info().rss
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall(
            b"POST /events HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        try:
            for _ in range(1000):  # 33 MB
                connection.sendall(CHUNK)
        except OSError:
            pass  # the server may close at once, or read on and forget what it reads
        else:
            assert b" 413 " in connection.recv(4096)
    assert psutil.Process(worker).memory_info().rss - before < 20_000_000


CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("rest", "says"),
    [
        (CHUNKED + b"zz\r\n", "chunked body is malformed"),
        (CHUNKED + b"5\r\nabcdefgh\r\n", "chunked body is malformed"),
        (CHUNKED + b"10\r\nabc", "chunked body is malformed or broke off"),
        (b"Content-Length: 100\r\n\r\nabc", "Ended after 3 of the 100 bytes"),
    ],
)
def test_a_body_that_breaks_off_is_no_bug_of_ours(server: Server, rest: bytes, says: str) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall(
            b"POST /event HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n" + rest
        )
        connection.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b" 400 " in head.split(b"\r\n", 1)[0]
    assert says in json.loads(body)["errors"]["body"][0]
    assert '"traceback"' not in server.output()


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        (b"/statistics/%00", 400, "control characters"),
        (b"/statistics/a%00b", 400, "control characters"),
        (b"/statistics/%FF", 400, "not UTF-8"),
        (b"/series/%ED%A0%80/events", 400, "not UTF-8"),
        (b"/series/BTC%2FUSD/events", 404, "no series 'BTC/USD'"),
        (b"/series/BTC/USD/events", 404, "no series 'BTC/USD'"),
        (b"/series//a//b/events", 404, "no series '/a//b'"),
        (b"/series//a//b//events", 400, "Must not end with a slash"),
        (b"/series/temp%C3%A9rature/events", 404, "température"),
        (b"/series/a%20b/events", 404, "no series 'a b'"),
        (b"/series/a%3Fb/events", 404, "no series 'a?b'"),
        (b"/series/../events", 404, "no series '..'"),
        (b"/%00", 404, "There is nothing at"),
        (b"/%FF", 404, "There is nothing at"),
    ],
)
def test_paths_as_they_are_sent(server: Server, path: bytes, status: int, says: str) -> None:
    found, body = raw(server, b"GET " + path + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert found == status
    assert says in json.loads(body)["detail"]


def test_head_has_no_body(server: Server) -> None:
    for path, status in ((b"/statistics", 200), (b"/nope", 404), (b"/event", 405)):
        found = raw(server, b"HEAD " + path + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert found == (status, b"")
