"""Nothing that a client sends fills the log, stands in it, or puts lines there that are not JSON."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
import gevent.hub
import pytest

from api.logs import MOST_A_SECOND
from serving.server_logs import report_hub_errors
from tests.patient import PATIENT
from tests.servers import Server, until
from tests.tls import TlsServer, trusted_certificate

SECRET = b"tm_SECRET"
BROKEN_HEADS = [
    b"GET / HTTP/1.1\r\nHost: x\r\nAuthorization Bearer tm_SECRET\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nAuthorization\0tm_SECRET: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\n tm_SECRET\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nX\xff" + b"\1tm_SECRET" * 800 + b"\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + b"X: tm_SECRET\r\n" * 300 + b"\r\n",
    b"GET / HTTP/1.1\r\nX: " + SECRET * 100_000 + b"\r\n\r\n",
    b"GET /?token=tm_SECRET HTTP/9.9\r\n\r\n",
    b"GET http://[tm_SECRET/ HTTP/1.1\r\n\r\n",
    b"tm_SECRET / HTTP/1.1\r\n\r\n",
    b"tm_SECRET\r\n\r\n",
    b"POST /event HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: tm_SECRET\r\n\r\n",
    b"POST /event HTTP/1.1\r\nHost: x\r\nContent-Length: tm_SECRET\r\n\r\n",
    b"POST /event HTTP/1.1\r\nHost: x\r\nExpect: tm_SECRET\r\nContent-Length: 1\r\n\r\n1",
    b"POST /event HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\ntm_SECRET\r\n",
]
LONGEST_LINE = 2000
Lines = list[dict[str, Any]]


def answer(port: int, sent: bytes) -> bytes:
    """Return what comes back until the server closes; it may close before it has read all."""
    received = b""
    with contextlib.suppress(ConnectionError), socket.create_connection(("127.0.0.1", port), 60) as client:
        with contextlib.suppress(OSError):  # of the kind ENOTCONN where the server has closed already
            client.sendall(sent)
            client.shutdown(socket.SHUT_WR)
        while part := client.recv(65_536):
            received += part
    return received


def warnings(server: Server) -> Lines:
    """The warnings and errors so far; each line of the output must be a short one of JSON."""
    printed = server.output().rpartition("\n")[0]  # the last line may be half written
    assert SECRET.decode() not in printed
    assert max(map(len, printed.splitlines())) < LONGEST_LINE
    lines: Lines = [json.loads(line) for line in printed.splitlines() if not line.startswith("tidemark: ")]
    return [line for line in lines if line["level"] not in ("DEBUG", "INFO")]


@pytest.mark.parametrize("worker", ["serving.worker.Worker", "sync"])
def test_broken_requests_are_not_quoted_in_the_log_and_give_few_lines(worker: str) -> None:
    with Server(["-w", "1", "-k", worker]) as server:
        for head in BROKEN_HEADS:
            assert len(answer(server.port, head)) < LONGEST_LINE
        found = warnings(server)
        begin = time.monotonic()
        for _ in range(80):
            answer(server.port, BROKEN_HEADS[0])

        def is_said() -> bool:  # all so far may have come within the second whose lines were written before
            answer(server.port, BROKEN_HEADS[0])
            return len(warnings(server)) > len(found)

        until(is_said, "a line")
        seconds = time.monotonic() - begin
        # Of a second that had begun before, and of one that has not ended, all lines may be among them.
        assert len(warnings(server)) - len(found) <= MOST_A_SECOND * (seconds + 2)
    assert found[0]["message"].startswith("refused a request that is no HTTP: ")
    assert found[0]["ip"] == "127.0.0.1"


@pytest.fixture
def tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """gunicorn's arguments for TLS with a certificate that requests trusts."""
    return trusted_certificate(tmp_path, monkeypatch)


def reset(client: socket.socket) -> None:
    """Close so that the other side gets an error."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


@pytest.mark.parametrize("worker", [PATIENT, "gthread"])
def test_a_failed_tls_handshake_is_one_line(worker: str, tls: list[str]) -> None:
    with TlsServer(["-w", "1", "-k", worker, *tls]) as server:
        before = len(warnings(server))
        answer(server.port, b"GET /tm_SECRET HTTP/1.1\r\nHost: x\r\n\r\n")
        with socket.create_connection(("127.0.0.1", server.port), 60) as client, pytest.raises(ssl.SSLError):
            ssl.create_default_context().wrap_socket(client, server_hostname="elsewhere.example")
        with socket.create_connection(("127.0.0.1", server.port), 60) as client:
            client.sendall(b"\x16\x03\x01")
            reset(client)
        until(lambda: len(warnings(server)) > before, "a line about a failed handshake")
        assert server.get("/health").status_code == 200
        assert "Traceback" not in server.output()


@pytest.fixture
def hub() -> Iterator[gevent.hub.Hub]:
    """The hub of this thread, as it was again after the test."""
    hub = gevent.get_hub()
    stream = hub.exception_stream
    yield hub
    hub.__dict__.pop("handle_error", None)
    hub.exception_stream = stream


def test_a_greenlet_that_fails_is_a_line_with_its_traceback(
    hub: gevent.hub.Hub, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    report_hub_errors()
    gevent.spawn(lambda: 1 / 0).join()
    [record] = caplog.records
    assert (record.levelname, record.getMessage()) == ("ERROR", "a greenlet failed: ZeroDivisionError")
    assert record.exc_info is not None
    assert record.exc_info[0] is ZeroDivisionError
    assert capsys.readouterr().err == ""


def test_a_greenlet_that_is_killed_is_no_failure(hub: gevent.hub.Hub, caplog: pytest.LogCaptureFixture) -> None:
    report_hub_errors()
    gevent.spawn(gevent.sleep, 60).kill()
    assert caplog.records == []
