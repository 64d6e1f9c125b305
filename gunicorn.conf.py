"""gunicorn as Tidemark wants it; whatever stands on gunicorn's command line overrides this file."""

from __future__ import annotations

import json
import os
import resource
import secrets
import signal
import socket
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import gevent
from gunicorn import systemd, util
from gunicorn.arbiter import Arbiter
from gunicorn.workers.base import Worker
from gunicorn.workers.base_async import AsyncWorker

from access.exposure import Address, exposed
from access.foreign import JSON_HEADERS
from access.watch import Watch
from alerts.watch import AlertsWatch
from event_log.errors import LogError
from event_log.urls import is_on_this_machine, serves_many_processes
from metrics.meter import shared
from serving import handover
from serving.addresses import CannotListen, check_free, local_url
from serving.garbage import Survivors
from serving.overload import Patience, Shedding
from serving.server_logs import JsonLogger, report_hub_errors
from serving.worker import Worker as OwnWorker
from settings import START_ID, BadSetting, read_address, read_settings, read_workers, unknown_settings
from times import SECOND
from watched.file import BadFile


def _say(line: object) -> None:
    print(f"tidemark: {line}", file=sys.stderr)


def _cores() -> int:
    """The cores this process may use, which in a container can be fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


try:
    _settings = read_settings()
    # Here, so that workers inherit the last good files.
    _keys = Watch(Path(_settings.keys)) if _settings.keys else None
    _alerts = AlertsWatch(Path(_settings.alerts), _settings.retention) if _settings.alerts else None
    _host, _port = read_address()
    # A second worker on a log of one process would answer from another log.
    workers = read_workers(_cores() if serves_many_processes(_settings.log_url) else 1)
except (BadSetting, BadFile) as fault:
    _say(fault)
    sys.exit(2)

_FOR_REQUESTS = 2000
"""Connections of one worker beyond its streams."""
_ENDING = (signal.SIGTERM, signal.SIGQUIT, signal.SIGINT)
_SWITCH_SECONDS = 0.0005
"""Maximum seconds for which the real thread that compacts may keep that of the requests from running, each time;
Python's own 5 ms, several times a request, would be felt."""
_LONGEST_DETAIL = 300
"""Characters of what gunicorn says about a request, which it quotes as a whole."""
_FOR_FILES = 200
"""Descriptors of one worker beyond its connections: the log, listeners, pipes."""


def _write_problem(sock: socket.socket, status_int: int, reason: str, mesg: str) -> None:
    """Write the error for a request that gunicorn's parser refuses: it never reaches the application."""
    detail = mesg[:_LONGEST_DETAIL] or reason
    body = json.dumps({"type": "about:blank", "title": reason, "status": status_int, "detail": detail}) + "\n"
    head = f"HTTP/1.1 {status_int} {reason}\r\nConnection: close\r\nContent-Type: application/problem+json\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in JSON_HEADERS)
    util.write_nonblock(sock, f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())


util.write_error = _write_problem  # gunicorn has no setting for it, and would answer HTML


bind = f"[{_host}]:{_port}" if ":" in _host else f"{_host}:{_port}"
worker_class = "serving.worker.Worker"
worker_connections = _settings.max_streams + _FOR_REQUESTS
limit_request_line = 8190  # the longest gunicorn takes: series names in a path may be long, percent-encoded
keepalive = 5
graceful_timeout = 25  # below the 30 s that Kubernetes and our docker-compose.yml wait before SIGKILL
accesslog = None  # a line a request costs a third of the throughput; LOG_LEVEL=DEBUG has its own
logger_class = JsonLogger
loglevel = "info" if _settings.log_level == "DEBUG" else _settings.log_level.lower()
# The heartbeat file of a worker must not wait for a disk.
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
# By default gunicorn obeys a SCRIPT_NAME header of whoever connects from this machine, as a proxy does for its clients.
forwarder_headers = ""
# No management socket under $HOME: signals do all that a service needs, and none can be left behind.
control_socket_disable = True


def on_starting(server: Arbiter) -> None:
    """Refuse what would give wrong answers, make room for the connections asked for, and name this start for all
    workers to come: the settings of the start that came last are those in force, whatever older ones still run."""
    for name in unknown_settings():
        _say(f"{name} is no setting and changes nothing; docs/settings.md lists those there are")
    if server.cfg.workers < 1:
        _say(f"{server.cfg.workers} workers cannot serve anybody; set WEB_CONCURRENCY or -w to 1 or more")
        sys.exit(2)
    if server.cfg.workers > 1 and not serves_many_processes(_settings.log_url):
        url = _settings.log_url
        _say(f"TIDEMARK_LOG_URL={url} serves one worker, not {server.cfg.workers}; use -w 1 or a file: log")
        sys.exit(2)
    if not (server.master_pid or server.cfg.reuse_port or systemd.listen_fds(unset_environment=False)):
        _check_free(server.cfg.address)
    if _keys is None and (warning := exposed(server.cfg.address)):
        _say(warning)
    shared()  # here, so that all workers count in the same table
    handover.shared()  # likewise
    _allow_files(server.cfg.worker_connections + _FOR_FILES)
    os.environ[START_ID] = secrets.token_hex(16)


