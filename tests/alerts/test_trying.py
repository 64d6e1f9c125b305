"""`python -m alerts try`, against a real server."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from werkzeug.serving import make_server

import app as composition
from access.keys import hash_of, new_token
from alerts.__main__ import main
from api.context import context
from event_log.memory_store import MemoryStore
from settings import Settings

RULES = """\
[[alert]]
name = "high"
series = "s/*"
statistic = "mean"
window = "1h"
above = 0.5
[[alert]]
name = "p99"
series = "s/a"
statistic = "p99.90"
window = "1h"
below = 0.5
[[alert]]
name = "rate"
statistic = "rate"
window = "230s"
above = 1000
[[alert]]
name = "last"
series = "none"
statistic = "last"
last = 5
above = 1
[[alert]]
name = "silent"
series = "s/a"
absent = "5m"
[[alert]]
name = "nothing"
series = "other/*"
absent = "5m"
"""


@pytest.fixture
def token() -> str:
    return new_token()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "alerts.toml"
    path.write_text(RULES)
    return path


@pytest.fixture
def app(tmp_path: Path, file: Path, token: str) -> Flask:
    keys = tmp_path / "keys.toml"
    keys.write_text(f'[[key]]\nname = "a"\nhash = "{hash_of(token)}"\ncan = ["read"]\n')
    return composition.create_app(Settings(keys=str(keys), alerts=str(file)), store=MemoryStore())


@pytest.fixture
def url(app: Flask) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, app)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join(60)
    server.server_close()


def test_each_rule_is_shown_with_its_value_and_state(
    app: Flask,
    url: str,
    file: Path,
    token: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    service = context(app).service
    for number in range(22):
        service.add(f"s/{number:02}", None, 0.25)
    service.add("s/a", None, 1.0)
    while service.tick():
        pass
    monkeypatch.setenv("TIDEMARK_TOKEN", token)
    assert main(["try", str(file), "--url", url]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "high: s/00: mean is 0.25: it does not hold; inactive" in lines
    assert "high: and 3 more series" in lines
    assert "p99: s/a: p99.90 is 1: it does not hold; inactive" in lines
    assert "rate: all series: rate is 0.1: it does not hold; inactive" in lines
    assert "last: none: last of nothing: no value; inactive" in lines
    assert any(line.startswith("silent: s/a: silent for ") and line.endswith("not hold; inactive") for line in lines)
    assert "nothing: no series matches other/*" in lines
    assert len(lines) == 20 + 6


def test_a_server_that_does_not_answer_is_one_line(
    url: str, file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TIDEMARK_TOKEN", raising=False)
    for where, told in ((url, "answers 401"), ("http://127.0.0.1:1", "does not answer"), ("file:///etc", "begin with")):
        assert main(["try", str(file), "--url", where]) == 2
        printed = capsys.readouterr().err
        assert told in printed
        assert printed.count("\n") == 1
