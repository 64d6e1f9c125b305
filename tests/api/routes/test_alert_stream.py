"""`GET /stream?alerts=1`: what comes first, each change, what comes back, and who sees what."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

import app as composition
from access.keys import hash_of, new_token
from alerts import changes
from api import stream_answers
from api.context import context
from event_log.applied import Begun
from event_log.memory_store import MemoryStore
from settings import Settings
from tests.api.problems import assert_problem
from tests.conftest import FakeClock
from tests.streaming.sse import Message
from times import SECOND

from .test_streams import messages, opened

RULES = """\
[[alert]]
name = "high"
series = "s/*"
statistic = "last"
window = "1h"
above = 0.5
labels = { severity = "page" }
summary = "{series}: {value}"
[[alert]]
name = "silent"
absent = "30m"
"""
STREAM = "/stream?alerts=1"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    path = tmp_path / "alerts.toml"
    path.write_text(RULES)
    return Settings(alerts=str(path))


@pytest.fixture(autouse=True)
def closed(app: Flask) -> Iterator[None]:
    yield
    with app.app_context():
        stream_answers.feed().close()


def put(app: Flask, clock: FakeClock, **values: float) -> None:
    """Events, and a look at all alerts."""
    for name, value in values.items():
        context(app).service.add(f"s/{name}", None, value)
    clock.advance(SECOND)
    while context(app).service.tick():
        pass


def told(message: Message) -> tuple[str, str]:
    """Series and state; and that the position is that of the message."""
    assert message.event == "alert"
    assert message.id == str(message.json["position"])
    return message.json["series"], message.json["state"]


def test_what_is_not_inactive_comes_first_then_each_change(app: Flask, client: FlaskClient, clock: FakeClock) -> None:
    put(app, clock, a=1.0, b=0.0, c=1.0)
    with opened(client, STREAM) as response:
        found = messages(response)
        first = [next(found), next(found)]
        put(app, clock, a=0.0, b=1.0)
        then = [next(found), next(found)]
    assert list(map(told, first)) == [("s/a", "firing"), ("s/c", "firing")]
    assert list(map(told, then)) == [("s/b", "firing"), ("s/a", "inactive")]
    assert first[0].json == {
        "name": "high",
        "series": "s/a",
        "state": "firing",
        "since": "2025-06-26T14:30:01Z",
        "value": 1.0,
        "summary": "s/a: 1",
        "labels": {"severity": "page"},
        "position": int(first[0].id or 0),
    }


def test_who_comes_back_has_the_changes_since(app: Flask, client: FlaskClient, clock: FakeClock) -> None:
    with opened(client, STREAM) as response:
        found = messages(response)
        put(app, clock, a=1.0)
        seen = next(found)
    put(app, clock, a=0.0, b=1.0)
    with opened(client, STREAM, {"Last-Event-ID": seen.id or ""}) as response:
        found = messages(response)
        assert [told(next(found)), told(next(found))] == [("s/b", "firing"), ("s/a", "inactive")]


@pytest.mark.parametrize("seen", ["0", "999999"])
def test_who_has_missed_too_much_is_told_of_a_gap(app: Flask, client: FlaskClient, clock: FakeClock, seen: str) -> None:
    put(app, clock, a=1.0)
    with opened(client, STREAM, {"Last-Event-ID": seen}) as response:
        found = messages(response)
        gap = next(found)
        assert (gap.event, gap.json["type"]) == ("gap", "gap")
        assert told(next(found)) == ("s/a", "firing")


def test_few_changes_are_remembered(
    app: Flask, client: FlaskClient, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "MOST_CHANGES", 2)
    with opened(client, STREAM) as response:
        found = messages(response)
        put(app, clock, a=1.0)
        seen = next(found)
    put(app, clock, a=0.0, b=1.0, c=1.0)
    with opened(client, STREAM, {"Last-Event-ID": seen.id or ""}) as response:
        assert next(messages(response)).event == "gap"


def test_a_key_sees_its_own(settings: Settings, clock: FakeClock, tmp_path: Path) -> None:
    token, keys = new_token(), tmp_path / "keys.toml"
    keys.write_text(f'[[key]]\nname = "a"\nhash = "{hash_of(token)}"\ncan = ["read"]\nseries = ["s/b"]\n')
    app = composition.create_app(replace(settings, keys=str(keys)), clock=clock, store=MemoryStore(clock.moment))
    put(app, clock, a=1.0, b=1.0)
    with opened(app.test_client(), STREAM, {"Authorization": f"Bearer {token}"}) as response:
        found = messages(response)
        assert told(next(found)) == ("s/b", "firing")
        put(app, clock, a=0.0, b=0.0)
        assert told(next(found)) == ("s/b", "inactive")
    with app.app_context():
        stream_answers.feed().close()


def test_another_history_ends_the_stream(app: Flask, client: FlaskClient, clock: FakeClock) -> None:
    put(app, clock, a=1.0)
    with opened(client, STREAM) as response:
        found = messages(response)
        next(found)
        with app.app_context():
            context().alert_changes.here().hear(Begun(same_history=False))
        assert next(found).event == "error"


def test_a_reader_that_is_too_slow_is_ended(
    app: Flask, client: FlaskClient, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streaming.subscriber.MOST_WAITING_CHUNKS", 1)
    put(app, clock, a=1.0)
    with opened(client, STREAM) as response:
        found = messages(response)
        next(found)
        put(app, clock, a=0.0, b=1.0, c=1.0)
        assert next(found).event == "error"


@pytest.mark.parametrize("query", ["alerts=2", "alerts=", "alerts=1&window=1m", "alerts=1&series=a"])
def test_a_stream_of_alerts_is_about_nothing_else(client: FlaskClient, query: str) -> None:
    response = client.get(f"/stream?{query}", environ_overrides={"SERVER_SOFTWARE": "Werkzeug/3"})
    assert_problem(response, 400)
