"""The Python client against real servers that are killed, behind a proxy that loses requests and answers."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson
import pytest

from tests.servers import CHECKOUT, Server, until
from tidemark import Event, Gap, Tidemark, retrying

AFTER_COMMIT = ("answer lost", "answer cut")
OTHERS = ("request lost", "refused", "worker killed", "group killed", "restarted")
OVERLOAD = "overload"
EACH = 60
"""Events sent between two faults."""
FAULTS = 10
"""Faults of a part of the test."""
PARTS = 25
OVERLOADS = PARTS
"""The part, after the others, in which the server is overloaded."""
MOST_ATTEMPTS = 50
SECONDS = 300.0
"""Maximum seconds of a flush: a server starts meanwhile, which may take 120 s beside other tests."""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server(["-w", "2"]) as running:
        running.wait_for_workers(2)
        yield running


class Proxy:
    """Passes posts on to a server; one of them suffers the fault that is set, in place or in the server."""

    def __init__(self, server: Server, *, keeps_keys: bool = True) -> None:
        self.fault = ""
        self.befallen = Counter[str]()
        self.faults = list[BaseException]()
        """Errors of the proxy itself."""
        self._server = server
        self._headers = ("Content-Type", *(("Idempotency-Key",) if keeps_keys else ()))
        self._lock = threading.Lock()
        self._befalling = threading.Lock()

    def settle(self) -> None:
        """Wait for the end of a fault: the client may have asked again and be answered while a server still starts."""
        assert self._befalling.acquire(timeout=SECONDS)
        self._befalling.release()

    def take(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer a request, or close its connection in place of an answer."""
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        handler.close_connection = True
        with self._lock, ExitStack() as stack:  # a fault happens to one request
            fault, self.fault = self.fault, ""
            if fault:
                stack.enter_context(self._befalling)
            befalling = stack.pop_all()
        with befalling:
            self._answer(handler, fault, body)

    def _answer(self, handler: BaseHTTPRequestHandler, fault: str, body: bytes) -> None:
        if fault == "request lost":
            self.befallen[fault] += 1
        elif fault == "refused":
            self.befallen[fault] += 1
            reply(handler, 503, b'{"detail": "later"}', "Retry-After: 0")
        else:
            self._pass_on(handler, fault, body)

    def _pass_on(self, handler: BaseHTTPRequestHandler, fault: str, body: bytes) -> None:
        headers = {name: handler.headers[name] for name in self._headers}
        with closing(HTTPConnection("127.0.0.1", self._server.port, timeout=60)) as connection, ExitStack() as stack:
            if fault == OVERLOAD:
                stack.enter_context(queueing(self._server))
            try:
                connection.request("POST", handler.path, body, headers)
            except (OSError, HTTPException):  # nobody listens: the fault is for a request that arrives
                self.fault = fault
                return
            befall(self._server, fault)
            stack.close()
            try:
                answer = connection.getresponse()
                content = answer.read()
            except (OSError, HTTPException):
                self._note(fault, happened=fault in OTHERS)
                return
        committed = answer.status == 201
        self._note(fault, happened=fault in OTHERS or (committed if fault in AFTER_COMMIT else answer.status == 503))
        if not (fault == "answer lost" and committed):
            after = answer.headers.get("Retry-After")
            header = "Via: proxy" if after is None else f"Retry-After: {after}"
            reply(handler, answer.status, content[: 5 if fault == "answer cut" else None], header, len(content))

    def _note(self, fault: str, *, happened: bool) -> None:
        """Count a fault, or have it happen to another request."""
        if happened:
            self.befallen[fault] += 1
        elif fault:
            self.fault = fault


def reply(handler: BaseHTTPRequestHandler, status: int, content: bytes, header: str, length: int | None = None) -> None:
    """Send an answer, of which less may come than it announces."""
    size = len(content) if length is None else length
    with suppress(OSError):
        handler.wfile.write(f"HTTP/1.1 {status} -\r\nContent-Length: {size}\r\n{header}\r\n\r\n".encode() + content)


def befall(server: Server, fault: str) -> None:
    """Have a fault happen to the server while it has a request."""
    if fault == "worker killed":
        with suppress(ProcessLookupError):
            os.kill(random.choice(until(server.workers, "a worker", SECONDS)), signal.SIGKILL)
    elif fault == "group killed":
        server.kill()
        server.start()
    elif fault == "restarted":
        server.restart()


