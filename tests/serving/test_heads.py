"""Heads that two expressions read are read as gunicorn's strict parser reads them, and no others are."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from functools import cache
from random import Random
from typing import Any

import pytest
from flask import Flask
from gunicorn.config import Config
from gunicorn.http import RequestParser
from gunicorn.http.errors import ParseException
from gunicorn.util import unquote_to_wsgi_str

from api import fast_path
from api.context import context
from api.fast_path import FastPath, Way
from api.reading.bodies import JSON
from serving.heads import END, LONGEST, MOST_KNOWN, Head, Heads, Peer, read

PEER: Peer = ("127.0.0.1", "127.0.0.1")
CONFIG = Config()
HEADS = 10_000
SEED = 19
GET = b"GET /statistics HTTP/1.1\r\nHost: x\r\n\r\n"
TARGETS = (
    *("/statistics", "/statistics/a%20b", "/event", "/v1/events", "/", "//x", "/a?b=c", "/a?", "/?a?b", "/a#b", "*"),
    *("http://x/y", "/a/../b", "/%00", "/%FF", "/a;b", "/[", "/a]b?[", "x", "/a|b", "/\x80", "/a%", "/a:b", "/.//x"),
)
METHODS = ("GET", "POST", "HEAD", "get", "GETS", "DELETE", "")
VERSIONS = ("HTTP/1.1", "HTTP/1.0", "HTTP/1.2", "HTTP/2.0", "http/1.1", "HTTP/11", "")
NAMES = (
    *("Host", "host", "Accept", "Content-Length", "Content-Type", "Connection", "X-Request-ID", "User-Agent", "Cookie"),
    *("X_Y", "X Y", "X\t", " X", "", "X:", "\xdf", "X-Forwarded-Proto", "Expect", "Transfer-Encoding", "Upgrade"),
)
VALUES = (
    *(
        "x",
        " x ",
        "\tx\t",
        "",
        " ",
        "1",
        "0",
        "close",
        "a,b",
        "\xff\x80",
        "\xe9\t",
        "a\tb",
        "a:b",
        "\x00",
        "\x7f",
        "x\r",
    ),
    *("\n", "\xa0", "\x85", "\x0b"),
)
VALUES_OF = {
    "Content-Length": (
        *(
            "0",
            "05",
            "+5",
            "-5",
            "5 ",
            "\t5",
            "5_0",
            "5.0",
            "5,5",
            "5;",
            "0x5",
            "\xb2",
            "5\xa0",
            "",
            "9" * 9,
            "1" + "0" * 9,
        ),
    ),
    "Transfer-Encoding": ("chunked", "Chunked\t", "gzip, chunked", "identity", "chunked, chunked", "x", ""),
    "Expect": ("100-continue", "100-Continue", "x", ""),
    "Connection": ("close", "Close\t", "keep-alive", "close, x", "upgrade", "", "\xa0close"),
}
SEPARATORS = (": ", ":", " : ", ":\t", "", ":  ")
ENDS = ("\r\n", "\r\n", "\r\n", "\r\n", "\r\n", "\r\n", "\r\n", "\n", "\r", "\r\n ")
OF_A_POST = (("Content-Type", JSON), ("Content-Length", "5"))


def random_head(random: Random) -> bytes:
    """Mostly plain, but for one thing or two."""

    def one(usual: str, all_of_them: tuple[str, ...]) -> str:
        return usual if random.random() < 0.85 else random.choice(all_of_them)

    def field(name: str, usual: str) -> str:
        value = one(usual, VALUES_OF.get(name, VALUES))
        return f"{name}{one(': ', SEPARATORS)}{value}{one(ENDS[0], ENDS)}"

    is_post = random.random() < 0.5
    method, target = ("POST", "/event") if is_post else ("GET", "/statistics")
    first = f"{one(method, METHODS)} {one(target, TARGETS)} {one('HTTP/1.1', VERSIONS)}{one(ENDS[0], ENDS)}"
    names = [one(random.choice(NAMES[:9]), NAMES) for _ in range(random.randint(0, 3))]
    fields = [field(name, random.choice(("x", *VALUES_OF.get(name, ())))) for name in names]
    fields += [field(*each) for each in OF_A_POST if is_post]
    random.shuffle(fields)
    return ("".join([first, *fields]) + "\r\n").encode("latin-1")


def by_gunicorn(head: bytes) -> Any:
    """The same by gunicorn's parser, and the length of the body; None where it refuses it, or wants more, or less."""
    parser = RequestParser(CONFIG, iter([head]), ("127.0.0.1", 1))
    try:
        request = next(parser)
    except (ParseException, StopIteration, OSError):
        return None
    assert request.path is not None
    assert request.body is not None
    if request.version != (1, 1) or parser.unreader.take_buffered() or request.fragment:
        return None
    path, fields = unquote_to_wsgi_str(request.path), dict(request.headers)
    if len(fields) != len(request.headers):
        return None
    length = getattr(request.body.reader, "length", None)  # None of a body in chunks
    return Head(request.method or "", path, request.query or "", fields), length, request.should_close()


