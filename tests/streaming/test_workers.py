"""Streams of real gunicorn workers on one shared log."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, suppress
from functools import partial
from http.client import IncompleteRead
from itertools import islice
from typing import Any, TypeVar

import pytest
import requests
import websocket

from tests.one_worker import accepted_by
from tests.patient import LENIENT
from tests.servers import CHECKOUT, Server, is_ok, reserve_port, until
from tests.streaming.sse import Message, Stream

Connected = TypeVar("Connected")
BATCH = 10_000
FLOOD = 14  # more than what the kernel keeps for a reader and our mailbox hold together, about 7 MB
"""Batches whose events, written out, are more than the buffers of any socket hold."""


@pytest.fixture(scope="module")
def shared() -> Iterator[Server]:
    """The server of `two`."""
    with Server(["-w", "2", "--graceful-timeout", "600"]) as server:
        yield server


@pytest.fixture
def two(shared: Server) -> Server:
    """Two workers; started again where a test has stopped them."""
    if shared.process.poll() is not None:
        shared.start()
    return shared


@contextmanager
def socket_at(url: str) -> Iterator[websocket.WebSocket]:
    """An open WebSocket."""
    ws = websocket.WebSocket()
    try:
        ws.connect(  # type: ignore[no-untyped-call]
            url.replace("http", "ws"), timeout=60
        )
        yield ws
        ws.close()
    finally:
        ws.shutdown()  # type: ignore[no-untyped-call]  # `close` leaves the socket open where the other side closed first


def socket_of(server: Server, path: str) -> AbstractContextManager[websocket.WebSocket]:
    """An open WebSocket of this server."""
    return socket_at(server.url + path)


def refusal(server: Server, path: str) -> int:
    """The status with which the server refuses the handshake."""
    with pytest.raises(websocket.WebSocketBadStatusException) as refused, socket_of(server, path):
        pass
    return int(refused.value.status_code)


def status(server: Server, path: str = "/stream") -> int:
    """The status with which a stream would begin."""
    return requests.head(server.url + path, timeout=60).status_code


def post(server: Server, series: str, *values: float) -> int:
    """Events of now, in one batch; where they stand in the log."""
    response = server.post("/events", {"series": series, "values": list(values)})
    assert response.status_code == 201
    return int(response.headers["Log-Position"])


def close_frame(ws: websocket.WebSocket) -> tuple[int, str]:
    """The code and reason with which the server closes."""
    while True:
        code, data = ws.recv_data(control_frame=True)
        if code == websocket.ABNF.OPCODE_CLOSE:
            return int.from_bytes(data[:2], "big"), data[2:].decode()


def values(messages: list[Message]) -> list[float]:
    """The values of events."""
    return [message.json["value"] for message in messages]


def local_port(ws: websocket.WebSocket) -> int:
    """The port on this side of the connection."""
    assert ws.sock is not None
    return int(ws.sock.getsockname()[1])


def on_each_worker(
    server: Server, connect: Callable[[], Connected], port: Callable[[Connected], int]
) -> list[Connected]:
    """Return connections, of which each worker has accepted one at least."""
    workers, connected = set(server.wait_for_workers(2)), list[Connected]()

    def has_all() -> bool:
        connected.append(connect())
        return {accepted_by(port(each), workers) for each in connected} == workers

    until(has_all, "a connection to each worker")
    return connected


def test_every_subscriber_of_every_worker_gets_every_event_once_and_in_one_order(two: Server) -> None:
    with ExitStack() as stack:
        streams = on_each_worker(
            two, lambda: stack.enter_context(Stream(f"{two.url}/series/all/stream")), lambda stream: stream.port
        )
        sockets = on_each_worker(two, lambda: stack.enter_context(socket_of(two, "/ws/all")), local_port)
        numbers = iter(range(50))
        two.ask_each_worker(lambda: [post(two, "all", n, n + 0.5) for n in islice(numbers, 25)])
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda n: post(two, "all", n, n + 0.5), range(50, 100)))
        post(two, "other", 1)
        received = [stream.take(200) for stream in streams]
        first = [message.json for message in received[0]]
        assert Counter(event["value"] for event in first) == Counter(n / 2 for n in range(200))
        positions = [event["position"] for event in first]
        assert positions == sorted(set(positions))
        assert [message.id for message in received[0]] == [str(position) for position in positions]
        assert all([message.json for message in messages] == first for messages in received)
        assert all([json.loads(ws.recv()) for _ in range(200)] == first for ws in sockets)


def test_a_stream_goes_on_where_it_broke_off_on_whichever_worker(two: Server) -> None:
    received: list[Message] = []
    last = post(two, "resumed", -1)
    for start in range(0, 100, 10):
        post(two, "resumed", *range(start, start + 10))
        with Stream(f"{two.url}/series/resumed/stream", last) as stream:
            received += stream.take(7)
        last = int(received[-1].id or 0)
    with Stream(f"{two.url}/series/resumed/stream", last) as stream:
        received += stream.take(30)
    assert values(received) == list(range(100))


def test_a_series_that_begins_and_ends_within_one_look_at_the_log_is_heard_of(two: Server) -> None:
    for number in range(4):
        series = f"brief-{number}"
        with Stream(f"{two.url}/series/{series}/stream") as stream:
            post(two, series, 7)
            assert requests.delete(f"{two.url}/series/{series}", timeout=60).status_code == 204
            post(two, series, 8)
            messages = stream.take(2)
            if messages[0].event != "gap":  # one that looks only after the end has lost the first, and is told so
                assert messages.pop(0).json["value"] == 7
                messages += stream.take(1)
        assert [messages[0].event, messages[1].json["value"]] == ["gap", 8]


def test_it_catches_up_on_more_than_fits_in_any_queue(two: Server) -> None:
    before = post(two, "long", 0)
    for _ in range(3):
        post(two, "long", *range(BATCH))
    with Stream(f"{two.url}/series/long/stream", before) as stream:
        assert values(stream.take(3 * BATCH)) == list(range(BATCH)) * 3


def test_statistics_of_any_worker_count_what_all_accepted(two: Server) -> None:
    with ExitStack() as stack:
        query = "series=pulse&interval=0.1"
        streams = [stack.enter_context(Stream(f"{two.url}/stream?{query}")) for _ in range(8)]
        assert {stream.take(1)[0].json["count"] for stream in streams} == {0}
        position = post(two, "pulse", 1, 2, 3)
        for stream in streams:
            answer = next(message for message in stream if int(message.id or 0) >= position)
            assert (answer.json["count"], answer.json["sum"]) == (3, 6.0)


def test_tickers(two: Server) -> None:
    with socket_of(two, "/dialects/tickers/ws/NOBODY") as unknown:
        assert close_frame(unknown) == (4004, "Ticker not found")
    post(two, "ITEM_07", 100)
    with socket_of(two, "/dialects/tickers/ws/ITEM_07") as ws:
        post(two, "ITEM_07", 101.237)
        update: dict[str, Any] = json.loads(ws.recv())
    assert update["type"] == "price_update"
    assert update["data"].keys() == {"ticker_id", "price", "timestamp"}
    assert (update["data"]["ticker_id"], update["data"]["price"]) == ("ITEM_07", 101.237)


def test_what_a_client_says_over_a_websocket_is_ignored_and_limited(two: Server) -> None:
    with socket_of(two, "/ws/said") as ws:
        for _ in range(100):
            ws.send("hello")
        ws.ping()
        post(two, "said", 1)
        assert json.loads(ws.recv())["value"] == 1
        ws.send("x" * 5000)
        assert close_frame(ws)[0] == 1009


@pytest.mark.parametrize("path", ["/ws/" + "x" * 129, "/ws/a?after=x", "/ws/a?since=1"])
def test_a_bad_websocket_request_is_refused_before_the_handshake(two: Server, path: str) -> None:
    assert refusal(two, path) == 400


def test_a_websocket_resumes_behind_a_position(two: Server) -> None:
    last = post(two, "behind", 1, 2, 3)
    with socket_of(two, f"/ws/behind?after={last - 1}") as ws:
        assert json.loads(ws.recv())["value"] == 3


def test_a_plain_get_of_a_websocket_is_a_problem(two: Server) -> None:
    response = two.get("/ws/a")
    assert (response.status_code, response.headers["Content-Type"]) == (426, "application/problem+json")


@pytest.mark.parametrize("path", ["/ws/a", "/dialects/tickers/ws/a"])
@pytest.mark.parametrize(
    "rest",
    [
        {},
        {"Sec-WebSocket-Version": "13"},
        {"Sec-WebSocket-Version": "7", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="},
    ],
)
def test_an_incomplete_handshake_is_a_problem(two: Server, path: str, rest: dict[str, str]) -> None:
    headers = {"Upgrade": "websocket", "Connection": "Upgrade"} | rest
    response = requests.get(two.url + path, headers=headers, timeout=60)
    assert (response.status_code, response.headers["Sec-WebSocket-Version"]) == (400, "13")
    assert "handshake is not complete" in response.json()["detail"]


class Deaf:
    """A client that asks for a stream of `flood` and reads no more than its first events."""

    def __init__(self, server: Server, path: str, upgrade: str = "") -> None:
        self.socket = socket.socket()
        # Little, so that it is full soon; not so little that each window is shut until the kernel probes it again.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        self.socket.connect(("127.0.0.1", server.port))
        self.socket.settimeout(60)
        self.socket.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n{upgrade}\r\n".encode())
        self._read_until(b"HTTP/1.1")
        for value in (-1.5, -2.5):  # what came before it was let in it would be given at its own pace, however slow
            post(server, "flood", value)
            self._read_until(str(value).encode())

    def _read_until(self, text: bytes) -> None:
        heard, deadline = b"", time.monotonic() + 60
        while text not in heard:
            assert time.monotonic() < deadline, heard  # heartbeats would go on for ever
            piece = self.socket.recv(1 << 12)
            assert piece, heard
            heard += piece

    def close(self) -> None:
        """Leave."""
        self.socket.close()

    def hear(self) -> bytes:
        """All that comes until the end, however it ends."""
        heard = b""
        try:
            while piece := self.socket.recv(1 << 20):
                heard += piece
        except ConnectionResetError:
            pass
        return heard


UPGRADE = (
    "Upgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


@pytest.fixture(scope="module")
def one() -> Iterator[Server]:
    """The server of `narrow`."""
    with Server(["-w", "1", "-k", LENIENT], {"TIDEMARK_MAX_STREAMS": "3"}) as server:
        yield server


@pytest.fixture
def narrow(one: Server) -> Server:
    """One worker with three places, all free."""
    until(lambda: "tidemark_open_streams 0" in one.get("/metrics").text, "all places to be free", 120)
    return one


def test_a_slow_subscriber_is_dropped_and_told_and_the_quick_ones_go_on(narrow: Server) -> None:
    with (
        closing(Deaf(narrow, "/series/flood/stream")) as deaf,
        closing(Deaf(narrow, "/ws/flood", UPGRADE)) as deaf_ws,
        Stream(f"{narrow.url}/series/flood/stream") as quick,
    ):
        for _ in range(FLOOD):
            post(narrow, "flood", *[0.123456789] * BATCH)
            quick.skip(BATCH)  # before the next come, or a machine that is busy might drop it too
        heard, heard_ws = deaf.hear(), deaf_ws.hear()
    assert b"event: error\ndata: " in heard[-300:]
    assert b"faster than you read" in heard[-300:]
    assert (1013).to_bytes(2, "big") + b"Events came faster" in heard_ws[-300:]
    assert 0 < heard.count(b"event: event") < FLOOD * BATCH


def test_clients_that_leave_a_quiet_stream_give_their_places_back_within_seconds(narrow: Server) -> None:
    streams = [Stream(f"{narrow.url}/series/quiet/stream"), Stream(f"{narrow.url}/stream?interval=60")]
    with socket_of(narrow, "/ws/quiet"):
        assert status(narrow) == 503
        assert refusal(narrow, "/ws/quiet") == 503
    for stream in streams:
        stream.close()
    with ExitStack() as stack:
        for _ in range(3):
            until(lambda: status(narrow) == 200, "a place to be free", 60)
            stack.enter_context(Stream(f"{narrow.url}/series/quiet/stream"))
        assert status(narrow) == 503


def test_sigterm_ends_streams_politely_and_soon(two: Server) -> None:
    with ExitStack() as stack:
        paths = ["/series/a/stream", "/stream?interval=60"] * 3
        streams = [stack.enter_context(Stream(two.url + path)) for path in paths]
        sockets = [stack.enter_context(socket_of(two, "/ws/a")) for _ in range(3)]
        deaf = stack.enter_context(closing(Deaf(two, "/series/flood/stream")))
        assert two.stop(signal.SIGTERM) == 0
        for stream in streams:
            last = list(stream)[-1]
            assert (last.event, "reconnect" in last.json["reason"]) == ("close", True)
        assert [close_frame(ws)[0] for ws in sockets] == [1001] * 3
        assert b"event: close" in deaf.hear()
        assert "Traceback" not in two.output()
        assert "graceful timeout" not in two.output()


def follow(server: Server, count: int) -> list[float]:
    """Return what a client sees that comes back with its last id whenever a stream ends."""
    seen: list[float] = []
    last = 0
    while len(seen) < count:
        with suppress(IncompleteRead, ConnectionError), Stream(f"{server.url}/series/followed/stream", last) as stream:
            for message in islice((message for message in stream if message.event == "event"), count - len(seen)):
                seen.append(message.json["value"])
                last = int(message.id or 0)
    return seen


def _replaced(server: Server, old: set[int]) -> bool:
    new = set(server.workers())
    return len(new) == len(old) and new != old


def test_when_workers_end_their_streams_go_on_elsewhere_and_nothing_is_lost(two: Server) -> None:
    """Also where they are killed: tests/history."""
    with ThreadPoolExecutor(1) as pool:
        followed = pool.submit(follow, two, 40)
        for number in range(40):
            post(two, "followed", number)
            if number in (10, 20):
                old = set(two.wait_for_workers(2))
                os.kill(max(old), signal.SIGTERM)
                until(partial(_replaced, two, old), "another worker")
        assert followed.result() == list(range(40))


@contextmanager
def development_server() -> Iterator[str]:
    """`python app.py`, and its URL."""
    with reserve_port() as reservation:
        port = str(reservation.getsockname()[1])
        own = {"HOST": "127.0.0.1", "PORT": port, "TIDEMARK_LOG_URL": "memory:"}
        command = [sys.executable, "app.py"]
        process = subprocess.Popen(command, cwd=CHECKOUT, env=os.environ | own, stderr=subprocess.DEVNULL)
        try:
            until(lambda: is_ok(f"http://127.0.0.1:{port}/health"), "the development server", 120)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait()


def test_the_development_server_streams_too() -> None:
    with development_server() as url, ExitStack() as stack:
        streams = [stack.enter_context(Stream(f"{url}/series/a/stream")) for _ in range(3)]
        ws = stack.enter_context(socket_at(f"{url}/ws/a"))
        for number in range(3):
            requests.post(f"{url}/events", json={"series": "a", "values": [number]}, timeout=60)
        for stream in streams:
            assert values(stream.take(3)) == [0, 1, 2]
        assert [json.loads(ws.recv())["value"] for _ in range(3)] == [0, 1, 2]
        statistics = stack.enter_context(Stream(f"{url}/stream?interval=0.1"))
        assert [message.json["count"] for message in statistics.take(2)] == [3, 3]
