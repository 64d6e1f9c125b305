"""Keys that stand twice in one object of a request. orjson, like most, keeps the last one silently."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from api.problems import invalid
from view.portions import giving_way, paced


def refuse_repeated_keys(body: bytes, data: Any, stamps: Sequence[Any] | None) -> None:
    """400 if an object of the body names a key twice. `data` is what the body says, and valid: an event, an array
    of events, or columns, with these timestamps.

    Counting quotation marks clears nearly every request at memory speed; what that leaves in doubt (a name with an
    escaped one) is parsed again.
    """
    if surely_without_repeated_keys(body, data, stamps):
        return
    found = json.loads(body, object_pairs_hook=paced(tuple))
    if isinstance(found, tuple):
        errors = _repeated(found)
    else:
        errors = {str(index): wrong for index, pairs in enumerate(giving_way(found)) if (wrong := _repeated(pairs))}
    if errors:
        raise invalid(errors)


def surely_without_repeated_keys(body: bytes, data: Any, stamps: Sequence[Any] | None) -> bool:
    """Return whether the body has exactly the quotation marks that the data needs, so that none are left for a key that
    stands twice. A timestamp that is a string needs two; where only some are numbers, nothing is sure."""
    spare = _quotation_marks(data) - body.count(b'"')
    stamps = stamps or ()
    return spare == 2 * len(stamps) or (spare == 0 and {int, float}.isdisjoint(map(type, stamps)))


def _quotation_marks(data: Any) -> int:
    """Return the number of quotation marks that the data needs with strings as timestamps: two a name, two a string."""
    if type(data) is list:
        return 6 * len(data) + 4 * (sum(map(len, data)) - 2 * len(data))
    if "values" in data:
        return 2 * (len(data) + len(data.get("timestamps", ())) + ("series" in data))
    return 4 * len(data) - 2


def _repeated(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    counts = Counter(key for key, _ in pairs)
    return {key: ["Stands twice in one object; leave one out."] for key, count in counts.items() if count > 1}
