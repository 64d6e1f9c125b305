"""LMDB's file read page by page, without LMDB: what trusts nothing can look at a damaged one.

A file begins with two heads, of the last two transactions. Tables are trees of pages, whose names and roots stand in a
main tree.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from mmap import ACCESS_READ, mmap
from pathlib import Path
from struct import Struct, error

_PAGE = Struct("<QHHHH")  # number, nothing, flags, lower, upper
_NODE = Struct("<HHHH")  # low and high half of a size or page, flags, size of the key
_META = Struct("<IIQQ")  # magic, version, address, size of the map
_TREE = Struct("<IHHQQQQQ")  # page size (of the first tree), flags, depth, three counts of pages, entries, root
_LAST = Struct("<QQ")  # last page, transaction
_POINTER = Struct("<H")
_NUMBER = Struct("<Q")
_MAGIC = 0xBEEFC0DE
_BRANCH, _LEAF, _OVERFLOW = 1, 2, 4
_BIG, _TABLE = 1, 2
_NONE = 2**64 - 1
_DEEP = 64
_FIRST_PAGES = 32

Item = tuple[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Head:
    """One of the two heads."""

    transaction: int
    last_page: int
    root: int
    free: int
    """The root of the tree of free pages."""


class Pages:
    """The pages of one file; `lost` counts those that could not be read."""

    def __init__(self, file: Path) -> None:
        with file.open("rb") as open_file:
            empty = not file.stat().st_size
            self.data = b"" if empty else mmap(open_file.fileno(), 0, access=ACCESS_READ)
        self.size = 4096
        self.lost = 0

    def heads(self) -> list[Head]:
        """The heads that can be read, newest first."""
        found = [head for head in (self._head(number) for number in (0, 1)) if head is not None]
        return sorted(found, key=lambda head: -head.transaction)

    def _head(self, number: int) -> Head | None:
        at = number * self.size + _PAGE.size
        try:
            magic = _META.unpack_from(self.data, at)[0]
            free = _TREE.unpack_from(self.data, at + _META.size)
            main = _TREE.unpack_from(self.data, at + _META.size + _TREE.size)
            last, transaction = _LAST.unpack_from(self.data, at + _META.size + 2 * _TREE.size)
        except error:
            return None
        return Head(transaction, last, main[-1], free[-1]) if magic == _MAGIC and free[0] == self.size else None

    def tables(self, head: Head) -> tuple[dict[bytes, bytes], dict[bytes, int]]:
        """What stands in the main tree itself, and the roots of the tables."""
        values: dict[bytes, bytes] = {}
        roots: dict[bytes, int] = {}
        for key, value, flags in self._leaves(head.root):
            if flags & _TABLE and len(value) == _TREE.size:
                roots[key] = _TREE.unpack(value)[-1]
            else:
                values[key] = value
        return values, roots

    def items(self, root: int) -> Iterator[Item]:
        """What a tree holds, as far as its pages can be read."""
        return ((key, value) for key, value, _ in self._leaves(root))

    def everything(self) -> Iterator[Item]:
        """What stands in any page that looks like a leaf, in use or not."""
        for number in range(2, len(self.data) // self.size):
            if self._flags(number) & _LEAF:
                yield from ((key, value) for key, value, _ in self._nodes(number))

    def reach_beyond(self, head: Head) -> bool:
        """Whether a page that is in use lies beyond the end of the file, or cannot be read."""
        self.lost = 0
        for root in (head.free, *self.tables(head)[1].values()):
            for _ in self.items(root):
                pass
        return self.lost > 0

    def _leaves(self, number: int, depth: int = 0) -> Iterator[tuple[bytes, bytes, int]]:
        if number == _NONE:
            return
        flags = self._flags(number)
        if flags & _LEAF:
            yield from self._nodes(number)
        elif flags & _BRANCH and depth < _DEEP:
            for child in self._children(number):
                yield from self._leaves(child, depth + 1)
        else:
            self.lost += 1

    def _flags(self, number: int) -> int:
        """What a page is; 0 where it is not what its place says."""
        try:
            own, _, flags, _, _ = _PAGE.unpack_from(self.data, number * self.size)
        except (error, OverflowError):
            return 0
        return int(flags) if own == number and (number + 1) * self.size <= len(self.data) else 0

    def _pointers(self, number: int) -> list[int]:
        start = number * self.size
        lower = _PAGE.unpack_from(self.data, start)[3]
        if not _PAGE.size <= lower <= self.size:
            self.lost += 1
            return []
        return [start + _POINTER.unpack_from(self.data, at)[0] for at in range(start + _PAGE.size, start + lower, 2)]

    def _children(self, number: int) -> list[int]:
        found = []
        for at in self._pointers(number):
            if at + _NODE.size > (number + 1) * self.size:
                self.lost += 1
                continue
            low, high, flags, _ = _NODE.unpack_from(self.data, at)
            found.append(low | high << 16 | flags << 32)
        return found

    def _nodes(self, number: int) -> Iterator[tuple[bytes, bytes, int]]:
        end = (number + 1) * self.size
        for at in self._pointers(number):
            value = None
            if at + _NODE.size <= end:
                low, high, flags, key_size = _NODE.unpack_from(self.data, at)
                start = at + _NODE.size + key_size
                value = self._value(start, low | high << 16, flags, end)
            if value is None:
                self.lost += 1
            else:
                yield self.data[start - key_size : start], value, flags

    def _value(self, start: int, size: int, flags: int, end: int) -> bytes | None:
        if not flags & _BIG:
            return self.data[start : start + size] if start + size <= end else None
        if start + _NUMBER.size > end:
            return None
        number = _NUMBER.unpack_from(self.data, start)[0]
        if not self._flags(number) & _OVERFLOW:
            return None
        start = number * self.size + _PAGE.size
        return self.data[start : start + size] if start + size <= len(self.data) else None


def is_unfinished(file: Path) -> bool:
    """Whether a file has never got through its first transaction: its pages are LMDB's or still empty, and no head
    leads anywhere."""
    pages = Pages(file)
    if len(pages.data) > _FIRST_PAGES * pages.size or any(head.root != _NONE for head in pages.heads()):
        return False
    places = range(0, len(pages.data), pages.size)
    return all(
        not any(pages.data[at : at + pages.size]) or _PAGE.unpack_from(pages.data, at)[0] == at // pages.size
        for at in places
        if at + pages.size <= len(pages.data)
    ) and (len(pages.data) % pages.size == 0 or not any(pages.data))


def is_readable(file: Path) -> bool:
    """Whether all pages that are in use are what they should be, also those that say which are free. LMDB, given some
    that are not, ends the process."""
    pages = Pages(file)
    heads = pages.heads()
    return not heads or not pages.reach_beyond(heads[0])


def make_whole(file: Path) -> bool:
    """Make a file as long as its head says; False when a page in use is missing.

    LMDB does not write pages that one transaction has both taken and given back, so a sound file may end before them.
    """
    pages = Pages(file)
    heads = pages.heads()
    if not heads or len(pages.data) >= (needed := (heads[0].last_page + 1) * pages.size):
        return True
    if pages.reach_beyond(heads[0]):
        return False
    with file.open("r+b") as whole:
        whole.truncate(needed)
    return True
