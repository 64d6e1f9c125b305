"""Sending, to real servers that take, refuse, redirect, send too much, or say nothing."""

from __future__ import annotations

import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from alerts import receivers
from alerts.file import Receiver
from alerts.receivers import SendFailed, send
from tests.alerts.receiving import Receiving, receiving
from tests.tls import certificate


@pytest.fixture(scope="module")
def server() -> Iterator[Receiving]:
    with receiving() as server:
        yield server


@pytest.fixture
def url(server: Receiving) -> str:
    server.taken.clear()
    return server.url


def test_a_body_is_posted_with_its_position_and_headers(server: Receiving, url: str, tmp_path: Path) -> None:
    file = tmp_path / "headers"
    file.write_text("Authorization: Bearer secret\n\n")
    send(Receiver("ops", url + "/x?y=1", False, str(file)), b"{}", 7)
    send(Receiver("am", url, True), b"[]", 8)
    assert server.taken == [("/x?y=1", b"{}", 7, "Bearer secret"), ("/api/v2/alerts", b"[]", 8, None)]


@pytest.mark.parametrize(("path", "told"), [("/refuse", "500"), ("/away", "302")])
def test_a_refusal_or_a_redirect_is_a_failure(server: Receiving, url: str, path: str, told: str) -> None:
    with pytest.raises(SendFailed, match=f"receiver ops: status {told}"):
        send(Receiver("ops", url + path, False), b"{}", 7)
    assert [taken.path for taken in server.taken] == [path]


def test_an_endless_answer_is_read_to_its_bound(url: str) -> None:
    send(Receiver("ops", url + "/large", False), b"{}", 7)


def test_an_answer_without_end_is_cut_off(server: Receiving, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    server.dripping.clear()

    class Timer(threading.Thread):
        """Its seconds are over when the answer has begun."""

        def __init__(self, seconds: float, call: Callable[..., object], arguments: tuple[object, ...]) -> None:
            super().__init__()
            assert seconds == receivers.MOST_SECONDS
            self._end = partial(call, *arguments)

        def run(self) -> None:
            if server.dripping.wait(60):
                self._end()

        def cancel(self) -> None:
            self.join(60)

    monkeypatch.setattr(receivers, "threading", SimpleNamespace(Timer=Timer))
    send(Receiver("ops", url + "/drip", False), b"{}", 7)  # it has said that it took it


def test_a_head_without_end_is_read_to_its_bound() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_write_a_head, args=(listener,))
        thread.start()
        send(Receiver("ops", f"http://127.0.0.1:{listener.getsockname()[1]}/", False), b"{}", 7)  # it said 200
        thread.join(60)
        assert not thread.is_alive()  # it wrote on until nobody read any more


def _write_a_head(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    with connection, suppress(OSError):
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        while True:
            connection.sendall(b"X: " + b"x" * 1000 + b"\r\n")


def test_a_certificate_is_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    with Receiving() as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        receiver = Receiver("ops", f"https://localhost:{server.server_port}/", False)
        with pytest.raises(SendFailed, match="SSLCertVerificationError"):
            send(receiver, b"{}", 7)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
        receivers._tls.cache_clear()
        send(receiver, b"{}", 7)
        receivers._tls.cache_clear()
        server.shutdown()
        thread.join(60)


def test_a_receiver_that_hangs_is_given_up(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receivers, "SECONDS", 0.2)
    with pytest.raises(SendFailed, match="receiver ops: TimeoutError") as caught:
        send(Receiver("ops", url + "/hang", False), b"{}", 7)
    assert "http" not in str(caught.value)


def test_nobody_there_is_a_failure() -> None:
    with pytest.raises(SendFailed, match="receiver ops: "):
        send(Receiver("ops", "https://127.0.0.1:1/secret", False), b"{}", 7)


def test_plain_http_is_no_tls(url: str) -> None:
    with pytest.raises(SendFailed, match="SSL"):
        send(Receiver("ops", url.replace("http:", "https:"), False), b"{}", 7)


@pytest.mark.parametrize("line", ["secret", "Host: a", "Content-Length: 1", "X: a\0b", "Connection: close"])
def test_a_bad_line_of_headers_is_told_without_its_text(tmp_path: Path, line: str) -> None:
    file = tmp_path / "headers"
    file.write_text(line)
    with pytest.raises(SendFailed, match="headers_file has a line") as caught:
        send(Receiver("ops", "http://127.0.0.1:1", False, str(file)), b"{}", 7)
    assert line not in str(caught.value)


def test_a_file_of_headers_must_be_a_small_regular_file(tmp_path: Path) -> None:
    large, pipe = tmp_path / "large", tmp_path / "pipe"
    large.write_bytes(bytes(65_537))
    os.mkfifo(pipe)
    for path, told in ((large, "larger"), (pipe, "no regular file"), (tmp_path / "none", "No such file")):
        with pytest.raises(SendFailed, match=told):
            send(Receiver("ops", "http://127.0.0.1:1", False, str(path)), b"{}", 7)
