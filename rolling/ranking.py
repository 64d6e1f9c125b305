"""Rankings: the first of many series by any statistic."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def first_by(values: Sequence[float | None], limit: int | None, *, descending: bool) -> list[int]:
    """The places of the first `limit` by value, or of all, ties by place; those without a value come last."""
    keys = np.array(values, np.float64)  # None becomes NaN, which numpy sorts behind all numbers
    places: list[int] = np.argsort(-keys if descending else keys, kind="stable")[:limit].tolist()
    return places
