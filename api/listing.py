"""Lists of series, of which a key that is for some of them sees only those."""

from __future__ import annotations

import time

from api.context import service
from api.guard import visible
from view.answers import SeriesInfo

_PORTION = 1000
"""How many series are looked through at a time: some milliseconds of work."""


def list_series(
    prefix: str = "", limit: int = 100, after: str | None = None
) -> tuple[list[SeriesInfo], str | None, int]:
    """What `EventService.series` says, as if there were no series but those this request may see."""
    seen = visible()
    if seen is None:
        return service().series(prefix, limit, after)
    page, after, position = service().series(prefix, _PORTION, after)
    found = [info for info in page if seen(info.name)]
    while after is not None and len(found) <= limit:
        time.sleep(0)  # other requests come between
        page, after, _ = service().series(prefix, _PORTION, after)
        found += [info for info in page if seen(info.name)]
    return found[:limit], found[limit - 1].name if len(found) > limit else None, position
