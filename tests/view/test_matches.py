"""The series that match: those of the moment that a question sees, whatever was kept for others."""

from __future__ import annotations

import random
from fnmatch import fnmatchcase

import pytest

from access.keys import Patterns
from event_log.memory_store import MemoryStore
from event_service import EventService
from settings import Settings
from tests.conftest import FakeClock
from tests.view.test_questions import between_turns
from view import matches
from view.answers import Several
from view.matches import NAMES_AT_ONCE
from view.snapshots import Seen, Snapshot

ALL = Several(("*",))
EVEN = Several(("a*[02468]", "b"))
QUESTIONS = (ALL, EVEN, Several(("a1*", "nothing")), Several(("*1", "*2"), Patterns.of(["a*", "b1"])))


@pytest.fixture
def service(clock: FakeClock) -> EventService:
    service = EventService(MemoryStore(clock.moment), Settings(idle=0), clock)
    service.start()
    return service


def begin(service: EventService, *names: str) -> None:
    service.add_many(names, None, None, [1.0] * len(names))  # type: ignore[arg-type]


def expected(seen: Seen, several: Several) -> list[int]:
    return [
        number
        for number, series in seen.series.items()
        if any(fnmatchcase(series.name, pattern) for pattern in several.patterns)
        and (several.among is None or series.name in several.among)
    ]


@pytest.mark.parametrize("seed", range(5))
def test_they_are_those_of_what_is_seen_now_and_of_older_snapshots(service: EventService, seed: int) -> None:
    generator = random.Random(seed)
    held: list[Snapshot] = []
    for _ in range(150):
        name = f"{generator.choice('ab')}{generator.randrange(20)}"
        if service.series_id(name) is None:
            begin(service, name)
        elif generator.random() < 0.7:
            service.end_series(name)
        with service.level() as projection:
            if generator.random() < 0.3 and (snapshot := projection.snapshot()):
                held.append(snapshot)
            for seen in generator.sample([projection, *held], 1 + len(held)):
                several = generator.choice(QUESTIONS)
                assert seen.matches.find(seen, several)[0] == expected(seen, several)
            if len(held) > 1:
                projection.snapshots.leave(held.pop(0))


def test_their_lineage_tells_that_one_has_ended(service: EventService) -> None:
    def find(several: Several) -> tuple[list[int], int]:
        with service.level() as projection:
            return projection.matches.find(projection, several)

    begin(service, "a0", "a1")
    lineage = find(EVEN)[1]
    begin(service, "a2", "b")
    assert find(EVEN) == ([1, 3, 4], lineage)
    service.end_series("a1")
    assert find(EVEN) == ([1, 3, 4], lineage)
    service.end_series("a2")
    numbers, other = find(EVEN)
    assert (numbers, other == lineage) == ([1, 4], False)


def test_names_are_matched_once_and_a_few_at_a_time(service: EventService) -> None:
    names = [f"a{number}" for number in range(1000)]
    begin(service, *names)
    asked: list[str] = []

    class Noted:
        def __contains__(self, name: str) -> bool:
            asked.append(name)
            return True

    several, since_pause = Several(("a*",), Noted()), [0]

    def pause() -> None:
        assert len(asked) - since_pause[-1] <= NAMES_AT_ONCE
        since_pause.append(len(asked))

    with service.level() as projection:
        projection.view.pause_by(pause)
        assert len(projection.matches.find(projection, several)[0]) == 1000
        assert sorted(asked) == sorted(names)
        assert len(projection.matches.find(projection, several)[0]) == 1000
    begin(service, "a1000")
    with service.level() as projection:
        assert len(projection.matches.find(projection, several)[0]) == 1001
    assert len(asked) == 1001


def test_those_asked_for_longest_ago_go_where_there_are_too_many(
    service: EventService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matches, "MOST_KEPT", 3 * matches.COST + 100)
    begin(service, *(f"a{number}" for number in range(20)))
    questions = [Several((f"a*{number}",)) for number in range(5)]
    with service.level() as projection:
        for several in [*questions[:3], questions[0], *questions[3:]]:
            projection.matches.find(projection, several)
        assert list(projection.matches._kept) == [questions[0], *questions[3:]]
        for several in questions:
            assert projection.matches.find(projection, several)[0] == expected(projection, several)


def test_what_begins_and_ends_meanwhile_does_not_count(service: EventService, monkeypatch: pytest.MonkeyPatch) -> None:
    begin(service, *(f"a{number}" for number in range(100)))
    done: list[int] = []

    def happen() -> None:
        if len(done) < 100:
            begin(service, f"b{len(done)}")
            service.end_series(f"a{len(done)}")
            while service.advance():
                pass
        done.append(1)

    turns = between_turns(monkeypatch, happen)
    found = service.statistics(ALL)
    assert len(turns) > 10
    assert found.matched is not None
    assert (found.summary.count, found.matched.number, found.arrived) == (100, 100, 100)
