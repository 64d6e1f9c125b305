"""The limits of series that a write has to keep to."""

from __future__ import annotations

from event_log.batch import Batch
from event_log.errors import TooManyKeepers, TooManySeries
from event_log.rules import Rules
from event_log.series import SeriesTable
from event_log.writes import Conditions


def changed_keeps(table: SeriesTable, rules: Rules, batch: Batch, asked: Conditions) -> list[int]:
    """Return the series whose keep a write raises. Raises TooManySeries, TooManyKeepers."""
    ids = [table.ids.get(name) for name in batch.names]
    new = ids.count(None)
    if new and len(table) + new > rules.max_series:
        raise TooManySeries(rules.max_series)
    if new and asked.owner is not None and table.owned[asked.owner.name] + new > asked.owner.most:
        raise TooManySeries(asked.owner.most, asked.owner.name)
    if asked.keep is None:
        return []
    changed = table.keeping_less([number for number in ids if number is not None], asked.keep)
    keepers = new + sum(table.by_id[number].keep is None for number in changed)
    if asked.symbols and keepers and table.keepers + keepers > rules.max_symbols:
        raise TooManyKeepers(f"the limit of {rules.max_symbols} series with a keep of their own is reached")
    return changed
