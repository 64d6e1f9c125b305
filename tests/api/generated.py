"""Requests for the fast path and for Flask alone: plain ones, odd ones and broken ones, the same for a seed."""

from __future__ import annotations

from random import Random
from typing import NamedTuple

import orjson

from times import MINUTE, SECOND, format_timestamp

MAX_BODY = 2_000
MAX_BATCH = 12
RARE = 3
"""Percentage of requests."""

PATHS = (
    *("/event", "/event", "/event", "/v1/event", "/events", "/events", "/v1/events"),
    *("/dialects/ticks/ticks", "/dialects/transactions/transactions", "/dialects/batches/add_batch/"),
    "/dialects/batches/add_batch",
)
GETS = ("/statistics", "/v1/statistics")
OTHER_PATHS = (
    *("/", "/event/", "//event", "/v2/event", "/Event", "/event\x00", "/v1", "/v1/events/", "/health", "/series"),
    *("/dialects/ticks/ticks/", "/dialects/ticks/statistics", "/dialects/batches/stats/a/1", "/statistics/"),
    *("/v1/statistics/", "//statistics", "/statistics//", "/docs", "/openapi", "/event/x"),
)
NAMES = (
    *("a", "b", "AAPL", "BTC/USD", "web/1", "a b", "a%b", "default", "transactions", "x" * 128, "q?", "a//b", "é"),
    *("", "x" * 129, "\x7f", "a\nb", "a/", "/", "/a", "\u20ac", "\x85", "a\x00"),
)
METHODS = ("HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE", "get", "get", "post", "FOO")
QUERIES = (
    *("window=60s", "window=60s", "last=3", "window=5m&last=2", "window=2.5", "window=1h30m", "last=12345678"),
    *("window=1h", "window=61m", "window=0", "window=", "last=0", "last=", "last=123456789", "last=-1", "window=1h&"),
    *("last=3&window=60s", "window=60s&window=60s", "last=2&last=2", "window=60s&x=1", "include=sum", "&", "window"),
    *("window=60s&&last=1", "window=%36%30", "window=6+0", "last=1_0", "window=\xff", "last=\xb2", "window=1m1h", "?"),
    *(
        "window=1e3",
        "window=.5",
        "window=" + "1" * 41,
        "window=60S",
        "last=1;last=2",
        "window=60s&last=1&last=2",
        "=",
        "",
    ),
)
HEADERS = (
    *(("HTTP_ACCEPT", "text/html"), ("HTTP_ACCEPT", "*/*"), ("HTTP_USER_AGENT", "x\xff"), ("HTTP_COOKIE", "session=x")),
    *(("HTTP_CONNECTION", "close"), ("HTTP_CONNECTION", "Upgrade"), ("HTTP_ORIGIN", "http://x"), ("HTTP_HOST", "[bad")),
    *(("HTTP_HOST", "x,y"), ("HTTP_HOST", ""), ("HTTP_X_FORWARDED_FOR", "1.2.3.4, 5.6.7.8"), ("HTTP_REFERER", "x")),
    *(("HTTP_X_FORWARDED_PROTO", "https"), ("HTTP_X_FORWARDED_HOST", "evil"), ("HTTP_X_FORWARDED_PREFIX", "/v1")),
    *(("HTTP_X_REQUEST_ID", "abc"), ("HTTP_FORWARDED", "for=x"), ("HTTP_CACHE_CONTROL", "no-cache")),
    *(
        ("HTTP_SEC_FETCH_SITE", "cross-site"),
        ("HTTP_SEC_FETCH_SITE", "same-origin"),
        ("HTTP_SEC_FETCH_MODE", "navigate"),
    ),
)
ODD_HEADERS = (
    *(("HTTP_CONTENT_ENCODING", "gzip"), ("HTTP_CONTENT_ENCODING", "identity"), ("HTTP_EXPECT", "100-continue")),
    *(("HTTP_TRANSFER_ENCODING", "chunked"), ("HTTP_IDEMPOTENCY_KEY", "k"), ("HTTP_AUTHORIZATION", "Bearer x")),
    *(("HTTP_UPGRADE", "websocket"), ("HTTP_IF_NONE_MATCH", "*"), ("HTTP_RANGE", "bytes=0-1"), ("SCRIPT_NAME", "/x")),
    *(("HTTP_X_HTTP_METHOD_OVERRIDE", "GET"), ("HTTP_SCRIPT_NAME", "/x"), ("HTTP_CONTENT_LENGTH", "3")),
    *(("HTTP_CONTENT_TYPE", "text/csv"), ("HTTP_UNHEARD_OF", "1"), ("HTTP_ACCEPT", "text/csv"), ("REMOTE_USER", "me")),
)
TYPES = (
    *("application/json; charset=utf-8", "application/json;charset=latin-1", "Application/JSON", "text/csv", None, ""),
    *("application/x-ndjson", "application/ld+json", "text/plain", " application/json", "application/json,text/csv"),
)
LENGTHS = ("+{}", "0{}", " {}", "{}.0", "{}1", "-{}", "\xb2", "", None, "1", "0", "9" * 5000, "{}_0", "2001", "\u0665")
NUMBERS = (
    *(
        "1",
        "2.5",
        "-3",
        "0",
        "-0.0",
        "1e3",
        "1E-7",
        "123456789012345678",
        "12345678901234567890123",
        "1.7976931348623157e308",
    ),
    *(
        "1e400",
        "NaN",
        "Infinity",
        "-1e999",
        "01",
        "1.",
        "+1",
        ".5",
        "true",
        "null",
        '"1"',
        "[]",
        "{}",
        "[1]",
        "0x1",
        "",
    ),
)
ODD_TIMES = ("0", "-1", "-0.0", "1e10", "1e300", "1e400", "99999999999999999999", "99999999999.9", "1e11", "true")
BROKEN_BODIES = (
    *(b"", b" ", b"null", b"[]", b"{}", b"[[]]", b"1", b'"a"', b"\xff", b"\xef\xbb\xbf{}", b"[" * 1500, b'{"a":' * 300),
    *(b'{"values": []}', b'{"values": 1}', b'{"symbol":"a","values":[[1],[2]]}', b'[{"timestamp":1}]', b"{]", b"{}}"),
)


