"""Nobody can tell our worker and the fast path from gunicorn's own worker and Flask: raw bytes to both."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from random import Random
from urllib.parse import quote

import pytest

from serving.connection import DRAIN_SECONDS
from serving.worker import Worker
from tests.api.generated import MAX_BATCH, MAX_BODY, Generated, Generator
from tests.conftest import START
from tests.servers import Server

CONNECTIONS = 1_500
LARGE = bytes(16 * 1024**2)
"""More than the sockets between a client and a server hold."""
SEED = 27
SETTINGS = {
    "TIDEMARK_LOG_URL": "memory:",
    "TIDEMARK_MAX_BODY": str(MAX_BODY),
    "TIDEMARK_MAX_BATCH": str(MAX_BATCH),
    "TIDEMARK_MAX_SERIES": "14",
    "TIDEMARK_MAX_SYMBOLS": "3",
}
CHANGING = re.compile(rb"\r\nDate: [^\r]+|\r\nX-Request-ID: [^\r]+|request id \w+")
"""What differs between any two answers."""
LINES = (
    *(
        b"Host: y",
        b"Content-Length: 3",
        b"Content-Type: text/csv",
        b"Accept: a",
        b"Accept: b",
        b"X-Forwarded-Proto: https",
    ),
    *(b"X-Forwarded-For: 1.2.3.4", b"X-Forwarded-Ssl: on", b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip"),
    *(b"Expect: 100-continue", b"Expect: x", b"X_Y: 1", b"Script_Name: /x", b"SCRIPT_NAME: /event", b"Bad header: 1"),
    *(b" folded: 1", b"X: \x00", b"Nothing", b": 1", b"X:\ty\t", b"Connection: close", b"Connection: keep-alive"),
    *(b"Content-Encoding: gzip", b"X-Long: " + b"x" * 1024, b"X-Longer: " + b"x" * 9000, b"x-request-id: 1"),
    *(b"Upgrade: h2c", b"Upgrade: websocket", b"Cookie: a=b", b"Authorization: Bearer x", b"Idempotency-Key: k"),
)


@pytest.fixture(scope="module")
def ours() -> Iterator[Server]:
    """As it is served."""
    with Server(["-w", "1"], SETTINGS, "tests.still:app") as server:
        yield server


@pytest.fixture(scope="module")
def plain() -> Iterator[Server]:
    """gunicorn's own worker, and Flask alone."""
    with Server(["-w", "1", "-k", "gevent"], SETTINGS, "tests.still:flask_alone") as server:
        yield server


def answers(server: Server, pieces: list[bytes]) -> bytes | None:
    """All that comes back over a connection on which these pieces are sent; None if it was reset."""
    found = b""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            for piece in pieces:
                connection.sendall(piece)
            connection.shutdown(socket.SHUT_WR)
            while part := connection.recv(65_536):
                found += part
        except TimeoutError:
            raise
        except OSError:
            return None  # it was refused and closed before all had been read: what arrives then is chance
    return CHANGING.sub(b"", found)


def as_bytes(request: Generated, random: Random) -> bytes:
    """The request on the wire, in one of many forms."""
    environ = dict(request.environ)
    target = quote(environ.pop("PATH_INFO").encode("latin-1"), safe="/" if random.random() < 0.9 else "/%,+")
    query = environ.pop("QUERY_STRING")
    target += f"?{quote(query.encode('latin-1'), safe='=&%+')}" if query else ""
    if random.random() < 0.05:
        target = random.choice(("http://x", "https://y:1", "//z", "*", "http://")) + target
    version = "1.0" if random.random() < 0.05 else "1.1"
    lines = [f"{environ.pop('REQUEST_METHOD')} {target} HTTP/{version}", "Host: x"]
    lines += [f"{_header(name)}: {value}" for name, value in environ.items() if name != "HTTP_HOST"]
    head = [line.encode("latin-1", "replace") for line in lines]
    while random.random() < 0.1:
        head.insert(random.randint(1, len(head)), random.choice(LINES))
    body = request.body
    if random.random() < 0.05:
        head = [line for line in head if not line.startswith(b"Content-Length")] + [b"Transfer-Encoding: chunked"]
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"
    return (b"\r\n" if random.random() < 0.02 else b"") + b"\r\n".join(head) + b"\r\n\r\n" + body


def _header(name: str) -> str:
    return name.removeprefix("HTTP_").replace("_", "-").title()


def in_pieces(data: bytes, random: Random) -> list[bytes]:
    """Mostly whole."""
    if random.random() < 0.8:
        return [data]
    at = random.randrange(len(data))
    return [data[:at], data[at:]]


def test_nobody_can_tell_on_the_wire(ours: Server, plain: Server) -> None:
    random, generator = Random(SEED), Generator(SEED)
    reset = 0
    for _ in range(CONNECTIONS):
        requests = [as_bytes(generator.request(START), random) for _ in range(random.randint(1, 4))]
        if random.random() < 0.5:
            requests.append(random.choice(requests))
        data = b"".join(requests)
        # Of a body in chunks that nobody reads, ours waits for no more than has come, and says so.
        pieces = [data] if b"chunked" in data else in_pieces(data, random)
        told, other = answers(ours, pieces), answers(plain, pieces)
        if told is None or other is None:
            reset += 1
        else:
            assert told == other or is_answered_once(told, other), (pieces, told, other)
    assert reset < CONNECTIONS / 20


