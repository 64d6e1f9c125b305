"""Listings: the series by name, or the first of them by a statistic, each with its figures.

The list of series, their order and their figures are of one moment.
"""

from __future__ import annotations

from typing import NamedTuple

from rolling.figures import end_of
from rolling.ranking import first_by
from rolling.span import Span
from view.answers import NO_EXTRAS, Extras, Figures, Listed, Order, SeriesInfo
from view.snapshots import Seen


class Page(NamedTuple):
    """A page: at most `limit` series, or all, of those whose names begin with `prefix` and come behind `after`."""

    prefix: str = ""
    limit: int | None = 100
    after: str | None = None


class Over(NamedTuple):
    """The events of each series that are live, and those of them that figures are about, if any are wanted."""

    cutoff: int
    span: Span | None = None
    extras: Extras = NO_EXTRAS


def listed(seen: Seen, page: Page, order: Order, over: Over) -> Listed:
    """Return a page of series."""
    limit = page.limit
    names = _names(seen, page, order)
    places = _places(seen, names, order, over, limit)
    infos = []
    for place in places[:limit]:
        infos.append(_info(seen, seen.ids[names[place]], over))
        seen.view.pause()
    more = order.by_name and len(names) > len(infos)
    return infos, names[len(infos) - 1] if more else None, seen.cursor.position


def _names(seen: Seen, page: Page, order: Order) -> list[str]:
    """The names of a page in order, the first of them at least."""
    prefix, limit, after = page
    if order.visible is None:
        return seen.page(prefix, limit + 1 if order.by_name and limit is not None else None, after)
    names = []
    for name in seen.page(prefix, None, after):
        if order.visible(name):
            names.append(name)
        seen.view.pause()
    return names


def _places(seen: Seen, names: list[str], order: Order, over: Over, limit: int | None) -> list[int]:
    """The places of series, given by name, in the order of the page; all that it shows at least."""
    if order.value is None:
        places = list(range(len(names)))
        return places[::-1] if order.descending else places
    values = []
    for name in names:
        values.append(order.value(_figures(seen, seen.ids[name], over, order.extras)))
        seen.view.pause()
    return first_by(values, limit, descending=order.descending)


def _info(seen: Seen, number: int, over: Over) -> SeriesInfo:
    """Return a series as a list shows it."""
    entry, window = seen.series[number], seen.view.windows[number]
    figures = None if over.span is None else _figures(seen, number, over, over.extras)
    count = window.live(max(over.cutoff, seen.view.horizon))
    first, last = (end_of(window.row(count)), end_of(window.row(1))) if count else (None, None)
    return SeriesInfo(entry.name, (entry.created, entry.initial), count, first, last, figures)


def _figures(seen: Seen, number: int, over: Over, extras: Extras) -> Figures:
    assert over.span is not None
    return seen.view.figures(number, over.span, ends=extras.edges, wanted=extras.percentiles)