class Generated(NamedTuple):
    """One request, as a server hands it over."""

    environ: dict[str, str]
    body: bytes
    log_refuses: bool
    """True if the log takes no write meanwhile."""
    passes: int
    """Microseconds that pass before it."""


class Generator:
    """Endless requests; the same for the same seed and the same clock."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)

    def request(self, now: int) -> Generated:
        """The next one, with timestamps around `now`."""
        random = self.random
        environ, body = self._get() if random.random() < 0.35 else self._post(now)
        while random.random() < 0.3:
            name, value = random.choice(HEADERS)
            environ[name] = value
        if self._rarely(6):
            name, value = random.choice(ODD_HEADERS)
            environ[name] = value
        if self._rarely(3):
            environ["REQUEST_METHOD"] = random.choice(METHODS)
            if self._rarely(50):  # the boundary against foreign pages reads both
                environ["HTTP_ORIGIN"] = "http://x"
        if self._rarely(2):
            environ["PATH_INFO"] = environ["PATH_INFO"].encode("latin-1").upper().decode("latin-1")
        if self._rarely(4):
            environ["PATH_INFO"] = random.choice((*OTHER_PATHS, *PATHS, *GETS))
        if self._rarely(2):
            environ["QUERY_STRING"] = random.choice(QUERIES)
        return Generated(environ, body, self._rarely(1), random.choice((0, 1, 1000, SECOND)))

    def _rarely(self, percent: int) -> bool:
        return self.random.random() * 100 < percent

    def _get(self) -> tuple[dict[str, str], bytes]:
        random = self.random
        path = random.choice(GETS)
        if random.random() < 0.6:
            path += "/" + self._name().encode(errors="surrogatepass").decode("latin-1")
            if self._rarely(RARE):
                path += random.choice(("/", "\xff", "\xc3", "\x00", "/events", "\xed\xa0\x80"))
        query = random.choice(QUERIES) if random.random() < 0.5 else ""
        environ = {"REQUEST_METHOD": "GET", "PATH_INFO": path, "QUERY_STRING": query}
        percent = random.random() * 100
        if percent < RARE:
            environ |= {"CONTENT_LENGTH": "2", "CONTENT_TYPE": "application/json"}
            return environ, b"{}"
        if percent < 2 * RARE:
            environ["CONTENT_LENGTH"] = "0"
        return environ, b""

    def _post(self, now: int) -> tuple[dict[str, str], bytes]:
        random = self.random
        path = random.choice(PATHS)
        body = self._broken(self._body(path, now))
        environ = {"REQUEST_METHOD": "POST", "PATH_INFO": path, "QUERY_STRING": "", "CONTENT_LENGTH": str(len(body))}
        environ["CONTENT_TYPE"] = "application/json"
        if self._rarely(4):
            _put(environ, "CONTENT_TYPE", random.choice(TYPES))
        if self._rarely(4):
            length = random.choice(LENGTHS)
            _put(environ, "CONTENT_LENGTH", length and length.format(len(body)))
        return environ, body

    def _broken(self, body: bytes) -> bytes:
        random = self.random
        if self._rarely(1):
            return random.choice(BROKEN_BODIES)
        if self._rarely(1):
            return body + b" " * random.choice((1, MAX_BODY - len(body), MAX_BODY - len(body) + 1))
        if self._rarely(4) and body:
            at = random.randrange(len(body))
            return (
                body[:at] + random.choice((b"", b'"', b"\\", b",", b"\x00", b"\xff", b" ", b"e", b"0")) + body[at + 1 :]
            )
        return body

    def _body(self, path: str, now: int) -> bytes:
        if path.endswith("/event"):
            return self._event(now)
        if path.endswith("/events"):
            return self._events(now) if self.random.random() < 0.6 else self._columns(now)
        if path.endswith("/ticks"):
            return self._object({"instrument": self._text(), "price": self._number(), "timestamp": self._epoch(now)})
        if path.endswith("/transactions"):
            return self._object({"amount": self._number(), "timestamp": self._epoch(now)})
        values = "[[1],[2]]" if self._rarely(RARE) else self._numbers(self._size())
        return self._object({"symbol": self._text(), "values": values})

    def _event(self, now: int) -> bytes:
        fields = {"timestamp": self._timestamp(now), "value": self._number()}
        if self._rarely(10):
            del fields["timestamp"]
        if self.random.random() < 0.6:
            fields["series"] = self._text()
        return self._object(fields)

    def _events(self, now: int) -> bytes:
        return b"[" + b",".join(self._event(now) for _ in range(self._size())) + b"]"

    def _columns(self, now: int) -> bytes:
        size = self._size()
        fields = {"values": self._numbers(size)}
        if self.random.random() < 0.6:
            stamps = ",".join(self._timestamp(now) for _ in range(size + self._rarely(2)))
            fields["timestamps"] = f"[{stamps}]"
        if self.random.random() < 0.6:
            fields["series"] = self._text()
        return self._object(fields)

    def _size(self) -> int:
        return self.random.choice((0, MAX_BATCH, MAX_BATCH + 1)) if self._rarely(6) else self.random.randint(1, 4)

    def _object(self, fields: dict[str, str]) -> bytes:
        """JSON of the fields, some of them odd: in another order, missing, twice, misspelt, with an escape."""
        random = self.random
        items = list(fields.items())
        if self._rarely(20):
            random.shuffle(items)
        if self._rarely(RARE):
            items.append(random.choice((items[0], ("serie", '"a"'), ("x", "1"), ("", "null"), (items[0][0], "1"))))
        if self._rarely(1):
            items.pop()
        between = random.choice((", ", ",", ",\n "))
        written = between.join(f"{_name(name, escaped=self._rarely(1))}: {text}" for name, text in items)
        return f"{{{written}}}".encode(errors="surrogatepass")

    def _numbers(self, size: int) -> str:
        return f"[{','.join(self._number() for _ in range(size))}]"

    def _number(self) -> str:
        return self.random.choice(NUMBERS) if self._rarely(1) else f"{self.random.uniform(-100, 100):.3f}"

    def _name(self) -> str:
        return self.random.choice(NAMES) if self._rarely(20) else self.random.choice(NAMES[:8])

    def _text(self) -> str:
        if self._rarely(2):
            return self.random.choice(("1", "null", '["a"]', '"\\ud800"', '"a\\u0000"', '"\\""', '"\\u0061"', "true"))
        return orjson.dumps(self._name()).decode()

    def _moment(self, now: int) -> int:
        choice = self.random.random()
        if choice < 0.04:
            return now + self.random.choice((MINUTE, MINUTE + 1, 10 * MINUTE, -60 * MINUTE, -60 * MINUTE + 1, -MINUTE))
        return now - self.random.randrange((90 if choice < 0.1 else 1) * MINUTE)

    def _epoch(self, now: int) -> str:
        if self._rarely(RARE):
            return self.random.choice(("0", "-1", "1.5", "1e3", '"1"', "null", "true", "99999999999999999999", "1e300"))
        return str(self._moment(now) // 1000)

    def _number_of(self, moment: int) -> str:
        """A moment as a number since the epoch, in one of the units that a native timestamp may have, or an odd one."""
        if self._rarely(RARE):
            return self.random.choice(ODD_TIMES)
        whole, rest = divmod(moment, SECOND)
        return self.random.choice(
            (
                f"{whole}",
                f"{whole}.{rest:06d}",
                f"{moment // 1000}",
                f"{moment}",
                f"{moment * 1000 + 500}",
                f"{moment}.5",
            )
        )

    def _timestamp(self, now: int) -> str:
        if self._rarely(RARE):
            return self.random.choice(
                (
                    "1",
                    "null",
                    '""',
                    '"2025-06-26"',
                    '"yesterday"',
                    '"2025-02-30T00:00:00Z"',
                    '"2025-06-26T14:30:00.0000000001Z"',
                )
            )
        if self._rarely(20):
            return self._number_of(self._moment(now))
        text = format_timestamp(self._moment(now))
        return f'"{text}"' if self.random.random() < 0.8 else f'"{text[:-1]}+00:00"'


def _put(environ: dict[str, str], name: str, value: str | None) -> None:
    if value is None:
        environ.pop(name, None)
    else:
        environ[name] = value


def _name(name: str, *, escaped: bool) -> str:
    return f'"\\u{ord(name[0]):04x}{name[1:]}"' if escaped and name else f'"{name}"'
