"""Values of alerts: they are those of `GET /statistics`, and are worked out again only where they may be others."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from alerts.board import Board
from alerts.evaluation import Evaluator
from alerts.measuring import Measures
from alerts.rows import RULES, pack_rules
from alerts.rules import PLAIN, Rule
from event_log.errors import LogUnavailable
from event_log.tables import Change
from event_service import EventService
from settings import Settings
from tests.conftest import FakeClock
from times import MINUTE, SECOND
from view import asking

NAMES = ("s/a", "s/b", "s/c")
MEAN = {"name": "mean", "series": "s/*", "statistic": "mean", "window": "10s", "above": 0.5}


@pytest.fixture
def settings() -> Settings:
    return Settings(keep_last=5, retention=MINUTE, window=MINUTE)


@pytest.fixture
def board(service: EventService) -> Board:
    return Board(service)


@pytest.fixture
def measures(service: EventService) -> Measures:
    return Measures(service)


def put(service: EventService, *rules: dict[str, Any]) -> None:
    with service.level() as projection:
        row = projection.tables.rows(RULES).get(RULES)
    text = pack_rules(rules, {}, service.store.time())
    service.change([Change(RULES, RULES, text, 0 if row is None else row.position)])


def look(measures: Measures, board: Board) -> set[str]:
    """The series whose values were worked out at a look."""
    return {alert.key[1] for alert in measures.look(board.standing()).values()}


def test_only_what_may_have_changed_is_measured(
    service: EventService, clock: FakeClock, measures: Measures, board: Board
) -> None:
    put(service, MEAN)
    for name in NAMES:
        service.add(name, None, 1.0)
        clock.advance(SECOND)
    assert look(measures, board) == set(NAMES)
    assert look(measures, board) == set()
    service.add("s/c", clock.now - 9 * SECOND, 0.0)  # a late one
    assert look(measures, board) == {"s/c"}
    clock.advance(7 * SECOND)
    assert look(measures, board) == {"s/a", "s/c"}  # their oldest events have left the window
    service.end_series("s/b")
    service.add("s/d", None, 1.0)
    assert look(measures, board) == {"s/d"}
    put(service, MEAN | {"above": 0.6})
    assert look(measures, board) == {"s/a", "s/c", "s/d"}


def test_silence_is_measured_when_it_may_have_become_long_enough(
    service: EventService, clock: FakeClock, measures: Measures, board: Board
) -> None:
    put(service, {"name": "silent", "series": "s/*", "absent": "5s"})
    service.add("s/a", None, 1.0)
    assert look(measures, board) == {"s/a"}
    clock.advance(4 * SECOND)
    assert look(measures, board) == set()
    clock.advance(SECOND)
    assert look(measures, board) == {"s/a"}
    service.add("s/a", None, 1.0)
    assert look(measures, board) == {"s/a"}


SCOPES: list[dict[str, Any]] = [{"window": "10s"}, {"last": 3}, {"window": "10s", "last": 2}]
STATISTICS = [name for name in PLAIN if name != "rate"] + ["p90"]


@pytest.mark.parametrize("seed", range(3))
def test_a_remembered_value_is_that_of_the_moment(
    service: EventService, clock: FakeClock, measures: Measures, board: Board, seed: int
) -> None:
    random = Random(seed)
    rules = [
        {"name": f"{statistic} {series} {scope}", "statistic": statistic, "above": 0} | scope | series
        for statistic in STATISTICS
        for scope in SCOPES
        for series in ({"series": "s/*"}, {"series": "s/a"}, {})
    ]
    put(service, *rules)
    for _ in range(40):
        clock.advance(random.choice([0, SECOND, 4 * SECOND]))
        for _ in range(random.randrange(3)):
            service.add(random.choice(NAMES), clock.now - random.randrange(30 * SECOND), random.random())
        if random.random() < 0.1:
            service.end_series(random.choice(NAMES))
        measures.look(board.standing())
        for alert in measures.alerts.values():
            assert alert.value == asked(service, alert.key[1], alert.rule), (alert.key, clock.now)


def asked(service: EventService, series: str, rule: Rule) -> float | None:
    """The value as `GET /statistics` has it."""
    if series and service.series_id(series) is None and rule.statistic not in ("count", "sum"):
        return None
    answer = service.statistics(series or None, window=rule.window, last=rule.last, edges=True, percentiles=rule.wanted)
    if rule.wanted is not None:
        return answer.percentiles[0]
    if rule.statistic in ("first", "last"):
        event = answer.first if rule.statistic == "first" else answer.last
        return event and event[1]
    value: float | None = getattr(answer.summary, rule.statistic)
    return value


def test_a_look_lets_others_in_and_is_of_one_moment(
    service: EventService, clock: FakeClock, measures: Measures, board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(service, MEAN)
    for name in NAMES:
        service.add(name, None, 1.0)
    lets: list[int] = []

    def others() -> None:
        lets.append(len(lets))
        for name in NAMES:
            service.add(name, None, -5.0)
        while service.advance():
            pass

    monkeypatch.setattr(asking, "SECONDS", 0.0)
    monkeypatch.setattr(asking, "give_way", others)
    assert look(measures, board) == set(NAMES)
    assert len(lets) >= len(NAMES)
    assert {alert.value for alert in measures.alerts.values()} == {1.0}
    monkeypatch.undo()
    assert look(measures, board) == set(NAMES)
    told = (1.0 - 5.0 * len(lets)) / (1 + len(lets))
    assert {alert.value for alert in measures.alerts.values()} == {told}


def test_what_was_found_is_not_forgotten_where_it_could_not_be_written(
    service: EventService, clock: FakeClock, board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(service, MEAN)
    service.add("s/a", None, 1.0)
    evaluator = Evaluator(service, board)
    with monkeypatch.context() as broken:
        broken.setattr(service, "change", fail)
        with pytest.raises(LogUnavailable):
            evaluator.look()
    assert evaluator.look() == 1
    assert evaluator.look() == 0
    clock.advance(20 * SECOND)
    assert [evaluator.look() for _ in range(2)] == [0, 0]  # no value: it goes on firing


def fail(*arguments: Any) -> int:
    raise LogUnavailable("away")
