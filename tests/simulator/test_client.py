from __future__ import annotations

import socket

import pytest

from simulator.client import LONGEST_WAIT, Client, Failed, parse_retry_after
from simulator.dialects import Call
from tests.simulator.stub import Scripted, Stub

CALL = Call("/events", b'[{"value": 1}]', 1, "application/x-ndjson")


CLOSED_PORT = 1
"""Nobody listens there. The kernel may give another port, though nobody uses it just now, to somebody else at once."""


def test_a_post_arrives_as_it_was_written() -> None:
    with Stub(Scripted(200, b'{"stored": 0}')) as server:
        client = Client(server.url + "/tidemark/", 60)
        reply = client.post(CALL, "run-0")
        client.close()
    [request] = server.received
    assert (request.path, request.body) == ("/tidemark/events", CALL.body)
    assert request.headers["Content-Type"] == "application/x-ndjson"
    assert request.headers["Idempotency-Key"] == "run-0"
    assert (reply.status, reply.body, reply.retry_after, reply.accepted) == (200, b'{"stored": 0}', None, True)


def test_one_connection_serves_all_requests() -> None:
    with Stub() as server:
        client = Client(server.url, 60)
        for _ in range(5):
            client.post(CALL, "run-0")
        client.close()
    assert len({request.client for request in server.received}) == 1


def test_a_connection_that_the_server_closed_is_replaced_before_sending() -> None:
    with Stub(Scripted(hang_up=True), Scripted(hang_up=True)) as server:
        client = Client(server.url, 60)
        for _ in range(3):
            assert client.post(CALL, "run-0").status == 201
            if (sock := client._connection.sock) is not None and len(server.received) < 3:
                sock.recv(1, socket.MSG_PEEK)  # blocks until the server's end has arrived
        client.close()
    assert len({request.client for request in server.received}) == 3


def test_an_answer_may_say_that_the_connection_ends() -> None:
    with Stub(Scripted(headers={"Connection": "close"})) as server:
        client = Client(server.url, 60)
        assert [client.post(CALL, "run-0").status for _ in range(2)] == [201, 201]
        client.close()


def test_nobody_listens() -> None:
    with pytest.raises(Failed) as failure:
        Client(f"http://127.0.0.1:{CLOSED_PORT}", 5).get("/")
    assert failure.value.kind == "connection refused"


def test_an_unknown_host() -> None:
    with pytest.raises(Failed) as failure:
        Client("http://nowhere.invalid", 5).get("/")
    assert failure.value.kind == "unknown host"


def test_a_broken_connection_leaves_the_client_usable() -> None:
    with Stub(Scripted(drop=True)) as server:
        client = Client(server.url, 60)
        with pytest.raises(Failed) as failure:
            client.post(CALL, "run-0")
        assert failure.value.kind == "connection lost"
        assert client.post(CALL, "run-0").status == 201
        client.close()


def test_a_server_that_does_not_answer_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = Client(f"http://127.0.0.1:{silent.getsockname()[1]}", 0.05)
        with pytest.raises(Failed) as failure:
            client.post(CALL, "run-0")
    assert failure.value.kind == "timeout"


def test_an_answer_that_is_not_http() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = Client(f"http://127.0.0.1:{server.getsockname()[1]}", 60)
        client._connect()
        connection, _ = server.accept()
        with connection:
            # Sent before the request, so that the client reads it without another thread here.
            client._connection.putrequest("GET", "/")
            connection.sendall(b"220 smtp.example.org\r\n\r\n")
            client._connection.endheaders()
            with pytest.raises(Exception, match=r"220 smtp") as failure:
                client._connection.getresponse()
        client.close()
    assert Failed(failure.value).kind == "badstatusline"


def test_https_speaks_tls() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = Client(f"https://127.0.0.1:{silent.getsockname()[1]}", 0.05)
        with pytest.raises(Failed):
            client.get("/")
        connection, _ = silent.accept()
        with connection:
            assert connection.recv(1) == b"\x16"  # a TLS handshake


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, None),
        ("3", 3.0),
        ("0", 0.0),
        ("Thu, 26 Jun 2025 14:30:05 GMT", 5.0),
        ("Thu, 26 Jun 2025 14:29:00 GMT", 0.0),
        ("99999999999999999999", LONGEST_WAIT),
        ("soon", None),
        ("-1", None),
    ],
)
def test_retry_after(text: str | None, seconds: float | None) -> None:
    assert parse_retry_after(text, now=1_750_948_200.0) == seconds
