"""Nobody can tell our worker and the short way from gunicorn's own worker and Flask: raw bytes to both."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import partial
from itertools import chain, repeat
from random import Random
from urllib.parse import quote
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest
from gunicorn.config import Config
from gunicorn.glogging import Logger
from gunicorn.http import wsgi
from gunicorn.http.message import Request
from gunicorn.http.parser import RequestParser
from gunicorn.http.unreader import IterUnreader, Unreader

from overload import Patience, Shedding
from tests.api.generated import MAX_BATCH, MAX_BODY, Generated, Generator
from tests.conftest import START
from tests.servers import Server
from worker import HEAR_OUT_SECONDS, LONGEST_HEAD, MOST_HEADS, RememberingRequest, Worker, create

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
    *(b"Content-Encoding: gzip", b"X-Long: " + b"x" * LONGEST_HEAD, b"X-Longer: " + b"x" * 9000, b"x-request-id: 1"),
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
        pieces = in_pieces(b"".join(requests), random)
        told = answers(ours, pieces), answers(plain, pieces)
        if None in told:
            reset += 1
        else:
            assert told[0] == told[1], pieces
    assert reset < CONNECTIONS / 20


PARSED = ("method", "uri", "path", "query", "version", "headers", "scheme", "_expected_100_continue", "must_close")


def parsed(stream: list[bytes], kind: type[Request]) -> list[object]:
    """What a parser makes of these reads from a socket."""

    class Parser(RequestParser):
        mesg_class = kind

    return [
        (*map(partial(getattr, request), PARSED), request.body.read())
        for request in Parser(Config(), iter(stream), ("127.0.0.1", 1))
        if request.body is not None
    ]


def head(number: int, more: bytes = b"") -> bytes:
    return b"POST /event HTTP/1.1\r\nHost: x\r\nX: %d\r\n%bContent-Length: 2\r\n\r\n" % (number, more)


STREAMS = [
    [head(1) + b"ab"] * 3,
    [head(1) + b"ab" + head(1) + b"cd" + head(2) + b"ef"],
    [head(1), b"ab", head(1)[:20], head(1)[20:] + b"c", b"d" + head(1), b"ef"],
    [head(number % 12) + b"ab" for number in range(40)],
    [head(1, b"Expect: 100-continue\r\n") + b"ab"] * 2,
    [head(1, b"X-Forwarded-Proto: https\r\n") + b"ab", head(1) + b"ab"] * 2,
    [b"\r\n" + head(1) + b"ab"] * 2 + [head(1) + b"ab"],
    [b"GET / HTTP/1.1\r\n\r\n"] * 3,
    [b"GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n", b"GET / HTTP/1.0\r\n\r\n"],
]


@pytest.mark.parametrize("stream", STREAMS)
def test_a_head_that_came_before_is_read_as_the_first_time(stream: list[bytes]) -> None:
    assert parsed(stream, RememberingRequest) == parsed(stream, Request) != []


class RemembersAll(RememberingRequest):
    def _may_be_remembered(self) -> bool:
        return True


class RemembersTheFirst(RememberingRequest):
    def parse(self, unreader: Unreader) -> bytes:
        rest = super().parse(unreader)
        self.headers = vars(unreader).setdefault("first", self.headers)
        return rest


@pytest.mark.parametrize("wrong", [RemembersAll, RemembersTheFirst])
def test_wrong_ways_to_remember_are_found(wrong: type[Request]) -> None:
    assert any(parsed(stream, wrong) != parsed(stream, Request) for stream in STREAMS)


def test_what_is_remembered_of_a_connection_is_bounded() -> None:
    long = b"Y: " + b"y" * LONGEST_HEAD + b"\r\n"
    stream = iter([*(head(number) + b"ab" for number in range(99)), head(0, long) + b"ab"])
    unreader = IterUnreader(stream)
    for number in range(100):
        request = RememberingRequest(Config(), unreader, ("127.0.0.1", 1), number)
        assert request.body is not None
        request.body.read()
    heads = vars(unreader)["heads"]
    assert len(heads) == MOST_HEADS
    assert max(map(len, heads)) <= LONGEST_HEAD


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
    with socket.create_connection(("127.0.0.1", ours.port), timeout=HEAR_OUT_SECONDS / 2) as connection:
        connection.sendall(b"POST /events HTTP/1.1\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(LARGE))
        with connection.makefile("rb") as answer:
            assert answer.read().split()[1] == b"415"


class Hasty(Worker):
    """A worker that does not wait long for what is left of a body."""

    stalled_seconds = 1.0


@pytest.fixture(scope="module")
def hasty() -> Iterator[Server]:
    with Server(["-w", "1", "-k", "tests.test_worker.Hasty"], SETTINGS) as server:
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
    with socket.create_connection(("127.0.0.1", hasty.port), timeout=HEAR_OUT_SECONDS / 2) as connection:
        connection.sendall(b"GET /statistics HTTP/1.1\r\nHost: x\r\n\r\n")
        before = connection.recv(65_536)
        connection.sendall(b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n%b" % (path, lines))
        with connection.makefile("rb") as answer:
            head, _, body = answer.read().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 ")
    assert b"\r\nConnection: close" in head
    assert b"No more of the body came" in body
    assert (b"application/problem+json" in head) == (b"dialects" not in path)
    assert b"Traceback" not in hasty.output().encode()
    assert hasty.get("/statistics").content in before


def test_a_slow_body_is_heard_out_while_it_goes_on(hasty: Server) -> None:
    body = b'{"values":[1,2]}'
    with socket.create_connection(("127.0.0.1", hasty.port), timeout=20) as connection:
        connection.sendall(b"POST /events HTTP/1.1\r\nContent-Type: application/json\r\nConnection: close\r\n")
        connection.sendall(b"Content-Length: %d\r\n\r\n" % len(body))
        begun = time.monotonic()
        for number in range(len(body)):
            connection.sendall(body[number : number + 1])
            time.sleep(Hasty.stalled_seconds / 8)
        assert time.monotonic() - begun > Hasty.stalled_seconds
        with connection.makefile("rb") as answer:
            assert answer.read().split()[1] == b"201"


class Refusing(Worker):
    """A worker without a server around it, that refuses all there is, over one connection."""

    def __init__(self) -> None:
        self.cfg, self.log, self.alive, self.nr, self.max_requests = Config(), Logger(Config()), True, 0, 99
        self.refused: list[str] = []
        patience = Patience(1.0, clock=chain([0.0], repeat(1.0)).__next__)
        self.shedding = Shedding(never, patience, self.refused.append, wait_of=lambda sock: 9.0)
        self.wsgi = self._counted  # type: ignore[assignment]  # gunicorn types it otherwise than wsgiref
        self.in_the_application = 0
        assert not patience.ends(lambda: 9.0)  # the first late one

    def _counted(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        self.in_the_application += 1
        assert self.shedding is not None
        return self.shedding(environ, start_response)

    def answers(self, requests: list[bytes]) -> list[bytes]:
        """What it sends for each of these."""
        ours, theirs = socket.socketpair()
        with ours, theirs:
            stream = RequestParser(Config(), iter(requests), ("127.0.0.1", 1))
            found = []
            for request in stream:
                with suppress(StopIteration):  # so gunicorn closes
                    self.handle_request(("127.0.0.1", 80), request, ours, ("127.0.0.1", 1))
                found.append(CHANGING.sub(b"", theirs.recv(65_536)))
            return found


def never(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    raise AssertionError("nothing is served")


@pytest.fixture
def refusing(monkeypatch: pytest.MonkeyPatch) -> Refusing:
    monkeypatch.setattr(RequestParser, "mesg_class", RememberingRequest)
    monkeypatch.setattr(wsgi, "create", create)
    return Refusing()


@pytest.mark.parametrize("path", [b"/event", b"/dialects/ticks/ticks"])
def test_what_is_refused_past_the_application_gets_the_same_answer(refusing: Refusing, path: bytes) -> None:
    first, second, third = refusing.answers([head(1).replace(b"/event", path) + b"ab"] * 3)
    assert first == second == third
    assert first.startswith(b"HTTP/1.1 503 ")
    assert (refusing.refused, refusing.in_the_application) == (["POST"] * 3, 1)


@pytest.mark.parametrize(
    "request_line", [b"HEAD /statistics HTTP/1.1\r\n", b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n"]
)
def test_the_application_refuses_what_is_unusual(refusing: Refusing, request_line: bytes) -> None:
    first, second = refusing.answers([request_line + b"Host: x\r\n\r\n"] * 2)
    assert first == second
    assert refusing.in_the_application == 2


def test_a_worker_that_ends_says_so_to_those_it_refuses(refusing: Refusing) -> None:
    refusing.answers([head(1) + b"ab"])
    refusing.alive = False
    assert b"\r\nConnection: close\r\n" in refusing.answers([head(1) + b"ab"])[0]
