"""A request that is refused for want of time, and what becomes of its connection."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gevent
import pytest
from flask import Flask
from gevent import socket

from serving.overload import Patience
from serving.worker import Worker
from tests.serving.in_process import ANSWER_SECONDS, connected, serving
from tests.serving.test_limits import EVENT, all_of, answer_of, chunked, post

NEXT = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
"""Is never refused."""


class Refuses(Patience):
    """Has none."""

    def __init__(self) -> None:
        super().__init__(1.0)

    def ends(self, waited: Any) -> bool:
        return True


@pytest.fixture
def late(app: Flask) -> Iterator[Worker]:
    """A worker in this process to which every request is late."""
    with serving(app, Refuses()) as worker:
        assert not worker.declined
        yield worker


def refused(worker: Worker, request: bytes, then: bytes = NEXT) -> tuple[bytes, bytes]:
    """The answer to this request, and what comes for another one behind it over the same connection."""
    with connected(worker) as theirs:
        theirs.sendall(request)
        first = answer_of(theirs)
        with gevent.Timeout(ANSWER_SECONDS):
            theirs.sendall(then)
            theirs.shutdown(socket.SHUT_WR)
        rest = all_of(theirs)
    assert first.startswith(b"HTTP/1.1 503 ")
    return first, rest


@pytest.mark.parametrize("line", [b"Accept: x", b"X-Unheard-Of: x"], ids=["fast path", "gunicorn"])
def test_a_refusal_whose_body_is_here_keeps_the_connection(late: Worker, line: bytes) -> None:
    first, then = refused(late, post(b"/events", len(EVENT), line) + EVENT)
    assert b"\r\nConnection: keep-alive\r\n" in first
    assert b"\r\nRetry-After: 1\r\n" in first
    assert then.startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("sent", [b"", EVENT[:-1]])
def test_a_refusal_whose_body_is_yet_to_come_ends_the_connection(late: Worker, sent: bytes) -> None:
    first, then = refused(late, post(b"/events", len(EVENT)) + sent)
    assert b"\r\nConnection: close\r\n" in first
    assert then == b""


@pytest.mark.parametrize("sent", [b"", EVENT[:-1]])
def test_a_refusal_by_gunicorn_keeps_the_connection_until_the_body_has_come(late: Worker, sent: bytes) -> None:
    request = post(b"/events", len(EVENT), b"X-Unheard-Of: x") + sent
    first, then = refused(late, request, EVENT[len(sent) :] + NEXT)
    assert b"\r\nConnection: keep-alive\r\n" in first
    assert then.startswith(b"HTTP/1.1 200 ")


def test_a_refused_body_in_chunks_is_no_request(late: Worker) -> None:
    first, then = refused(late, chunked(b"/events") + b"3\r\nabc\r\n")
    assert b"\r\nConnection: close\r\n" in first
    assert then == b""


def test_what_is_refused_is_refused_alike_on_both_ways(late: Worker) -> None:
    def plain(answer: bytes) -> list[bytes]:
        return [line for line in answer.split(b"\r\n") if not line.startswith(b"Date: ")]

    fast, _ = refused(late, post(b"/events", len(EVENT)) + EVENT)
    slow, _ = refused(late, post(b"/events", len(EVENT), b"X-Unheard-Of: x") + EVENT)
    assert plain(fast) == plain(slow)


def test_a_refusal_of_head_has_no_body(late: Worker) -> None:
    first, rest = refused(late, post(b"/events", len(EVENT)) + EVENT, b"HEAD /statistics HTTP/1.1\r\nHost: x\r\n\r\n")
    assert first.startswith(b"HTTP/1.1 503 ")
    assert rest.startswith(b"HTTP/1.1 503 ")
    assert rest.endswith(b"\r\n\r\n")
