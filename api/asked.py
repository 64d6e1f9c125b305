"""The series of a question that names none in its path: several as one by `series=`, or all."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from api.guard import current_key, lease, lease_as_is, permit
from event_log.patterns import exact_name, is_pattern
from view.answers import Matched, Several


def asked(patterns: Sequence[str] | None) -> Several | None:
    """Return the series that `series=` names, looked up among those that the key of this request may see; None: all of
    them. 403 for a plain name, or for all, that the key may not see."""
    if patterns is None:
        permit(None)
        return None
    for text in patterns:
        if not is_pattern(text):
            permit(exact_name(text))
    key = current_key()
    return Several(tuple(sorted(set(patterns))), None if key is None else key.series)


def lease_of(several: Several | None) -> Callable[[], bool] | None:
    """Return whether a stream of these series that begins now may still go on; None: always."""
    if several is None:
        return lease(None)
    names = [exact_name(text) for text in several.patterns]
    return lease(names[0]) if len(names) == 1 and not is_pattern(several.patterns[0]) else lease_as_is()


def number_of(matched: Matched | None) -> int | None:
    """Return how many series matched; None where not several were asked for."""
    return None if matched is None else matched.number
