"""A bounded cache."""

from __future__ import annotations

from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Recent(dict[K, V]):
    """The values used lately, least recently used first."""

    __slots__ = ("_most",)

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def use(self, key: K) -> V | None:
        """Return the value of a key, which counts as used last."""
        found = self.pop(key, None)
        if found is not None:
            self[key] = found
        return found

    def put(self, key: K, value: V) -> V:
        """Hold a value, in place of the one used longest ago where there are too many. Returns it."""
        self[key] = value
        if len(self) > self._most:
            del self[next(iter(self))]
        return value