def _check_free(addresses: Iterable[Address]) -> None:
    """End at once with one line where nothing can listen; gunicorn would try for five seconds. What another process
    hands over as a socket is not bound anew."""
    for address in addresses:
        if isinstance(address, tuple):
            try:
                check_free(*address[:2])
            except CannotListen as fault:
                _say(fault)
                sys.exit(1)


def _allow_files(wanted: int) -> None:
    """Raise this process's own limit of open files, as far as the system lets it; workers inherit it. Say where that is
    not far enough."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        _say(
            f"a worker may open {hard} files and needs {wanted} for its connections: raise `ulimit -Hn` (LimitNOFILE "
            f"in systemd, nofile in Docker), or lower TIDEMARK_MAX_STREAMS, which is {_settings.max_streams}"
        )
        wanted = hard
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def on_reload(server: Arbiter) -> None:
    """Have the old workers accept connections until the new ones are ready. Two at once would each answer from a log
    of their own, if that is one of a single process."""
    if serves_many_processes(_settings.log_url):
        handover.shared().begin(server.worker_age, server.cfg.workers)


def when_ready(server: Arbiter) -> None:
    """Tell a person at a terminal where the dashboard is; let no signal to end get lost in a worker that is starting.

    From the fork on it has the master's handlers, until gunicorn gives it its own, and those would swallow the
    signal, so that the master waits for it in vain until graceful_timeout. So a worker is born with the signals
    held back, and dies of them until it has handlers of its own: nothing is open yet that needs closing.
    """
    if sys.stderr.isatty() and _settings.log_level in ("DEBUG", "INFO"):
        _tell_dashboard(server)
    os.register_at_fork(before=_hold_signals, after_in_parent=_release_signals, after_in_child=_die_of_signals)


def _tell_dashboard(server: Arbiter) -> None:
    names = [listener.getsockname() for listener in server.LISTENERS]
    addresses = [name[:2] for name in names if isinstance(name, tuple)]
    if addresses:
        host, port = addresses[0]
        _say(f"dashboard: {local_url(host, port, 'https' if server.cfg.is_ssl else 'http')}/")


def _hold_signals() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)


def _release_signals() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)


def _die_of_signals() -> None:
    for signum in _ENDING:
        signal.signal(signum, signal.SIG_DFL)
    _release_signals()


def post_worker_init(worker: Worker) -> None:
    """Let the service follow the log in this worker, after the fork, also with --preload; and let its streams end
    when the worker does, for which gunicorn has no hook.

    A log on this machine that cannot be opened stops the start. The first worker alone decides that: gunicorn stumbles
    over two that do, and a later one, which takes the place of another, waits for the log to come back, as the rest do
    and as all do for a log elsewhere, which may be on its way.
    """
    if isinstance(worker, AsyncWorker):
        report_hub_errors()
    context = _extensions(worker)["tidemark"]
    _begin_serving(worker, context)
    context.worker_is_stopping = lambda: not worker.alive
    if worker.age == 1 and is_on_this_machine(_settings.log_url):
        try:
            context.service.store.end()
        except LogError as fault:
            print(f"tidemark: {fault}", file=sys.stderr)
            sys.exit(Arbiter.APP_LOAD_ERROR)
    context.service.follow()  # a long log takes a while to open, and the worker answers meanwhile
    sys.setswitchinterval(_SWITCH_SECONDS)
    Survivors().begin()
    handover.shared().tell_ready(worker.age)


def _begin_serving(worker: Worker, context: Any) -> None:
    """Refuse late requests before Flask, and give the loop of our own what it serves by."""
    app: Any = worker.wsgi
    settings = context.settings
    fast, shedding = context.fast_path(app), None
    if settings.max_wait:
        patience = Patience(settings.max_wait / SECOND)
        shedding = Shedding(app.wsgi_app, patience, context.meter.shed, context.overloaded)
        app.wsgi_app = shedding
    if isinstance(worker, OwnWorker):
        worker.begin(settings.max_bodies, fast, shedding, post_request)


def post_request(worker: Worker, req: Any, environ: Any, resp: Any) -> None:
    """Yield once, or one busy keep-alive connection would starve the others of its worker; our own loop does so."""
    if isinstance(worker, AsyncWorker) and not isinstance(worker, OwnWorker):
        gevent.sleep(0)


def worker_exit(server: Arbiter, worker: Worker) -> None:
    """Sync and close the log, whatever ended the worker; it may have ended before it had an application."""
    if "tidemark" in _extensions(worker):
        _extensions(worker)["tidemark"].service.close()
    Survivors.end()


def _extensions(worker: Worker) -> dict[str, Any]:
    """Return the extensions of this worker's Flask application."""
    extensions: dict[str, Any] = getattr(getattr(worker, "wsgi", None), "extensions", {})
    return extensions
