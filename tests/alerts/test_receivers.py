"""Sending, to real servers that take, refuse, redirect, send too much, or say nothing."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from alerts import receivers
from alerts.file import Receiver
from alerts.receivers import POSITION, SendFailed, send


class Taking(BaseHTTPRequestHandler):
    """Answers as its path says."""

    taken: list[tuple[str, bytes, str | None, str | None]] = []

    def do_POST(self) -> None:  # the name that http.server calls
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.taken.append((self.path, body, self.headers[POSITION], self.headers["Authorization"]))
        if self.path == "/hang":
            self.rfile.read(1)  # until the client gives up
            return
        self.send_response(302 if self.path == "/away" else 500 if self.path == "/refuse" else 200)
        self.send_header("Location", "/elsewhere")
        self.end_headers()
        if self.path == "/large":
            self._write_on()

    def _write_on(self) -> None:
        try:
            while True:
                self.wfile.write(bytes(65_536))
        except OSError:
            pass  # the client has read enough

    def log_message(self, *arguments: object) -> None:
        """Keep the output of the tests clean."""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Taking) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(autouse=True)
def nothing_taken() -> None:
    Taking.taken.clear()


def test_a_body_is_posted_with_its_position_and_headers(url: str, tmp_path: Path) -> None:
    file = tmp_path / "headers"
    file.write_text("Authorization: Bearer secret\n\n")
    send(Receiver("ops", url + "/x?y=1", False, str(file)), b"{}", 7)
    send(Receiver("am", url, True), b"[]", 8)
    assert Taking.taken == [("/x?y=1", b"{}", "7", "Bearer secret"), ("/api/v2/alerts", b"[]", "8", None)]


@pytest.mark.parametrize(("path", "told"), [("/refuse", "500"), ("/away", "302")])
def test_a_refusal_or_a_redirect_is_a_failure(url: str, path: str, told: str) -> None:
    with pytest.raises(SendFailed, match=f"receiver ops: status {told}"):
        send(Receiver("ops", url + path, False), b"{}", 7)
    assert [taken[0] for taken in Taking.taken] == [path]


def test_an_endless_answer_is_read_to_its_bound(url: str) -> None:
    send(Receiver("ops", url + "/large", False), b"{}", 7)


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