TWICE = re.compile(rb"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n[^{]*{[^}]*}")


def is_answered_once(ours: bytes, plain: bytes) -> bool:
    """Whether the two differ in nothing but that gunicorn, having answered, answers 400 to a chunk behind that."""
    said, _, last = ours.rpartition(b"\r\nConnection: close")
    once = said + b"\r\nConnection: keep-alive" + last
    return plain.startswith(once) and TWICE.fullmatch(plain[len(once) :]) is not None


@pytest.mark.parametrize(
    ("lines", "before", "after", "status"),
    [
        (b"Content-Type: application/json\r\nContent-Length: %d" % len(LARGE), b"", b"", b"413"),
        (b"Content-Type: text/html\r\nContent-Length: %d" % len(LARGE), b"", b"", b"415"),
        (
            b"Content-Type: application/json\r\nTransfer-Encoding: chunked",
            *(b"%x\r\n" % len(LARGE), b"\r\n0\r\n\r\n", b"413"),
        ),
    ],
)
def test_who_sends_all_before_reading_gets_the_answer(
    ours: Server, lines: bytes, before: bytes, after: bytes, status: bytes
) -> None:
    head = b"POST /events HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + lines + b"\r\n\r\n"
    with socket.create_connection(("127.0.0.1", ours.port), timeout=20) as connection:
        connection.sendall(head + before + LARGE + after)
        with connection.makefile("rb") as answer:
            found = answer.read()
    assert found.split()[1] == status
    assert found.endswith(b"}")


def test_who_sends_no_more_of_a_body_is_not_kept_waiting(ours: Server) -> None:
    with socket.create_connection(("127.0.0.1", ours.port), timeout=DRAIN_SECONDS / 2) as connection:
        connection.sendall(b"POST /events HTTP/1.1\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(LARGE))
        with connection.makefile("rb") as answer:
            assert answer.read().split()[1] == b"415"


class Hasty(Worker):
    """A worker that does not wait long for a body: a second, and another for each byte that has come."""

    body_seconds = 1.0
    least_rate = 1.0


class Strict(Worker):
    """A worker that waits a second for a body, whatever comes meanwhile."""

    body_seconds = 1.0
    least_rate = 1e9


@pytest.fixture(scope="module")
def hasty() -> Iterator[Server]:
    with Server(["-w", "1", "-k", "tests.serving.test_wire.Hasty"], SETTINGS) as server:
        yield server


@pytest.mark.parametrize("path", [b"/event", b"/events", b"/dialects/ticks/ticks"])
@pytest.mark.parametrize(
    "lines",
    [
        b"Content-Length: 100\r\n\r\n[1,",
        b"Content-Length: 100\r\n\r\n",
        b"Content-Length: 100\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8b",
        b"Transfer-Encoding: chunked\r\n\r\n64\r\n[1,",
        b"Transfer-Encoding: chunked\r\n\r\n",
    ],
)
def test_a_body_of_which_no_more_comes_is_given_up(hasty: Server, path: bytes, lines: bytes) -> None:
    with socket.create_connection(("127.0.0.1", hasty.port), timeout=DRAIN_SECONDS / 2) as connection:
        connection.sendall(b"GET /statistics HTTP/1.1\r\nHost: x\r\n\r\n")
        before = connection.recv(65_536)
        connection.sendall(b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n%b" % (path, lines))
        with connection.makefile("rb") as answer:
            head, _, body = answer.read().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 ")
    assert b"\r\nConnection: close" in head
    assert b"The body came so slowly" in body
    assert (b"application/problem+json" in head) == (b"dialects" not in path)
    assert b"Traceback" not in hasty.output().encode()
    assert hasty.get("/statistics").content in before


def test_a_slow_body_is_heard_out_while_enough_of_it_comes(hasty: Server) -> None:
    body = b'{"values":[1,2]}'
    with socket.create_connection(("127.0.0.1", hasty.port), timeout=20) as connection:
        connection.sendall(b"POST /events HTTP/1.1\r\nContent-Type: application/json\r\nConnection: close\r\n")
        connection.sendall(b"Content-Length: %d\r\n\r\n" % len(body))
        begun = time.monotonic()
        for number in range(len(body)):
            connection.sendall(body[number : number + 1])
            time.sleep(Hasty.body_seconds / 8)
        assert time.monotonic() - begun > Hasty.body_seconds
        with connection.makefile("rb") as answer:
            assert answer.read().split()[1] == b"201"


@pytest.mark.parametrize("path", [b"/events", b"/dialects/batches/add_batch/"])
def test_who_dribbles_a_body_is_given_up(path: bytes) -> None:
    with (
        Server(["-w", "1", "-k", "tests.serving.test_wire.Strict"], SETTINGS) as server,
        socket.create_connection(("127.0.0.1", server.port), timeout=0.05) as connection,
    ):
        connection.sendall(b"POST %b HTTP/1.1\r\nContent-Type: application/json\r\n" % path)
        connection.sendall(b"Content-Length: 1999\r\n\r\n")
        for _ in range(400):  # 20 s
            with suppress(TimeoutError):
                answer = connection.recv(65_536)
                break
            connection.sendall(b" ")
        assert answer.startswith(b"HTTP/1.1 408 ")
