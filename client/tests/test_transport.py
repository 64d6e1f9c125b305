"""Transport: what is sent, and in what words it is told that no answer came."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from client_stub import Answer, Stub

from tidemark import Problem, Unanswered
from tidemark.transport import Reply, Transport


@contextmanager
def connected(url: str, read_seconds: float = 30.0) -> Iterator[Transport]:
    with closing(Transport(url, None, read_seconds)) as transport:
        yield transport


CLOSED_PORT = 1
"""Nobody listens there, and the kernel gives it to nobody."""


@contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """Yield the URL of a listener that answers its first connection with these bytes, and closes it."""

    def answer_one() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer_one)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join(60)


def why_nothing_came(url: str, read_seconds: float = 30.0) -> str:
    with connected(url, read_seconds) as transport, pytest.raises(Unanswered) as caught:
        transport.get_once("/health")
    assert str(caught.value) == f"no answer from {url}: {caught.value.reason}"
    return caught.value.reason


def test_a_post_arrives_as_it_was_written() -> None:
    with Stub(Answer(200, {"stored": 0})) as stub, connected(stub.url + "/below/") as transport:
        reply = transport.post("/events", b"1\n2\n", "key", "application/x-ndjson")
    [asked] = stub.asked
    assert (asked.path, asked.body, asked.key) == ("/below/events", b"1\n2\n", "key")
    assert asked.headers["Content-Type"] == "application/x-ndjson"
    assert (reply.status, reply.document, reply.retry_after) == (200, {"stored": 0}, None)


def test_one_connection_serves_all_requests() -> None:
    with Stub() as stub, connected(stub.url) as transport:
        for _ in range(5):
            transport.post("/events", b"[]", "key")
    assert len({asked.port for asked in stub.asked}) == 1


def test_nobody_listens() -> None:
    assert why_nothing_came(f"http://127.0.0.1:{CLOSED_PORT}") == "connection refused"


def test_an_unknown_host() -> None:
    assert why_nothing_came("http://nowhere.invalid") == "unknown host"


def test_a_server_that_does_not_answer_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert why_nothing_came(f"http://127.0.0.1:{silent.getsockname()[1]}", 0.05) == "timeout"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"", "connection lost"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", "connection lost"),
        (b"220 smtp.example.org\r\n\r\n", "what answers is not HTTP"),
    ],
)
def test_an_answer_that_is_none(answer: bytes, reason: str) -> None:
    with answering(answer) as url:
        assert why_nothing_came(url) == reason


def test_https_speaks_tls() -> None:
    with answering(b"HTTP/1.1 200 OK\r\n\r\n") as url:
        assert "wrong version number" in why_nothing_came(url.replace("http", "https")).replace("_", " ")


def test_a_question_is_asked_again_when_the_server_is_busy_but_not_for_as_long_as_it_says() -> None:
    busy = Answer(503, {"detail": "later"}, {"Retry-After": "3600"})
    with Stub(busy, busy, Answer(200, {"count": 1})) as stub, connected(stub.url) as transport:
        assert transport.get("/statistics").document == {"count": 1}
    too_many = Answer(429, {"detail": "too many"}, {"Retry-After": "3600"})
    with Stub(too_many) as stub, connected(stub.url) as transport, pytest.raises(Problem, match="429: too many"):
        transport.get("/statistics")


@pytest.mark.parametrize(
    ("status", "body", "detail"),
    [
        (400, b'{"detail": "No."}', "No."),
        (422, b'{"detail": [{"msg": "bad"}]}', '[{"msg": "bad"}]'),
        (502, b"<html>\n  <h1>Bad</h1>", "<html> <h1>Bad</h1>"),
        (503, b"", "Service Unavailable"),
        (503, b"{}", "Service Unavailable"),
        (599, b"", "status 599"),
    ],
)
def test_what_the_server_says_is_one_line(status: int, body: bytes, detail: str) -> None:
    assert Reply(status, {}, body).detail == detail
