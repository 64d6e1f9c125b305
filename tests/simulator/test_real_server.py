"""The simulator against real gunicorn workers: what it says it posted is what they count."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from threading import Thread

import pytest
import requests

from simulator.__main__ import main
from simulator.dialects import FORMATS, target
from simulator.report import Console, Reporter
from simulator.tally import Tally
from tests.access.guarded import TOKENS, write_keys
from tests.servers import Server
from tests.simulator.fakes import FakeTime
from tests.simulator.processes import Program
from tidemark.transport import Transport


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server(["-w", "1"]) as running:
        yield running


def run(server: Server, line: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main([*line.split(), "--timeout", "60s", "--url", server.url]) == 0
    return capsys.readouterr().out


FORMS = ("", "--dialect tickers", "--dialect ticks", "--dialect batches --batch 7", "--batch 7")


@pytest.mark.parametrize("form", [*FORMS, *(f"--batch 7 --format {name}" for name in FORMATS)])
def test_what_was_posted_is_counted(form: str, server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    name = "run/of" + re.sub(r"\W+", "_", form)
    before = server.get("/statistics").json()["count"]
    said = run(server, f"{form} --instruments {name},{name}2 --rate 0 --count 50 --threads 2", capsys)
    assert "errors    none" in said
    assert "events    50 accepted" in said
    counts = [server.get("/statistics/" + series).json()["count"] for series in (name, name + "2")]
    assert (sum(counts), abs(counts[0] - counts[1]) <= 7) == (50, True)
    assert server.get("/statistics").json()["count"] == before + 50


def test_transactions_are_counted(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    assert "errors    none" in run(server, "--dialect transactions --rate 0 --count 50", capsys)
    assert server.get("/dialects/transactions/statistics").json()["count"] == 50


@pytest.mark.parametrize("dialect", ["native", "ticks", "transactions", "batches", "tickers"])
def test_the_statistics_of_each_dialect_are_shown(
    dialect: str, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    run(server, f"--dialect {dialect} --instruments SHOWN --rate 0 --count 5 -q", capsys)
    out, time = io.StringIO(), FakeTime()
    client, where = Transport(server.url, None, 60), target(dialect, 1, None)
    reporter = Reporter(Console(out, out), Tally(), client, where, ["SHOWN"], clock=time, random=Random(1))
    time.now = 2.0
    reporter.tick()
    reporter.close()
    said = out.getvalue()
    assert re.search(r"    all +.*count [\d,]+", said)
    assert bool(re.search(r"    SHOWN +.*m[ai][nx] [\d,.]+", said)) == (dialect != "transactions")
    assert "status" not in said


def test_what_the_server_refuses_is_shown(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    said = run(server, "--batch 20000 --count 20000 --rate 0", capsys)
    assert "events    0 accepted" in said
    assert "1 x status 413, such as: " in said


def test_nothing_is_lost_or_doubled_when_its_server_dies() -> None:
    line = "--rate 300 --batch 3 --threads 4 --count 1500 -v --timeout 60s"
    with Server(["-w", "1"]) as server, Program("simulator", f"--url {server.url} {line}") as program:
        program.read_until("-> 201")
        server.kill()
        program.read_until("-> connection refused")
        server.start()
        code, said = program.end()
        counted = server.get("/statistics").json()["count"]
    assert code == 0
    assert "1,500 accepted" in said
    assert counted == 1500


class Forgetful(BaseHTTPRequestHandler):
    """In front of a server: has it do each request, and of the first time that it comes loses the answer."""

    protocol_version = "HTTP/1.1"
    target = ""
    seen: set[str]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        kept = {name: self.headers[name] for name in ("Content-Type", "Idempotency-Key")}
        answer = requests.post(self.target + self.path, data=body, headers=kept, timeout=60)
        first = kept["Idempotency-Key"] not in self.seen
        self.seen.add(kept["Idempotency-Key"])
        assert first == ("Idempotent-Replayed" not in answer.headers)
        self.answer(503 if first else answer.status_code, b"", {"Retry-After": "0"} if first else {})

    def do_GET(self) -> None:
        answer = requests.get(self.target + self.path, timeout=60)
        self.answer(answer.status_code, answer.content, {})

    def answer(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return


@pytest.mark.parametrize("form", ["--batch 7", "--dialect ticks", "--dialect batches --batch 7"])
def test_what_it_sends_again_counts_once(form: str, server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    handler = type("Handler", (Forgetful,), {"target": server.url, "seen": set()})
    before = server.get("/statistics").json()["count"]
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as proxy:
        Thread(target=proxy.serve_forever, daemon=True).start()
        line = f"{form} --instruments AGAIN --rate 0 --count 40 -q --timeout 60s --url http://127.0.0.1:{proxy.server_port}"
        assert main(line.split()) == 0
        proxy.shutdown()
    said = capsys.readouterr().out
    assert "events    40 accepted" in said
    assert "x status 503" in said
    assert server.get("/statistics").json()["count"] == before + 40


def test_with_a_key_it_posts_and_asks_where_keys_are_in_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keys = tmp_path / "keys.toml"
    write_keys(keys)
    with Server(["-w", "1"], {"TIDEMARK_KEYS": str(keys)}) as guarded:
        said = run(guarded, f"--rate 0 --count 20 --batch 5 --key {TOKENS['everything']}", capsys)
        assert "events    20 accepted" in said
        assert "errors    none" in said
        assert TOKENS["everything"] not in said
        assert "401" in run(guarded, "--rate 0 --count 5", capsys)
