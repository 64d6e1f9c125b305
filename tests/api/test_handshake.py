"""The handshake of WebSockets: opened where it is whole, refused by an ordinary answer where it is not."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from flask import Blueprint, Flask
from flask.testing import FlaskClient
from hypothesis import example, given
from hypothesis import strategies as st
from wsproto.connection import Connection, ConnectionType
from wsproto.events import CloseConnection

from api.handshake import accept, websocket_route
from api.problems import Problem
from streaming.websocket import WebSocket
from tests.servers import Server

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
WHOLE = {
    "Host": "localhost",
    "Upgrade": "websocket",
    "Connection": "keep-alive, Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": KEY,
}
THREADED = {"SERVER_SOFTWARE": "Werkzeug/3"}
"""The environ of the development server, which has a thread for each request."""
PATHS = pytest.mark.parametrize("path", ["/ws/a", "/dialects/tickers/ws/a"])


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """One worker; it must never have failed at a request."""
    with Server(["-w", "1"]) as server:
        yield server
        assert "Traceback" not in server.output()


def answer(server: Server, headers: dict[str, str], line: str = "GET /ws/a HTTP/1.1") -> tuple[int, bytes]:
    """Return the status and the head of the server's answer to this request, sent as it stands."""
    lines = [line, *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as client:
        client.sendall("\r\n".join(lines).encode("latin-1"))
        head = b""
        while b"\r\n\r\n" not in head:
            data = client.recv(4096)
            assert data, f"the server has closed after {head!r}"
            head += data
    return int(head.split()[1]), head.partition(b"\r\n\r\n")[0]


def test_it_is_answered_as_the_standard_does() -> None:
    environ = {"REQUEST_METHOD": "GET", "SERVER_PROTOCOL": "HTTP/1.1"}
    environ |= {"HTTP_SEC_WEBSOCKET_VERSION": "13", "HTTP_SEC_WEBSOCKET_KEY": KEY}
    assert accept(environ) == (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
    )


@pytest.mark.parametrize("key", ["", "x", "!" * 24, KEY[:-1], KEY + "=", f"{KEY}, {KEY}", "AAAA", "é" * 24, "\u20ac"])
def test_a_key_that_is_none_is_refused(key: str) -> None:
    environ = {"REQUEST_METHOD": "GET", "SERVER_PROTOCOL": "HTTP/1.1", "HTTP_SEC_WEBSOCKET_VERSION": "13"}
    with pytest.raises(Problem, match="Sec-WebSocket-Key") as refused:
        accept(environ | {"HTTP_SEC_WEBSOCKET_KEY": key})
    assert refused.value.code == 400


def test_a_view_that_fails_closes_and_sends_nothing_else(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    bp = Blueprint("failing", __name__)

    @websocket_route(bp, "/ws")
    def fail(ws: WebSocket) -> None:
        raise RuntimeError("a bug")

    app.register_blueprint(bp, url_prefix="/failing")
    ours, theirs = socket.socketpair()
    with ours, theirs:
        client = Connection(ConnectionType.CLIENT)
        theirs.sendall(client.send(CloseConnection(1000)))
        with pytest.raises(BrokenPipeError):
            app.test_client().get("/failing/ws", headers=WHOLE, environ_overrides={"werkzeug.socket": ours})
        head, _, rest = theirs.recv(4096, socket.MSG_WAITALL).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 ")
    assert rest[2:4] == (1011).to_bytes(2, "big")
    assert "a bug" in caplog.text


@PATHS
@pytest.mark.parametrize(
    ("method", "protocol", "status"),
    [("HEAD", "HTTP/1.1", 426), ("GET", "HTTP/1.0", 426), ("OPTIONS", "HTTP/1.1", 204), ("POST", "HTTP/1.1", 405)],
)
def test_nothing_but_a_get_of_http_1_1_opens_one(
    client: FlaskClient, path: str, method: str, protocol: str, status: int
) -> None:
    environ = THREADED | {"SERVER_PROTOCOL": protocol}
    response = client.open(path, method=method, headers=WHOLE, environ_overrides=environ)
    assert response.status_code == status
    assert status != 426 or response.headers["Upgrade"] == "websocket"


@PATHS
def test_offers_are_not_taken_up_however_they_read(server: Server, path: str) -> None:
    for offer in ("permessage-deflate", "permessage-deflate; client_max_window_bits=abc", "é", ", ,;=", "a" * 1000):
        for name in ("Sec-WebSocket-Extensions", "Sec-WebSocket-Protocol"):
            status, head = answer(server, WHOLE | {name: offer}, f"GET {path} HTTP/1.1")
            assert status == 101
            assert name.encode() not in head


@PATHS
@pytest.mark.parametrize(
    "line", ["HEAD {} HTTP/1.1", "GET {} HTTP/1.0", "HEAD {} HTTP/1.0", "POST {} HTTP/1.1", "OPTIONS {} HTTP/1.1"]
)
def test_a_real_server_opens_none_for_another_request(server: Server, path: str, line: str) -> None:
    status, _ = answer(server, WHOLE, line.format(path))
    assert status in (204, 405, 426)


VALUES = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\0")) | st.sampled_from(
    ["websocket", "Upgrade", "13", KEY, "permessage-deflate; client_max_window_bits=abc", "h2c", "8", "a, b"]
)
HEADERS = st.dictionaries(
    st.sampled_from([*WHOLE, "Sec-WebSocket-Extensions", "Sec-WebSocket-Protocol"]).filter(lambda name: name != "Host"),
    VALUES | st.none(),
    max_size=3,
)


@given(changed=HEADERS)
@example(changed={"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits=abc"})
@example(changed={"Sec-WebSocket-Extensions": "é", "Sec-WebSocket-Protocol": "é"})
@example(changed={"Connection": "Upgrade, é"})
@example(changed={"Sec-WebSocket-Key": "é", "Sec-WebSocket-Version": "é"})
def test_no_header_fails_the_server_or_opens_one_that_is_not_whole(
    server: Server, changed: dict[str, str | None]
) -> None:
    sent = {name: value for name, value in (WHOLE | changed).items() if value is not None}
    status, head = answer(server, sent)
    assert status in (101, 400, 426)
    if status == 101:
        assert (sent["Sec-WebSocket-Key"].strip(), sent["Sec-WebSocket-Version"].strip()) == (KEY, "13")
        assert "upgrade" in sent["Connection"].lower()
        assert b"Sec-WebSocket-Extensions" not in head
    if not changed.keys() & WHOLE.keys() and all(map(may_stand_in_a_header, changed.values())):
        assert status == 101


def may_stand_in_a_header(value: str | None) -> bool:
    """Return True where gunicorn's parser takes this value."""
    return value is None or not any(ord(character) < 32 or ord(character) == 127 for character in value)
