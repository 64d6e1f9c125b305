"""Raw connections to two servers, or workers of this process, side by side: the same bytes to both."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable
from random import Random
from typing import Any
from urllib.parse import quote

import gevent

from serving.worker import Worker
from tests.api.generated import MAX_BATCH, MAX_BODY, Generated, Generator
from tests.conftest import START
from tests.servers import Server
from tests.serving.in_process import connected

Ask = Callable[[list[bytes]], bytes | None]
"""Sends these pieces over a connection of their own, and returns all that comes back."""
ENOUGH = 300
"""Number of connections by which each wrong loop has been found; the last of them is found at the 20th."""
SEED = 27
APART_SECONDS = 0.002
"""Between two writes, so that most arrive apart."""
SETTINGS = {
    "TIDEMARK_LOG_URL": "memory:",
    "TIDEMARK_MAX_BODY": str(MAX_BODY),
    "TIDEMARK_MAX_BATCH": str(MAX_BATCH),
    "TIDEMARK_MAX_SERIES": "14",
    "TIDEMARK_MAX_SYMBOLS": "3",
}
CHANGING = re.compile(rb"\r\nDate: [^\r]+|\r\nX-Request-ID: [^\r]+|request id \w+")
"""Parts that differ between any two answers."""
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
    *(b"User-Agent: \xff\x80", b"Cookie:\t\xe9\t", b"Accept:a", b"accept: c", b"Accept : a", b"Accept\t: a", b"Host:"),
    *(
        b"Content-Length:3",
        b"Content-Length : 3",
        b"Content-Length: 3\t",
        b"Content-Length: +3",
        b"Content-Length: \xb2",
    ),
    *(b"Content-Type:application/json", b"Content-Type: application/json\t", b"Expect:100-continue", b"Cookie: \xa0"),
    *(b"Transfer-Encoding:\tchunked", b"Transfer-Encoding: chunked, chunked", b"Transfer-Encoding: gzip, chunked"),
)
SEPARATORS = (b":", b":\t", b":  ", b" : ", b": \t ")


def of_server(server: Server, pieces: list[bytes]) -> bytes | None:
    """Return as `answers` what a server says."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return answers(connection, pieces, time.sleep)


def of_worker(worker: Worker, pieces: list[bytes]) -> bytes | None:
    """Return as `answers` what a worker of this process says."""
    with connected(worker) as connection:
        return answers(connection, pieces, gevent.sleep)


def answers(connection: Any, pieces: list[bytes], sleep: Callable[[float], None]) -> bytes | None:
    """Return all that comes back over a connection on which these pieces are sent; None if it was reset."""
    found = b""
    try:
        for number, piece in enumerate(pieces):
            if number:
                sleep(APART_SECONDS)
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
    if random.random() < 0.05:
        at = random.randrange(len(head))
        head[at] = head[at].replace(b": ", random.choice(SEPARATORS), 1)
    if random.random() < 0.03:
        head.append(b"Connection: close")
    body = request.body
    if random.random() < 0.1:
        head = [line for line in head if not line.startswith(b"Content-Length")] + [b"Transfer-Encoding: chunked"]
        body = in_chunks(body, random)
    return (b"\r\n" if random.random() < 0.02 else b"") + b"\r\n".join(head) + b"\r\n\r\n" + body


def in_chunks(body: bytes, random: Random) -> bytes:
    """The body in chunks, mostly one; now and then something is odd about the last one."""
    size = random.choice((1, 7, MAX_BODY, MAX_BODY))
    chunks = [body[at : at + size] for at in range(0, len(body), size)]
    last = random.choice(LAST_CHUNKS) if random.random() < 0.1 else LAST_CHUNKS[0]
    return b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + last


def announcing_more(request: bytes) -> bytes:
    """The request with a body that is a byte longer than what comes of it."""
    return re.sub(rb"\r\nContent-Length: ([0-9]{1,9})\r\n", _one_more, request, count=1)


def _one_more(line: re.Match[bytes]) -> bytes:
    return b"\r\nContent-Length: %d\r\n" % (int(line[1]) + 1)


LAST_CHUNKS = (b"0\r\n\r\n", b"0;x=y\r\n\r\n", b"00\r\n\r\n", b"0\r\nTrailer: x\r\n\r\n", b"x\r\n\r\n", b"0\r\n")


def _header(name: str) -> str:
    return name.removeprefix("HTTP_").replace("_", "-").title()


def in_pieces(requests: list[bytes], random: Random) -> list[bytes]:
    """Mostly whole; with a body in chunks, as often in up to four pieces, and nothing behind it. Ours may end there:
    what gunicorn did with the rest would tell the two apart from then on, so behind such a body there are only
    questions."""
    chunked = next((at for at, request in enumerate(requests) if b"chunked" in request.lower()), len(requests))
    upto, behind = requests[: chunked + 1], requests[chunked + 1 :]
    if random.random() < (0.8 if chunked == len(requests) else 0.5):
        return [b"".join((*upto, *(request for request in behind if request.startswith(b"GET "))))]
    data = b"".join(upto)
    cuts = sorted({random.randrange(len(data)) for _ in range(random.randint(1, 3))} - {0})
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]


def first_difference(ours: Ask, plain: Ask, connections: int) -> str:
    """Return the first difference between the two over a number of connections; empty when there is none."""
    random, generator = Random(SEED), Generator(SEED)
    reset = 0
    for number in range(connections):
        requests = [as_bytes(generator.request(START), random) for _ in range(random.randint(1, 4))]
        if random.random() < 0.5:
            requests.append(random.choice(requests))
        if random.random() < 0.05:
            requests[-1] = announcing_more(requests[-1])
        pieces = in_pieces(requests, random)
        told, other = ours(pieces), plain(pieces)
        if told is None or other is None:
            reset += 1
        elif not (told == other or is_ended_early(pieces, told, other)):
            return f"connection {number}: {pieces}: {told!r}, {other!r}"
    return f"{reset} of them were reset" if reset > connections / 8 else ""


def is_ended_early(pieces: list[bytes], ours: bytes, plain: bytes) -> bool:
    """Return whether the two differ in nothing but that ours ended the connection at a body in chunks, and said so:
    nothing follows one that nobody reads. gunicorn says that the connection goes on, and looks for the next request
    behind it, or answers 400 to a chunk behind its answer."""
    said, _, last = ours.rpartition(b"\r\nConnection: close")
    return b"chunked" in b"".join(pieces).lower() and plain.startswith(said + b"\r\nConnection: keep-alive" + last)
