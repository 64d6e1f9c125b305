"""Whoever evaluates, and whenever it is killed or stalls: each change stands in the log once, in the right order."""

from __future__ import annotations

import json
from random import Random

from alerts.evaluation import Evaluator
from event_log.alerts import AlertsPayload, Change
from event_log.applied import Begun, Told
from event_log.steps import AlertsChange
from event_service import EventService
from settings import Settings
from tests.conftest import FakeClock
from tests.event_log.stores import StoreKind
from times import SECOND

RULE = {"name": "high", "series": "s/*", "statistic": "last", "window": "1h", "above": 0.5}
WORKERS = 4
LOOKS = 150
Seen = list[tuple[tuple[str, str], str, str, int]]


def follower(service: EventService) -> Seen:
    """What a worker is told of alerts: key, state before and after, position."""
    seen: Seen = []

    def listen(told: Told | Begun) -> None:
        assert isinstance(told, Told)
        for step in told.steps:
            if isinstance(step, AlertsChange):
                seen.extend(
                    (change.key, change.before, change.alert.state, change.alert.position) for change in step.changes
                )

    service.listen(listen)
    return seen


def test_each_change_happens_once_whoever_is_killed(kind: StoreKind, clock: FakeClock) -> None:
    random = Random(24)
    store = kind.open()
    stores = [store, *(kind.sibling(store) for _ in range(WORKERS - 1))]
    services = [EventService(store, Settings(), clock) for store in stores]
    told = [follower(service) for service in services]
    for service in services:
        service.alerting()  # level with the log: from here on it is told of each change
    services[0].alert(AlertsPayload(start="s", rules=json.dumps([RULE])))
    evaluators = [Evaluator(service, f"{number}") for number, service in enumerate(services)]
    state = dict.fromkeys([("high", "s/a"), ("high", "s/b")], "inactive")
    for look in range(LOOKS):
        clock.advance(SECOND)
        kind.clocks.advance(SECOND)
        for series in ("s/a", "s/b"):
            random.choice(services).add(series, None, float(random.random() < 0.5))
        if look % 10 == 9:  # whoever evaluates is killed, or stalls and believes later that it still holds the lease
            clock.advance(20 * SECOND)
            kind.clocks.advance(20 * SECOND)
            random.shuffle(evaluators)
            if random.random() < 0.5:
                number = random.randrange(WORKERS)
                evaluators[number] = Evaluator(random.choice(services), f"again {look}")
        for evaluator in evaluators:
            evaluator.look()
        if look % 10 == 9:  # what the one before had ready when it stalled
            ledger = services[0].log.machine.alerts
            states = {key: ledger.state(key) for key in state}
            late = [Change(*key, leaves, "pending", 0, is_seen=True) for key, leaves in states.items()]
            for number in range(WORKERS):
                if str(number) != ledger.holder:
                    assert services[number].alert(AlertsPayload(str(number), ledger.lease, changes=tuple(late))) is None
    for service in services:
        service.alerting()
    assert all(seen == told[0] for seen in told)
    assert len({position for *_, position in told[0]}) == len(told[0]) > 50
    for key, before, after, _ in told[0]:
        assert (state[key], {before, after}) == (before, {"inactive", "firing"})
        state[key] = after
    for service in services:
        assert service.log.machine.alerts.pack() == services[0].log.machine.alerts.pack()
