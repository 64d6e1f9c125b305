"""Limits of what a client may do to a worker, and cases in which our own loop stands back."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

import gevent.ssl
import psutil
import pytest
from flask import Flask, request
from gunicorn.config import Config
from gunicorn.glogging import Logger

from serving.connection import MOST_LEFT
from serving.worker import Worker
from tests.patient import PATIENT
from tests.servers import CHECKOUT, Server, until
from tests.serving.in_process import connected, serving
from tests.streaming.sse import Stream
from tests.tls import TlsServer, certificate, trusted_certificate

KIB = 1024
SETTINGS = {
    "TIDEMARK_LOG_URL": "memory:",
    "TIDEMARK_MAX_BODY": "2M",
    "TIDEMARK_MAX_BODIES": "5M",
}
EVENT = b'{"values": [1]}'
GET = b"GET %b HTTP/1.1\r\nHost: localhost\r\n\r\n"
DIFFERING = re.compile(rb"\r\nDate: [^\r]+|\r\nLog-Position: [^\r]+")
"""Headers that differ between servers which have had other requests before."""


def post(path: bytes, length: int, *lines: bytes) -> bytes:
    """The head of a request with a body of JSON."""
    more = b"".join(line + b"\r\n" for line in lines)
    head = b"POST %b HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n%bContent-Length: %d\r\n\r\n"
    return head % (path, more, length)


def chunked(path: bytes, *lines: bytes) -> bytes:
    """The same of a body in chunks."""
    return post(path, 0, *lines).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")


class OnSocket(Server):
    """A server that listens on a Unix socket too."""

    def __init__(self, path: Path, env: dict[str, str]) -> None:
        super().__init__([], env)
        self.path = path

    def start(self) -> None:
        """As ever."""
        self.args = ["-w", "1", "-b", f"127.0.0.1:{self.port}", "-b", f"unix:{self.path}"]
        super().start()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OnSocket]:
    with OnSocket(tmp_path_factory.mktemp("unix") / "socket", SETTINGS) as server:
        yield server


def connect(server: Server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=60)


def all_of(connection: socket.socket) -> bytes:
    """Return what comes until the end."""
    return b"".join(iter(lambda: connection.recv(65_536), b""))


WHOLE = re.compile(rb"Content-Length: (\d+)\r\n(?:.+\r\n)*\r\n")


def answer_of(connection: socket.socket) -> bytes:
    """One answer, whole; its head and its body may come apart."""
    found = b""
    while not ((head := WHOLE.search(found)) and len(found) >= head.end() + int(head[1])):
        piece = connection.recv(65_536)
        assert piece, found
        found += piece
    return found


@pytest.mark.parametrize("path", [b"/events", b"/dialects/batches/add_batch/"])
def test_bodies_that_come_are_bounded_together(server: Server, path: bytes) -> None:
    length = 2 * KIB * KIB - 100
    body = EVENT.ljust(length)
    with ExitStack() as stack:
        connections = [stack.enter_context(connect(server)) for _ in range(3)]
        for connection in connections:
            connection.sendall(post(path, length) + body[:-1])
            for _ in range(length // 65_536 + 1):  # in each round of its loop the worker reads a piece
                assert server.get("/health/live").status_code == 200
        refused = until(lambda: [each for each in connections if has_come(each)], "one to be refused")
        assert len(refused) == 1
        answer = all_of(refused[0])
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"\r\nRetry-After: 1\r\n" in answer
        assert b"\r\nConnection: close\r\n" in answer
        assert b"MAX_BODIES" in answer
        assert (b"problem+json" in answer) == (b"dialects" not in path)
        assert server.get("/health/live").status_code == 200
        assert server.post("/events", {"values": [1]}).status_code == 201  # came with its head
        for connection in connections:
            if connection is not refused[0]:
                connection.sendall(body[-1:])
                assert connection.recv(65_536).split()[1] in (b"201", b"422")


def has_come(connection: socket.socket) -> bool:
    """Return whether there is something to read."""
    connection.settimeout(0.01)
    try:
        return bool(connection.recv(1, socket.MSG_PEEK))
    except TimeoutError:
        return False
    finally:
        connection.settimeout(60)


@pytest.mark.parametrize(
    ("path", "rest"), [(b"/events", b""), (b"/nothing", b"\r\n"), (b"/dialects/ticks/ticks", b"zz\r\n")]
)
def test_what_was_held_is_free_again_however_a_request_ends(server: Server, path: bytes, rest: bytes) -> None:
    large = b" " * (KIB * KIB)
    for _ in range(6):
        with connect(server) as connection:
            connection.sendall(post(path, 2 * KIB * KIB) + large)
        with connect(server) as connection:
            connection.sendall(chunked(path) + b"%x\r\n" % len(large) + large + rest)
            connection.shutdown(socket.SHUT_WR)
            all_of(connection)
    body = EVENT.ljust(2 * KIB * KIB)
    with ExitStack() as stack:
        connections = [stack.enter_context(connect(server)) for _ in range(2)]
        for connection in connections:
            connection.sendall(post(b"/events", len(body)) + body[:-1])
        for connection in connections:
            connection.sendall(body[-1:])
            assert connection.recv(65_536).startswith(b"HTTP/1.1 201 ")


@pytest.mark.parametrize("path", [b"/nothing", b"/health/live", b"/event?x=1"])
@pytest.mark.parametrize("body", [b"zz\r\n", b"1\r\naXX\r\n", b"fffffffffffffffffffff;=\r\n", b"5\r\nab"])
def test_a_request_has_one_answer(server: Server, path: bytes, body: bytes) -> None:
    with connect(server) as connection:
        connection.sendall(chunked(path))
        first = answer_of(connection)
        connection.sendall(body)
        connection.shutdown(socket.SHUT_WR)
        rest = all_of(connection)
    assert first.startswith(b"HTTP/1.1 4")
    assert b"\r\nConnection: close\r\n" in first
    assert rest == b""


@pytest.mark.parametrize(
    ("length", "keeps"), [(0, True), (10, True), (MOST_LEFT, True), (MOST_LEFT + 1, False), (10**12, False)]
)
def test_who_is_told_that_the_connection_goes_on_may_rely_on_it(server: Server, length: int, keeps: bool) -> None:
    with connect(server) as connection:
        connection.sendall(post(b"/nothing", length))
        answer = answer_of(connection)
        assert answer.startswith(b"HTTP/1.1 404 ")
        assert (b"\r\nConnection: keep-alive\r\n" in answer) == keeps
        connection.sendall(b" " * min(length, MOST_LEFT))
        if keeps:
            connection.sendall(post(b"/events", len(EVENT)) + EVENT)
            assert connection.recv(65_536).startswith(b"HTTP/1.1 201 ")


def test_nothing_follows_a_body_in_chunks_that_nobody_reads(server: Server) -> None:
    with connect(server) as connection:
        connection.sendall(chunked(b"/nothing") + b"3\r\nabc\r\n0\r\n\r\n" + post(b"/events", len(EVENT)) + EVENT)
        found = all_of(connection)
    assert found.startswith(b"HTTP/1.1 404 ")
    assert b"\r\nConnection: close\r\n" in found
    assert found.count(b"HTTP/1.1") == 1


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, ssl.SSLContext]]:
    """A server that speaks TLS, and what trusts it."""
    folder = tmp_path_factory.mktemp("tls")
    with pytest.MonkeyPatch.context() as patch:
        args = trusted_certificate(folder, patch)
        with TlsServer(["-w", "1", "-k", PATIENT, *args], SETTINGS) as server:
            yield server, ssl.create_default_context(cafile=str(folder / "cert.pem"))


@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01"], ids=["silent", "half"])
def test_a_handshake_that_does_not_come_is_ended(app: Flask, tmp_path: Path, sent: bytes) -> None:
    certificate(tmp_path)
    context = gevent.ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    with serving(app) as worker:
        worker.handshake_seconds = 0.05
        with connected(worker, partial(context.wrap_socket, server_side=True, do_handshake_on_connect=False)) as client:
            client.sendall(sent)
            assert client.recv(1) == b""


def test_tls_and_plain_connections_give_the_same_answers(tls: tuple[Server, ssl.SSLContext], server: OnSocket) -> None:
    event = b'{"series": "both", "values": [1]}'
    requests = (
        post(b"/events", len(event)) + event + 2 * (GET % b"/statistics/both") + GET % b"/nothing"
        + post(b"/events", 10**6) + event.ljust(10**6)
        + b"GET /statistics/both HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX-Unheard-Of: x\r\n\r\n"
    )  # fmt: skip
    over_tls_server, context = tls
    with connect(over_tls_server) as plain, context.wrap_socket(plain, server_hostname="localhost") as connection:
        connection.sendall(requests)
        over_tls = all_of(connection)
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(60)
        connection.connect(str(server.path))
        connection.sendall(requests)
        over_unix = all_of(connection)
    assert over_unix.count(b"HTTP/1.1 ") == 6
    assert over_unix.count(b"HTTP/1.1 201 ") == 2
    assert DIFFERING.sub(b"", over_tls) == DIFFERING.sub(b"", over_unix)


@pytest.fixture
def asked(app: Flask) -> list[str]:
    """The paths for which Flask has asked a view."""
    asked: list[str] = []

    def noted(view: Callable[..., Any], **arguments: Any) -> Any:
        asked.append(request.path)
        return view(**arguments)

    app.view_functions = {name: partial(noted, view) for name, view in app.view_functions.items()}
    return asked


def test_plain_requests_are_not_seen_by_flask(app: Flask, asked: list[str]) -> None:
    with serving(app) as worker, connected(worker) as connection:
        for _ in range(4):
            connection.sendall(post(b"/events", len(EVENT)) + EVENT)
            assert answer_of(connection).startswith(b"HTTP/1.1 201 ")
            connection.sendall(GET % b"/statistics")
            assert answer_of(connection).startswith(b"HTTP/1.1 200 ")
        connection.sendall(GET % b"/health/live")
        assert answer_of(connection).startswith(b"HTTP/1.1 200 ")
    assert asked == ["/health/live"]


def test_nothing_that_stands_around_the_application_is_gone_round(app: Flask) -> None:
    def deny(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("403 Forbidden", [("Content-Length", "0")])
        return []

    app.wsgi_app = deny  # type: ignore[method-assign]  # how Flask has it done
    with serving(app) as worker, connected(worker) as connection:
        for asked in (post(b"/events", len(EVENT)) + EVENT, GET % b"/statistics"):
            connection.sendall(asked)
            assert answer_of(connection).startswith(b"HTTP/1.1 403 ")


def hook(*args: object) -> None:
    """No more than that."""


def hook_of_four(worker: object, req: object, environ: object, resp: object) -> None:
    """No more than that."""


def declined(**settings: Any) -> list[str]:
    """The settings for which a worker leaves all to gunicorn's loop."""
    cfg = Config()
    for name, value in {"limit_request_line": 8190, "keepalive": 5, "post_request": hook_of_four, **settings}.items():
        cfg.set(name, value)
    worker = Worker.__new__(Worker)
    worker.cfg, worker.log = cfg, Logger(cfg)
    return worker._odd_settings(hook_of_four)


