"""Changes of alerts stand in the log once: conditional on the state they leave and on the lease of who evaluates."""

from __future__ import annotations

import pytest

from event_log.alerts import AlertLedger, AlertsPayload, Change, pack_alerts, unpack_alerts
from event_log.checkpoint import State, pack, unpack
from event_log.errors import LogDamaged
from event_log.log import Log
from tests.conftest import FakeClock
from tests.event_log.stores import StoreKind
from times import SECOND

TERM = 15 * SECOND


def fires(lease: int, holder: str, leaves: str = "inactive") -> AlertsPayload:
    """One alert begins to fire."""
    change = Change("slow", "web", leaves, "firing", 7, is_seen=True, value=1.5, summary="it is 1.5")
    return AlertsPayload(holder, lease, changes=(change,))


def test_one_process_at_a_time_holds_the_lease(kind: StoreKind) -> None:
    store = kind.open()
    first, second = Log(store), Log(kind.sibling(store))
    assert first.alert(AlertsPayload("a", term=TERM)) is not None
    assert second.alert(AlertsPayload("b", term=TERM)) is None
    assert first.alert(AlertsPayload("a", term=TERM)) is not None
    assert first.machine.alerts.lease == 1
    assert second.machine.alerts.pack() == first.machine.alerts.pack()


def test_a_change_is_void_when_the_state_is_another_one(kind: StoreKind) -> None:
    store = kind.open()
    first, second = Log(store), Log(kind.sibling(store))
    first.alert(AlertsPayload("a", term=TERM))
    position = first.alert(fires(1, "a"))
    assert position == 1
    assert first.alert(fires(1, "a")) is None
    assert second.alert(fires(1, "b")) is None
    assert first.machine.alerts.alerts["slow", "web"].position == 1
    first.catch_up()
    assert second.machine.alerts.pack() == first.machine.alerts.pack()


def test_a_holder_that_stalled_changes_nothing(kind: StoreKind, clock: FakeClock) -> None:
    store = kind.open()
    stalled, other = Log(store), Log(kind.sibling(store))
    stalled.alert(AlertsPayload("a", term=SECOND // 1000))
    clock.advance(SECOND)
    kind.clocks.advance(SECOND)
    assert other.alert(AlertsPayload("b", term=TERM)) is not None
    assert stalled.alert(fires(1, "a")) is None
    assert other.alert(fires(2, "b")) is not None


def test_rules_are_put_in_force_once_by_each_start(kind: StoreKind) -> None:
    log = Log(kind.open())
    assert log.alert(AlertsPayload(start="s", rules='[{"name":"a"}]')) == 1
    assert log.alert(AlertsPayload(start="s", rules='[{"name":"a"}]')) is None
    assert log.alert(AlertsPayload(start="t", rules="[]")) == 2
    assert log.machine.alerts.rules == "[]"
    assert log.alert(AlertsPayload(start="s", rules="[]")) == 3


def test_a_checkpoint_holds_all_of_it(kind: StoreKind) -> None:
    log = Log(kind.open())
    log.alert(AlertsPayload(start="s", rules='[{"name":"a"}]'))
    log.alert(AlertsPayload("a", term=TERM))
    log.alert(fires(1, "a"))
    log.alert(AlertsPayload("a", 1, acknowledged={"ops": 2}))
    state, _ = unpack(pack(State.of(log.machine)))
    assert state.machine().alerts.pack() == log.machine.alerts.pack()
    assert state.machine().alerts.acknowledged == {"ops": 2}


def test_a_fresh_process_comes_to_the_same_state(kind: StoreKind) -> None:
    store = kind.open()
    log = Log(store)
    log.alert(AlertsPayload("a", term=TERM))
    log.alert(fires(1, "a"))
    gone = Change("slow", "web", "firing", "inactive", 9, is_seen=True, reason="ended", forgets=True)
    log.alert(AlertsPayload("a", 1, changes=(gone,)))
    fresh = Log(kind.sibling(store))
    fresh.catch_up()
    assert fresh.machine.alerts.pack() == log.machine.alerts.pack()
    assert fresh.machine.alerts.alerts == {}


def test_a_pause_in_which_nobody_looked_does_not_count() -> None:
    ledger = AlertLedger()
    for now in (100 * SECOND, 105 * SECOND, 200 * SECOND, 203 * SECOND):
        ledger.carry_out(AlertsPayload("a", term=TERM), now, 0)
    assert ledger.looked == 8 * SECOND
    assert ledger.counted(204 * SECOND) == 9 * SECOND


def test_a_record_that_cannot_be_read_is_damage() -> None:
    assert unpack_alerts(pack_alerts(fires(1, "a"))) == fires(1, "a")
    for data in (b"{", b"[1]", b"[]", b"null"):
        with pytest.raises(LogDamaged):
            unpack_alerts(data)
