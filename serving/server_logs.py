"""Log lines of gunicorn and gevent, as JSON that quotes no client."""

from __future__ import annotations

import logging
import ssl
import sys
from types import TracebackType
from typing import Any

import gevent
from gunicorn.config import Config
from gunicorn.glogging import Logger
from gunicorn.http.errors import ParseException

from api.logs import LOGGER, JsonFormatter, RateLimit

_REFUSED = "Invalid request from ip="
"""Beginning of gunicorn's line about a request that it refuses; the end of the line quotes the request."""
_OF_CONNECTIONS = (ssl.SSLError, ConnectionError, TimeoutError)
"""Errors that a client can cause outside of a request; no fault of the service, so without a traceback."""


class JsonLogger(Logger):
    """gunicorn's own lines, written like the application's."""

    def setup(self, cfg: Config) -> None:
        """Give each of gunicorn's handlers our form and our bound."""
        super().setup(cfg)
        for handler in self.error_log.handlers:
            handler.setFormatter(JsonFormatter())
            handler.addFilter(RateLimit())

    def warning(self, msg: object, *args: object, **options: Any) -> None:
        """Write a warning; of a refused request the address and the kind of fault only.

        A header without its colon would stand there otherwise, with the token that it holds.
        """
        text = str(msg)
        if text.startswith(_REFUSED):
            ip = text.removeprefix(_REFUSED).partition(": ")[0]
            self._tell_refused(ip, sys.exc_info()[1])
        else:
            super().warning(msg, *args, **options)

    def exception(self, msg: object, *args: object, **options: Any) -> None:
        """Write an exception with its traceback; a path without its query, which may hold a token."""
        fault = sys.exc_info()[1]
        if isinstance(fault, ParseException):
            self._tell_refused("", fault)
        else:
            super().exception(msg, *(str(arg).partition("?")[0] for arg in args), **options)

    def _tell_refused(self, ip: str, fault: BaseException | None) -> None:
        self.error_log.warning(
            "refused a request that is no HTTP: %s", type(fault).__name__, extra={"fields": {"ip": ip}}
        )


def report_hub_errors() -> None:
    """Write what ends a greenlet of this process as one line; gevent prints a traceback to stderr.

    A TLS handshake that fails, which any client can cause, ends its greenlet.
    """
    hub = gevent.get_hub()
    logger = logging.getLogger(LOGGER)
    handle = hub.handle_error

    def handle_error(
        context: object,
        kind: type[BaseException] | None,
        fault: BaseException | str | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(fault, _OF_CONNECTIONS):
            logger.warning("a connection failed before its first request: %s", fault)
        elif kind is not None and not issubclass(kind, hub.NOT_ERROR):
            cause = fault if isinstance(fault, BaseException) else None
            logger.error("a greenlet failed: %s", kind.__name__, exc_info=cause)
        handle(context, kind, fault, trace)

    hub.exception_stream = None  # so that gevent prints nothing beside it
    hub.handle_error = handle_error  # type: ignore[method-assign,assignment]  # as gevent's documents say
