"""`series=` on `/statistics`, `/history`, `/histogram` and `/stream`: several series as one, with and without keys."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import TestResponse

import app as composition
from api import stream_answers
from api.asked import lease_of
from api.context import context
from api.guard import guard_of
from event_service import EventService
from rolling.percentiles import Percentiles, percent
from settings import Settings
from streaming import Feed
from streaming.rates import Rates
from tests.access.guarded import bearer, write_keys
from tests.api.problems import assert_names, assert_problem
from tests.api.routes.test_statistics import EMPTY, send
from tests.api.routes.test_streams import THREADED, messages, opened
from tests.conftest import START, FakeClock
from tests.rolling.model import fraction_sum, fraction_variance, percentiles_of, rounded
from times import MINUTE, SECOND, format_timestamp, parse_timestamp
from view.answers import Several
from watched.file import LOOK_SECONDS

NAMES = (
    "ours",
    "ours/a",
    "ours/b",
    "ours/deep/a",
    "theirs",
    "theirs/a",
    "web*",
    "web[1]",
    "web1",
    "what?",
    "température",
)
PATTERNS = (*NAMES, "*", "ours*", "*/a", "web[*]", "web[[]1]", "web?", "[!o]*", "what[?]", "never", "[", "t*", "*t*")


@dataclass
class World:
    """An application behind keys, and the events that it holds."""

    app: Flask
    events: list[tuple[int, int, str, float]]
    """Time, position, series, value; in order."""

    def ask(self, path: str, patterns: list[str], key: str, **query: object) -> TestResponse:
        parameters = [("series", text) for text in patterns] + list(query.items())
        return self.app.test_client().get(path, query_string=parameters, headers=bearer(key))

    def matching(self, patterns: list[str], key: str) -> set[str]:
        seen = [name for name in NAMES if key == "reading" or name == "ours" or name.startswith("ours/")]
        return {name for name in seen if any(fnmatchcase(name, text) for text in patterns)}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Answers do not change it, so all share one."""
    keys = tmp_path_factory.mktemp("keys") / "keys.toml"
    write_keys(keys)
    clock = FakeClock()
    app = composition.create_app(Settings(log_url="memory:", keys=str(keys)), clock=clock)
    app.testing = True
    generator, events = random.Random(1), []
    for position in range(1, 401):
        name = NAMES[(position - 1) % len(NAMES)]
        time = START - generator.choice((generator.randrange(50 * MINUTE), generator.randrange(10) * MINUTE))
        value = generator.choice((generator.uniform(-1, 1) * 10 ** generator.randrange(-5, 15), 3.0, -2.5))
        assert context(app).service.add(name, time, value).stored
        events.append((time, position, name, value))
    return World(app, sorted(events))


def is_plain(text: str) -> bool:
    return not any(sign in text.replace("[*]", "").replace("[?]", "").replace("[[]", "") for sign in "*?[")


chosen = st.lists(st.sampled_from(PATTERNS), min_size=1, max_size=5)
windows = st.none() | st.integers(1, 60)


@pytest.mark.no_cover
@given(chosen, st.sampled_from(["reading", "restricted"]), windows, st.none() | st.integers(1, 400), st.booleans())
def test_each_answer_is_that_of_one_series_with_all_their_events(
    world: World, patterns: list[str], key: str, minutes: int | None, last: int | None, earlier: bool
) -> None:
    query: dict[str, object] = {"window": f"{minutes}m"} if minutes else {}
    query |= {"last": last} if last else {}
    end, minutes = START, minutes or (None if last else 60)
    if earlier:
        end, minutes = START - 10 * MINUTE, min(minutes or 50, 50)
        query |= {"at": format_timestamp(end), "window": f"{minutes}m"}
    plain = [text for text in patterns if is_plain(text)]
    if key == "restricted" and any(text != "ours" and not text.startswith("ours/") for text in plain):
        for path in ("/statistics", "/histogram"):
            assert_problem(world.ask(path, patterns, key, **query), 403)
        return
    matching = world.matching(patterns, key)
    rows = [
        row
        for row in world.events
        if row[2] in matching and row[0] <= end and (not minutes or row[0] > end - minutes * MINUTE)
    ]
    rows = rows[-last:] if last else rows
    values = [row[3] for row in rows]
    found = world.ask("/statistics", patterns, key, include="sum,variance,first,last,median,p12.5", **query)
    assert found.status_code == 200
    assert found.headers["Series-Matched"] == str(len(matching))
    assert found.headers["Log-Position"] == "400"
    assert "Series-Known" not in found.headers
    answer = found.get_json()
    assert (answer["count"], answer["min"], answer["max"]) == (
        len(values),
        min(values, default=None),
        max(values, default=None),
    )
    assert answer["sum"] == rounded(fraction_sum(values))
    if values:
        assert answer["mean"] == rounded(fraction_sum(values) / len(values))
        assert answer["variance"] == rounded(fraction_variance(values))
        assert answer["first"] == {"timestamp": format_timestamp(rows[0][0]), "value": rows[0][3]}
        assert answer["last"] == {"timestamp": format_timestamp(rows[-1][0]), "value": rows[-1][3]}
    wanted = Percentiles((percent("50"), percent("12.5")))
    assert [answer["median"], answer["p12.5"]] == percentiles_of(values, wanted)
    linear = world.ask("/statistics", patterns, key, include="median", percentiles="linear", **query).get_json()
    assert [linear["median"]] == percentiles_of(values, Percentiles((Fraction(1, 2),), linear=True))
    counts = world.ask("/histogram", patterns, key, bounds="-2.5,0,3", **query)
    assert counts.headers["Series-Matched"] == str(len(matching))
    limits = [float("-inf"), -2.5, 0, 3, float("inf")]
    expected = [sum(low <= value < high for value in values) for low, high in pairwise(limits)]
    assert counts.get_json()["counts"] == (expected if values else [0])