@pytest.mark.parametrize("settings", [{}, {"forwarder_headers": ""}, {"limit_request_line": 0}, {"workers": 7}])
def test_by_default_nothing_is_declined(settings: dict[str, Any]) -> None:
    assert declined(**settings) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("keepalive", 0),
        ("accesslog", "-"),
        ("logconfig_dict", {"version": 1}),
        ("statsd_host", "localhost:8125"),
        ("proxy_protocol", True),
        ("protocol", "uwsgi"),
        ("http_protocols", "h2,h1"),
        ("http2_cleartext", "upgrade"),
        ("http2_max_concurrent_streams", 7),
        ("http2_initial_window_size", 70_000),
        ("http2_max_frame_size", 20_000),
        ("http2_max_header_list_size", 7),
        ("limit_request_line", 4000),
        ("limit_request_fields", 50),
        ("limit_request_field_size", 100),
        ("permit_obsolete_folding", True),
        ("permit_unconventional_http_method", True),
        ("permit_unconventional_http_version", True),
        ("strip_header_spaces", True),
        ("casefold_http_method", True),
        ("header_map", "refuse"),
        ("forwarder_headers", "X_Y"),
        ("secure_scheme_headers", {"X-A": "b"}),
        ("pre_request", lambda worker, req: None),
        ("post_request", lambda worker, req, environ, resp: None),
    ],
)
def test_what_the_loop_does_not_know_is_declined(name: str, value: object) -> None:
    expected = "accesslog" if name.startswith("logconfig") else name
    assert declined(**{name: value}) == [expected]


