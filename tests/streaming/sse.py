"""A client of Server-Sent Events for the tests, strict about their format."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any, Self
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Message:
    """One event of a stream."""

    event: str
    data: str
    id: str | None

    @property
    def json(self) -> Any:
        """Return what its data says."""
        return json.loads(self.data)


def parse(raw: bytes) -> list[Message]:
    """The events of a piece of a stream, which must end where one ends."""
    blocks = raw.decode().split("\n\n")
    assert blocks.pop() == "", "the piece ends within an event"
    return [message for block in blocks if (message := _message(block))]


def _message(block: str) -> Message | None:
    fields = dict(line.split(": ", 1) for line in block.split("\n") if not line.startswith(":"))
    assert fields.keys() <= {"event", "data", "id", "retry"}
    return Message(fields["event"], fields["data"], fields.get("id")) if "data" in fields else None


class Stream:
    """An open stream of a real server."""

    def __init__(
        self,
        url: str,
        last_event_id: int | None = None,
        timeout: float = 60.0,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        parts = urlsplit(url)
        self._connection = HTTPConnection(parts.netloc, timeout=timeout)
        resume = {} if last_event_id is None else {"Last-Event-ID": str(last_event_id)}
        self._connection.request(
            "GET", parts._replace(scheme="", netloc="").geturl(), headers={**resume, **(headers or {})}
        )
        self._response = self._connection.getresponse()
        if self._response.status != 200:
            self.close()
            raise AssertionError(f"{url} answered {self._response.status}")
        self._messages = self._read()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Message]:
        return self._messages

    @property
    def port(self) -> int:
        """The port on this side of the connection."""
        return int(self._connection.sock.getsockname()[1])

    def take(self, count: int) -> list[Message]:
        """The next `count` events."""
        return [next(self._messages) for _ in range(count)]

    def skip(self, count: int) -> None:
        """Read past the next `count` events; quicker than taking them. Only for whole batches from the beginning."""
        while count > 0:
            piece = self._response.read1(1 << 20)
            assert piece, "the stream ended"
            count -= piece.count(b"\n\n") - piece.count(b"retry: ")

    def close(self) -> None:
        """Leave without a word."""
        self._response.close()
        self._connection.close()

    def _read(self) -> Iterator[Message]:
        rest = b""
        while piece := self._response.read1(1 << 16):
            whole, separator, rest = (rest + piece).rpartition(b"\n\n")
            yield from parse(whole + separator)
        assert rest == b"", "the stream ends within an event"
