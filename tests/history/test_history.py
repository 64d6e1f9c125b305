"""Histories of real servers under kills, failovers and bad networks: the checker must find nothing wrong."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from time import monotonic

import pytest

from tests.history.checking import check
from tests.history.clients import SERIES, Client, Count, Reader, finish
from tests.history.recording import History
from tests.history.systems import System, failovers, four_workers, two_hosts

pytestmark = pytest.mark.no_cover
CLIENTS = 8
LONGEST_SECONDS = 300.0
SEED = "TIDEMARK_HISTORY_SEED"
"""The variable that replays what clients ask and which faults befall the servers."""


@pytest.mark.parametrize(
    ("start", "operations", "faults"),
    [(four_workers, 5500, 5), (two_hosts, 3500, 5), (failovers, 1000, 3)],
    ids=["four workers", "two hosts", "failovers"],
)
@pytest.mark.soak(run=(range(1), range(40)), share=(0.12, 1.0))
def test_nothing_is_wrong_in_a_history(
    start: Callable[[str], AbstractContextManager[System]], operations: int, faults: int, run: int, share: float
) -> None:
    """In the suite by the same seed each time, of a few requests and the first faults of each system."""
    seed = os.environ.get(SEED) or (str(random.randrange(10**9)) if share == 1.0 else "1")
    print(f"{SEED}={seed}")
    with start(seed) as system:
        chosen = some_of(system.faults, faults, seed) if share == 1.0 else list(system.faults)[: faults // 2]
        history = record(system, seed, int(share * operations), chosen)
    begun = monotonic()
    found = check(history)
    print(f"checked in {monotonic() - begun:.1f} s")
    assert not found, f"{SEED}={seed}\n" + "\n".join(found)


def record(system: System, seed: str, operations: int, faults: Sequence[str]) -> History:
    """Have clients make `operations` while `faults` befall them; return what they asked and were told."""
    history = History(brief=system.brief, gaps=system.gaps, losses=system.losses)
    counted = Count(operations)
    brief = sorted(system.brief)
    clients = [Client(f"client-{n}", f"{seed} {n}", system.port, counted, brief) for n in range(CLIENTS)]
    names = [(kind, series) for series in (*SERIES, *brief) for kind in ("stream", "socket")]
    readers = [
        Reader(f"{kind} {n}", series, partial(system.port, random.Random(f"{seed} {kind} {n}")))
        for n, (kind, series) in enumerate(names)
    ]
    for thread in (*readers, *clients):
        thread.start()
    begun = monotonic()
    for number, fault in enumerate(faults):
        reached = counted.at(operations * (number + 1) // (len(faults) + 1))
        assert reached.wait(LONGEST_SECONDS), "clients are not answered any more"
        print(f"{monotonic() - begun:.1f} s: {fault}")
        system.faults[fault](random.Random(f"{seed} {number}"))
    assert counted.at(operations).wait(LONGEST_SECONDS), "clients are not answered any more"
    print(f"{monotonic() - begun:.1f} s: {operations} operations")
    system.heal()
    finish(history, clients, readers, system.servers[0].port)
    return history


def some_of(faults: Iterable[str], number: int, seed: str) -> list[str]:
    """Return `number` faults at random, each once before any comes again."""
    kinds, found = list(faults), list[str]()
    while len(found) < number:
        found += random.Random(f"{seed} {len(found)}").sample(kinds, len(kinds))
    return found[:number]