@pytest.mark.no_cover
@given(chosen, st.integers(1, 60), st.integers(1, 20), st.booleans())
def test_a_history_is_that_of_one_series_with_all_their_events(
    world: World, patterns: list[str], minutes: int, step: int, earlier: bool
) -> None:
    end = START - 3 * MINUTE if earlier else START
    minutes = min(minutes, 57)
    query = {"window": f"{minutes}m", "step": f"{step}m", "include": "first,last,p75"}
    query |= {"at": format_timestamp(end)} if earlier else {}
    matching = world.matching(patterns, "reading")
    found = world.ask("/history", patterns, "reading", **query)
    assert found.headers["Series-Matched"] == str(len(matching))
    rows = [row for row in world.events if row[2] in matching and end - minutes * MINUTE < row[0] <= end]
    points = found.get_json()["points"]
    for point in points:
        start, end = map(parse_timestamp, (point["start"], point["end"]))
        own = [row for row in rows if start <= row[0] < end]
        values = [row[3] for row in own]
        assert point["count"] == len(values)
        assert point["mean"] == (rounded(fraction_sum(values) / len(values)) if values else None)
        assert [point["p75"]] == percentiles_of(values, Percentiles((percent("75"),)))
        assert point["last"] == ({"timestamp": format_timestamp(own[-1][0]), "value": own[-1][3]} if own else None)
    assert sum(point["count"] for point in points) == len(rows)


@pytest.mark.parametrize("prefix", ["", "/v1"])
def test_what_is_asked_for_is_one_answer(client: FlaskClient, prefix: str) -> None:
    for name, value in (("web/a", 1.0), ("web/b", 4.0), ("db", 10.0)):
        send(client, value, series=name)
    found = client.get(f"{prefix}/statistics?series=web/*&series=none")
    assert found.text == '{"count":2,"min":1.0,"max":4.0,"mean":2.5}\n'
    assert (found.headers["Series-Matched"], found.headers["Log-Position"]) == ("2", "3")
    head = client.head(f"{prefix}/statistics?series=web/*")
    assert (head.data, head.headers["Series-Matched"]) == (b"", "2")
    assert client.get(f"{prefix}/histogram?series=web/*&bounds=2").get_json()["counts"] == [1, 1]
    history = client.get(f"{prefix}/history?series=web/*&window=1m", headers={"Accept": "text/csv"})
    assert history.headers["Series-Matched"] == "2"
    assert sum(int(line.split(",")[2]) for line in history.text.splitlines()[1:]) == 2
    assert "Series-Matched" not in client.get(f"{prefix}/statistics").headers
    assert "Series-Matched" not in client.get(f"{prefix}/statistics/db").headers


@pytest.mark.parametrize("query", ["series=none", "series=x*", "series=x*&last=3", "series=x*&at=2025-06-26T14:30:30Z"])
def test_what_matches_nothing_is_empty(client: FlaskClient, query: str) -> None:
    for count in range(2):
        found = client.get(f"/statistics?{query}")
        assert (found.status_code, found.get_json(), found.headers["Series-Matched"]) == (200, EMPTY, "0")
        assert client.get(f"/histogram?{query}").get_json() == {"bounds": [], "counts": [0]}
        send(client, float(count))
    assert client.get("/history?series=x*&window=10s").get_json()["points"][0]["count"] == 0


def test_series_that_begin_and_end_are_found_and_lost(client: FlaskClient) -> None:
    for number in range(3):
        send(client, float(number), series=f"web/{number}")
        assert client.get("/statistics?series=web/*").headers["Series-Matched"] == str(number + 1)
    assert client.delete("/series/web/1").status_code == 204
    found = client.get("/statistics?series=web/*")
    assert (found.headers["Series-Matched"], found.get_json()["max"], found.get_json()["count"]) == ("2", 2.0, 2)
    send(client, 7.0, series="web/1")
    assert client.get("/statistics?series=web/*").get_json()["max"] == 7.0


