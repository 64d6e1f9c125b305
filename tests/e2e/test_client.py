"""The Python client against real servers that are killed, behind a proxy that loses requests and answers."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from typing import Any

import orjson
import pytest

from tests.servers import CHECKOUT, Server, until
from tidemark import Event, Tidemark, delivery

KINDS = ("answer lost", "answer cut", "request lost", "refused", "worker killed", "group killed")
AFTER_COMMIT = KINDS[:2]
EACH = 60
"""Events sent between two faults."""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server(["-w", "2"]) as running:
        running.wait_for_workers(2)
        yield running


class Proxy(BaseHTTPRequestHandler):
    """Passes posts on; the next one has the fault that is set."""

    protocol_version = "HTTP/1.1"
    port = 0
    keeps_keys = True
    fault = ""
    befallen: Counter[str] = Counter()

    def do_POST(self) -> None:
        """Pass a request on and its answer back, or lose either."""
        cls = type(self)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        fault, cls.fault = cls.fault, ""
        cls.befallen[fault] += 1
        if fault == "request lost":
            self.close_connection = True
        elif fault == "refused":
            self._reply(503, b'{"detail": "later"}', "Retry-After: 0")
        else:
            self._pass_on(fault, body)

    def _pass_on(self, fault: str, body: bytes) -> None:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        names = ("Content-Type", *(("Idempotency-Key",) if self.keeps_keys else ()))
        try:
            connection.request("POST", self.path, body, {name: self.headers[name] for name in names})
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, HTTPException):
            self.close_connection = True
            return
        finally:
            connection.close()
        assert fault not in AFTER_COMMIT or answer.status == 201
        if fault == "answer lost":
            self.close_connection = True
        else:
            self._reply(answer.status, content, cut=fault == "answer cut")

    def _reply(self, status: int, content: bytes, header: str = "Via: proxy", *, cut: bool = False) -> None:
        head = f"HTTP/1.1 {status} -\r\nContent-Length: {len(content)}\r\n{header}\r\n\r\n".encode()
        with suppress(OSError):
            self.wfile.write(head + content[: 5 if cut else None])
        self.close_connection = cut

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def proxy(server: Server, *, keeps_keys: bool = True) -> Iterator[type[Proxy]]:
    """A proxy before a server, with its URL in `url`."""
    kind = type("OneProxy", (Proxy,), {"port": server.port, "keeps_keys": keeps_keys, "befallen": Counter()})
    with ThreadingHTTPServer(("127.0.0.1", 0), kind) as listening:
        listening.daemon_threads = True
        kind.url = f"http://127.0.0.1:{listening.server_address[1]}"  # type: ignore[attr-defined]
        threading.Thread(target=listening.serve_forever, args=(0.02,), daemon=True).start()
        yield kind
        listening.shutdown()


def befall(server: Server, proxied: type[Proxy], kind: str) -> None:
    """Have a fault happen to what is being sent."""
    if kind == "worker killed":
        os.kill(until(server.workers, "a worker")[0], signal.SIGKILL)
    elif kind == "group killed":
        server.kill()
        server.start()
    else:
        proxied.fault = kind
        return
    proxied.befallen[kind] += 1


@pytest.mark.soak(faults=(12, 240))
def test_what_flush_returned_for_counts_once_whatever_fails(
    server: Server, faults: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "LONGEST_PAUSE", 0.5)
    # Half of the faults fall between commit and answer, the others in turn.
    kinds = [AFTER_COMMIT[each // 2 % 2] if each % 2 else KINDS[2 + each // 2 % 4] for each in range(faults)]
    random.Random(faults).shuffle(kinds)
    with proxy(server) as proxied, Tidemark(proxied.url, capacity=2 * EACH) as tidemark:  # type: ignore[attr-defined]
        for number, kind in enumerate(kinds):
            befall(server, proxied, kind)
            for value in range(number * EACH, (number + 1) * EACH):
                tidemark.send(f"faults/{value % 3}", value)
            counts = tidemark.flush(120)
            assert counts == ((number + 1) * EACH, 0, 0, 0)
        assert +proxied.befallen >= Counter(kinds)
        found = [tidemark_of(server).statistics(f"faults/{each}", include=["sum"]) for each in range(3)]
    total = faults * EACH
    assert sum(one.count for one in found) == total
    assert sum(one.sum for one in found) == total * (total - 1) / 2


def tidemark_of(server: Server) -> Tidemark:
    """A client that asks the server itself."""
    return Tidemark(server.url)


def test_without_its_keys_the_same_would_count_twice(server: Server) -> None:
    with proxy(server, keeps_keys=False) as proxied, Tidemark(proxied.url) as tidemark:  # type: ignore[attr-defined]
        proxied.fault = "answer lost"
        tidemark.send("keyless", 1)
        tidemark.flush(60)
    assert tidemark_of(server).statistics("keyless").count == 2


def test_questions_are_answered(server: Server) -> None:
    with Tidemark(server.url) as tidemark:
        for value in (1, 2, 6):
            tidemark.send("asked/a b", value)
        tidemark.flush(60)
        found = tidemark.statistics("asked/a b", window="5m", include=["p99", "p99.9", "sum"])
        assert (found.count, found.mean, found.p99, found["p99.9"], found.sum) == (3, 3.0, 6.0, 6.0, 9.0)
        assert found.position > 0
        with pytest.raises(AttributeError, match="include"):
            found.p50
        assert sum(point.count for point in tidemark.history("asked/a b", window="5m", step="1m")) == 3
        assert "asked/a b" in [entry["series"] for entry in tidemark.top("mean", limit=1000)]
        assert next(tidemark.watch("asked/a b", window="5m")).count == 3


def test_a_stream_goes_on_over_a_restart_and_misses_nothing(server: Server) -> None:
    tidemark = Tidemark(server.url)
    found: list[Any] = []
    opened = tidemark.events("streamed")
    reader = threading.Thread(target=lambda: found.extend(islice(opened, 20)), daemon=True)
    reader.start()
    until(lambda: streams(server), "the stream")
    for value in range(20):
        if value == 10:
            until(lambda: len(found) == 10, "the events before the restart")
            server.kill()
            server.start()
        tidemark.send("streamed", value)
        tidemark.flush(120)
    reader.join(120)
    assert [(type(event), event.value) for event in found] == [(Event, value) for value in range(20)]
    tidemark.close()


def streams(server: Server) -> bool:
    """At least one stream is open."""
    return any(
        line.startswith("tidemark_open_streams") and float(line.split()[-1]) > 0
        for line in server.get("/metrics").text.splitlines()
    )


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
        until(lambda: tidemark_of(server).statistics("ended").count == 1, "the first value")
        running.send_signal(signal.SIGTERM)
        printed, _ = running.communicate(timeout=60)
    assert (running.returncode, printed) == (143, "1 stored\n")
