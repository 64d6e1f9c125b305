"""The composition root: settings, log, service and blueprints become one application.

`gunicorn app:app` serves it; `python app.py` serves it for development, on HOST and PORT.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from typing import NoReturn

from flask import Flask

import api
import dashboard
import dialects
import logs
from api.context import Context, attach, context
from api.flask_app import Application, allow_origins
from event_log.base import EventLog, LogUnavailable
from event_log.urls import open_log
from event_service import EventService
from settings import VERSION, BadSetting, Settings, read_address, read_settings
from times import wall_clock

_BAD_SETTING = 2
_APP_LOAD_ERROR = 4
"""The exit code by which a gunicorn worker tells its arbiter to stop, rather than to start another."""


def create_app(
    settings: Settings | None = None,
    *,
    clock: Callable[[], int] = wall_clock,
    log: EventLog | None = None,
    follow: bool = False,
) -> Flask:
    """The application, wired; `follow` has the service follow its log in the background. Raises BadSetting."""
    settings = settings or read_settings()
    log = log or open_log(settings)
    app = Application(__name__)
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body + 1  # see api.reading.bodies.read_body
    logs.configure(app, settings.log_level)
    attach(app, Context(EventService(log, settings, clock, follow=follow), settings))
    if settings.cors_origins:
        allow_origins(app, settings.cors_origins)
    api.register(app)
    dialects.register(app)
    app.register_blueprint(dashboard.bp)
    app.logger.info("created", extra={"fields": {"version": VERSION, "log": settings.log_url}})
    return app


@cache
def _app() -> Flask:
    return create_app(follow=True)


def __getattr__(name: str) -> Flask:
    """`app`, made when gunicorn asks for it (PEP 562): nothing runs at import."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return _app()
    except (BadSetting, LogUnavailable) as fault:
        _stop(fault, _APP_LOAD_ERROR)


def _stop(fault: Exception, code: int) -> NoReturn:
    print(f"tidemark: {fault}", file=sys.stderr)
    sys.exit(code)


def main() -> None:
    """Serve for development: one process, many threads."""
    try:
        host, port = read_address()
        app = create_app(follow=True)
        context(app).service.log.position()  # opens the log, here where its faults are told in one line
    except (BadSetting, LogUnavailable) as fault:
        _stop(fault, _BAD_SETTING)
    try:
        app.run(host, port, threaded=True)
    finally:
        context(app).service.close()


if __name__ == "__main__":
    main()
