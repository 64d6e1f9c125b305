"""Tables of small rows that all who share the log see alike. Each change is conditional on the row that it leaves.

The machine knows nothing of what a table means: whoever needs one names it, and packs its rows as text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from event_log.codec import Data, unpack_json


class Row(NamedTuple):
    """A value, and the position of the change that put it there."""

    value: str
    position: int


class Change(NamedTuple):
    """One change of a row."""

    table: str
    key: str
    value: str | None
    """None removes the row."""
    leaves: int = 0
    """The position of the row as it is before; 0: there is none."""

    @classmethod
    def replacing(cls, row: Row | None, table: str, key: str, value: str | None) -> Change:
        """Return a change that is made only while the row is still this one; None: while there is none."""
        return cls(table, key, value, 0 if row is None else row.position)


class Changes(NamedTuple):
    """Changes of rows by one record: all of them are made, or none."""

    changes: Sequence[Change]
    lease: tuple[str, int] | None = None
    """Name and number of the lease that must be in force."""


class Tables:
    """All tables at one point of the log."""

    def __init__(self) -> None:
        self._tables: dict[str, dict[str, Row]] = {}

    def __iter__(self) -> Iterator[tuple[str, str, Row]]:
        """All rows, with table and key, in the order in which they were first put there."""
        return ((table, key, row) for table, rows in self._tables.items() for key, row in rows.items())

    def rows(self, table: str) -> dict[str, Row]:
        """The rows of a table by key. Not to be changed."""
        return self._tables.get(table, {})

    def are_left(self, changes: Iterable[Change]) -> bool:
        """Return whether each row is still the one that its change leaves."""
        rows = ((self.rows(change.table).get(change.key), change.leaves) for change in changes)
        return all(leaves == (0 if row is None else row.position) for row, leaves in rows)

    def put(self, table: str, key: str, value: str | None, position: int) -> None:
        """Change a row at a position."""
        rows = self._tables.setdefault(table, {})
        if value is None:
            rows.pop(key, None)
            if not rows:
                del self._tables[table]
        else:
            rows[key] = Row(value, position)


def unpack_changes(data: Data) -> Changes:
    """The changes of the payload of a CHANGE. Raises ValueError or TypeError."""
    changes, lease = unpack_json(data)
    return Changes([Change(*change) for change in changes], lease and tuple(lease))
