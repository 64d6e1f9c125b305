"""Keys before real gunicorn workers: the start, every worker, open streams."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
import requests
import websocket

from access.keys import hash_of
from tests.servers import CHECKOUT, Server, until
from tests.streaming.sse import Stream

from .guarded import TOKENS, bearer, write_keys

SOON = 60.0
"""That a file is looked at every two seconds is tested in `test_watch`; this is for the slowest of machines."""


@pytest.fixture(scope="module")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of the server that these tests share."""
    path = tmp_path_factory.mktemp("shared") / "keys.toml"
    write_keys(path)
    return path


@pytest.fixture(scope="module")
def running(key_file: Path) -> Iterator[Server]:
    with Server(["-w", "2"], {"TIDEMARK_KEYS": str(key_file), "HOST": "0.0.0.0"}) as server:
        server.wait_for_workers(2)
        yield server


@pytest.fixture
def two(running: Server, key_file: Path) -> Server:
    """Two workers that know all keys, whatever the test before has written."""
    write_keys(key_file)
    until(lambda: known(running) == [[200] * len(KNOWN)] * 2, "all keys to be known", SOON)
    return running


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A worker with a key that may have two streams, and one that may have as many as there are."""
    keys = tmp_path_factory.mktemp("keys") / "keys.toml"
    entry = '[[key]]\nname = "{0}"\nhash = "{1}"\ncan = ["read", "write", "metrics"]\n{2}\n'
    limits = {"few": "max_streams = 2", "many": ""}
    keys.write_text("".join(entry.format(name, hash_of(f"tm_{name:_<43}"), limit) for name, limit in limits.items()))
    with Server(["-w", "1"], {"TIDEMARK_KEYS": str(keys)}) as server:
        server.post("/events", {"series": "a", "values": [1]}, headers=bearer("many"))
        yield server


KNOWN = ("everything", "reading")
"""The keys by which the tests below ask."""


def known(server: Server) -> list[list[int]]:
    return server.ask_each_worker(lambda: [status(server, name) for name in KNOWN])


def status(server: Server, name: str) -> int:
    return server.get("/statistics", headers=bearer(name)).status_code


def test_every_worker_follows_the_file_and_none_prints_a_token(two: Server, key_file: Path) -> None:
    assert two.ask_each_worker(lambda: status(two, "reading")) == [200, 200]
    assert two.ask_each_worker(lambda: two.get("/statistics").status_code) == [401, 401]
    write_keys(key_file, "writing")
    until(lambda: two.ask_each_worker(lambda: status(two, "reading")) == [401, 401], "the file to be read", SOON)
    assert not any(token in two.output() for token in TOKENS.values())


def test_a_new_worker_has_the_last_good_file_while_a_broken_one_is_there(two: Server, key_file: Path) -> None:
    write_keys(key_file, "reading", "writing")
    until(
        lambda: two.ask_each_worker(lambda: status(two, "everything")) == [401, 401], "both to have read the file", SOON
    )
    key_file.write_text("[[key")
    before = two.workers()
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    until(lambda: len(two.workers()) == 2 and not set(two.workers()) & set(before), "two new workers")
    until(lambda: two.ask_each_worker(lambda: two.get("/health/ready").status_code) == [200] * 2, "both to be ready")
    assert two.ask_each_worker(lambda: status(two, "reading")) == [200, 200]
    assert two.ask_each_worker(lambda: status(two, "everything")) == [401, 401]
    notice = two.get("/health").json()["notice"]
    assert "The key file is not used as it is now" in notice
    assert "it is not TOML (at end of document)" in two.output()


@pytest.mark.parametrize("path", ["/stream", "/series/a/stream"])
def test_a_stream_ends_with_its_key(path: str, two: Server, key_file: Path) -> None:
    with (
        closing(Stream(two.url + path, headers=bearer("reading"))) as stream,
        closing(Stream(two.url + path, headers=bearer("everything"))) as other,
    ):
        write_keys(key_file, "everything")
        *_, last = stream
        assert last.event == "error"
        assert "access key" in last.json["reason"]
        two.post("/events", {"series": "a", "values": [1]}, headers=bearer("everything"))
        assert other.take(1)


def test_a_websocket_ends_with_its_key(two: Server, key_file: Path) -> None:
    url = two.url.replace("http", "ws") + "/ws/a"
    ws = websocket.create_connection(url, timeout=SOON, header=bearer("restricted") | bearer("reading"))
    try:
        write_keys(key_file, "everything")
        frame = ws.recv_frame()  # type: ignore[no-untyped-call]
        assert frame.opcode == websocket.ABNF.OPCODE_CLOSE
        assert int.from_bytes(frame.data[:2]) == 1008
    finally:
        ws.shutdown()  # type: ignore[no-untyped-call]
    # The other worker looks at the file at a moment of its own.
    until(lambda: two.ask_each_worker(lambda: status(two, "reading")) == [401, 401], "both workers to know it", SOON)
    with pytest.raises(websocket.WebSocketBadStatusException, match="401"):
        websocket.create_connection(url, timeout=60, header=bearer("reading"))


PATHS = ("/stream", "/series/a/stream", "/ws/a", "/dialects/tickers/ws/a")


def opened(server: Server, path: str, name: str) -> Iterator[Callable[[], object]]:
    """Open a stream; what closes it, or nothing where it is refused for the limit of its key."""
    if "/ws/" not in path:
        answer = requests.get(server.url + path, headers=bearer(name), stream=True, timeout=60)
        if answer.status_code == 200:
            yield answer.close
            return
        status, headers, body = answer.status_code, dict(answer.headers), answer.text
    else:
        try:
            yield websocket.create_connection(
                server.url.replace("http", "ws") + path, timeout=60, header=bearer(name)
            ).close
            return
        except websocket.WebSocketBadStatusException as fault:
            status, headers, body = fault.status_code, dict(fault.resp_headers or {}), (fault.resp_body or b"").decode()
    assert (status, {name.lower(): value for name, value in headers.items()}["retry-after"]) == (503, "5")
    assert "The key few has 2 open streams in this worker, which is its limit (max_streams)" in body


@pytest.mark.parametrize(("first", "second"), [*zip(PATHS, PATHS[1:] + PATHS[:1], strict=True)])
def test_a_key_has_no_more_streams_than_it_may(first: str, second: str, one: Server) -> None:
    with ExitStack() as stack:
        closers = [close for path in (first, second) for close in opened(one, path, "few")]
        for close in closers:
            stack.callback(close)
        assert len(closers) == 2
        for path in PATHS:
            assert not list(opened(one, path, "few"))
            for close in opened(one, path, "many"):
                close()
        closers[0]()
        for close in until(lambda: list(opened(one, first, "few")), "the place to come back"):
            close()
    until(
        lambda: one.get("/metrics", headers=bearer("many")).text.count("tidemark_open_streams 0.0"), "all to be closed"
    )


def test_a_browser_opens_the_dashboard_its_streams_and_websockets_with_a_password(two: Server) -> None:
    auth = ("me", TOKENS["reading"])
    assert requests.get(two.url + "/", auth=auth, timeout=60).status_code == 200
    with requests.get(two.url + "/stream", auth=auth, timeout=60, stream=True) as answer:
        assert answer.status_code == 200


def start(**env: str) -> subprocess.CompletedProcess[str]:
    """Return what a start prints that has to fail; a port of nobody's ends it where nothing else does."""
    command = [sys.executable, "-m", "gunicorn", "--check-config", "app:app"]
    return subprocess.run(command, capture_output=True, text=True, cwd=CHECKOUT, env={"PATH": "", **env}, timeout=300)


def test_a_file_that_cannot_be_used_stops_the_start_with_one_line(tmp_path: Path) -> None:
    done = start(TIDEMARK_KEYS=str(tmp_path / "none.toml"))
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert line.startswith("tidemark: TIDEMARK_KEYS: ")
    assert "it cannot be read: No such file or directory" in line


def test_the_start_with_keys_tells_of_no_open_door(running: Server) -> None:
    """Without keys it does: `test_boundary`."""
    assert "To close the door" not in running.output()