@pytest.mark.parametrize("path", ["/statistics", "/history", "/histogram", "/stream"])
def test_what_is_wrong_is_named(client: FlaskClient, path: str) -> None:
    for query, message in (
        ("series=", "1 to 128 characters"),
        (f"series={'x*' * 65}", "1 to 128 characters"),
        ("series=a/", "slash"),
        ("series=a%00", "control characters"),
        ("&".join(f"series=x{number}*" for number in range(21)), "Given 21 times; 20 are the most."),
    ):
        assert_names(client.get(f"{path}?{query}", environ_overrides=THREADED), "series", message)
    assert_names(
        client.get(f"{path}?series=a&window=1m&window=2m", environ_overrides=THREADED), "window", "more than once"
    )


@pytest.mark.parametrize("path", ["/statistics/a", "/history/a", "/histogram/a", "/v1/statistics/a"])
@pytest.mark.parametrize("query", ["series=a", "series=b*&series=c"])
def test_a_path_names_one_already(client: FlaskClient, path: str, query: str) -> None:
    assert_names(client.get(f"{path}?{query}"), "series", "The path names a series already")


def test_as_many_patterns_as_may_be_are_taken(client: FlaskClient) -> None:
    send(client, 1.0, series="x19y")
    query = "&".join(f"series=x{number}*" for number in range(20))
    assert client.get(f"/statistics?{query}").headers["Series-Matched"] == "1"
    assert client.get(f"/statistics?series={'*' * 128}").headers["Series-Matched"] == "1"


def test_a_stream_is_of_several_and_asked_once_for_all_who_ask_the_same(
    client: FlaskClient, service: EventService, feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    statistics = service.statistics

    def noted(series: Any = None, **scope: Any) -> Any:
        asked.append(series)
        return statistics(series, **scope)

    monkeypatch.setattr(service, "statistics", noted)
    for name in ("web/a", "web/b", "db"):
        send(client, 2.0, series=name)
    with opened(client, "/stream?series=web/*&series=db[0-9]") as one:
        count = len(asked)
        with opened(client, "/stream?series=db[0-9]&series=web/*&series=web/*") as other:
            for response in (one, other):
                assert response.headers["Series-Matched"] == "2"
                answer = next(messages(response)).json
                assert (answer["count"], answer["sum"], answer["rate"]) == (2, 4.0, 2.0)
    assert len(asked) == count
    assert set(asked) == {Several(("db[0-9]", "web/*"))}
    with opened(client, "/stream") as response:
        assert "Series-Matched" not in response.headers


def test_the_rate_of_several_counts_series_that_begin_and_not_those_that_end(
    client: FlaskClient, service: EventService, clock: FakeClock
) -> None:
    subject = stream_answers.Subject(Several(("web/*",)), None, None, (), SECOND)
    rates = Rates()

    def rate() -> float:
        clock.advance(SECOND)
        text = stream_answers.statistics_message(service, subject, rates).chunk.decode()
        return float(text.partition('"rate":')[2].partition("}")[0])

    send(client, *[1.0] * 5, series="web/a")
    assert rate() == 0.0  # by the times of the events: that second is over
    send(client, 1.0, 2.0, series="web/b")
    send(client, 1.0, series="db")
    assert rate() == 2.0
    client.delete("/series/web/a")
    send(client, *[1.0] * 9, series="web/b", at=clock() + SECOND)
    assert rate() == 9.0
    assert rate() == 0.0


def test_a_lease_of_several_ends_where_the_key_sees_other_series(tmp_path: Path, clock: FakeClock) -> None:
    keys = tmp_path / "keys.toml"
    write_keys(keys)
    app = composition.create_app(Settings(log_url="memory:", keys=str(keys)), clock=clock)
    guard = guard_of(app)
    assert guard is not None
    leases: dict[str, Callable[[], bool]] = {}
    with app.test_request_context("/stream", headers=bearer("restricted")):
        guard.check()
        for texts in (("ours",), ("ours*",), ("ours", "ours/a")):
            lease = lease_of(Several(texts))
            assert lease is not None
            leases["&".join(texts)] = lease
    assert all(lease() for lease in leases.values())
    guard.watch.pause = lambda seconds: None
    guard.watch.looked_at -= 10 * LOOK_SECONDS
    keys.write_text(keys.read_text().replace('["ours", "ours/*"]', '["ours"]'))
    assert {name: lease() for name, lease in leases.items()} == {"ours": True, "ours*": False, "ours&ours/a": False}
