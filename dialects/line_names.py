"""Parts that both readers of line protocol share: the series of a field, and the times that are valid."""

from __future__ import annotations

from collections.abc import Sequence

from api.reading.schemas import SERIES_NAME

LONGEST_ECHO = 40
"""Characters of a line that a message repeats."""


def series_name(measurement: str, tags: Sequence[tuple[str, str]], field: str) -> str:
    """Return the series of a field. Raises ValueError that says what is wrong with it."""
    if not field:
        raise ValueError("a field has no name")
    names = [name for name, _ in tags]
    if len(set(names)) < len(names):
        raise ValueError(f"a tag is repeated among {', '.join(map(repr, names))[:100]}")
    head = ",".join([measurement, *(f"{name}={value}" for name, value in sorted(tags))])
    series = f"{head}/{field.replace('/', chr(92) + '/')}"
    if not SERIES_NAME.fullmatch(series):
        raise ValueError(
            f"the series {series[:LONGEST_ECHO]!r} must have 1 to 128 characters, none of them a control character, "
            "and no slash at its end"
        )
    return series