@contextmanager
def queueing(server: Server) -> Iterator[None]:
    """Halt the workers, so that what is asked inside the `with` queues up behind other questions."""
    workers = server.wait_for_workers(2)
    with ExitStack() as stack:
        for pid in workers:
            os.kill(pid, signal.SIGSTOP)
            stack.callback(os.kill, pid, signal.SIGCONT)
        for _ in range(30):
            asking = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=60))
            asking.sendall(b"GET /statistics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        yield
        time.sleep(0.02)  # what has waited for so long is late
        for pid in workers:
            os.kill(pid, signal.SIGCONT)
        asking.recv(1)


@contextmanager
def proxy(server: Server, *, keeps_keys: bool = True) -> Iterator[tuple[str, Proxy]]:
    """Run a proxy before a server; yield its URL and itself. What goes wrong in it fails the test."""
    proxied = Proxy(server, keeps_keys=keeps_keys)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            try:
                proxied.take(self)
            except BaseException as fault:
                proxied.faults.append(fault)
                raise

        def log_message(self, *args: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:  # its end waits for its threads
        listening.daemon_threads = False
        thread = threading.Thread(target=listening.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.server_address[1]}", proxied
        finally:
            listening.shutdown()
            thread.join(SECONDS)
    assert not proxied.faults


def faults_of(part: int) -> Sequence[str]:
    """Return the faults of a part; each second one falls between commit and answer, the others take turns."""
    others = [OVERLOAD] * 21 if part == OVERLOADS else [OTHERS[each % len(OTHERS)] for each in range(FAULTS // 2)]
    return [kind for turn, other in enumerate(others, part) for kind in (other, AFTER_COMMIT[turn % 2])]


def test_the_soak_has_at_least_200_faults_and_20_of_each_kind_half_of_them_after_the_commit() -> None:
    counts = Counter(kind for part in range(OVERLOADS + 1) for kind in faults_of(part))
    assert set(counts) == {*AFTER_COMMIT, *OTHERS, OVERLOAD}
    assert counts.total() >= 200
    assert min(counts.values()) >= 20
    assert sum(counts[kind] for kind in AFTER_COMMIT) * 2 >= counts.total()
    assert {*AFTER_COMMIT, *OTHERS} == set(faults_of(0))


@contextmanager
def impatient(server: Server) -> Iterator[None]:
    """Have a queue of a few requests be an overload."""
    patience = server.env.get("TIDEMARK_MAX_WAIT", "0")
    for wait in ("1ms", patience):
        server.env["TIDEMARK_MAX_WAIT"] = wait
        server.restart()
        server.wait_for_workers(2)
        if wait != patience:
            yield


# A soak is many short parts, so that one that fails says which, and each can be run again by its name.
@pytest.mark.soak(part=(range(1), range(OVERLOADS + 1)))
def test_what_flush_returned_for_counts_once_whatever_fails(
    server: Server, part: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrying, "LONGEST_PAUSE", 0.5)
    kinds = faults_of(part)
    with ExitStack() as stack:
        if part == OVERLOADS:
            stack.enter_context(impatient(server))
        url, proxied = stack.enter_context(proxy(server))
        tidemark = stack.enter_context(Tidemark(url, capacity=2 * EACH))
        total = 0
        for kind in kinds:
            before, attempts = proxied.befallen[kind], 0
            while proxied.befallen[kind] == before:  # an overload may not come at once
                assert (attempts := attempts + 1) < MOST_ATTEMPTS, kind
                proxied.fault = kind
                for value in range(total, total + EACH):
                    tidemark.send(f"faults/{part}/{value % 3}", value)
                total += EACH
                assert tidemark.flush(SECONDS) == (total, 0, 0, 0)
                proxied.settle()
        befallen = Counter({kind: count for kind, count in proxied.befallen.items() if kind})
        print(f"part {part}: {total:,} events; {dict(befallen)}")
        assert befallen >= Counter(kinds)
    with Tidemark(server.url) as tidemark:
        found = [tidemark.statistics(f"faults/{part}/{each}", include=["sum"]) for each in range(3)]
    assert sum(one.count for one in found) == total
    assert sum(one.sum for one in found) == total * (total - 1) / 2


def test_without_its_keys_the_same_would_count_twice(server: Server) -> None:
    with proxy(server, keeps_keys=False) as (url, proxied), Tidemark(url) as tidemark:
        proxied.fault = "answer lost"
        tidemark.send("keyless", 1)
        tidemark.flush(SECONDS)
        assert tidemark_count(server, "keyless") == 2


def tidemark_count(server: Server, series: str) -> int:
    """Ask the server itself how many events there are."""
    with Tidemark(server.url) as tidemark:
        return int(tidemark.statistics(series).count)


PROGRAM = """
import sys, threading, multiprocessing
from tidemark import Tidemark

def child(tidemark, number):
    tidemark.send("programs/child", number)  # sent at its end

def send(tidemark, first):
    for number in range(first, first + 250):
        tidemark.send("programs/threads", number)

with Tidemark(sys.argv[1]) as tidemark:
    tidemark.send("programs/parent", 0)
    children = [multiprocessing.get_context("fork").Process(target=child, args=(tidemark, each)) for each in range(3)]
    for each in children:
        each.start()
    threads = [threading.Thread(target=send, args=(tidemark, 250 * each)) for each in range(4)]
    for each in threads:
        each.start()
    for each in threads + children:
        each.join(60)
    tidemark.send("programs/parent", 1)
    raise ZeroDivisionError
"""


def test_children_threads_greenlets_and_an_exit_by_exception_lose_nothing(server: Server) -> None:
    env = os.environ | {"PYTHONPATH": str(CHECKOUT / "client")}
    for patched in ("", "from gevent import monkey; monkey.patch_all()\n"):
        command = [sys.executable, "-W", "ignore", "-c", patched + PROGRAM, server.url]
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=2 * SECONDS, check=False)
        assert done.returncode == 1, done.stderr
        assert "tidemark:" not in done.stderr
    counts = [tidemark_count(server, f"programs/{name}") for name in ("parent", "child", "threads")]
    assert counts == [4, 6, 2000]


def test_questions_are_answered(server: Server) -> None:
    with Tidemark(server.url) as tidemark:
        for value in (1, 2, 6):
            tidemark.send("asked/a b[1]", value)
        tidemark.flush(SECONDS)
        found = tidemark.statistics("asked/a b[1]", window="5m", include=["p99", "p99.9", "sum"])
        assert (found.count, found.mean, found.p99, found["p99.9"], found.sum) == (3, 3.0, 6.0, 6.0, 9.0)
        assert found.position > 0
        with pytest.raises(AttributeError, match="include"):
            found.p50
        assert sum(point.count for point in tidemark.history("asked/a b[1]", window="5m", step="1m")) == 3
        assert "asked/a b[1]" in [entry["series"] for entry in tidemark.top("mean", limit=1000)]
        with closing(tidemark.watch("asked/a b[1]", window="5m")) as watching:
            assert next(watching).count == 3


def test_a_stream_goes_on_over_a_restart_and_misses_nothing(server: Server) -> None:
    found: list[Event | Gap] = []

    def read(tidemark: Tidemark) -> None:
        with closing(tidemark.events("streamed")) as events:
            for event in events:
                found.append(event)
                if isinstance(event, Event) and event.value == 19:
                    return

    with Tidemark(server.url) as tidemark, Tidemark(server.url) as reading:
        reader = threading.Thread(target=read, args=(reading,), daemon=True)
        reader.start()

        def is_open() -> bool:
            send(tidemark, -1)
            return bool(found)

        until(is_open, "the first event of the stream", SECONDS)
        for value in range(20):
            if value == 10:
                server.kill()
                server.start()
            send(tidemark, value)
        reader.join(SECONDS)
        assert not reader.is_alive()
    told = [None if isinstance(event, Gap) else event.value for event in found]
    assert [value for value in told if value != -1] == list(range(20))


def send(tidemark: Tidemark, value: float) -> None:
    """Send an event and wait until it is stored."""
    tidemark.send("streamed", value)
    tidemark.flush(SECONDS)


def run(server: Server, *args: str, pipe: str = "") -> subprocess.CompletedProcess[str]:
    """Run the command line."""
    command = [sys.executable, "-m", "tidemark.cli", "--url", server.url, *args]
    env = os.environ | {"PYTHONPATH": str(CHECKOUT / "client"), "COLUMNS": "100"}
    return subprocess.run(command, input=pipe, env=env, capture_output=True, text=True, timeout=120, check=False)


def test_the_command_line_sends_and_shows(server: Server) -> None:
    sent = run(server, "send", "--json", "cli", pipe="1\n2\n\n6\n")
    assert (sent.returncode, orjson.loads(sent.stdout)) == (0, {"stored": 3, "expired": 0})
    assert run(server, "send", "=cli", "4.5").stdout == "1 stored\n"
    bad = run(server, "send", "cli", pipe="7\nseven\n")
    assert (bad.returncode, bad.stdout, bad.stderr) == (1, "1 stored\n", "Error: line 2: not a number: 'seven'\n")
    stats = orjson.loads(run(server, "stats", "cli", "--json").stdout)
    assert (stats["count"], stats["p99"]) == (4, 7.0)
    plotted = run(server, "history", "cli", "--window", "5m").stdout
    assert "▁" in plotted
    assert "mean of cli" in plotted
    assert "'=cli," in run(server, "top", "--by", "p99", "--limit", "1000", "--csv").stdout
    assert orjson.loads(run(server, "watch", "cli", "--count", "1", "--json").stdout)["count"] == 4
    missing = run(server, "stats", "cli", "--window", "9d")
    assert (missing.returncode, missing.stderr.startswith("Error: 400: ")) == (1, True)


def test_the_command_line_sends_what_it_has_when_it_is_ended(server: Server) -> None:
    env = os.environ | {"PYTHONPATH": str(CHECKOUT / "client")}
    command = [sys.executable, "-m", "tidemark.cli", "--url", server.url, "send", "ended"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env, text=True) as running:
        assert running.stdin is not None
        running.stdin.write("5\n")
        running.stdin.flush()
        until(lambda: tidemark_count(server, "ended") == 1, "the first value")
        running.send_signal(signal.SIGTERM)
        printed, _ = running.communicate(timeout=60)
    assert (running.returncode, printed) == (143, "1 stored\n")
