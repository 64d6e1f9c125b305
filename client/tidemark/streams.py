"""Server-Sent Events, over as many connections as it takes."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from typing import Any, NamedTuple

import urllib3

from tidemark.answers import Event, Gap
from tidemark.errors import Problem, Unanswered
from tidemark.retrying import LONGEST_PAUSE
from tidemark.transport import Query, Transport, in_path

FIRST_PAUSE = 0.2
_COME_BACK = {408, 429, 500, 502, 503, 504}


class Message(NamedTuple):
    """One event of a stream."""

    kind: str
    data: Any
    id: str | None


def messages(chunks: Iterable[bytes]) -> Iterator[Message]:
    """Read messages out of the chunks of a stream; one that is not complete at the end is none."""
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n\n")
        for text in whole:
            if found := _message(text.decode()):
                yield found


def _message(text: str) -> Message | None:
    fields = dict(line.split(": ", 1) for line in text.split("\n") if ": " in line)
    if "data" not in fields:
        return None  # a comment, or the pause that the server asks for
    return Message(fields.get("event", "message"), json.loads(fields["data"]), fields.get("id"))


def follow(
    transport: Transport, path: str, query: Query = (), *, sleep: Callable[[float], None] = time.sleep
) -> Generator[Message, None, None]:
    """Yield the messages of a stream, without end: where it breaks off it is opened again behind the last one.
    Raises NotAllowed or Problem where the server will not have it."""
    after: str | None = None
    pause = FIRST_PAUSE
    while True:
        try:
            with closing(transport.open(path, query, after)) as answer:
                after = after or answer.headers.get("Log-Position")
                for message in messages(answer.stream(None, decode_content=True)):
                    after, pause = message.id or after, FIRST_PAUSE
                    if message.kind not in ("close", "error"):
                        yield message
        except Problem as problem:
            if problem.status not in _COME_BACK:
                raise
        except (Unanswered, urllib3.exceptions.HTTPError):
            pass  # it broke off, as streams do; what was missed comes with the next connection
        sleep(pause * random.uniform(0.75, 1.0))
        pause = min(2 * pause, LONGEST_PAUSE)


def events(transport: Transport, series: str) -> Generator[Event | Gap, None, None]:
    """Yield each event of a series as it is accepted, from now on."""
    for message in follow(transport, f"/series{in_path(series)}/stream"):
        data = message.data
        if message.kind == "event":
            yield Event(data["series"], data["timestamp"], data["value"], data["position"])
        elif message.kind == "gap":
            yield Gap(data["series"], data["position"])
