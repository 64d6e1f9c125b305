"""Clients of WebSockets against a real worker: they flood, take nothing, leave; in the clear and over TLS."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager

import pytest
import requests
import websocket
from wsproto.connection import Connection, ConnectionType
from wsproto.events import CloseConnection

from tests.patient import PATIENT
from tests.servers import Server, until
from tests.tls import TlsServer, trusted_certificate

FRAMES = {
    "empty messages": b"\x81\x80\0\0\0\0",
    "pings with text": b"\x89\xfd\0\0\0\0" + 125 * b"x",
}
PATHS = ["/ws/flooded", "/dialects/tickers/ws/flooded"]
BYTES_A_TURN = 100_000
TURN_SECONDS = 0.1
"""Together 1 MB/s. Already one turn is more frames than there may be within a second, however late the next comes."""
BATCH = 10_000
BATCHES = 8
"""Batches whose events, written out, are more than the buffers of any socket hold."""


@pytest.fixture(scope="module", params=["clear", "TLS"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One worker, which must never have failed at a request."""
    with pytest.MonkeyPatch.context() as patch:
        limits = {"TIDEMARK_MAX_STREAMS": "2"}
        tls = trusted_certificate(tmp_path_factory.mktemp("tls"), patch)
        with (
            TlsServer(["-w", "1", "-k", PATIENT, *tls], limits)
            if request.param == "TLS"
            else Server(["-w", "1"], limits) as server
        ):
            server.post("/events", {"series": "flooded", "values": [1]})
            yield server
            assert '"level":"ERROR"' not in server.output()


def connect(server: Server, path: str, *, upgrade: bool = True, receive_buffer: int = 0) -> socket.socket:
    """Open the stream at this path and return its connection."""
    sock = socket.socket()
    if receive_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.settimeout(60)
    sock.connect(("127.0.0.1", server.port))
    if server.url.startswith("https"):
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        sock = context.wrap_socket(sock)
    head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n"
    if upgrade:
        head += "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        head += "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    sock.sendall(f"{head}\r\n".encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += sock.recv(1)
    assert answer.split()[1] == (b"101" if upgrade else b"200")
    return sock


@contextmanager
def websocket_at(server: Server, path: str = PATHS[0]) -> Iterator[websocket.WebSocket]:
    """An open WebSocket of a client that knows them."""
    url = server.url.replace("http", "ws", 1) + path
    ws = websocket.create_connection(url, timeout=60, sslopt={"cert_reqs": ssl.CERT_NONE, "check_hostname": False})
    try:
        yield ws
    finally:
        ws.shutdown()  # type: ignore[no-untyped-call]  # `close` leaves it open where the other side closed first


def wait_until_free(server: Server) -> None:
    """Until no stream has a place any more."""
    until(lambda: "tidemark_open_streams 0" in server.get("/metrics").text, "both places to be free", 120)


def flood(sock: socket.socket, frame: bytes, seconds: float) -> int | None:
    """Send these at 1 MB/s until the server closes, and return the code with which it does."""
    connection = Connection(ConnectionType.CLIENT)
    frames = frame * (BYTES_A_TURN // len(frame))
    deadline = time.monotonic() + seconds
    sock.settimeout(TURN_SECONDS)
    while time.monotonic() < deadline:
        try:
            sock.sendall(frames)
        except TimeoutError:  # it takes no more just now; the rest of a frame is lost, which matters no more
            pass
        except OSError:
            frames = b""  # it has gone, and what it has said before is still here
        try:
            data = sock.recv(1 << 16)
        except (TimeoutError, ssl.SSLWantReadError):
            continue
        connection.receive_data(data or None)
        for event in connection.events():
            if isinstance(event, CloseConnection):
                return event.code
    return None


@pytest.mark.parametrize(("path", "frame"), list(zip(PATHS, FRAMES.values(), strict=True)), ids=FRAMES)
def test_a_flood_is_closed_and_others_are_answered_meanwhile(server: Server, path: str, frame: bytes) -> None:
    with ThreadPoolExecutor(1) as pool, closing(connect(server, path)) as sock:
        closed = pool.submit(flood, sock, frame, 60)
        with requests.Session() as session:
            while not closed.done():
                assert session.get(f"{server.url}/health/live", timeout=60).status_code == 200
        assert closed.result() == 1008
    wait_until_free(server)


def test_pings_are_answered_and_long_messages_are_not_taken(server: Server) -> None:
    with websocket_at(server) as ws:
        ws.ping("a")
        opcode, data = ws.recv_data(control_frame=True)
        assert (opcode, data) == (websocket.ABNF.OPCODE_PONG, b"a")
        ws.send("x" * 5000)
        opcode, data = ws.recv_data(control_frame=True)
        assert (opcode, data[:2]) == (websocket.ABNF.OPCODE_CLOSE, (1009).to_bytes(2, "big"))


def test_one_is_counted_once_and_fails_nothing_however_it_ends(server: Server) -> None:
    # By a name that no other test uses: one of theirs may be counted as late as now.
    def counted() -> dict[str, float]:
        lines = server.get("/metrics").text.splitlines()
        rows = (
            line for line in lines if line.startswith("tidemark_requests_total{") and 'route="/v1/ws/<series>"' in line
        )
        return {row.partition('status="')[2][:3]: float(row.split()[-1]) for row in rows}

    before = counted().get("101", 0)
    for politely in (True, False):
        with websocket_at(server, "/v1/ws/flooded") as ws:
            if politely:
                ws.close()
    until(lambda: counted().get("101") == before + 2, "both to be counted")
    assert "500" not in counted()


def test_a_client_that_takes_nothing_is_cut_off_over_tls_too(server: Server) -> None:
    wait_until_free(server)
    paths = {"/ws/flooded": True, "/series/flooded/stream": False}
    deaf = [connect(server, path, upgrade=upgrade, receive_buffer=4096) for path, upgrade in paths.items()]
    assert requests.head(f"{server.url}/stream", timeout=60).status_code == 503
    for _ in range(BATCHES):
        server.post("/events", {"series": "flooded", "values": [0.123456789] * BATCH})
    wait_until_free(server)
    for sock in deaf:
        sock.close()


def test_a_worker_that_ends_says_so_over_tls_too(server: Server) -> None:
    [worker] = server.workers()
    with websocket_at(server) as ws:
        os.kill(worker, signal.SIGTERM)
        opcode, data = ws.recv_data(control_frame=True)
        assert (opcode, data[:2]) == (websocket.ABNF.OPCODE_CLOSE, (1001).to_bytes(2, "big"))
    until(lambda: len(server.workers()) == 1 and server.workers() != [worker], "another worker")
