"""A worker that is sent SIGTERM ends soon, whatever stage its connections are in."""

from __future__ import annotations

import signal
import socket
from contextlib import ExitStack
from http.client import HTTPResponse

import pytest

from tests.servers import Server, until
from tests.streaming.sse import Stream

BODY = b'{"values": [1, 2, 3]}'
GET = b"GET /statistics HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /events HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(BODY)
ENDS_SECONDS = 60.0
"""Far more than it needs, far less than what it would wait for: requests have ten minutes, idle connections too."""


def status_of(connection: socket.socket) -> int:
    """Return the status of the next answer, once it has come whole: gunicorn's own loop sends it in two pieces."""
    response = HTTPResponse(connection)
    response.begin()
    response.read()
    return response.status


def is_refused(server: Server) -> bool:
    """Return whether master and worker have closed their listeners."""
    try:
        socket.create_connection(("127.0.0.1", server.port), timeout=60).close()
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:
        pass
    return False


WAYS: tuple[list[str], ...] = ([], ["--preload", "-k", "gevent", "--keep-alive", "1"])


@pytest.mark.soak(way=(range(1), range(len(WAYS))))
def test_a_worker_ends_with_connections_in_all_stages(way: int) -> None:
    waits = ["--graceful-timeout", "600", "--keep-alive", "600"]
    with Server(["-w", "1", *waits, *WAYS[way]]) as server, ExitStack() as stack:

        def connect(data: bytes) -> socket.socket:
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=60))
            connection.sendall(data)
            return connection

        stack.enter_context(Stream(f"{server.url}/stream"))
        idle = [connect(GET), connect(POST + BODY)]
        assert [status_of(connection) for connection in idle] == [200, 201]
        silent, half_head = connect(b""), connect(GET[:20])
        half_body, half_wrong = connect(POST + BODY[:9]), connect(POST + BODY[:9])
        assert server.get("/health/live").status_code == 200  # so it has accepted all before
        server.process.send_signal(signal.SIGTERM)
        until(lambda: is_refused(server), "the listeners to be closed")
        half_body.sendall(BODY[9:])
        half_wrong.sendall(b"!" * len(BODY[9:]))
        assert status_of(half_body) == 201
        assert status_of(half_wrong) == 400  # gunicorn's part of the loop asks its listener for a name
        assert server.process.wait(ENDS_SECONDS) == 0
        assert [connection.recv(100) for connection in (*idle, silent)] == [b"", b"", b""]
        assert not half_head.recv(100).startswith(b"HTTP/1.1 20")
        assert "graceful timeout" not in server.output()
        assert "Traceback" not in server.output()
