"""Log lines as JSON objects, one a line on stderr; those of a request carry its id."""

from __future__ import annotations

import logging
import re
import time
from typing import Any
from uuid import uuid4

import orjson
from flask import Flask, Response, g, has_request_context, request

from times import format_timestamp

LOGGER = "tidemark"
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
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if has_request_context():
            line |= {"request_id": request_id(), "method": request.method, "path": request.path}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str).decode()


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
