"""The composition root: settings, log, service and blueprints become one application.

`gunicorn app:app` serves it; `python app.py` serves it for development, on HOST and PORT.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NoReturn

from flask import Flask

import api
import api.boundary
import dashboard
import dialects
import dialects.fast_path
import prometheus
from access.exposure import exposed
from access.foreign import Boundary
from access.watch import Watch
from alerts.board import Board
from alerts.changes import Changes
from alerts.following import AlertsFollower
from alerts.watch import AlertsWatch
from api import logs
from api.context import Context, attach, context
from api.fast_path import FastPath, native_takes
from api.flask_app import Application, allow_origins
from api.guard import Guard, guard_of
from api.guard import register as register_guard
from api.problems import overloaded_at
from event_log.errors import LogUnavailable
from event_log.port import RecordStore
from event_log.urls import open_store, printable_url
from metrics.meter import Meter, shared
from metrics.service import MeteredService
from serving.addresses import CannotListen, check_free, local_url
from settings import START_ID, VERSION, BadSetting, Settings, read_address, read_settings
from times import wall_clock
from view.per_process import PerProcess
from watched.file import BadFile

_CANNOT_LISTEN = 1
_BAD_SETTING = 2
_APP_LOAD_ERROR = 4
"""The exit code by which a gunicorn worker tells its arbiter to stop, rather than to start another."""


def create_app(
    settings: Settings | None = None,
    *,
    clock: Callable[[], int] = wall_clock,
    store: RecordStore | None = None,
    follow: bool = False,
) -> Flask:
    """The application, wired; `follow` has the service follow its log in the background. Raises BadSetting."""
    settings = settings or read_settings()
    store = store or open_store(settings.log_url, max_bytes=settings.log_max_bytes, sync=settings.sync)
    app = Application(__name__)
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body + 1  # see api.reading.bodies.read_body
    logs.configure(app, settings.log_level)
    guard = open_guard(settings, clock)
    app.meter = meter = Meter(shared())
    service = MeteredService(meter, store, settings, clock, follow=follow, start=os.environ.get(START_ID))
    boards = PerProcess(lambda: Board(service))
    changes = PerProcess(lambda: Changes(service, boards.here()))
    alerts = open_alerts(settings, service, boards, meter)
    boundary = Boundary(settings.allowed_hosts, settings.cors_origins, keyed=guard is not None)
    attach(app, Context(service, settings, meter, boundary, boards, changes, overloaded_at(app), alerts))
    api.boundary.register(app)
    if guard is not None:
        register_guard(app, guard)
    if settings.cors_origins:
        allow_origins(app, settings.cors_origins)
    api.register(app)
    dialects.register(app)
    prometheus.register(app)
    app.register_blueprint(dashboard.bp)
    _offer_fast_path(app)
    app.logger.info("created", extra={"fields": {"version": VERSION, "log": printable_url(settings.log_url)}})
    return app


def open_guard(settings: Settings, clock: Callable[[], int]) -> Guard | None:
    """The guard with the keys that KEYS names; None where it names none. Raises BadSetting."""
    if not settings.keys:
        return None
    try:
        return Guard(Watch(Path(settings.keys)), clock)
    except BadFile as fault:
        raise BadSetting(str(fault)) from fault


def open_alerts(
    settings: Settings, service: MeteredService, boards: PerProcess[Board], meter: Meter
) -> AlertsFollower | None:
    """Have the service look at the alerts that ALERTS names; None where it names none. Raises BadSetting."""
    if not settings.alerts:
        return None
    try:
        watch = AlertsWatch(Path(settings.alerts), settings.retention)
    except BadFile as fault:
        raise BadSetting(str(fault)) from fault
    alerts = AlertsFollower(watch, service, boards, count=meter.notified, observe=meter.looked)
    service.watch_alerts = alerts.tick
    return alerts


def _offer_fast_path(app: Flask) -> None:
    """Let a server answer plain requests past Flask; last of all, as it knows no WSGI layer but those that are here."""
    chain = app.wsgi_app

    def fast_path(application: object) -> FastPath | None:
        if application is not app or app.wsgi_app != chain:
            return None  # somebody stands around it, who has to see every request
        service, count = context(app).service, context(app).meter.request
        return FastPath(app, native_takes(service) | dialects.fast_path.takes(service), count)

    context(app).fast_path = fast_path


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
        check_free(host, port)
        app = create_app(follow=True)
        context(app).service.store.end()  # opens the log, here where its faults are told in one line
        context(app).service.start()
    except CannotListen as fault:
        _stop(fault, _CANNOT_LISTEN)
    except (BadSetting, LogUnavailable) as fault:
        _stop(fault, _BAD_SETTING)
    if guard_of(app) is None and exposed([(host, port)]):
        print(f"tidemark: {exposed([(host, port)])}", file=sys.stderr)
    if port and sys.stderr.isatty():
        print(f"tidemark: dashboard: {local_url(host, port)}/", file=sys.stderr)
    try:
        app.run(host, port, threaded=True)
    finally:
        context(app).service.close()


if __name__ == "__main__":
    main()