def test_an_application_below_a_path_is_declined(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCRIPT_NAME", "/below")
    assert declined() == ["SCRIPT_NAME"]


def test_a_worker_that_is_declined_answers_by_the_loop_of_gunicorn(app: Flask, asked: list[str]) -> None:
    with serving(app, limit_request_fields=50) as worker, connected(worker) as connection:
        assert worker.declined == ["limit_request_fields"]
        connection.sendall(post(b"/events", len(EVENT), b"Connection: close") + EVENT)
        assert all_of(connection).startswith(b"HTTP/1.1 201 ")
    assert asked == ["/events"]


def test_the_worker_imports_nothing_that_makes_threads_or_sockets() -> None:
    script = "import json, sys, serving.worker; print(json.dumps(sorted(sys.modules)))"
    found = json.loads(
        subprocess.run([sys.executable, "-c", script], cwd=CHECKOUT, capture_output=True, check=True).stdout
    )
    ours = {path.stem for path in CHECKOUT.glob("*.py")} | {path.parent.name for path in CHECKOUT.glob("*/__init__.py")}
    assert {name for name in found if name.partition(".")[0] in ours} <= {
        *(
            "serving",
            "serving.connection",
            "serving.handover",
            "serving.heads",
            "serving.waits",
            "serving.worker",
            "serving.overload",
        ),
        *("access", "access.foreign"),
    }
    assert not {"flask", "werkzeug", "redis", "requests", "numpy"} & set(found)


def test_a_worker_takes_as_many_requests_as_it_may_and_ends_its_streams() -> None:
    with Server(["-w", "1", "--max-requests", "5"], SETTINGS) as server:
        [first] = server.wait_for_workers(1)
        with Stream(f"{server.url}/series/a/stream") as stream, connect(server) as connection:
            said = []
            for _ in range(5):
                connection.sendall(b"GET /statistics HTTP/1.1\r\nHost: localhost\r\n\r\n")
                said.append(b"\r\nConnection: close\r\n" in connection.recv(65_536))
                if said[-1]:
                    break
            assert [message.event for message in stream] == ["close"]
        assert said[-1]
        until(lambda: not psutil.pid_exists(first), "the end of the worker")
        assert server.get("/statistics").status_code == 200
        os.kill(server.process.pid, signal.SIGTERM)
        assert server.process.wait(60) == 0


class Impatient(Worker):
    """A worker whose kernel gives up after a second without progress in sending."""

    send_seconds = 1


@pytest.mark.no_cover
def test_who_takes_nothing_of_an_answer_is_given_up() -> None:
    env = {"TIDEMARK_LOG_URL": "memory:"}
    with Server(["-w", "1", "-k", "tests.serving.test_limits.Impatient"], env) as server:
        [pid] = server.workers()
        idle = len(psutil.Process(pid).net_connections())
        with socket.socket() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.settimeout(60)
            connection.connect(("127.0.0.1", server.port))
            with pytest.raises(OSError):  # noqa: PT012  # whichever of them finds it
                for _ in range(100_000):
                    connection.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n")
                while connection.recv(65_536):
                    pass
                raise ConnectionResetError
        until(lambda: len(psutil.Process(pid).net_connections()) <= idle, "the connection to be given up")
