"""Random runs of several workers over one store with faults: see `tests.event_log.simulation`.

Each run ends with a worker that begins anew; all must come to what the oracle says. A failure names its seed, and
`Workers(seed, losses=...).run(STEPS)` replays it.
"""

from __future__ import annotations

import pytest

from event_log import checkpoint, compaction
from event_log.codec import Columns
from event_log.compaction import Sieve
from event_log.idempotency import IdempotencyRecords
from event_log.memory_store import MemoryStore
from event_log.port import Guard, Record
from event_log.tables import Tables
from tests.event_log.simulation import Workers

STEPS = 60
ENOUGH = 60
"""Number of seeds by which each fault planted below has been found."""


def run(seeds: range, *, losses: bool = False) -> dict[str, int]:
    """Return what was done in all, by name."""
    counts: dict[str, int] = {}
    for seed in seeds:
        workers = Workers(seed, losses=losses)
        try:
            workers.run(STEPS)
        except BaseException as fault:
            fault.add_note(f"seed {seed}, losses={losses}")
            raise
        for name, count in workers.counts.items():
            counts[name] = counts.get(name, 0) + count
    return counts


@pytest.mark.soak(seeds=(20, 300))
def test_all_workers_come_to_what_the_oracle_says(seeds: int) -> None:
    counts = run(range(seeds))
    rare = {"Stale", "TooManySeries", "TooManyKeepers", "Repeated", "OverBudget", "compact", "end", "claim", "adopt"}
    rare |= {"lease", "changed", "Void"}
    assert not rare - counts.keys()


@pytest.mark.soak(seeds=(20, 300))
def test_they_do_so_where_the_newest_records_are_lost(seeds: int) -> None:
    assert run(range(seeds), losses=True)["lose"]


def test_a_run_that_would_not_notice_a_fault_is_no_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of these faults, planted alone, must be found."""

    def let_all_through(sieve: Sieve, columns: Columns) -> Columns:
        del sieve
        return columns

    def append_unguarded(store: MemoryStore, record: Record, guard: Guard) -> object:
        return plain(store, record, guard._replace(known=None, oldest=None))

    def adopt_nothing(records: IdempotencyRecords, runs: object, number: int) -> None:
        del records, runs, number

    plain = MemoryStore.append
    for owner, name, fault in (
        (Sieve, "live", let_all_through),
        (MemoryStore, "append", append_unguarded),
        (IdempotencyRecords, "adopt", adopt_nothing),
        (Tables, "are_left", lambda tables, changes: True),
        (IdempotencyRecords, "forget", lambda records, time: None),
        (compaction, "unpack", lambda data: (checkpoint.unpack(data)[0], {})),
    ):
        with monkeypatch.context() as planted:
            planted.setattr(owner, name, fault)
            with pytest.raises((AssertionError, KeyError, RuntimeError)):
                run(range(ENOUGH))