def plain_heads(count: int) -> Iterator[tuple[bytes, Head]]:
    """Yield random heads that are read."""
    random = Random(SEED)
    for _ in range(count):
        head = random_head(random)
        found = read(head)
        if found is not None:
            yield head, found


@cache
def some_heads() -> list[tuple[bytes, Head]]:
    """Made once for all wrong readings."""
    return list(plain_heads(HEADS))


def differs(fast: FastPath, head: bytes, found: Head) -> bool:
    """Return whether gunicorn reads a head otherwise. Of a body that is announced the expressions know nothing: those
    heads it may refuse, unless they have a way, of which it must say the same as the way."""
    way, told = fast.of(*found), by_gunicorn(head)
    if way is not None:
        return bool(told != (found, way.length, way.closes) or OF_ITS_OWN & found.fields.keys())
    return bool(told[0] != found) if told else not ANNOUNCING & found.fields.keys()


ANNOUNCING = {"CONTENT-LENGTH", "TRANSFER-ENCODING", "EXPECT"}
OF_ITS_OWN = {"TRANSFER-ENCODING", "EXPECT"}
"""Names that have gunicorn do something when the body is read."""


@pytest.fixture
def fast(app: Flask) -> FastPath:
    """The fast path of the application: its closed world of names goes with the expressions."""
    found: FastPath | None = context(app).fast_path(app)
    assert found is not None
    return found


@pytest.mark.no_cover
@pytest.mark.soak(count=(HEADS, 1_000_000))
def test_what_the_expressions_read_gunicorn_reads_alike(fast: FastPath, count: int) -> None:
    ways = read_at_all = 0
    for head, found in plain_heads(count):
        read_at_all += 1
        ways += fast.of(*found) is not None
        assert not differs(fast, head, found), head
    assert read_at_all > count / 10
    assert ways > count / 50


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("serving.heads._FIELDS", re.compile(rb"(?:[A-Za-z_-]+:[\t -~\x80-\xff]*\r\n)+\r\n")),
        ("serving.heads._FIELDS", re.compile(rb"(?:[A-Za-z-]+[ \t]*:[\t -~\x80-\xff]*\r\n)+\r\n")),
        ("serving.heads._FIELDS", re.compile(rb"(?:[A-Za-z-]+:[^\r\n]*\r\n)+\r\n")),
        ("serving.heads._FIELDS", re.compile(rb"(?:[A-Za-z-]+:[\t -~\x80-\xff]*\r?\n)+\r\n")),
        ("serving.heads._REQUEST_LINE", re.compile(rb"(GET|POST) (/[!-~]*) HTTP/1\.1\r\n")),
        ("serving.heads._REQUEST_LINE", re.compile(rb'(?i:(GET|POST)) (/[!"$-~]*) HTTP/1\.1\r\n')),
        ("serving.heads._REQUEST_LINE", re.compile(rb'(GET|POST) (/[!"$-~]*) HTTP/1\.[01]\r\n')),
        ("serving.heads._REQUEST_LINE", re.compile(rb'(GET|POST) (/?[!"$-~]*) HTTP/1\.1\r\n')),
        ("api.fast_path._LENGTH", re.compile("[+]?[0-9]{1,9}")),
        ("api.fast_path._LENGTH", re.compile("[0-9_]{1,9}")),
        ("api.fast_path._LENGTH", re.compile("-?[0-9]{1,9}")),
        ("api.fast_path._LENGTH", re.compile(r"[0-9]{1,9}\s?")),
        ("api.fast_path._WITH_BODY", fast_path._WITH_BODY | {"TRANSFER-ENCODING"}),
        ("api.fast_path._WITH_BODY", fast_path._WITH_BODY | {"EXPECT"}),
        ("api.fast_path._WITHOUT_BODY", fast_path._WITHOUT_BODY | {"TRANSFER-ENCODING"}),
    ],
)
@pytest.mark.no_cover
def test_wrong_readings_are_found(monkeypatch: pytest.MonkeyPatch, fast: FastPath, name: str, wrong: object) -> None:
    monkeypatch.setattr(name, wrong)
    assert any(differs(fast, head, found) for head, found in some_heads())


