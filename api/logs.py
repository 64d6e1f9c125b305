"""Log lines as JSON objects, one a line on stderr; those of a request carry its id.

A client cannot fill the log: each text of a line has a limit, and so have lines of one kind within a second; the next
one counts those left out.
"""

from __future__ import annotations

import logging
import re
import time
import traceback
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import orjson
from flask import Flask, Response, g, has_request_context, request

from times import format_timestamp

LOGGER = "tidemark"
LONGEST_TEXT = 1000
"""Characters of one text in a line."""
LONGEST_TRACEBACK = 8000
"""Characters of a traceback; its end, which names the exception, is kept."""
MOST_A_SECOND = 10
"""Lines of one kind within a second: faults of several causes share a kind, and each of them must be told."""
MOST_KINDS = 200
"""Kinds of lines that are remembered; each comes from a place in the code, so there are far fewer."""
_SENSIBLE_ID = re.compile(r"[\w.:-]{1,64}", re.ASCII)


class JsonFormatter(logging.Formatter):
    """Time, level, logger, message; the request if there is one; the traceback if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """One line of JSON."""
        line: dict[str, Any] = {
            "time": format_timestamp(int(record.created * 1_000_000)),
            "level": record.levelname,
            "logger": record.name,
            "process": record.process,
            "message": cut(record.getMessage()),
            **getattr(record, "fields", {}),
        }
        if has_request_context():
            line |= {"request_id": request_id(), "method": cut(request.method), "path": cut(request.path)}
        if record.exc_info:
            lines = self.formatException(record.exc_info).splitlines()
            line["traceback"] = "\n".join(map(cut, lines))[-LONGEST_TRACEBACK:]
        return orjson.dumps(line, default=str).decode()


def cut(text: str) -> str:
    """Return the text, or its beginning where it is too long for a line, as UTF-8 can write it."""
    short = text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}..."
    return short.encode(errors="backslashreplace").decode()


class RateLimit(logging.Filter):
    """Lets MOST_A_SECOND warnings or errors of a kind pass within a second; the next one tells the number left out.

    A kind is a message before its arguments, and the type and place of an exception. Takes no lock: it is shared by
    processes that fork, and a race costs one line at most.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._kinds: dict[object, tuple[float, int]] = {}
        """Start of the second of a kind, and the number of its lines since."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether this line is written."""
        if record.levelno < logging.WARNING:
            return True
        kind = record.name, record.msg, _place(record)
        now = self._clock()
        began, count = self._kinds.get(kind, (now, 0))
        if now - began < 1.0:
            self._note(kind, began, count + 1)
            return count < MOST_A_SECOND
        self._note(kind, now, 1)
        if left_out := max(0, count - MOST_A_SECOND):
            record.fields = {**getattr(record, "fields", {}), "left_out": left_out}
        return True

    def _note(self, kind: object, began: float, count: int) -> None:
        if kind not in self._kinds and len(self._kinds) >= MOST_KINDS:
            self._kinds.clear()
        self._kinds[kind] = began, count


def _place(record: logging.LogRecord) -> tuple[object, ...]:
    """Return the type of the exception of a line, if it has one, and the file and line that raised it."""
    kind, _, trace = record.exc_info or (None, None, None)
    frames = list(traceback.walk_tb(trace))
    return (kind, frames[-1][0].f_code.co_filename, frames[-1][1]) if frames else (kind,)


def request_id() -> str:
    """The client's `X-Request-ID` if it is a sensible one, else one made up; the same for the whole request."""
    if "request_id" not in g:
        given = request.headers.get("X-Request-ID", "")
        g.request_id = given if _SENSIBLE_ID.fullmatch(given) else uuid4().hex
    found: str = g.request_id
    return found


def configure(app: Flask, level: str) -> None:
    """Send the lines of `app` to stderr; at DEBUG there is one for each request, which costs throughput."""
    logger = logging.getLogger(LOGGER)
    logger.setLevel(level)
    if not logger.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(JsonFormatter())
        handler.addFilter(RateLimit())
        logger.addHandler(handler)
    app.logger = logger
    if level == "DEBUG":
        app.before_request(_note_start)
        app.after_request(_log_request)


def _note_start() -> None:
    g.started = time.perf_counter()


def _log_request(response: Response) -> Response:
    milliseconds = round((time.perf_counter() - g.started) * 1000, 3)
    fields = {"status": response.status_code, "milliseconds": milliseconds}
    logging.getLogger(LOGGER).debug("request", extra={"fields": fields})
    response.headers["X-Request-ID"] = request_id()
    return response
