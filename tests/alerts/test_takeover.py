"""Each change stands in the log once, in the right order, whoever evaluates and whenever it is killed or stalls."""

from __future__ import annotations

from random import Random

import pytest

from alerts.board import Board
from alerts.evaluation import TERM, Evaluator
from alerts.rows import ALERTS, LEASE, RULES, Alert, pack, pack_rules, row_key
from event_log.outcomes import Void
from event_log.tables import Change
from event_service import EventService
from settings import Settings
from tests.alerts.changes import follow
from tests.conftest import FakeClock
from tests.event_log.stores import StoreKind
from times import SECOND

RULE = {"name": "high", "series": "s/*", "statistic": "last", "window": "1h", "above": 0.5}
WORKERS = 4
KEYS = [("high", "s/a"), ("high", "s/b")]


def late_changes(service: EventService) -> list[Change]:
    """Return what a process has ready that looked at the rows as they are now."""
    with service.level() as projection:
        rows = dict(projection.tables.rows(ALERTS))
    pending = pack(Alert("pending", 0, 0, 0, None, ""))
    return [Change(ALERTS, text, pending, row.position) for text, row in rows.items()]


@pytest.mark.soak(looks=(150, 1500))
def test_each_change_happens_once_whoever_is_killed(kind: StoreKind, clock: FakeClock, looks: int) -> None:
    random = Random(24)
    store = kind.open()
    stores = [store, *(kind.sibling(store) for _ in range(WORKERS - 1))]
    services = [EventService(store, Settings(), clock) for store in stores]
    told = [follow(service) for service in services]
    boards = [Board(service) for service in services]
    for board in boards:
        board.standing()  # level with the log: from here on it is told of each change
    services[0].change([Change(RULES, RULES, pack_rules([RULE], {}, clock.now))])
    evaluators = [Evaluator(service, board) for service, board in zip(services, boards, strict=True)]
    for look in range(looks):
        clock.advance(SECOND)
        for series in ("s/a", "s/b"):
            random.choice(services).add(series, None, float(random.random() < 0.5))
        if look % 10 == 9:  # whoever evaluates is killed, or stalls and believes later that it still holds the lease
            number = next(number for number, evaluator in enumerate(evaluators) if evaluator.look() is not None)
            lease, late = services[number].lease(LEASE, TERM), late_changes(services[number])
            clock.advance(int(2 * TERM) * SECOND)
            taker = (number + random.randrange(1, WORKERS)) % WORKERS
            assert evaluators[taker].look() is not None
            assert evaluators[number].look() is None
            assert lease is not None
            with pytest.raises(Void):
                services[number].change(late, (LEASE, lease))
            if random.random() < 0.5:
                evaluators[number] = Evaluator(services[number], boards[number])
        for evaluator in evaluators:
            evaluator.look()
        standings = [board.standing() for board in boards]
        assert all(standing == standings[0] for standing in standings)
    assert all(seen == told[0] for seen in told)
    assert len({position for *_, position in told[0]}) == len(told[0]) > 50
    for key in KEYS:
        states = [state for text, state, _ in told[0] if text == row_key(key)]
        assert states == ["firing", "inactive"] * (len(states) // 2) + ["firing"] * (len(states) % 2)
    assert Board(services[0]).standing() == boards[1].standing()  # one that begins now tells the same