@pytest.mark.parametrize("field", [b"Accept: y\r\naccept: z", b"Host: y", b"host: x", b"X: " + b"x" * LONGEST])
def test_names_that_come_twice_and_long_heads_are_left_to_gunicorn(field: bytes) -> None:
    assert read(GET) is not None
    assert read(GET[:-2] + field + END) is None


WORST_SECONDS = 0.005
"""Maximum seconds of a processor: a hundred times what it takes; an expression that goes back takes more."""
WORST = [
    b"a:" + b" " * 4000,
    b"a:" + b" \t" * 2000 + b"x" + b" \t" * 30,
    b"\r\n".join([b"a: b"] * 650),
    b"\r\n".join([b"a%c: b" % letter for letter in b"abcdefghijklmnopqrstuvwxyz"] * 20),
    b"a" * 4000,
    b"a:" + b"\xff" * 4000,
    b":" * 4000,
]


@pytest.mark.parametrize("fields", WORST, ids=range(len(WORST)))
def test_the_worst_head_takes_little_time(fields: bytes) -> None:
    head = (b"GET / HTTP/1.1\r\n" + fields)[: LONGEST - 5] + b"\x00" + END
    for data in (head, head.replace(b"\x00", b"")):
        assert min(seconds_to_read(data) for _ in range(20)) < WORST_SECONDS


def seconds_to_read(data: bytes) -> float:
    """Return for how long this thread computes, whatever else the machine does."""
    begun = time.thread_time()
    read(data)
    return time.thread_time() - begun


def way_of(head: Head, peer: Peer) -> Way | None:
    """A way for every head but those with an odd name."""
    if "ODD" in head.fields:
        return None
    return Way(head.method, head.path, head.query, head.fields, head.path, lambda body: None, 0, closes=False)


def test_a_head_is_known_from_its_second_sight_on() -> None:
    asked: list[Head] = []

    def note(head: Head, peer: Peer) -> Way | None:
        asked.append(head)
        return way_of(head, peer)

    known = Heads(note)
    ways = [known.way(GET, PEER) for _ in range(5)]
    assert len(asked) == 2
    assert ways[2] is ways[3] is ways[4] is not None
    known.way(GET, ("127.0.0.1", "10.0.0.1"))  # to another address of ours, so it may be judged otherwise
    known.way(GET, ("127.0.0.2", "127.0.0.1"))
    known.way(GET, (None, None))
    assert len(asked) == 5


def test_heads_that_come_once_push_out_nothing_and_what_is_kept_is_bounded() -> None:
    known = Heads(way_of)
    for _ in range(2):
        known.way(GET, PEER)
    for number in range(5 * MOST_KNOWN):
        known.way(GET[:-2] + b"X-Request-ID: %d" % number + END, PEER)
    assert len(known) == 1
    for number in range(2 * MOST_KNOWN):
        for _ in range(2):
            known.way(GET[:-2] + b"Cookie: %d" % number + END, PEER)
    assert len(known) == MOST_KNOWN


def test_a_head_without_a_way_is_not_kept() -> None:
    known = Heads(way_of)
    for _ in range(3):
        assert known.way(GET[:-2] + b"Odd: x" + END, PEER) is None
    assert len(known) == 0
